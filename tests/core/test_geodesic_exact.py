"""Geodesics against closed forms: the ring, convex sets, and levels below a pass."""

from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from math import gcd

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from small import slow
from zoo import connect, dense_peak, log_sum_exp, ring, rotation

from landscape_cli.core.feasible import Work
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peak
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import model_surface
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.factorization import Factorization
from landscape_cli.models.muller_brown import MINIMUM_A, MINIMUM_B, TERMS, MullerBrown
from landscape_cli.models.quadratic_bowl import QuadraticBowl
from landscape_cli.models.ring import Ring

# Failures spend all of a budget; a smaller one says the same sooner.
BRIEF = TautString(depth=6, bead_steps=1000, evaluations=150, max_beads=33)
LEVELS = [1.0, 0.5, 0.1, 0.01, 0.001, 0.0001]


def changed_ring(changes, theta):
    """The ring: shifted, of one value inside a radius, without one at small |θ₁|, or stretched."""
    shift, core, radius, slit, stretch = changes
    square = theta[0] ** 2 + (theta[1:] / stretch) @ (theta[1:] / stretch)
    inside = jnp.where(square < radius**2, core, (square - 1.0) ** 2)
    return jnp.where(jnp.abs(theta[0]) < slit, jnp.nan, inside) + shift


def one_of_three(theta, data):
    """Which one is data, too: all closed forms of the plane share their programs."""
    number, changes = data
    if theta.size != 2:
        return changed_ring(changes, theta)
    others = MullerBrown().energy, DoubleWell(2, 2.0).energy
    return jax.lax.switch(number, [partial(changed_ring, changes), *others], theta)


def changed(dimension=2, shift=0.0, core=0.0, radius=0.0, slit=0.0, stretch=1.0, number=0):
    """Numbers that are data: all changes share their programs."""
    changes = tuple(map(jnp.asarray, (shift, core, radius, slit, stretch)))
    return Surface(one_of_three, (jnp.asarray(number), changes), dimension, work=100)


@lru_cache
def strings_of_ring(dimension):
    """All levels of one randomly turned antipodal pair, and the pair the other way round."""
    start = rotation(dimension, seed=1)[0]
    starts = np.stack([start] * len(LEVELS) + [-start] * len(LEVELS))
    surface = changed(dimension)
    pairs = np.repeat([0, 1], len(LEVELS))
    return start, connect(TautString(), surface, starts, -starts, LEVELS * 2, pairs)


@pytest.fixture(params=[2, 100])
def ring_strings(request):
    # Kept by hand: a fixture of wider scope would run before float64 is switched on.
    return strings_of_ring(request.param)


def exact(level):
    """The closed form again: tangent, arc around the forbidden ball, tangent."""
    radius = np.sqrt(1 - np.sqrt(level))
    return np.sqrt(1 - radius**2) + radius * (np.pi / 2 - np.arccos(radius))


def test_ring_lengths_are_those_of_the_closed_form(ring_strings):
    _, found = ring_strings
    for each in found:
        ratio = each.normalized_length / exact(each.level)
        # Polylines with a margin lie above; only the checked slack could bring one below.
        assert 1 - 1e-3 <= ratio <= 1 + 5e-3, (each.level, ratio)
        assert each.normalized_length >= 1 - 1e-15


def test_ring_strings_are_taut_and_inside(ring_strings):
    start, found = ring_strings
    for index, each in enumerate(found):
        # At 0.0001 the last touch-up of the margin can end at a residual a little above 1e-2.
        wanted = {1.0: ("straight",), 0.0001: ("taut", "loose")}.get(each.level, ("taut",))
        assert each.state in wanted and each.kkt_residual < 0.03, each.level
        assert dense_peak(ring, each.beads) <= each.level * (1 + 1e-12)
        assert each.peak <= each.level
        sign = 1 if index < len(LEVELS) else -1
        assert np.array_equal(each.beads[0], sign * start)
        assert np.array_equal(each.beads[-1], -sign * start)


def test_ring_the_other_way_round_is_as_long(ring_strings):
    _, found = ring_strings
    for there, back in zip(found[: len(LEVELS)], found[len(LEVELS) :], strict=True):
        assert back.normalized_length == pytest.approx(there.normalized_length, rel=5e-3)


def test_a_low_hill_is_gone_around_in_float32_too():
    """The chord leaves the set by 1e-6 to 1e-4 of λ; half of these strings fell back onto it."""
    levels = np.repeat([0.9999, 0.99999, 0.999999], 4)
    starts = np.concatenate([rotation(2, seed)[:1] for seed in range(12)])
    surface = model_surface(Ring(2), precision="float32")
    for each in connect(TautString(), surface, starts, -starts, levels):
        assert each.connected, each.level
        # The margin alone makes the forbidden ball of these levels wider: 0.06 %.
        assert 1 - 1e-3 <= each.normalized_length / exact(each.level) <= 1 + 5e-3
        assert dense_peak(ring, each.beads) <= each.level * (1 + 1e-6)


@pytest.mark.parametrize(("stretch", "excess"), [slow(3.0, 5e-3), (10.0, 7.5e-3), (12.0, 5e-3)])
def test_strings_around_an_ellipse_are_as_long_as_the_readme_says(stretch, excess):
    """Segments that cut a sharp bend want a wide margin, which made the last 1.3 % longer."""
    level = 0.04
    short = np.sqrt(1 - np.sqrt(level))  # half axes of what is forbidden: this, and that stretched
    touch = np.arccos(short)  # where a tangent from (1, 0) touches it
    speed = lambda t: np.hypot(short * np.sin(t), stretch * short * np.cos(t))
    arc, _ = quad(speed, touch, np.pi - touch, limit=200)
    tangent = np.hypot(1 - short**2, stretch * short * np.sin(touch))
    surface, end = changed(stretch=stretch), np.array([[1.0, 0.0]])
    (found,) = connect(TautString(), surface, end, -end, [level])
    assert found.state == "taut"
    assert 1 - 1e-3 <= found.length / (arc + 2 * tangent) <= 1 + excess


@pytest.mark.parametrize("shift", [1.0, -10.0, 100.0])
def test_a_floor_under_the_energy_changes_no_length(shift):
    """Level sets are the same: what margins and targets are parts of must not matter."""
    start = rotation(2, seed=1)[:1]  # to the other side, from which no gradient leads away
    (found,) = connect(TautString(), changed(shift=shift), start, -start, [0.1 + shift])
    assert found.state == "taut"
    assert 1 - 1e-3 <= found.normalized_length / exact(0.1) <= 1 + 5e-3
    assert dense_peak(lambda x: ring(x) + shift, found.beads) <= 0.1 + shift


def hill(theta, data):
    return jnp.exp(-(theta[0] ** 2 + theta[1] ** 2 + (theta[2] / 2) ** 2) / 2)


def test_no_string_stays_on_the_ridge_of_a_hill():
    """Over the crest of a long hill a string is balanced, and not the shortest: beside it is."""
    end = np.array([[3.0, 0.0, 0.1]])
    starts = end * [-1, 1, 1] + np.array([[0.0, 0, 0], [0, 1e-6, 0]])
    surface = Surface(hill, (), 3, work=100)
    found, beside = connect(TautString(), surface, starts, np.tile(end, (2, 1)), [0.5] * 2)
    assert found.state == "taut"
    assert found.length == pytest.approx(beside.length, rel=1e-3)
    assert found.length < 6.5, "7.58 over the crest"


def test_convex_sets_are_crossed_straight():
    rng = np.random.default_rng(0)
    starts, ends = rng.normal(size=(2, 6, 4))
    for surface in (model_surface(QuadraticBowl(4, 100.0)), Surface(log_sum_exp, (), 4)):
        levels = np.maximum(surface.energies(starts), surface.energies(ends))
        for each in connect(TautString(), surface, starts, ends, levels * (1 + 1e-12)):
            assert each.state == "straight"
            assert abs(each.normalized_length - 1) < 1e-6
            assert each.gradient_evaluations == 0  # a chord costs nothing more


def muller_brown(points):
    height, a, b, c, x0, y0 = TERMS.T
    x, y = points[..., :1] - x0, points[..., 1:] - y0
    return (height * np.exp(a * x**2 + b * x * y + c * y**2)).sum(-1)


def shortest_on_a_grid(level, start, end, spacing=0.01, reach=5):
    """Length of the shortest path below a level, over steps in many directions on a grid.

    At most half a percent longer than the geodesic for the directions it lacks; its ends are the
    grid points nearest to those of the path.
    """
    x, y = np.arange(-1.2, 1.1, spacing), np.arange(-0.4, 1.9, spacing)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    inside = muller_brown(points) <= level
    number = np.arange(inside.size).reshape(inside.shape)
    rows, columns, lengths = [], [], []
    for i, j in product(range(reach + 1), range(-reach, reach + 1)):
        if gcd(i, j) != 1 or (i == 0 and j < 0):
            continue
        here = slice(0, len(x) - i), slice(max(0, -j), len(y) - max(0, j))
        there = slice(i, len(x)), slice(max(0, j), len(y) + min(0, j))
        free = inside[here] & inside[there]
        for f in np.linspace(0, 1, 2 * reach + 1)[1:-1]:
            between = points[here][free] + f * spacing * np.array([i, j])
            free[free] = muller_brown(between) <= level
        rows.append(number[here][free])
        columns.append(number[there][free])
        lengths.append(np.full(free.sum(), spacing * np.hypot(i, j)))
    graph = coo_array(
        (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))),
        shape=(inside.size, inside.size),
    )
    nearest = lambda point: int(
        np.argmin(np.where(inside, np.linalg.norm(points - point, axis=-1), np.inf))
    )
    distances = dijkstra(graph.tocsr(), directed=False, indices=nearest(start))
    return distances[nearest(end)]


@pytest.mark.parametrize("levels", [[-40.0], slow([-30.0, -40.0])], ids=str)
def test_muller_brown_geodesics_are_the_shortest_paths_on_a_grid(levels):
    """Two sharp bends, and a corridor that closes at the higher saddle, -40.6648."""
    count = len(levels)
    job = [MINIMUM_A] * count, [MINIMUM_B] * count, levels, [0] * count
    found = connect(TautString(), changed(number=1), *job)
    for each in found:
        assert each.state == "taut", each.level
        assert dense_peak(muller_brown, each.beads) <= each.level
        grid = shortest_on_a_grid(each.level, MINIMUM_A, MINIMUM_B)
        # The wider side is for the margin, and for straight segments around bends.
        assert 0.998 < each.length / grid < 1.006


@pytest.mark.slow
def test_muller_brown_is_connected_above_its_higher_saddle_only():
    # Saddles at -40.6648 and -72.2489: energies are negative, so are the levels.
    levels = [-20.0, -40.6, -45.0, -100.0]
    starts, ends = [MINIMUM_A] * 4, [MINIMUM_B] * 4
    brief = replace(BRIEF, evaluations=200)
    found = connect(brief, changed(number=1), starts, ends, levels, [0] * 4)
    assert [each.state for each in found] == ["taut"] * 2 + ["not connected"] * 2
    for each in found[:2]:
        assert dense_peak(muller_brown, each.beads) <= each.level
    for each in found[2:]:  # what is reported of a failure
        assert np.isnan(each.normalized_length) and np.isnan(each.length)
        assert each.peak > -40.6649, "every path climbs over the saddle"
        segment = each.beads[each.worst_segment : each.worst_segment + 2]
        assert dense_peak(muller_brown, segment) > each.level
        assert each.gradient_evaluations > 0
    assert found[0].normalized_length < found[1].normalized_length < 1.4


def test_double_well_below_its_pass():
    surface = changed(number=2)
    a = np.tile([-1.0, 0.0], (3, 1))
    found = connect(BRIEF, surface, a, -a, [2.1, 1.9, 0.5], [0] * 3)
    assert [each.state for each in found] == ["straight", "not connected", "not connected"]
    # The pass is at 2; the last bisection of the dense check ends within 1e-3 of it.
    assert all(each.peak >= 2.0 - 2e-3 for each in found[1:])


@pytest.mark.parametrize(
    ("width", "joined"),
    [slow(1, False), (3, True)],  # as the well below its pass
)
def test_scalar_factors_do_not_turn_around_and_vectors_do(width, joined):
    unit = np.eye(width)[0]
    starts = np.tile(np.concatenate([unit, unit]), (2, 1))
    surface = model_surface(Factorization(width))
    found = connect(BRIEF, surface, starts, -starts, [0.9, 0.05], [0] * 2)
    assert [each.connected for each in found] == [joined] * 2
    if joined:
        product = lambda p: ((p[..., :width] * p[..., width:]).sum(-1) - 1) ** 2
        for each in found:
            assert dense_peak(product, each.beads) <= each.level
    else:
        assert {each.state for each in found} == {"not connected"}


@pytest.mark.parametrize(
    ("core", "radius", "dimension"),
    [
        (np.nan, 0.1, 2),
        slow(np.inf, 0.1, 20),  # more dimensions, nothing else
        (np.inf, 0.6, 2),
    ],
)
def test_a_chord_without_a_value_bends_around_where_there_is_none(core, radius, dimension):
    surface = changed(dimension, core=core, radius=radius)
    a = np.eye(dimension)[:1]
    (found,) = connect(TautString(), surface, a, -a, [0.1])
    assert found.state == "taut"
    assert found.normalized_length == pytest.approx(1.367401, rel=5e-3)


def test_a_nan_that_cannot_be_passed_is_a_row_marked_so():
    a = np.array([[1.0, 0.0], [0.8, 0.6]])
    b = np.array([[-1.0, 0.0], [0.8, -0.6]])
    found = connect(TautString(), changed(slit=0.1), a, b, [0.1, 0.1])
    assert found[0].state == "diverged" and not found[0].connected
    assert found[1].state in ("straight", "taut")  # its neighbor is not disturbed


def test_a_failure_gives_way_to_any_feasible_string():
    """A string found from a lower level replaces "not connected", whose length is NaN."""
    start = np.array([1.0, 0.0])
    corner = np.array([[1.0, 0.0], [0.7, 0.7], [0.0, 1.0]])
    work = Work(0, 0, start, corner[2], 0.5, best=Found("not connected", corner[[0, 2]], 0.5))
    work.take(corner, peak(model_surface(Ring(2)), corner, BRIEF.search.dense))
    assert work.best is not None and work.best.connected


def test_identical_ends_are_joined_by_a_point():
    a = np.array([[0.6, 0.8]])
    (found,) = connect(TautString(), model_surface(Ring(2)), a, a, [0.01])
    assert found.connected and found.normalized_length == 1.0


def test_sampling_only_where_it_is_needed_finds_the_same_lengths():
    levels, ends = [0.5, 0.1, 0.01], np.array([1.0, 0.0])
    found, spent = [], []
    for every in (True, False):
        surface = changed()
        method = replace(BRIEF, every_start=every)
        found.append(connect(method, surface, [ends] * 3, [-ends] * 3, levels, [0] * 3))
        spent.append(surface.count.gradients)
    for one, other in zip(*found, strict=True):
        assert one.connected
        assert other.connected
        assert one.normalized_length == pytest.approx(other.normalized_length, rel=5e-3)
    sampled = [np.isfinite([each.sampled_length for each in strings]) for strings in found]
    assert sampled[0].all()
    assert sampled[1].tolist() == [True, False, False], "the others start from the level above"
    assert spent[1] < spent[0]
