"""The small made-up tasks: linear map, three points, no data."""

import itertools

import jax
import numpy as np
import pytest

from landscape_cli.data.linear_map import LinearMap
from landscape_cli.data.none import NoData
from landscape_cli.data.three_points import ThreePoints

KEY = jax.random.key(0)


def test_without_noise_one_matrix_explains_both_splits():
    data = LinearMap(inputs=4, outputs=3, examples=50).load(KEY)
    matrix, *_ = np.linalg.lstsq(data.train.inputs, data.train.targets)
    np.testing.assert_allclose(data.test.inputs @ matrix, data.test.targets, atol=1e-12)
    assert not np.array_equal(data.train.inputs, data.test.inputs)
    assert data.outputs == 3 and data.classes is None


def test_residual_of_least_squares_is_the_noise():
    data = LinearMap(inputs=4, outputs=2, examples=20_000, noise=0.3).load(KEY)
    matrix, *_ = np.linalg.lstsq(data.train.inputs, data.train.targets)
    residual = (data.train.inputs @ matrix - data.train.targets).std()
    assert residual == pytest.approx(0.3, rel=0.02)  # four standard errors: 4 / sqrt(2 * 40000)


@pytest.mark.parametrize(
    "settings", [{"inputs": 0}, {"outputs": 0}, {"examples": 0}, {"noise": -1.0}]
)
def test_bad_linear_maps_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        LinearMap(**settings)


def test_three_points_are_solved_by_one_hidden_unit_each():
    data = ThreePoints().load(KEY)
    x, y = data.train.inputs, data.train.targets
    hidden = np.maximum(x @ x.T, 0)  # row weights equal to the points
    np.testing.assert_allclose(hidden, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(hidden @ y, y, atol=1e-12)
    np.testing.assert_array_equal(y, x[[1, 2, 0]])


def test_three_points_cost_half_where_the_hidden_layer_is_singular():
    """The barrier of the counterexample: 1/2 bounds it from below, and is approached."""
    y = ThreePoints().load(KEY).train.targets
    draws = np.random.default_rng(0)
    lowest = np.inf
    for zeros in itertools.product([0, 1], repeat=6):
        # Singular and non-negative: rank two as a product, or with entries switched off.
        left, right = draws.exponential(size=(3, 2)), draws.exponential(size=(2, 3)) ** 4
        hidden = left @ (right * np.reshape(zeros, (2, 3)))
        fit = hidden.T @ np.linalg.lstsq(hidden.T, y, rcond=1e-10)[0]
        lowest = min(lowest, ((y - fit) ** 2).sum())
    assert lowest >= 0.5 - 1e-9
    steep = np.array([[1.0, 0.0, 1e4], [0.0, 1.0, 1e4], [0.0, 0.0, 0.0]])
    fit = steep.T @ np.linalg.lstsq(steep.T, y)[0]
    assert ((y - fit) ** 2).sum() == pytest.approx(0.5, abs=1e-3)


def test_no_data_is_empty():
    data = NoData().load(KEY)
    assert data.name == "none" and len(data.train) == len(data.test) == 0
