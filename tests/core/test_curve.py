"""Curves of control points: their formulas, their gradients, and what training makes of them."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import slow
from zoo import dense_peak

from landscape_cli.core.curve import BEZIER, PEAKED, POLYCHAIN, objective, plan
from landscape_cli.core.curve_steps import published_schedule
from landscape_cli.core.curve_training import Bending, curves
from landscape_cli.core.string import at, length, segment_lengths
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.models.base import model_surface
from landscape_cli.models.muller_brown import MINIMUM_A, MINIMUM_B, TERMS, MullerBrown
from landscape_cli.models.ring import Ring

FAMILIES = pytest.mark.parametrize("family", [BEZIER, POLYCHAIN], ids=["bezier", "polychain"])
ONE_FAMILY = pytest.mark.parametrize(  # where the other is the same program
    "family", [BEZIER, slow(POLYCHAIN)], ids=["bezier", "polychain"]
)
T = np.sort(np.random.default_rng(0).uniform(size=23))
SADDLE = -40.664844  # the higher pass between A and B
A, B = np.array(MINIMUM_A), np.array(MINIMUM_B)
SETTINGS = Bending(
    bends=3, weighting="peak", points=8, random=True, optimizer="adam", learning_rate=0.01,
    momentum=0.9, weight_decay=0.0, steps=600, batch=False, grow=True, bow=1e-3, lowest=True,
    beads=33, dense=50,
)  # fmt: skip
PLAIN = replace(SETTINGS, bends=1, weighting="uniform", grow=False, bow=0.0, lowest=False)


def muller_brown(points):
    """The potential again, in NumPy."""
    x, y = points[..., :1], points[..., 1:]
    height, a, b, c, x0, y0 = TERMS.T
    x, y = x - x0, y - y0
    return (height * np.exp(a * x**2 + b * x * y + c * y**2)).sum(-1)


def joined(surface, family, settings, starts, ends, initial=None, level=np.inf):
    starts, ends = np.atleast_2d(starts), np.atleast_2d(ends)
    levels = np.full(len(starts), level)
    found = curves(surface, family, settings, starts, ends, levels, initial=initial)
    return [one for _, one in found]


def casteljau(control, t):
    """A point of a Bezier curve by repeated interpolation."""
    while len(control) > 1:
        control = (1 - t) * control[:-1] + t * control[1:]
    return control[0]


def control_points(bends, dimension=2, seed=0):
    inner = np.random.default_rng([seed, bends]).normal(size=(bends + 2, dimension))
    inner[0], inner[-1] = np.resize(A, dimension), np.resize(B, dimension)
    return inner


# The formulas


@pytest.mark.parametrize("bends", [1, 2, 5])
def test_points_of_a_bezier_curve(bends):
    control = control_points(bends)
    points = BEZIER.weights(bends, T) @ control
    np.testing.assert_allclose(points, [casteljau(control, t) for t in T], atol=1e-14)


@pytest.mark.parametrize("bends", [1, 2, 5])
def test_points_of_a_polychain(bends):
    control = control_points(bends)
    nodes = np.linspace(0, 1, bends + 2)
    expected = np.stack([np.interp(T, nodes, column) for column in control.T], 1)
    np.testing.assert_allclose(POLYCHAIN.weights(bends, T) @ control, expected, atol=1e-14)


@FAMILIES
@pytest.mark.parametrize("bends", [1, 2, 7])
def test_velocities_are_finite_differences(family, bends):
    step = 1e-6
    weights, rates = plan(family, bends, T)
    moved = (family.weights(bends, T + step) - family.weights(bends, T - step)) / (2 * step)
    np.testing.assert_allclose(rates, moved, atol=1e-7 * (bends + 1) ** 3)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-14)


def value(family, control, t, weighting, tau=None, decay=0.0):
    """The objective again, in NumPy; `tau` is the temperature of a soft maximum."""
    weights, rates = plan(family, len(control) - 2, t)
    points = weights @ control
    energies = muller_brown(points) + decay / 2 * (points**2).sum(1)
    if weighting == "uniform":
        return energies.mean()
    if weighting == "peak":
        return tau * np.log(np.exp((energies - energies.max()) / tau).mean()) + energies.max()
    speeds = np.linalg.norm(rates @ control, axis=1)
    return (energies * speeds).sum() / speeds.sum()


muller_browns = jax.jit(jax.vmap(jax.value_and_grad(MullerBrown().energy)))
jitted = jax.jit(objective, static_argnums=5)


@FAMILIES
@pytest.mark.parametrize("weighting", ["uniform", "arc", "peak"])
@pytest.mark.parametrize("bends", [1, slow(2), 6])
def test_gradients_of_the_objective_are_finite_differences(family, weighting, bends):
    """Issue 4: gradients equal finite differences, for every curve and weighting."""
    control = control_points(bends, seed=1) * 0.4
    weights, rates = plan(family, bends, T)
    energy, slope = muller_browns(weights @ control)
    arrays = map(jnp.asarray, (control, energy, slope, weights, rates))
    found, gradient = jitted(*arrays, weighting)
    tau = float(energy.max() - energy.mean()) / PEAKED
    assert found == pytest.approx(value(family, control, T, weighting, tau), rel=1e-12)
    step = 1e-6
    for place in np.ndindex(control.shape):
        ahead, back = control.copy(), control.copy()
        ahead[place] += step
        back[place] -= step
        difference = [value(family, each, T, weighting, tau) for each in (ahead, back)]
        expected = (difference[0] - difference[1]) / (2 * step)
        assert gradient[place] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_soft_maximum_of_one_point_or_of_a_plateau_is_the_energy():
    weights, rates = map(jnp.asarray, plan(BEZIER, 1, T[:3]))
    level = jnp.full(3, 2.0)
    value, _ = objective(jnp.zeros((3, 2)), level, jnp.ones((3, 2)), weights, rates, "peak")
    assert value == 2.0


def test_the_mean_over_arclength_does_not_depend_on_how_t_runs():
    """A mean over arclength is one of the curve: a chain with a doubled corner has the same."""
    control = control_points(2)
    twice = np.insert(control, 1, control[1], axis=0)
    t = (np.arange(12000) + 0.5) / 12000
    for weighting, same in (("arc", True), ("uniform", False)):
        one, other = (value(POLYCHAIN, c, t, weighting) for c in (control, twice))
        assert (abs(one / other - 1) < 1e-6) == same


# The geometry


@FAMILIES
def test_more_control_points_draw_the_same_curve(family):
    control = control_points(2)
    grown = family.grown(control, 6)
    assert grown.shape == (8, 2)
    np.testing.assert_array_equal(grown[[0, -1]], control[[0, -1]])
    if family is BEZIER:
        before, after = (family.weights(len(c) - 2, T) @ c for c in (control, grown))
        np.testing.assert_allclose(after, before, atol=1e-13)
    else:
        np.testing.assert_allclose(at(grown, T), at(control, T), atol=1e-13)
        assert segment_lengths(grown).max() < segment_lengths(control).max()


def test_beads_of_a_bezier_curve_are_equal_arcs_apart():
    control = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 0.0]])  # a parabola y = x (2 - x)
    beads = BEZIER.polyline(control, 65)
    np.testing.assert_allclose(beads[:, 1], beads[:, 0] * (2 - beads[:, 0]), atol=1e-12)
    arc = lambda s: s * np.sqrt(1 + 4 * s**2) / 2 + np.arcsinh(2 * s) / 4  # ∫ √(1 + 4 s²)
    places = (arc(beads[:, 0] - 1) + arc(1.0)) / (2 * arc(1.0))
    np.testing.assert_allclose(places, np.linspace(0, 1, 65), atol=1e-6)
    assert length(beads) == pytest.approx(2 * arc(1.0), rel=1e-3)


def test_beads_of_a_polychain_keep_its_corners():
    control = control_points(3)
    beads = POLYCHAIN.polyline(control, 20)
    assert beads.shape == (20, 2)
    for corner in control:
        assert np.abs(beads - corner).sum(1).min() < 1e-14
    assert length(beads) == pytest.approx(length(control), rel=1e-12)
    steps = segment_lengths(beads)
    assert steps.max() < 2 * length(control) / 19  # no piece that more beads would halve
    np.testing.assert_array_equal(POLYCHAIN.polyline(control, 5), control)


@FAMILIES
def test_ends_of_the_polyline_are_the_ends_to_the_last_bit(family):
    control = (np.random.default_rng(2).normal(size=(6, 40)) / 3).astype(np.float32)
    beads = family.polyline(control, 17)
    assert beads.dtype == np.float32
    np.testing.assert_array_equal(beads[[0, -1]], control[[0, -1]])
    point = np.repeat(control[:1], 6, axis=0)
    np.testing.assert_allclose(family.polyline(point, 17), np.repeat(point[:1], 17, 0), rtol=1e-6)


@FAMILIES
def test_a_curve_is_fitted_to_a_string(family):
    t = np.linspace(0, 1, 5)[:, None]
    chord = (1 - t) * A + t * B
    np.testing.assert_allclose(family.fitted(chord[[0, -1]], 3), chord, atol=1e-12)
    half = np.linspace(0, np.pi, 200)
    circle = np.stack([np.cos(half), np.sin(half)], 1)
    misses = []
    for bends in (1, 3, 7):
        fitted = family.fitted(circle, bends)
        np.testing.assert_array_equal(fitted[[0, -1]], circle[[0, -1]])
        points = family.weights(bends, T) @ fitted
        misses.append(np.abs(points - at(circle, T)).max())
    assert misses[0] > misses[1] > misses[2]
    assert misses[2] < 0.02


def test_a_chain_of_equal_segments_is_fitted_exactly():
    control = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(POLYCHAIN.fitted(control, 2), control, atol=1e-12)


# Training


def test_the_published_schedule():
    np.testing.assert_allclose(published_schedule(np.array([0, 0.25, 0.5, 0.7, 0.9, 0.99])), [
        1, 1, 1, 0.505, 0.01, 0.01,
    ])  # fmt: skip


@FAMILIES
def test_steps_are_the_published_ones(family):
    """SGD with momentum and weight decay of the curve point, worked out by hand."""
    settings = replace(
        PLAIN, optimizer="sgd", learning_rate=1e-4, weight_decay=0.3, steps=10, points=5,
        random=False, beads=3, momentum=0.8,
    )  # fmt: skip
    middle, velocity, t = (A + B) / 2, np.zeros(2), (np.arange(5) + 0.5) / 5
    for i in range(10):
        loss = lambda c: value(family, np.stack([A, c, B]), t, "uniform", decay=0.3)
        step = 1e-6 * np.eye(2)
        gradient = np.array([(loss(middle + s) - loss(middle - s)) / 2e-6 for s in step])
        velocity = 0.8 * velocity + gradient
        middle = middle - 1e-4 * published_schedule(np.array([i / 10])) * velocity
    (found,) = joined(model_surface(MullerBrown()), family, settings, A, B)
    expected = family.polyline(np.stack([A, middle, B]), 3)
    np.testing.assert_allclose(found.beads, expected, atol=1e-7)


@FAMILIES
def test_muller_brown_is_crossed_near_its_saddle(family):
    """The chord climbs to +12.7, the pass lies at -40.7; more bends never end higher."""
    surface = model_surface(MullerBrown())
    chord = dense_peak(muller_brown, np.stack([A, B]))
    peaks = []
    for bends in (1, 3, 15):
        settings = replace(SETTINGS, bends=bends, steps=1000, points=16)
        (found,) = joined(surface, family, settings, A, B)
        assert found.peak == pytest.approx(dense_peak(muller_brown, found.beads), rel=1e-4)
        peaks.append(found.peak)
    assert (np.array(peaks) >= SADDLE).all(), "no path is lower than the pass"
    assert max(peaks) < chord - 50
    # Within a part in a hundred of the height of the pass over the higher end, 67.5.
    assert min(peaks[2:]) < SADDLE + 0.3
    assert all(more < less + 0.7 for less, more in pairwise(peaks))


@pytest.mark.parametrize("weighting", ["uniform", "arc"])
@FAMILIES
def test_the_published_objectives_beat_the_chord(family, weighting):
    surface = model_surface(MullerBrown())
    settings = replace(SETTINGS, weighting=weighting, bends=2, steps=1000)
    (found,) = joined(surface, family, settings, A, B)
    assert found.peak < dense_peak(muller_brown, np.stack([A, B])) - 20


@ONE_FAMILY
def test_the_ring_is_followed_from_a_tilted_or_a_straight_start(family):
    """Minima are a circle: the curve that stays lowest is half of it, of length π / 2."""
    surface = model_surface(Ring(2))
    tilted = [np.array([[1.0, 0.0], [0.2, 0.4], [-1.0, 0.0]])]
    for initial in (tilted, None):
        settings = replace(SETTINGS, bends=7, steps=1000)
        (found,) = joined(surface, family, settings, [1.0, 0.0], [-1.0, 0.0], initial)
        assert found.peak < 5e-3
        assert found.normalized_length == pytest.approx(np.pi / 2, rel=0.02)
        side = found.beads[len(found.beads) // 2, 1]
        assert initial is None or side > 0.9, "the side that the start was tilted to"


def test_without_a_bow_a_chord_of_symmetry_stays():
    surface = model_surface(Ring(2))
    settings = replace(SETTINGS, bow=0.0, lowest=False, steps=100)
    (found,) = joined(surface, BEZIER, settings, [1.0, 0.0], [-1.0, 0.0])
    np.testing.assert_allclose(found.beads[:, 1], 0, atol=1e-12)
    assert found.peak == pytest.approx(1, rel=1e-3)


@FAMILIES
def test_a_curve_is_never_higher_than_what_it_began_from(family):
    """The lowest curve is kept, though steps of this size make it ever higher."""
    surface = model_surface(MullerBrown())
    chord = np.stack([A, B])
    wild = replace(SETTINGS, optimizer="sgd", learning_rate=0.1, steps=40)
    (found,) = joined(surface, family, wild, A, B)
    assert found.state == "loose" and found.peak <= dense_peak(muller_brown, chord) * (1 + 1e-3)
    (last,) = joined(surface, family, replace(wild, lowest=False), A, B)
    assert last.state == "diverged" or last.peak > found.peak


def test_where_the_chord_is_as_low_as_its_ends_no_step_is_taken():
    surface = Surface(lambda theta, data: (theta**2).sum(), (), 3)
    ends = np.eye(3)[:2]
    (found,) = joined(surface, BEZIER, SETTINGS, *ends)
    assert found.gradient_evaluations == 0 and surface.count.gradients == 0
    assert found.normalized_length == pytest.approx(1, abs=1e-12)


def test_a_curve_spends_what_it_says():
    surface = model_surface(MullerBrown())
    (found,) = joined(surface, POLYCHAIN, SETTINGS, A, B)
    assert found.gradient_evaluations == surface.count.gradients == 600 * 8
    assert found.energy_evaluations == surface.count.energies


@ONE_FAMILY
def test_a_nan_spoils_one_curve_only(family):
    """Beyond x = 3 there is no energy; a curve that is pulled there ends as it began."""

    def cliff(theta, data):
        return jnp.where(theta[0] > 3.0, jnp.nan, (theta @ theta - 1.0) ** 2)

    surface = Surface(cliff, (), 2)
    starts, ends = np.array([[1.0, 0.0], [5.0, 0.0]]), np.array([[-1.0, 0.0], [4.0, 1.0]])
    good, bad = joined(surface, family, SETTINGS, starts, ends, level=0.5)
    assert bad.state == "diverged" and np.isnan(bad.peak)
    (alone,) = joined(surface, family, SETTINGS, starts[:1], ends[:1], level=0.5)
    np.testing.assert_allclose(good.beads, alone.beads, atol=1e-10)
    assert good.state == "loose"


@ONE_FAMILY
def test_company_does_not_matter_and_ends_do_not_move(family):
    angles = np.array([0.4, 1.7, 2.9, 3.1, 3.3])
    starts = np.tile([1.0, 0.0], (5, 1))
    ends = np.stack([np.cos(angles), np.sin(angles)], 1) * 1.01
    surface = model_surface(Ring(2))
    together = joined(surface, family, SETTINGS, starts, ends, level=0.1)
    for i in (0, 3):
        (alone,) = joined(surface, family, SETTINGS, starts[i], ends[i], level=0.1)
        np.testing.assert_allclose(alone.beads, together[i].beads, atol=1e-9)
        assert alone.gradient_evaluations == together[i].gradient_evaluations
    for found, start, end in zip(together, starts, ends, strict=True):
        np.testing.assert_array_equal(found.beads[0], start)
        np.testing.assert_array_equal(found.beads[-1], end)


@ONE_FAMILY
def test_point_by_point_is_the_same(family):
    """The host loop of convolutions and the one program take the same steps."""
    settings = replace(SETTINGS, bends=2, steps=20)
    one = model_surface(MullerBrown())
    other = replace(one, strategy="loop")
    ends = np.stack([A, A + 0.01]), np.stack([B, B])
    for compiled, looped in zip(
        joined(one, family, settings, *ends), joined(other, family, settings, *ends), strict=True
    ):
        np.testing.assert_allclose(looped.beads, compiled.beads, atol=1e-9)
        assert looped.gradient_evaluations == compiled.gradient_evaluations


def bowls(theta, data):
    """Mean over examples of a bowl around each."""
    centers, weights = data
    return weights @ ((theta - centers) ** 2).sum(1)


def some_of(data, key):
    """Four examples of a data set, equally likely."""
    rows = jax.random.choice(key, len(data[1]), (4,), replace=False)
    return data[0][rows], jnp.full(4, 0.25)


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_mini_batches_find_what_the_whole_data_does(strategy):
    """A curve between two points far off comes down to the examples' mean."""
    centers = jnp.asarray(np.random.default_rng(0).normal(size=(32, 2)))
    data = (centers, jnp.full(32, 1 / 32))
    surface = Surface(bowls, data, 2, batch=some_of, strategy=strategy)
    settings = replace(
        PLAIN, optimizer="sgd", learning_rate=0.05, steps=200, points=2, batch=True, beads=9
    )
    (found,) = joined(surface, BEZIER, settings, [3.0, 0.0], [0.0, 3.0])
    # E over t of the bowls is least at c = (5 m - 3 (a + b) / 2) / 2, for a quadratic curve.
    mean = np.asarray(centers.mean(0))
    expected = (5 * mean - 1.5 * np.array([3.0, 3.0])) / 2
    middle = 2 * found.beads[4] - np.array([1.5, 1.5])  # from φ(1/2), which symmetry keeps there
    np.testing.assert_allclose(middle, expected, atol=0.35)  # noise of four examples
    (full,) = joined(surface, BEZIER, replace(settings, batch=False), [3.0, 0.0], [0.0, 3.0])
    assert np.abs(full.beads - found.beads).max() > 1e-6, "batches were drawn"


def test_what_cannot_be_is_refused_in_a_line():
    surface = model_surface(MullerBrown())
    with pytest.raises(UserError, match=r"method\.batch=true.*trainer\.batch"):
        joined(surface, BEZIER, replace(SETTINGS, batch=True), A, B)
    other = [np.stack([A, A + 1, B + 1e-9])]
    with pytest.raises(UserError, match="warm_start"):
        joined(surface, BEZIER, SETTINGS, A, B, initial=other)


@FAMILIES
def test_a_warm_start_is_where_training_begins(family):
    surface = model_surface(MullerBrown())
    (first,) = joined(surface, family, SETTINGS, A, B)
    again = replace(SETTINGS, steps=1, learning_rate=1e-9)
    (second,) = joined(surface, family, again, A, B, initial=[first.beads])
    (none,) = joined(surface, family, again, A, B)
    # A fit is not the curve itself: the corners of a chain need not be equal arcs apart.
    assert second.peak < first.peak + 0.1 * (none.peak - first.peak)


def test_growth_spends_the_steps_it_is_given():
    assert SETTINGS.stages == [(1, 300), (3, 300)]
    assert replace(SETTINGS, bends=9, steps=10).stages == [(1, 3), (2, 3), (4, 2), (9, 2)]
    assert replace(SETTINGS, bends=9, steps=2).stages == [(4, 1), (9, 1)]
    assert replace(SETTINGS, bends=9, grow=False).stages == [(9, 600)]
