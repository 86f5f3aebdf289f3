"""Tightening: the formulas against independent ones, the ring's taut string against KKT."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import rotation

from landscape_cli.core import batch, trials
from landscape_cli.core import lagrangian as one
from landscape_cli.core import tighten as core
from landscape_cli.core.batch import Pull, _spread
from landscape_cli.core.descent import adam
from landscape_cli.core.lagrangian import Tightening, Walls, green
from landscape_cli.core.lbfgs import row_bytes
from landscape_cli.core.sampling import Sampling, sample
from landscape_cli.core.string import length, normalized_length, reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.tighten import doubled, tighten
from landscape_cli.models.base import model_surface
from landscape_cli.models.ring import Ring

SETTINGS = Tightening()
RNG = np.random.default_rng(0)


def ring(theta, data):
    return (theta @ theta - 1.0) ** 2


def walls_of(start, end, level, margin=0.0):
    size = abs(level) or 1.0
    return Walls(*map(jnp.asarray, (start, end, level - margin * size, size)))


@partial(jax.jit, static_argnames="samples")
@partial(jax.value_and_grad, argnums=0)
def lagrangian(beads, mu, rho, walls, samples):
    """The formula of the module's docstring, point by point, in no clever order; its gradient."""
    whole = jnp.concatenate([walls.start[None], beads, walls.end[None]])
    segments = len(whole) - 1
    chord2 = ((walls.end - walls.start) ** 2).sum()
    value = segments * ((whole[1:] - whole[:-1]) ** 2).sum() / (2 * chord2) - 0.5
    terms = []
    for i in range(segments):
        for j in range(samples):
            if i == j == 0:
                continue  # the start is fixed
            f = j / samples
            excess = (ring((1 - f) * whole[i] + f * whole[i + 1], ()) - walls.level) / walls.scale
            c = jnp.where(excess > 0, jnp.log(1 + jnp.maximum(excess, 0)), excess)
            k = len(terms)
            terms.append((jnp.maximum(0, mu[k] + rho * c) ** 2 - mu[k] ** 2) / (2 * rho))
    return value + sum(terms) / len(terms)


@partial(jax.jit, static_argnames="samples")
def evaluated(beads, mu, rho, walls, samples):
    points = one.sample_points(beads, walls, samples)
    energies, gradients = jax.vmap(jax.value_and_grad(partial(ring, data=())))(points)
    now = one._evaluate(beads, energies, gradients, mu, rho, walls, samples)
    metric = jnp.asarray(green(len(beads) + 1))
    return now, one._residual(now, metric @ now.gradient, walls)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("level", [0.2, 0.0])
def test_the_lagrangian_and_its_gradient(samples, level):
    start, end = RNG.normal(size=(2, 4))
    beads = np.linspace(start, end, 8)[1:-1] + 0.3 * RNG.normal(size=(6, 4))
    mu = jnp.asarray(RNG.uniform(0, 0.5, 7 * samples - 1))
    walls, rho = walls_of(start, end, level, margin=0.01), jnp.asarray(1.7)
    now, _ = evaluated(beads, mu, rho, walls, samples)
    formula = partial(lagrangian, mu=mu, rho=rho, walls=walls, samples=samples)
    value, gradient = formula(beads)
    assert float(now.value) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(now.gradient, gradient, rtol=1e-9, atol=1e-12)
    step = RNG.normal(size=beads.shape)
    ahead, back = (float(formula(beads + t * step)[0]) for t in (1e-6, -1e-6))
    slope = (ahead - back) / 2e-6
    assert (np.asarray(now.gradient) * step).sum() == pytest.approx(slope, rel=1e-6)


def test_the_metric_is_the_inverse_of_the_stretch():
    for segments in (2, 5, 16):
        matrix = 2 * np.eye(segments - 1) - np.eye(segments - 1, k=1) - np.eye(segments - 1, k=-1)
        np.testing.assert_allclose(
            green(segments) @ (segments * matrix), np.eye(segments - 1), atol=1e-12
        )
        beads = RNG.normal(size=(segments - 1, 3))
        np.testing.assert_allclose(
            jax.jit(one.stretch)(beads), segments * matrix @ beads, atol=1e-12
        )


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_forces_are_shared_out_by_the_transpose_of_sampling(samples):
    zero = walls_of(np.zeros(3), np.zeros(3), 1.0)  # zero ends: sampling is linear
    beads = RNG.normal(size=(6, 3))
    points = np.asarray(jax.jit(one.sample_points, static_argnums=2)(beads, zero, samples))
    forces = RNG.normal(size=points.shape)
    assert points.shape == (7 * samples - 1, 3)
    there = (points * forces).sum()
    hats = jax.jit(partial(one.hats, 7, samples, forces.dtype))()
    back = (beads * (np.asarray(hats) @ forces)).sum()
    assert float(there) == pytest.approx(float(back), rel=1e-12)


def test_the_constraint_is_smooth_at_the_wall():
    walls = walls_of(np.zeros(2), np.ones(2), 0.5)
    energies = jnp.asarray([0.0, 0.25, 0.5 - 1e-9, 0.5, 0.5 + 1e-9, 1.0, 5.0])
    constraint = jax.jit(one.constraint)
    c, slope = constraint(energies, walls)
    np.testing.assert_allclose(c, [-1, -0.5, -2e-9, 0, 2e-9, np.log(2), np.log(10)], atol=1e-15)
    grad = jax.jit(jax.vmap(jax.grad(lambda e: one.constraint(e, walls)[0])))(energies)
    np.testing.assert_allclose(slope, grad, rtol=1e-12)


def exact_string(level, segments):
    """Tangent, arc, tangent, at equal arcs: the geodesic between (1, 0) and (-1, 0)."""
    radius = np.sqrt(1 - np.sqrt(level))
    angle = np.arccos(radius)
    arc = np.linspace(angle, np.pi - angle, 20001)
    path = radius * np.stack([np.cos(arc), np.sin(arc)], 1)
    return reparametrized(np.concatenate([[[1.0, 0]], path, [[-1.0, 0]]]), segments)


def pulled(beads, levels, margin=0.0, warm=None, evaluations=400, surface=None, **settings):
    """All strings tightened; `warm`: earlier ones, whose multipliers are taken over."""
    surface = surface or model_surface(Ring(beads.shape[-1]))
    pulls = [
        Pull(np.array(string), float(level), margin, evaluations)
        for string, level in zip(beads, levels, strict=True)
    ]
    if warm is not None:
        pulls = [pull.warmed(other) for pull, other in zip(pulls, warm.pulls, strict=True)]
    tighten(surface, pulls, Tightening(**settings))
    return Pulled(pulls)


class Pulled:
    """Results in arrays, a string a row."""

    def __init__(self, pulls):
        self.pulls = pulls
        self.evaluations = np.array([pull.spent for pull in pulls])
        for name in ("beads", "residual", "violation", "multipliers"):
            setattr(self, name, np.array([getattr(pull, name) for pull in pulls]))


def twice(found):
    """The strings with twice the beads."""
    return np.stack([doubled(beads) for beads in found.beads])


def test_kkt_residual_tells_the_geodesic_from_another_feasible_string():
    levels = np.array([0.5, 0.1, 0.01])
    exact = np.stack([exact_string(level, 32) for level in levels])
    # Multipliers of the exact string are not known beforehand; keep the beads, find those.
    found = pulled(exact, levels)
    assert (found.residual < SETTINGS.tolerance).all()
    assert (found.violation < SETTINGS.feasibility).all()
    assert np.abs(length(found.beads) / length(exact) - 1).max() < 3e-3
    # Weak walls let a string through the hill: either half of the ring is a geodesic.
    assert np.abs(np.abs(found.beads) - np.abs(exact)).max() < 0.05
    # A detour: every bead further out, and no wall there that could carry its pull.
    begun = np.stack([np.concatenate([s[:1], 1.2 * s[1:-1], s[-1:]]) for s in exact])
    for string in begun:
        mu, walls = jnp.zeros(32 * 3 - 1), walls_of(string[0], string[-1], 2.0)
        _, residual = evaluated(jnp.asarray(string[1:-1]), mu, jnp.asarray(1.0), walls, 3)
        assert residual > 0.3


def test_a_string_that_walls_push_from_afar_is_not_taut():
    """In balance and inside, but only because walls push that it does not touch: too long."""
    found = pulled(exact_string(0.1, 16)[None], [0.1])
    beads, mu = jnp.asarray(found.beads[0, 1:-1]), jnp.asarray(found.multipliers[0])
    ends, settings = found.beads[0, [0, -1]], replace(SETTINGS, samples=3)
    metric = jnp.asarray(green(16))

    @jax.jit
    def looked_at(mu, rho, walls):
        points = one.sample_points(beads, walls, 3)
        here = jax.vmap(jax.value_and_grad(partial(ring, data=())))(points)
        inner = one.begin(beads, *here, mu, rho, walls, metric, settings).inner
        return inner, one.kkt(inner), one.ended(inner, SETTINGS)

    for level, taut in [(0.1, True), (0.15, False)]:
        walls, rho = walls_of(*ends, level), jnp.asarray(1e-9)
        scaled = mu * level / 0.1  # the same forces
        inner, residual, ended = looked_at(scaled, rho, walls)
        assert inner.residual < SETTINGS.tolerance
        assert inner.now.violation < SETTINGS.feasibility
        assert (residual < SETTINGS.tolerance) == taut
        assert ended == taut


def test_gradients_that_cancel_do_not_make_it_taut_either(monkeypatch):
    """It runs out of evaluations, and the walls are as far as before."""
    found = pulled(exact_string(0.1, 16)[None], [0.1]).pulls[0]
    monkeypatch.setattr(batch, "least_residual", lambda *_: 0.0)
    pull = Pull(found.beads, 0.15, 0.0, 1, multipliers=found.multipliers * 1.5, rho=1e-9)
    tighten(model_surface(Ring(2)), [pull], SETTINGS)
    assert pull.residual > SETTINGS.tolerance


@pytest.mark.parametrize(("excess", "residual"), [(1e-3, 1.0), (1e-6, 0.1)])
def test_a_pull_that_no_wall_carries_is_all_of_the_residual(excess, residual):
    """Unless the string is straight to five digits anyway."""
    t = np.linspace(0, 1, 33)[1:-1]
    beads = np.stack([2 * t - 1, np.sqrt(8 * excess) / np.pi * np.sin(np.pi * t)], 1)
    walls = walls_of(np.array([-1.0, 0.0]), np.array([1.0, 0.0]), 100.0)
    now, found = evaluated(jnp.asarray(beads), jnp.zeros(95), jnp.asarray(1e-9), walls, 3)
    assert float(now.excess) == pytest.approx(excess, rel=1e-2)  # of 32 straight segments
    assert float(found) == pytest.approx(residual, rel=1e-2)


def test_the_price_of_a_margin_is_the_length_that_it_costs():
    exact = dict(tolerance=1e-3, feasibility=1e-5, inner=5e-4, evaluations=3000)
    string = exact_string(0.1, 16)[None]
    without, narrow = (pulled(string, [0.1], margin, **exact).pulls[0] for margin in (0.0, 0.02))
    cost = normalized_length(narrow.beads) / normalized_length(without.beads) - 1
    assert narrow.price == pytest.approx(cost, rel=0.1)  # to first order in the margin


def test_sampled_strings_become_shorter_and_taut():
    surface = model_surface(Ring(3))
    start, end = rotation(3, 2)[0], -rotation(3, 2)[0]
    levels = np.array([0.3, 0.05])
    strings = sample(
        surface, adam(0.01), np.stack([start] * 2), np.stack([end] * 2), levels, Sampling()
    )
    assert all(string.inside for string in strings)
    begun = np.stack([reparametrized(string.beads, 16) for string in strings])
    before = pulled(begun, levels, evaluations=10)
    after = pulled(begun, levels)
    assert (before.residual > 5 * SETTINGS.tolerance).all()
    assert (after.residual < SETTINGS.tolerance).all()
    lengths = [normalized_length(string.beads) for string in strings]
    assert (normalized_length(after.beads) < lengths).all()
    for string, level in zip(after.beads, levels, strict=True):
        assert normalized_length(string) == pytest.approx(Ring.normalized_length(level), rel=1e-2)


def test_ends_never_move_by_one_bit():
    begun = np.stack([exact_string(0.1, 8) + 0.0] * 3) + 0.1 * RNG.normal(size=(3, 9, 2))
    found = pulled(begun, [0.5, 0.1, 0.01], evaluations=50)
    assert np.array_equal(found.beads[:, [0, -1]], begun[:, [0, -1]])
    assert found.beads.shape == begun.shape
    assert np.array_equal(twice(found)[:, [0, -1]], begun[:, [0, -1]])


@pytest.mark.slow
def test_twice_the_beads_change_the_length_by_the_square_of_the_spacing():
    level, lengths = 0.1, []
    for segments in (8, 16, 32):
        found = pulled(
            exact_string(level, segments)[None], [level], samples=4, tolerance=1e-4,
            feasibility=1e-6, inner=1e-4, evaluations=1000,
        )  # fmt: skip
        lengths.append(float(normalized_length(found.beads[0])))
    errors = np.abs(np.array(lengths) / Ring.normalized_length(level) - 1)
    assert errors[2] < 1e-3
    assert errors[2] < 0.5 * errors[1] < 0.25 * 1.2 * errors[0]


def test_multipliers_are_taken_over():
    levels = [0.1, 0.01]
    begun = np.stack([exact_string(level, 16) for level in levels])
    first = pulled(begun, levels, tolerance=2e-3)
    again = pulled(first.beads, levels, warm=first, tolerance=2e-3)
    assert again.evaluations.sum() < first.evaluations.sum()
    fresh = pulled(twice(first), levels, tolerance=2e-3)
    warm = pulled(twice(first), levels, warm=first, tolerance=2e-3)
    assert warm.evaluations.sum() < fresh.evaluations.sum()
    np.testing.assert_allclose(length(warm.beads), length(fresh.beads), rtol=2e-3)
    # Interpolating multipliers to as many points as there are changes none.
    spread = _spread(first.multipliers[0], len(first.multipliers[0]))
    np.testing.assert_allclose(spread, first.multipliers[0])


def test_company_does_not_matter():
    levels = np.array([0.5, 0.1, 0.05, 0.01, 0.003])
    begun = np.stack([exact_string(level, 8) * 1.02 for level in levels])
    whole = pulled(begun, levels)
    assert len(set(whole.evaluations)) > 1, "some finish before others"
    for row in range(5):
        alone = pulled(begun[[row]], levels[[row]])
        assert alone.evaluations[0] == whole.evaluations[row]
        assert np.array_equal(alone.beads[0], whole.beads[row]), "not one bit"
        assert np.array_equal(alone.multipliers[0], whole.multipliers[row])


def test_a_nan_stops_one_string_and_leaves_the_others_alone():
    def holed(theta, data):
        return jnp.where(jnp.abs(theta[1] - 5) < 1, jnp.nan, ring(theta, data))

    good = exact_string(0.1, 8)
    bad = good + np.array([0.0, 5.0])
    surface = Surface(holed, (), 2)
    found = pulled(np.stack([bad, good]), np.full(2, 0.1), surface=surface)
    assert not found.residual[0] < SETTINGS.tolerance
    assert found.evaluations[0] == SETTINGS.check
    assert found.residual[1] < SETTINGS.tolerance
    assert np.isfinite(found.beads[1]).all()


def test_evaluations_are_a_limit():
    found = pulled(exact_string(0.1, 8)[None] * 1.1, [0.1], evaluations=4)
    assert found.evaluations[0] <= 4
    assert np.isfinite(found.residual[0]), "an evaluation was spent, so the residual is known"


@pytest.mark.parametrize(("one_cpu", "lanes"), [(True, 5), (False, 8)])
def test_lanes_to_spare_cost_a_cpu_what_they_take(monkeypatch, one_cpu, lanes):
    monkeypatch.setattr(one, "one_cpu", lambda: one_cpu)
    assert SETTINGS.lanes(5, 1 << 10) == lanes
    assert SETTINGS.lanes(1, 1 << 32) == 1, "nowhere where they hardly fit"


def test_as_many_pairs_are_remembered_as_fit():
    small, mebibyte = 1 << 10, 1 << 20
    assert SETTINGS.fitted(small) == SETTINGS, "small strings are left alone"
    assert SETTINGS.together(small) > 1000
    assert SETTINGS.fitted(mebibyte // 32).memory == 32, "as long as they stay in the cache"
    assert SETTINGS.fitted(10 * mebibyte).memory == 24
    assert SETTINGS.together(10 * mebibyte) == 8, "fewer strings at a time"
    assert SETTINGS.fitted(200 * mebibyte).memory == 10, "fewer pairs, whatever the company"
    assert SETTINGS.together(200 * mebibyte) == 1
    assert SETTINGS.fitted(4096 * mebibyte).memory == 2, "but never fewer than two"


@pytest.mark.parametrize("strategy", ["vmap", pytest.param("loop", marks=pytest.mark.slow)])
def test_strings_that_do_not_fit_together_come_one_after_another(strategy):
    """Histories of three strings need more than is granted: the same strings all the same."""
    surface = replace(model_surface(Ring()), strategy=strategy)
    angles = np.array([2.0, 2.4, 2.8])
    ends = np.stack([np.cos(angles), np.sin(angles)], 1)
    beads = np.stack([reparametrized(np.stack([[1.0, 0.0], [0.0, 1.3], end]), 8) for end in ends])
    work = dict(beads=beads, levels=[0.1] * 3, margin=1e-3, surface=surface)
    whole = pulled(**work)
    size = 7 * 2 * 8 * 2 * SETTINGS.memory
    alone = pulled(**work, history=1.5 * size / 2**30)
    np.testing.assert_allclose(alone.beads, whole.beads, atol=1e-9)  # other programs round apart
    np.testing.assert_array_equal(alone.evaluations, whole.evaluations)
    few = pulled(**work, history=4.5 * 7 * 2 * 8 * 2 / 2**30)
    assert (few.residual < SETTINGS.tolerance).all(), "four pairs are enough for a ring"


def test_lanes_of_one_program_or_programs_of_their_own(monkeypatch):
    """What a wide device does with a surface that is computed point by point, and what a CPU."""
    surface = replace(model_surface(Ring(2)), strategy="loop")
    levels = np.array([0.5, 0.03])
    begun = np.stack([exact_string(level, 8) * 1.02 for level in levels])
    apart = pulled(begun, levels, surface=surface)
    for module in (batch, one, core):
        monkeypatch.setattr(module, "one_cpu", lambda: False)
    together = pulled(begun, levels, surface=surface)
    assert len(set(apart.evaluations)) > 1, "a crowd shrinks"
    # Lanes round otherwise, which may cost one look more, and a little of what residuals allow.
    assert np.abs(together.evaluations - apart.evaluations).max() <= SETTINGS.check
    assert max(*together.residual, *apart.residual) < SETTINGS.tolerance
    np.testing.assert_allclose(length(together.beads), length(apart.beads), rtol=5e-4)


def test_who_is_done_makes_room_for_who_waits():
    """Twenty strings of two bead counts in a pool that takes a few of each at a time."""
    levels = np.geomspace(0.5, 0.003, 10)
    begun = [(exact_string(level, n) * 1.02, level) for n in (8, 16) for level in levels]
    pool = core.Pool(model_surface(Ring(2)), SETTINGS)
    pulls = [Pull(beads, level, 0.0, 400) for beads, level in begun]
    for pull in pulls:
        pool.add(pull)
    ended, met = [], 0
    while len(pool):
        met += any(pool.waiting.values()) and len(ended) > 0
        ended += pool.advance()
        assert all(len(batch.pulls) <= batch.most for batch in pool.batches.values())
    assert met, "some waited until others had ended"
    assert len(ended) == 20 and set(ended) == set(pulls)
    for pull, (beads, level) in zip(pulls, begun, strict=True):
        alone = pulled(beads[None], [level])
        assert np.array_equal(pull.beads, alone.beads[0])
        assert pull.spent == alone.evaluations[0]


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_memory_of_a_trial_is_as_estimated(dtype):
    """What XLA says it needs of a big string, against the count of the docstring."""
    segments, params = 32, 20_000
    for strings, samples, memory, history in [(1, 1, 3, 0.01), (1, 2, 8, 0.1), (4, 2, 24, 4.0)]:
        settings = Tightening(samples=samples, memory=memory, history=history)
        fitted = settings.fitted(row_bytes(segments, params))
        shape = lambda *s, n=strings: jax.ShapeDtypeStruct((n, *s), dtype)
        points = segments * samples - 1
        walls = Walls(shape(params), shape(params), shape(), shape())
        metric = jax.ShapeDtypeStruct((segments - 1, segments - 1), dtype)
        rows = jax.ShapeDtypeStruct((strings * points, params), dtype)
        value = jax.ShapeDtypeStruct((strings * points,), dtype)
        mu = shape(points)
        begin = trials.begin_all.lower(
            shape(segments - 1, params), value, rows, mu, shape(), walls, metric, fitted
        )
        state = begin.out_info
        trial = trials.tried.lower(state, value, rows, walls, metric, True, fitted)
        most = core.bytes_of(settings, strings, segments, params, np.dtype(dtype).itemsize)
        totals = []
        for program in (begin, trial):
            used = program.compile().memory_analysis()
            totals.append(
                used.argument_size_in_bytes + used.output_size_in_bytes
                + used.temp_size_in_bytes - used.alias_size_in_bytes
            )  # fmt: skip
        assert max(totals) <= most < 1.3 * max(totals)
