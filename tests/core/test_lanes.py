"""Lanes: those that are real are computed, in pieces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.core import lanes


@pytest.mark.parametrize("count", [0, 1, 8, 9, 37, 40])
def test_pieces_without_a_real_lane_are_not_computed(count):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    square = jax.vmap(lambda row: (row @ row, 2 * row))
    for most in (8, 7):  # pieces of 8 and of 7, the last one padded
        look = jax.jit(lambda rows, real, most=most: lanes.in_pieces(square, rows, real, most))
        values, slopes = look(rows, count)
        done = min(-(-count // most) * most, 40)
        np.testing.assert_allclose(values[:done], (rows[:done] ** 2).sum(1), rtol=1e-12)
        np.testing.assert_allclose(slopes[:done], 2 * rows[:done], rtol=1e-12)
        assert not np.any(values[done:]) and not np.any(slopes[done:])
    (all_at_once,) = lanes.in_pieces(lambda some: (some[0] + 1,), (jnp.ones(32),), count)
    np.testing.assert_array_equal(all_at_once, 2.0)
