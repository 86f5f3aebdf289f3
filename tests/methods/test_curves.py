"""Bezier curves and polygonal chains as methods: settings, networks, what they may cost."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from compositions import method_node
from zoo import connect, rotation

from landscape_cli import config
from landscape_cli.contracts import Progress
from landscape_cli.core import curve_steps
from landscape_cli.core.string import reparametrized
from landscape_cli.core.verdict import peak
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.methods.bezier import Bezier
from landscape_cli.methods.polychain import Polychain
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.energies import MiniBatch
from landscape_cli.models.mlp import MLP
from landscape_cli.models.ring import Ring
from landscape_cli.trainers.adam import Adam

CONF = Path(__file__).parents[2] / "conf"
ANY = np.full(2, np.inf)
CURVES = pytest.mark.parametrize("curve", [Bezier, Polychain])
# Both are one program but for the shape of the curve: where that matters both are quick.
ALIKE = pytest.mark.parametrize("curve", [Bezier, pytest.param(Polychain, marks=pytest.mark.slow)])


def named(name):
    """The method of an option."""
    return config.build(method_node(name), "method")


@pytest.fixture(scope="module")
def net():
    """(surface, starts, ends) of three pairs of small trained networks."""
    dataset = Polynomial((0.0, 3.0, -10.0, 8.0)).load(jax.random.key(0))
    model = MLP((4, 4))
    surface = model_surface(model, dataset, Functional("mse"))
    thetas = initial_thetas(model, dataset, jax.random.key(1), 6)
    found = Adam(steps=4000).descend(surface, thetas, (0.02,), jax.random.key(2), Progress())
    assert found.reached.all()
    return surface, found.thetas[::2, 0], found.thetas[1::2, 0]


@pytest.mark.parametrize(("name", "curve"), [("bezier", Bezier), ("polychain", Polychain)])
def test_the_published_settings(name, curve):
    """Garipov and others, 2018: one bend, one t a mini-batch, SGD, decay of the curve point."""
    assert named(name) == curve()
    published = named(f"{name}_garipov2018")
    assert published.bends == 1 and published.points == 1 and published.weighting == "uniform"
    assert published.random and published.batch and not published.grow and not published.lowest
    assert (published.optimizer, published.momentum) == ("sgd", 0.9)
    assert (published.learning_rate, published.weight_decay) == (0.03, 3e-4)
    assert published.bow == 0 and published.beads == 61, "from the middle; looked at 61 times"


@CURVES
def test_trained_networks_are_joined_below_their_chords(net, curve):
    surface, starts, ends = net
    levels = np.full(3, np.inf)
    found = connect(curve(), surface, starts, ends, levels)
    higher = np.maximum(surface.energies(starts), surface.energies(ends))
    for i, one in enumerate(found):
        chord = peak(surface, np.stack([starts[i], ends[i]])).energy
        assert one.state == "loose", "any path will do"
        assert one.peak < chord
        assert one.peak < higher[i] + 0.2 * (chord - higher[i])
        np.testing.assert_array_equal(one.beads[0], starts[i])
        np.testing.assert_array_equal(one.beads[-1], ends[i])


@ALIKE
def test_a_level_is_what_a_curve_is_judged_against(net, curve):
    surface, starts, ends = net
    (low,) = connect(curve(), surface, starts[:1], ends[:1], [np.inf])
    for level, state in ((low.peak * 1.001, "loose"), (low.peak * 0.999, "not connected")):
        (found,) = connect(curve(), surface, starts[:1], ends[:1], [level])
        assert found.state == state, "the level changes the verdict"
        np.testing.assert_array_equal(found.beads, low.beads, "and nothing else")


@pytest.mark.parametrize("batch", [False, True])
@ALIKE
def test_another_seed_draws_another_curve_and_compiles_nothing(net, curve, batch):
    """Its points t, or mini-batches where they do not change; one curve as in company."""
    noisy, starts, ends = net
    surface = replace(noisy, batch=MiniBatch(8)) if batch else noisy
    method = curve(steps=20, bends=1, batch=batch, random=not batch, bow=0.0, lowest=False)
    drawn = lambda rows, **seed: [
        found.beads for found in connect(method, surface, starts[rows], ends[rows], ANY, **seed)
    ]
    both = slice(0, 2)
    unnamed, programs = drawn(both), curve_steps._advance._cache_size()
    first, other, again = (drawn(both, seed=seed) for seed in (0, 1, 1))
    assert curve_steps._advance._cache_size() == programs
    np.testing.assert_array_equal(first, unnamed)
    np.testing.assert_array_equal(other, again)
    for one, two in zip(first, other, strict=True):
        assert np.abs(one - two).max() > 1e-6
    turned = drawn([1, 0], seed=1)
    np.testing.assert_allclose(turned[::-1], other, atol=1e-9)


@ALIKE
def test_no_curve_takes_more_than_is_said(net, curve):
    surface, starts, ends = net
    method = curve(steps=70)
    cost = method.cost(surface, 3, 1)
    found = connect(method, surface, starts, ends, np.full(3, 0.1))
    assert max(one.gradient_evaluations for one in found) <= cost.most
    assert max(one.energy_evaluations for one in found) <= cost.most_energies
    assert sum(one.beads.nbytes for one in found) == cost.kept


@ALIKE
def test_methods_begin_where_another_ended(curve):
    """A curve from a taut string, and a taut string from a curve."""
    ring = model_surface(Ring(3))
    ends = np.eye(3)[:1], -np.eye(3)[:1]
    levels, pairs = np.array([0.1]), np.zeros(1, int)
    taut = TautString(evaluations=100, max_beads=33)
    (_, string), *_ = taut.connect(ring, *ends, levels, pairs, Progress())
    brief = curve(steps=20, learning_rate=1e-3)
    job = (ring, *ends, levels, pairs, Progress())
    (_, found), *_ = brief.connect(*job, initial=[string.beads])
    away = np.abs(found.beads - reparametrized(string.beads, len(found.beads) - 1)).max()
    assert away < 0.15, "it stays near the string it was given"
    assert found.normalized_length < 1.5
    again = dict(taut.connect(*job, initial=[found.beads]))[0]
    assert again.normalized_length == pytest.approx(string.normalized_length, rel=5e-3)


@ALIKE
def test_a_turned_surface_gives_a_turned_verdict(curve):
    """Draws are of coordinates, so that curves differ; how low they get does not."""
    turn = rotation(3, seed=1)
    ring = model_surface(Ring(3))
    ends = np.eye(3)[0], -np.eye(3)[0]
    lows = [
        connect(curve(bends=7), ring, [m @ ends[0]], [m @ ends[1]], [np.inf])[0].peak
        for m in (np.eye(3), turn)
    ]
    assert max(lows) < 0.01, "of a chord that climbs to 1"


def test_more_bends_than_beads_are_refused():
    with pytest.raises(ValueError, match=r"beads must be at least bends \+ 2 = 34"):
        Bezier(bends=32)


def test_mini_batches_have_to_be_drawn_by_someone(net):
    surface, starts, ends = net
    batch = replace(Bezier(), batch=True)
    with pytest.raises(UserError, match=r"trainer\.batch"):
        connect(batch, surface, starts[:1], ends[:1], [1.0])
    with pytest.raises(UserError, match=r"trainer\.batch"):
        batch.cost(surface, 1, 1)  # which is asked before any network is trained
