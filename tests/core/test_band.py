"""Strings that relax together: against strings alone, a host loop, steps by hand."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import slow
from zoo import rotation

from landscape_cli.core import relax_steps
from landscape_cli.core.band import Outcome, _begun, bands, relaxed
from landscape_cli.core.insertion import Cycles, _filled
from landscape_cli.core.relax import _pool_size, relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import arclength, at, length, reparametrized, segment_lengths
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces
from landscape_cli.errors import UserError
from landscape_cli.models.base import model_surface
from landscape_cli.models.muller_brown import MINIMUM_A, MINIMUM_B, MullerBrown

CHORD = np.stack([MINIMUM_A, MINIMUM_B])
MULLER = model_surface(MullerBrown())
RATES = np.full(60, 0.01)


def along(rows, tangent):
    return (rows * tangent).sum(1)


def test_strings_of_any_number_of_beads_move_as_they_would_alone():
    strings = [reparametrized(CHORD, n) for n in (4, 7, 30)]
    strings[1] = strings[1][::-1]
    settings = Relaxing(Forces(spring=0.5))
    together = relax(MULLER, strings, settings, RATES)
    for i, string in enumerate(strings):
        alone = relax(MULLER, [string], settings, RATES)
        np.testing.assert_allclose(together.strings[i], alone.strings[0], atol=1e-9)
        np.testing.assert_array_equal(together.strings[i][[0, -1]], string[[0, -1]])
        assert together.gradients[i] == alone.gradients[0] == 60 * (len(string) - 2) + 2
    assert relax(MULLER, [], settings, RATES).strings == []


@pytest.mark.parametrize("optimizer", ["isotropic", slow("adam"), "sgd"])
def test_a_host_loop_and_a_program_do_the_same(optimizer):
    strings = [reparametrized(CHORD, n) for n in (6, 9)]
    settings = Relaxing(Forces(spring=0.5), optimizer, momentum=0.5)
    rates = RATES[:20] * (1e-3 if optimizer == "sgd" else 1)
    looped, compiled = (
        relax(replace(MULLER, strategy=strategy), strings, settings, rates)
        for strategy in ("loop", "vmap")
    )
    for one, other in zip(looped.strings, compiled.strings, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    np.testing.assert_allclose(looped.pull, compiled.pull)


def test_a_step_of_sgd_is_the_rate_times_the_force():
    string = reparametrized(CHORD, 5)
    gradient = jax.jit(jax.vmap(jax.grad(MullerBrown().energy)))
    settings = Relaxing(Forces(spring=0.5, tangent="central"), "sgd", momentum=0.9)
    beads, speed = string.copy(), 0
    for _ in range(2):
        slopes = np.asarray(gradient(beads[1:-1]))
        lines = np.diff(beads, axis=0)
        tangent = lines[:-1] + lines[1:]
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        speed = 0.9 * speed + slopes - along(slopes, tangent)[:, None] * tangent
        slide = 0.125 * np.diff(segment_lengths(beads))[:, None] * tangent
        beads[1:-1] += slide - 1e-4 * speed
    found = relax(MULLER, [string], settings, np.full(2, 1e-4))
    np.testing.assert_allclose(found.strings[0], beads, atol=1e-12)


def test_the_default_step_knows_no_unit_and_no_axes():
    """Energies times 1000, and turned axes: the same string, turned."""
    turn = rotation(2, 0)
    energy = lambda x, data: data[0] * MullerBrown().energy(data[1].T @ x)
    plainly, turned = (  # of one program
        Surface(energy, (jnp.asarray(unit), jnp.asarray(axes)), 2, chunk=64)
        for unit, axes in ((1.0, np.eye(2)), (1e3, turn))
    )
    for forces in (Forces(), Forces(spring=0.5), Forces(project=False)):
        settings = Relaxing(forces, interpolation="cubic")
        string = reparametrized(CHORD, 9)
        plain = relax(plainly, [string], settings, RATES).strings[0]
        other = relax(turned, [string @ turn.T], settings, RATES).strings[0]
        np.testing.assert_allclose(other, plain @ turn.T, atol=1e-9)


def walled(theta, data):
    """Undefined beyond x = 1, where strings of the test must not go."""
    return jnp.log(1 - theta[0]) + (theta**2).sum()


def test_one_broken_string_leaves_the_others_alone():
    surface = Surface(walled, (), 2)
    good = reparametrized(np.array([[-1.0, 0.0], [0.5, 0.5]]), 6)
    bad = reparametrized(np.array([[-1.0, 0.0], [2.5, 0.5]]), 6)
    both = relax(surface, [bad, good, bad], Relaxing(), RATES)
    alone = relax(surface, [good], Relaxing(), RATES)
    assert both.broken.tolist() == [True, False, True]
    np.testing.assert_allclose(both.strings[1], alone.strings[0], atol=1e-12)
    np.testing.assert_array_equal(both.strings[0], bad)
    job = (np.array([bad[0], good[0]]), np.array([bad[-1], good[-1]]), np.full(2, np.inf))
    found = dict(bands(surface, *job, relaxed(Relaxing(), 0.01, 5), 7, 0.0, 10))
    assert [found[0].state, found[1].state] == ["diverged", "loose"]


def test_a_string_that_has_arrived_stays():
    string = reparametrized(CHORD, 6)
    goals = np.array([np.inf, 0.0])
    found = relax(MULLER, [string, string], Relaxing(), RATES, tolerance=goals)
    np.testing.assert_array_equal(found.strings[0], string)
    assert np.abs(found.strings[1] - string).max() > 0.01
    done = relax(MULLER, [string], Relaxing(), np.full(500, 0.01), tolerance=goals[:1])
    assert done.gradients[0] == 50 * 5 + 2, "nobody is left after the first look"


def test_places_are_kept():
    places = np.array([0, 0.1, 0.15, 0.5, 0.9, 1])
    string = at(CHORD, places)
    found = relax(MULLER, [string], Relaxing(), RATES, places=[places]).strings[0]
    assert length(found) > 1.05 * length(CHORD), "it has bent"
    np.testing.assert_allclose(arclength(found), places, atol=0.02)  # of chords, not of arcs


def test_equal_shapes_compile_once():
    string = reparametrized(CHORD, 6)
    turned = reparametrized(CHORD[::-1], 6)
    settings = Relaxing(Forces(spring=0.7))
    relax(MULLER, [string, turned], settings, RATES)
    size = relax_steps._advance._cache_size()
    relax(MULLER, [turned, string], settings, 2 * RATES)
    relax(MULLER, [turned, string], settings, np.append(RATES, RATES))
    assert relax_steps._advance._cache_size() == size


def test_few_gradients_are_taken_for_nothing():
    sizes = np.array([_pool_size(n) for n in range(1, 2000)])
    counts = np.arange(1, 2000)
    assert ((sizes >= counts) & (sizes <= counts * 1.125)).all()
    assert len(set(sizes[1000:])) <= 10


def pulled(theta, data):
    return (data[0] * theta).sum()


def drawn(data, key):
    """A mini-batch of `data`: another direction every time."""
    return (data[0] * jax.random.normal(key, (3,)),)


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_every_bead_has_mini_batches_of_its_own(strategy):
    data = (jnp.ones(3),)
    surface = Surface(pulled, data, 3, batch=drawn, strategy=strategy)
    string = reparametrized(np.array([[0.0, 0, 0], [1, 0, 0]]), 5)
    settings = Relaxing(Forces(project=False, spring=0.5), "sgd")
    job = dict(draw=drawn, key=jax.random.key(3))
    one = relax(surface, [string], settings, np.ones(1), **job).strings[0] - string
    two = relax(surface, [string], settings, np.ones(2), **job).strings[0] - string
    for first, second in pairwise((*one[1:-1], *(two - one)[1:-1])):
        assert np.linalg.norm(first - second) > 0.1
    company = relax(surface, [string, string], settings, np.ones(1), **job)
    np.testing.assert_allclose(company.strings[0] - string, one, atol=1e-12)
    assert np.abs(company.strings[1] - company.strings[0])[1:-1].min() > 1e-6
    assert company.gradients.tolist() == [6, 6]


def test_a_bow_is_the_same_from_both_ends_and_across():
    start, end = np.random.default_rng(0).normal(size=(2, 6))
    bent, back = (_begun(*pair, None, 9, 0.1, seed=1) for pair in ((start, end), (end, start)))
    np.testing.assert_allclose(bent, back[::-1], atol=1e-14)
    chord = reparametrized(np.stack([start, end]), 8)
    off = bent - chord
    np.testing.assert_allclose(off @ (end - start), 0, atol=1e-13)
    assert np.linalg.norm(off, axis=1).max() == pytest.approx(0.1 * np.linalg.norm(end - start))
    np.testing.assert_array_equal(_begun(start, end, None, 9, 0.0, 0), chord)
    line = _begun(np.array([0.0]), np.array([1.0]), None, 5, 0.1, 0)  # no room for a bow
    np.testing.assert_allclose(line[:, 0], np.linspace(0, 1, 5), atol=1e-6)


def bumpy(theta, data):
    return jnp.sin(3 * theta[0]) + 0.3 * theta[0] ** 2 + theta[1] ** 2


BUMPY = Surface(bumpy, (), 2)


@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.2, 0.4, 3.0])
@pytest.mark.parametrize("most", [0, 1, 2, 9])
def test_beads_are_inserted_as_published(threshold, most):
    """The residual over the straight line, of the range at beads; segment by segment."""
    beads = at(np.array([[-2.0, 0.1], [3.0, 0.2]]), np.array([0, 0.2, 0.3, 0.55, 0.8, 1.0]))
    places = np.array([0, 0.25, 0.3, 0.5, 0.8, 1.0])
    value = lambda x: float(bumpy(x, None))
    heights = [value(x) for x in beads]
    scores = []
    for i, (a, b) in enumerate(pairwise(beads)):
        for k in range(1, 10):
            line = heights[i] * (1 - k / 10) + heights[i + 1] * k / 10
            rise = (value(a + k / 10 * (b - a)) - line) / (max(heights) - min(heights))
            scores.append((rise, i, k / 10))
    best = sorted((max(s for s in scores if s[1] == i) for i in range(5)), reverse=True)[:most]
    chosen = sorted((i, t) for rise, i, t in best if rise > threshold)
    expected, spots = list(beads), list(places)
    for i, t in reversed(chosen):
        expected.insert(i + 1, beads[i] + t * (beads[i + 1] - beads[i]))
        spots.insert(i + 1, places[i] + t * (places[i + 1] - places[i]))
    outcome, cycles = Outcome(beads), Cycles(((1, 0.1, 4),), threshold, 9, False)
    found = _filled(BUMPY, outcome, places, most, cycles)
    np.testing.assert_allclose(outcome.beads, expected)
    np.testing.assert_allclose(found, spots)
    assert outcome.energies == (6 + 45 if most else 0)


def test_a_flat_string_gets_no_bead():
    flat = Surface(lambda theta, _: 0.0 * theta.sum(), (), 2)
    outcome = Outcome(reparametrized(CHORD, 4))
    cycles = Cycles(((1, 0.1, 3),), 0.1, 9, False)
    places = _filled(flat, outcome, np.linspace(0, 1, 5), 2, cycles)
    assert len(places) == len(outcome.beads) == 5


def test_a_string_of_another_pair_is_refused():
    job = (CHORD[:1], CHORD[1:], np.array([np.inf]))
    search = relaxed(Relaxing(), 0.01, 1)
    for wrong in (CHORD[::-1], CHORD + np.array([[0, 0], [1e-12, 0]]), np.zeros((4, 3))):
        with pytest.raises(UserError, match="other ends than those of its pair"):
            next(bands(MULLER, *job, search, 5, 0.0, 10, initial=[wrong]))
