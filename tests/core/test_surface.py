"""Surfaces: the strategies, chunks and batch sizes agree, and nothing is traced twice."""

import jax.numpy as jnp
import numpy as np
import pytest
from small import slow
from zoo import connect, rotation

from landscape_cli.core import surface as core
from landscape_cli.core.surface import Surface
from landscape_cli.methods.dynamic_string import DynamicString
from landscape_cli.methods.taut_string import TautString

POINTS = np.random.default_rng(0).normal(size=(40, 3))
SMALL = dict(evaluations=60, bead_steps=400, segments=8, max_beads=17)


class Ring:
    """The ring, counting how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, theta, data):
        self.traces += 1
        return (theta @ theta - data) ** 2


def surface(**settings):
    return Surface(Ring(), jnp.ones(()), 3, **settings)


def test_energies_and_gradients_of_a_batch():
    here = surface()
    exact = ((POINTS**2).sum(1) - 1) ** 2
    np.testing.assert_allclose(here.energies(POINTS), exact, rtol=1e-12)
    shaped = here.energies(POINTS.reshape(5, 8, 3))
    np.testing.assert_allclose(shaped, exact.reshape(5, 8), rtol=1e-12)
    energies, gradients = here.energies_and_gradients(jnp.asarray(POINTS))
    np.testing.assert_allclose(energies, exact, rtol=1e-12)
    slope = 4 * ((POINTS**2).sum(1) - 1)[:, None] * POINTS
    np.testing.assert_allclose(gradients, slope, rtol=1e-12)
    assert (here.count.energies, here.count.gradients) == (80, 40)


def test_light_energies_come_in_few_sizes():
    here = surface(work=100)
    assert here.light
    exact, programs = ((POINTS**2).sum(1) - 1) ** 2, core._light_energies._cache_size()
    for count in (1, 7, 8, 9, 20, 32, 33, 40):
        np.testing.assert_allclose(here.energies(POINTS[:count]), exact[:count], rtol=1e-12)
    assert core._light_energies._cache_size() == programs + 2, "up to 32 and 256 points"


def test_padding_to_the_ladder_does_not_leak():
    for count in (1, 2, 5, 17, 40):
        np.testing.assert_allclose(
            surface().energies(POINTS[:count]), ((POINTS[:count] ** 2).sum(1) - 1) ** 2
        )


@pytest.mark.parametrize("other", [{"chunk": 64}, {"chunk": 3}, {"strategy": "loop"}])
def test_chunks_and_strategies_agree(other):
    wide, narrow = surface(chunk=1024), surface(**other)
    np.testing.assert_allclose(narrow.energies(POINTS), wide.energies(POINTS), rtol=1e-12)
    for name in ("energies_and_gradients", "losses_and_gradients"):
        for found, wanted in zip(
            getattr(narrow, name)(jnp.asarray(POINTS)),
            getattr(wide, name)(jnp.asarray(POINTS)),
            strict=True,
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def problem():
    """Six strings of three pairs on the ring, at two levels."""
    starts = rotation(3, 5)
    ends = np.roll(starts, 1, axis=0) * [[-1.0], [1.0], [-1.0]]
    levels = np.repeat([0.3, 0.02], 3)
    return np.tile(starts, (2, 1)), np.tile(ends, (2, 1)), levels, np.tile(np.arange(3), 2)


def assert_same(found, wanted, atol):
    for one, other in zip(found, wanted, strict=True):
        assert one.state == other.state
        assert one.beads.shape == other.beads.shape
        np.testing.assert_allclose(one.beads, other.beads, atol=atol)
        assert one.normalized_length == pytest.approx(
            other.normalized_length, abs=atol, nan_ok=True
        )
        assert one.peak == pytest.approx(other.peak, abs=atol)


@pytest.fixture(scope="module")
def reference():
    from landscape_cli import jax_settings

    jax_settings.configure_jax("float64")  # wider fixtures run before the one that does it for all
    here = surface()
    return here, connect(TautString(**SMALL), here, *problem())


def test_the_same_again_is_the_same_bit_by_bit_and_not_traced_again(reference):
    here, first = reference
    traces = here.energy.traces
    again = connect(TautString(**SMALL), here, *problem())
    assert here.energy.traces == traces, "retraced with equal settings"
    for one, other in zip(again, first, strict=True):
        assert np.array_equal(one.beads, other.beads)
        assert (one.peak, one.kkt_residual) == (other.peak, other.kkt_residual)
        assert one.gradient_evaluations == other.gradient_evaluations


def test_other_points_of_the_same_shape_are_not_traced_again(reference):
    here, _ = reference
    starts, ends, levels, pairs = problem()
    turn = rotation(3, 9)
    traces = here.energy.traces
    connect(DynamicString(max_beads=17), here, starts, ends, levels, pairs)
    energies = here.energy.traces
    connect(DynamicString(max_beads=17), here, starts @ turn, ends @ turn, levels, pairs)
    assert here.energy.traces - energies <= 2, "only for pool sizes not met before"
    assert energies - traces <= 6


@pytest.mark.parametrize("chunk", [64, slow(1024)])
def test_a_whole_search_does_not_depend_on_the_chunk(reference, chunk):
    _, wanted = reference
    assert_same(connect(TautString(**SMALL), surface(chunk=chunk), *problem()), wanted, 1e-8)


@pytest.mark.slow
def test_a_host_loop_finds_the_same_strings(reference):
    # Another program rounds otherwise, and a search amplifies that; tolerances bound it.
    _, wanted = reference
    assert_same(connect(TautString(**SMALL), surface(strategy="loop"), *problem()), wanted, 1e-4)


def test_a_whole_search_does_not_depend_on_the_order(reference):
    here, wanted = reference
    order = np.array([3, 1, 5, 0, 2, 4])
    mixed = connect(TautString(**SMALL), here, *(column[order] for column in problem()))
    assert_same(mixed, [wanted[i] for i in order], 1e-8)


def test_a_whole_search_does_not_depend_on_the_company(reference):
    here, wanted = reference
    starts, ends, levels, pairs = problem()
    for pair in range(3):
        rows = np.flatnonzero(pairs == pair)
        alone = connect(
            TautString(**SMALL), here, starts[rows], ends[rows], levels[rows], pairs[rows]
        )
        assert_same(alone, [wanted[i] for i in rows], 1e-8)
