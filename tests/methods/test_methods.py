"""All methods over all surfaces whose answer is known; a new method is a new row by itself."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from compositions import method_node
from zoo import ABOVE, BELOW, BOWL, RING, connect, dense_peak, known_surfaces, path_methods

from landscape_cli import config, listing
from landscape_cli.contracts import PathMethod, Progress
from landscape_cli.core.descent import adam
from landscape_cli.core.feasible import Search
from landscape_cli.core.sampling import Sampling
from landscape_cli.errors import UserError
from landscape_cli.methods.climb import Climb
from landscape_cli.methods.doubly_nudged import DoublyNudged
from landscape_cli.methods.dropout_path import DropoutPath
from landscape_cli.methods.dynamic_string import DynamicString
from landscape_cli.methods.function_space import FunctionSpace
from landscape_cli.methods.neb import NEB
from landscape_cli.methods.polychain import Polychain
from landscape_cli.methods.repair import Repair
from landscape_cli.methods.straight import Straight
from landscape_cli.methods.string_method import StringMethod
from landscape_cli.methods.taut_string import TautString

CONF = Path(__file__).parents[2] / "conf"
METHODS = path_methods()
NAMES = list(listing.options("method", [CONF]))
STATES = {"straight", "taut", "loose", "not connected", "diverged"}
OF_A_KIND = (NEB, DoublyNudged, Climb)  # AutoNEB is one of them, and tried always
LIKE_OTHERS = (*OF_A_KIND, Polychain, StringMethod)  # Bezier is a curve, too
PLAIN = (Straight, Repair, FunctionSpace)  # nothing is drawn but, by the last, mini-batches
BRIEF = {"bead_steps": 600, "depth": 5, "max_beads": 33, "evaluations": 100, "steps": 300}
# A program is compiled for every number of beads: few cycles, and few rounds.
BRIEF |= {"climb_steps": 300, "rounds": 2, "schedule": ((150, 0.02, 4), (150, 0.005, 3))}
# Numbers no field of the name may take, wherever it occurs.
REFUSED = {
    "alpha": (0.0, 1.1, -0.5, float("nan")),
    "tau": (0.9, float("inf"), float("nan")),
    "deeper": (0.0, 1.5, float("nan")),
    "depth": (0, -1),
    "points": (0,),
    "bead_steps": (0,),
    "check": (0, -1),
    "max_beads": (2, 0),
    "learning_rate": (0.0, -1.0, float("inf"), float("nan")),
    "dense": (0,),
    "segments": (1, 0),
    "samples": (0,),
    "evaluations": (0,),
    "tolerance": (0.0, -1.0, float("nan")),
    "refinement": (0.0, float("inf")),
    "history": (0.0, -1.0),
    "margin": (-0.1, 1.0, float("nan")),
    "insertion": ("best",),
    "bow": (-0.1, float("inf"), float("nan")),
    "interpolation": ("quintic",),
    "spring": (0.0, -1.0, 1.5, float("nan")),
    "tangent": ("upwind",),
    "optimizer": ("newton",),
    "steps": (0,),
    "beads": (2, 0),
    "examples": (0,),
    "bends": (0, -1),
    "draws": (0,),
    "weighting": ("length",),
    "momentum": (-0.1, 1.0, float("nan")),
    "weight_decay": (-0.1, float("inf"), float("nan")),
    "climb_steps": (0,),
    "rounds": (0,),
    "schedule": ((), ((9, 0.1, 0),), ((0, 0.1, 3),), ((9, -0.1, 3),), ((9, 0.1, 3), (9, 0.1, -1))),
    "threshold": (-0.1, float("inf"), float("nan")),
}


def brief(method):
    """The method with a small budget: a failure spends all of it."""
    names = {field.name for field in dataclasses.fields(method)}
    return method(**{name: value for name, value in BRIEF.items() if name in names})


@pytest.fixture(autouse=True, scope="module")
def ranks_are_kept():
    """A user may forbid that ranks are promoted, to find where their own energy does it."""
    jax.config.update("jax_numpy_rank_promotion", "raise")  # for threads, too
    yield
    jax.config.update("jax_numpy_rank_promotion", "allow")


def is_slow(method, known):
    """What knows no level sees the same in all: round the bend, and behind the fence where new."""
    if method in LIKE_OTHERS:
        return known is not RING
    return method.level_free and method is not Straight and known in (BOWL, BELOW, ABOVE)


def test_the_table_has_all_methods():
    assert {Straight, DynamicString, TautString} <= set(METHODS)
    assert all(issubclass(method, PathMethod) for method in METHODS)


@pytest.mark.parametrize(
    ("method", "known"),
    [
        pytest.param(
            method,
            known,
            id=f"{method.__name__}-{known.name}",
            marks=pytest.mark.slow if is_slow(method, known) else (),
        )
        for method in METHODS
        for known in known_surfaces(method)
    ],
)
def test_verdicts_agree_with_an_independent_check(method, known):
    (found,) = connect(brief(method), known.surface, [known.start], [known.end], [known.level])
    assert found.state in STATES
    assert np.array_equal(found.beads[0], known.start)
    assert np.array_equal(found.beads[-1], known.end)
    assert found.level == known.level
    highest = dense_peak(known.formula, found.beads)
    # The grids differ; both are within a part in a thousand of the true peak.
    assert found.peak == pytest.approx(highest, rel=2e-3)
    if found.connected:
        assert known.joined, "joined what is not joined"
        assert highest <= known.level * (1 + 1e-12)
        assert found.normalized_length >= 1 - 1e-15
        assert found.worst_segment == -1
        assert found.margin >= 0
    else:
        assert found.state == "not connected", "no proof of anything more"
        assert highest > known.level
        assert np.isnan(found.normalized_length)
        segment = found.beads[found.worst_segment : found.worst_segment + 2]
        assert dense_peak(known.formula, segment) == pytest.approx(highest)
    if known.straight and not method.level_free:
        assert found.state == "straight"
        assert found.normalized_length == pytest.approx(1, abs=1e-6)
    assert found.energy_evaluations > 0
    # A chord that is judged before anything else is tried has no share of what follows.
    assert found.seconds > 0 or found.state == "straight"


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(each, id=each.__name__, marks=pytest.mark.slow if each in LIKE_OTHERS else ())
        for each in METHODS
        if each not in PLAIN
    ],
)
def test_the_seed_of_a_run_reaches_the_draws_of_a_method(method):
    """Sides, kicks, halves and points of a curve: named after the ends, and alike in any order."""
    known = known_surfaces(method)[0]
    job = [known.start, known.end], [known.end, known.start], 2 * [known.level]
    small = dataclasses.replace(brief(method), draws=1) if method is DropoutPath else brief(method)
    drawn = lambda seed, *job: [
        one.beads for one in connect(small, known.surface, *job, seed=seed)
    ]
    first, other = drawn(0, *job), drawn(1, *job)
    turned = drawn(1, *(rows[::-1] for rows in job))
    for one, two, three in zip(first, other, turned[::-1], strict=True):
        assert not np.array_equal(one, two)
        np.testing.assert_allclose(two, three, atol=1e-9)


def test_a_method_that_takes_no_seed_is_refused():
    """One of the time before runs handed it over; one that passes everything on is fine."""
    with pytest.raises(TypeError, match=r"^Old.connect must take the run's seed: add seed"):

        class Old(PathMethod):
            def connect(self, surface, starts, ends, levels, pairs, progress, initial=None):
                return iter(())

    class Passing(Straight):
        def connect(self, *arguments, **more):
            return super().connect(*arguments, **more)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_identical_ends_and_no_pairs(method):
    known = known_surfaces(method)[0]
    surface, point = known.surface, known.start[None]
    (found,) = connect(brief(method), surface, point, point, [known.level])
    assert found.connected and found.normalized_length == 1.0
    none = np.zeros((0, surface.dimension))
    whole = np.zeros(0)
    assert list(brief(method).connect(surface, none, none, whole, whole, Progress())) == []


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(each, id=each.__name__, marks=pytest.mark.slow if each in LIKE_OTHERS else ())
        for each in METHODS
    ],
)
def test_the_same_again_is_the_same_bit_by_bit(method):
    known = known_surfaces(method)[0]
    rows = [known.start] * 2, [known.end] * 2, [known.level, known.level / 5]
    first, second = (connect(brief(method), known.surface, *rows) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.beads, other.beads)
        assert (one.state, one.peak) == (other.state, other.peak)


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m.needs_network], ids=lambda method: method.__name__
)
def test_what_needs_a_network_says_so(method):
    with pytest.raises(UserError, match="network"):
        connect(method(), RING.surface, [RING.start], [RING.end], [RING.level])


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_manners(method):
    assert dataclasses.is_dataclass(method) and method.__dataclass_params__.frozen
    assert method.__doc__ and not method.__doc__.startswith(f"{method.__name__}(")
    assert method.reference.startswith("@"), "a run prints the references it used"
    assert method.connect.__doc__
    one, other = method(), method()
    assert one == other and hash(one) == hash(other)
    targets = [method_node(name)._target_ for name in NAMES]
    assert f"{method.__module__}.{method.__name__}" in targets, "no YAML names it"


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        pytest.param(method, field.name, value, id=f"{method.__name__}-{field.name}={value}")
        for method in METHODS
        for field in dataclasses.fields(method)
        for value in REFUSED.get(field.name, ())
    ],
)
def test_what_is_out_of_range_is_refused_by_name(method, field, value):
    with pytest.raises(ValueError, match=field):
        method(**{field: value})


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_every_number_and_word_has_a_range(method):
    for field in dataclasses.fields(method):
        assert field.name in REFUSED or field.type == "bool", field.name


@pytest.mark.parametrize("name", NAMES)
def test_method_yaml_builds_and_says_what_it_is(name):
    cfg = method_node(name)
    method = config.build(cfg, "method")
    assert isinstance(method, PathMethod)
    fields = {field.name for field in dataclasses.fields(method)}
    assert set(cfg) - {"_target_"} == fields, "the YAML shows all settings"
    text = (CONF / "method" / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_defaults_in_python_are_those_of_the_command(method):
    """FunctionSpace took half the steps: `landscape.connect` builds methods without a YAML."""
    name = method.__module__.rpartition(".")[2]
    assert config.build(method_node(name), "method") == method()


def test_defaults_of_the_core_are_those_of_the_methods():
    assert TautString().search == Search(optimizer=adam(0.01))
    assert DynamicString().sampling == Sampling()


def test_the_published_settings():
    method = config.build(method_node("fb2016"), "method")
    assert (method.alpha, method.tau, method.insertion) == (0.95, 1.1, "midpoint")
    assert method.depth == 10 and method.deeper == 1.0 and method.three_beads
    assert method.learning_rate == 1e-3


def test_beads_can_be_doubled_at_least_once():
    with pytest.raises(ValueError, match="max_beads"):
        TautString(segments=16, max_beads=32)
    TautString(segments=16, max_beads=33)


def test_long_work_says_how_far_it_is():
    """A string of a large network takes minutes: what is counted is spent while it is pulled."""
    notes: list[str] = []

    class Notes(Progress):
        def update(self, done, note=""):
            notes.append(note)

    pair = RING.start[None], RING.end[None], np.array([RING.level]), np.zeros(1, int)
    ((_, found),) = TautString().connect(RING.surface, *pair, Notes())
    bent = [note for note in notes if "bent" in note]
    counts = [int(note.split(" after ")[1].split()[0].replace(",", "")) for note in bent]
    assert bent[0].startswith("0 of 1 bent strings after ")
    assert bent[-1].startswith("1 of 1 bent strings after ")
    assert counts == sorted(counts) and 0 < counts[-1] < found.gradient_evaluations
