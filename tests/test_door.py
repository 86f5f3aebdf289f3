"""The library door: any JAX energy, vectors and trees, one pair and many, every method by name."""

import copy
import pickle

import jax.numpy as jnp
import numpy as np
import pytest
from hydra import initialize_config_dir
from small import slow

import landscape_cli as landscape
from landscape_cli.core.verdict import peak
from landscape_cli.methods.bezier import Bezier
from landscape_cli.methods.climb import Climb
from landscape_cli.methods.dynamic_string import DynamicString
from landscape_cli.methods.function_space import FunctionSpace
from landscape_cli.methods.neb import NEB
from landscape_cli.methods.repair import Repair
from landscape_cli.methods.straight import Straight
from landscape_cli.methods.taut_string import TautString

RING_LENGTH = 1.367401  # PAPERS: closed form at level 0.1, antipodal ends


def ring(theta):
    return ((theta**2).sum() - 1) ** 2


def ring_of_tree(tree):
    return (tree["x"] ** 2 + (tree["y"] ** 2).sum() - 1) ** 2


A, B = np.array([1.0, 0.0]), np.array([-1.0, 0.0])


def test_a_method_by_name_is_that_of_the_command_line():
    by_name = landscape.connect(ring, A, B, "taut_string", level=0.1)
    by_default = landscape.geodesic(ring, A, B, level=0.1)
    assert np.array_equal(by_name.beads, by_default.beads)
    assert "<= level 0.1" in by_default.verdict
    assert by_name.normalized_length == pytest.approx(RING_LENGTH, rel=5e-3)


def test_a_program_that_uses_hydra_may_call_the_door(tmp_path):
    with initialize_config_dir(str(tmp_path), version_base=None):
        assert landscape.geodesic(ring, A, B, level=0.1).connected


def test_a_verdict_of_an_energy_that_is_not_finite():
    hole = lambda theta: jnp.where(theta @ theta < 0.3, jnp.inf, (theta @ theta - 1.0) ** 2)
    lost = landscape.geodesic(hole, A, B, level=0.1, method="straight")
    assert lost.verdict.endswith("at level 0.1: an infinite energy or NaN in segment 0")


def test_any_path_will_do_without_a_level():
    chord = landscape.connect(ring, A, B, "straight")
    assert chord.connected and chord.normalized_length == 1
    assert chord.peak == pytest.approx(1.0, rel=1e-4), "F at the origin"
    assert chord.verdict.startswith("joined: normalized length 1.000000 with 2 beads, peak 1")
    assert "level" not in chord.verdict
    judged = landscape.connect(ring, A, B, "straight", level=0.5)
    assert not judged.connected and np.isnan(judged.length)
    assert judged.peak == chord.peak


def test_a_path_goes_on_straight_beyond_its_ends():
    chord = landscape.connect(ring, A, B, "straight")
    t, energies = chord.profile(beyond=0.5)
    assert t[0] == pytest.approx(-0.5) and t[-1] == pytest.approx(1.5)
    np.testing.assert_allclose(np.diff(t), 0.005)
    np.testing.assert_allclose(energies, ((1 - 2 * t) ** 2 - 1) ** 2, atol=1e-5)  # float32
    np.testing.assert_array_equal(energies[100:-100], chord.profile()[1])
    assert chord.plot(beyond=0.5).axes[0].lines[0].get_xdata()[0] == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="beyond must be at least 0, got -1"):
        chord.profile(beyond=-1.0)
    with pytest.raises(ValueError, match=r"beyond must be a number, got <Axes: >; .* ax.plot"):
        chord.plot(chord.plot().add_subplot())


def test_an_energy_is_a_function_and_ends_have_one():
    with pytest.raises(ValueError, match="energy must be a function of one argument, got 3"):
        landscape.geodesic(3, A, B, level=0.1)
    nan = lambda x: jnp.where(x[0] > 0, jnp.nan, ring(x))
    with pytest.raises(ValueError, match="start has energy NaN"):
        landscape.geodesic(nan, A, B, level=0.1)


def test_trees_and_batches():
    start, end = {"x": 1.0, "y": jnp.zeros(2)}, {"x": -1.0, "y": jnp.zeros(2)}
    path = landscape.connect(ring_of_tree, start, end, Straight())
    assert set(path.at(0.5)) == {"x", "y"} and path.beads.shape == (2, 3)
    for t in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match=r"t must lie in \[0, 1\]"):
            path.at(t)
    several = landscape.connect(ring, np.stack([A, B]), np.stack([B, A]), "straight")
    assert [one.beads[0, 0] for one in several] == [1.0, -1.0]


def test_matrices_are_one_pair_where_that_is_said():
    one = landscape.connect(
        lambda x: (x[0] @ x[1]) ** 2, np.eye(2), -np.eye(2), "straight", batched=False
    )
    assert one.beads.shape[1] == 4 and one.at(0.5).shape == (2, 2)


def test_a_path_can_begin_from_another():
    taut = landscape.geodesic(ring, A, B, level=0.1)
    brief = TautString(evaluations=3, bead_steps=1)  # too few to sample or to pull anything
    cold = landscape.connect(ring, A, B, brief, level=0.1)
    warm = landscape.connect(ring, A, B, brief, level=0.1, initial=taut)
    assert not cold.connected and warm.connected
    assert warm.normalized_length == pytest.approx(RING_LENGTH, rel=5e-3)


def test_a_seed_is_of_the_draws_of_a_method():
    brief = Bezier(steps=5)
    job = (ring, A, B, brief)
    first, other = (landscape.connect(*job, seed=seed).beads for seed in (0, 1))
    np.testing.assert_array_equal(first, landscape.connect(*job).beads)
    assert not np.array_equal(first, other)
    inside = [landscape.geodesic(ring, A, B, 0.1, method=brief, seed=s).beads for s in (0, 1)]
    np.testing.assert_array_equal(inside, [first, other])
    for seed in (-1, 2**32, 0.5):
        with pytest.raises(ValueError, match="seed must be a whole number of 0 to 4294967295"):
            landscape.connect(*job, seed=seed)


@pytest.mark.parametrize("method", ["straight", "repair", "dropout_path", Straight()])
def test_what_begins_from_no_string_is_given_none(method):
    """It was ignored, or refused in words of the command line."""
    with pytest.raises(ValueError, match=r"^initial: method .* begins from no string"):
        landscape.connect(ring, A, B, method, initial=np.stack([A, B]))


def test_its_figure_and_file(tmp_path):
    path = landscape.connect(ring, A, B, "straight")
    assert path.save(tmp_path / "chord.png").stat().st_size > 1000
    assert path.save(tmp_path / "chord.nc").stat().st_size > 1000
    assert len(path.plot().axes[0].lines) == 1, "no line for a level that nobody asked for"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_result_is_pickled_without_its_energy(dtype):
    start, end = ({"x": np.array(x, dtype), "y": np.zeros(2, dtype)} for x in (1.0, -1.0))
    path = landscape.geodesic(ring_of_tree, start, end, level=0.1, method="straight")
    for _ in range(2):  # a pickle can be pickled
        path, given = pickle.loads(pickle.dumps(path)), path
        assert path.verdict == given.verdict and path.found.seconds == given.found.seconds
        np.testing.assert_array_equal(path.beads, given.beads)
        np.testing.assert_array_equal(path.profile(), given.profile())
        assert {name: leaf.dtype for name, leaf in path.at(0.5).items()} == {
            "x": dtype,
            "y": dtype,
        }
        assert path.plot().axes
    with pytest.raises(ValueError, match="beyond needs the energy, which a pickle or a file has"):
        path.profile(beyond=0.5)


def test_a_copy_of_a_result_keeps_its_energy():
    path = landscape.connect(ring, A, B, "straight")
    for made in (copy.copy(path), copy.deepcopy(path)):
        np.testing.assert_array_equal(made.profile(beyond=0.5), path.profile(beyond=0.5))
        assert made.beads is not path.beads


def test_a_copy_without_an_energy_keeps_what_was_computed_with_it():
    path = pickle.loads(pickle.dumps(landscape.connect(ring, A, B, "straight")))
    for made in (copy.copy(path), copy.deepcopy(path)):
        np.testing.assert_array_equal(made.profile(), path.profile())
        assert made.profile()[1] is not path.profile()[1] and made.plot().axes


def test_a_saved_result_is_loaded(tmp_path):
    path = landscape.geodesic(ring, A, B, level=0.1)
    loaded = landscape.load(path.save(tmp_path / "ring.nc"))
    loaded = landscape.load(loaded.save(tmp_path / "again.nc"))
    assert loaded.verdict == path.verdict and loaded.level == 0.1
    for name in ("length", "normalized_length", "peak", "beads"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(path, name))
    np.testing.assert_array_equal(loaded.profile(), path.profile())
    np.testing.assert_array_equal(loaded.at(0.5), path.at(0.5), strict=True)
    assert landscape.connect(ring, A, B, Bezier(steps=1), initial=loaded).connected


def test_what_is_not_a_saved_result_is_not_loaded(tmp_path):
    with pytest.raises(FileNotFoundError):
        landscape.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("text")
    with pytest.raises(ValueError, match=r"text\.nc: not a string that this version's save wrote"):
        landscape.load(tmp_path / "text.nc")


@pytest.mark.parametrize("name", ["x.csv", "x.foo", "x", ".png", "x."])
def test_a_file_of_no_known_kind_is_not_written(tmp_path, name):
    path = landscape.connect(ring, A, B, "straight")
    with pytest.raises(
        ValueError, match=r"must end in \.nc \(the string\) or \.png, \.svg, \.pdf"
    ):
        path.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_folder_is_made_for_a_file(tmp_path):
    path = landscape.connect(ring, A, B, "straight")
    with pytest.raises(FileNotFoundError, match=r"x.png: there is no folder .*nope"):
        path.save(tmp_path / "nope" / "x.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="path must name a file, got ''"):
        path.save("")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (dict(method="strait"), "method 'strait': choose from .*straight"),
        (dict(end=A), "start and end are the same point"),
        (dict(end=np.zeros(3)), r"start and end differ in shape: \(2,\) and \(3,\)"),
        (dict(start=np.zeros((4, 2)), end=np.zeros((4, 3))), r"\(4, 2\) and \(4, 3\)"),
        (dict(end={"x": B}), "same structure"),
        (dict(end=B + 0j), "end must hold real numbers, got complex128"),
        (dict(start=A > 0), "start must hold real numbers, got bool"),
        (dict(start=[1.0, 0.0]), r"start is a list of numbers: write np.array\(start\)"),
        (dict(end=(1, [0, 2.0])), r"end is a tuple of numbers: write np.array\(end\)"),
        (
            dict(energy=lambda x: x[0, 0] ** 2, start=np.eye(2), end=-np.eye(2)),
            r"two dimensions are a batch of pairs \(batched=False for matrices\): .",
        ),
        (
            dict(start=np.eye(2), end=np.stack([A, B])),
            r"batched=False for matrices\): start\[0\] and",
        ),
        (dict(start="ab", end="ba"), "start must hold real numbers, got <U2"),
        (dict(start=A[:0], end=B[:0]), r"must hold at least one number, got array\(\[\]"),
        (dict(start={}, end={}), "must hold at least one number, got {}"),
        (dict(start=np.zeros((0, 2)), end=np.zeros((0, 2))), r"at least one pair.*=\(0, 2\)"),
        (
            dict(start={"x": A, "y": 0.0}, end={"x": B, "y": 0.0}, batched=True),
            r"every leaf must count the same pairs first, got start\['x'\] \(2,\), .*\['y'\] \(\)",
        ),
        (dict(energy=lambda x: x[0] > 0), "scalar floating number, got bool of shape"),
        (dict(energy=lambda x: x), r"scalar floating number, got float64 of shape \(2,\)"),
        (dict(energy=lambda x: (x[0], x)), "energy must return a scalar .*, got a tuple"),
        (dict(energy=lambda x: None), "energy must return a scalar .*, got None"),
        (dict(level=[0.1, 0.2]), r"level must be one number, got an array of shape \(2,\)"),
        (
            dict(start=np.stack([A] * 3), end=np.stack([B] * 3), level=[0.1, 0.2]),
            r"level must be one number, or one for each of 3 pairs, got .* \(2,\)",
        ),
        (dict(level="abc"), "level must be a number, got 'abc'"),
        (dict(level="0.1"), "level must be a number, got '0.1'"),
        (dict(level=None), "level must be a number, got None"),
        (dict(method=3), "method must be a name or a part, got 3"),
        (dict(method="repair"), "method=repair: a closed form has no hidden units"),
        (dict(method="function_space"), "method=function_space: the model must be a network"),
        (dict(method="dropout_path"), "method=dropout_path: a closed form has no hidden units"),
        (dict(method="taut_string"), "'taut_string' looks inside a level set: give it a level"),
        (dict(level=np.nan), "level must be a number"),
        (dict(method="neb", initial=np.stack([A, A])), "initial must join the same two points"),
        (dict(method="neb", initial=np.stack([B, B])), "initial must join the same two points"),
        (
            dict(method="neb", initial=np.zeros((2, 3))),
            r"initial must be beads of shape \(bead, 2\)",
        ),
    ],
)
def test_what_cannot_be_is_refused(words, said):
    job = dict(energy=ring, start=A, end=B, method="straight") | words
    with pytest.raises(ValueError, match=said) as refused:
        landscape.connect(**job)
    assert "\n" not in str(refused.value)


def test_leaves_of_the_ends_must_be_alike():
    """As many numbers in another shape are another point."""
    ones = lambda *shape: {"a": np.ones(2), "w": np.ones(shape)}
    said = r"start\['w'\] and end\['w'\] differ in shape: \(2, 3\) and \(3, 2\)"
    with pytest.raises(ValueError, match=said):
        landscape.geodesic(lambda tree: (tree["w"] ** 2).sum(), ones(2, 3), ones(3, 2), level=9.0)


@pytest.mark.parametrize(("ends", "energy"), [("float64", "float32"), slow("float32", "float64")])
def test_the_energy_may_have_another_precision(ends, energy):
    cast = lambda theta: ring(theta).astype(energy)
    path = landscape.geodesic(cast, jnp.asarray(A, ends), jnp.asarray(B, ends), level=0.1)
    assert path.normalized_length == pytest.approx(RING_LENGTH, rel=5e-3)
    assert path.surface.energies(A).dtype == ends and path.at(0.5).dtype == ends


@pytest.mark.parametrize(
    ("ends", "kept"), [("float16", "float32"), ("bfloat16", "float32"), ("int32", "float64")]
)
def test_no_path_is_computed_in_less_than_single_precision(ends, kept):
    path = landscape.connect(ring, jnp.asarray(A, ends), jnp.asarray(B, ends), "straight")
    assert path.surface.energies(A).dtype == kept and path.at(0.5).dtype == kept


def test_the_wider_precision_of_both_ends_is_kept():
    start, end = {"x": np.float32(1), "y": np.zeros(2)}, {"x": -1.0, "y": np.zeros(2, "float32")}
    path = landscape.connect(ring_of_tree, start, end, "straight")
    assert path.surface.dtype == np.float64
    assert {leaf.dtype for leaf in path.at(0.5).values()} == {np.dtype(float)}


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (NEB, dict(beads=31.5)),
        (NEB, dict(steps="9")),
        (Climb, dict(rounds=1.5)),
        (TautString, dict(segments=4.5)),
        (DynamicString, dict(depth=1.5)),
        (FunctionSpace, dict(beads=4.5)),
        (Repair, dict(beads=4.5)),
    ],
)
def test_counts_of_a_method_are_whole_numbers(method, words):
    ((name, value),) = words.items()
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number, got {value!r}$"):
        method(**words)
    assert NEB(beads=np.int64(5)).beads == 5


def test_a_geodesic_needs_a_level():
    with pytest.raises(ValueError, match="level must be finite"):
        landscape.geodesic(ring, A, B, level=np.inf)
    with pytest.raises(ValueError, match="start and end are the same point"):
        landscape.geodesic(ring, A, A, level=0.1)
    with pytest.raises(ValueError, match="start has energy 0, above level -1"):
        landscape.geodesic(ring, A, B, level=-1.0)
    with pytest.raises(ValueError, match="end has energy 9, above level 1"):
        landscape.geodesic(ring, A, 2 * B, level=1.0)
    with pytest.raises(ValueError, match="start has energy NaN"):
        landscape.geodesic(lambda theta: jnp.log(theta[0] - 2), A, B, level=1.0)


BRIEF = [
    TautString(segments=4, max_beads=9, evaluations=20, bead_steps=40),
    DynamicString(bead_steps=40),
    slow(NEB(beads=5, steps=2)),  # as a part of Climb it is tried there
    Climb(beads=5, steps=2, climb_steps=2, rounds=1),
    Bezier(steps=2, beads=9),
]


@pytest.mark.parametrize("method", BRIEF, ids=lambda method: type(method).__name__)
def test_a_string_has_the_precision_of_its_ends(method):
    """Taut strings were float64 on float32 surfaces: not the beads that had been judged."""
    ends = A.astype("float32"), B.astype("float32")
    path = landscape.connect(ring, *ends, method, level=0.1)
    assert path.beads.dtype == path.surface.dtype == np.float32
    if method.warms:
        again = landscape.connect(ring, *ends, method, level=0.1, initial=path)
        assert again.beads.dtype == np.float32
    np.testing.assert_array_equal(path.beads[[0, -1]], np.stack(ends))
    # The verdict is that of the string as it is returned.
    dense = getattr(method, "dense", 50)
    assert path.connected == (peak(path.surface, path.beads, dense).energy <= path.level)
