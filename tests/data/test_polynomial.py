"""Quadrature is checked against integrals known in closed form."""

import jax
import numpy as np
import pytest

from landscape_cli.data.polynomial import Polynomial

CUBIC = (0.0, 3.0, -10.0, 8.0)
QUINTIC = (0.0, 25.0, -200.0, 560.0, -640.0, 256.0)
KEY = jax.random.key(0)


def integral_mean(coefficients, low, high):
    """Mean of a polynomial over an interval, from its antiderivative."""
    primitive = np.polynomial.Polynomial(coefficients).integ()
    return (primitive(high) - primitive(low)) / (high - low)


@pytest.mark.parametrize("nodes", [1, 2, 5, 16])
def test_gauss_is_exact_up_to_degree_2n_minus_1_and_no_further(nodes):
    train = Polynomial((0.0, 1.0), train=nodes).load(KEY).train
    x, w = train.inputs[:, 0], train.weights
    for degree in range(2 * nodes):
        np.testing.assert_allclose(w @ x**degree, 1 / (degree + 1), rtol=1e-13)
    # The first degree that is not exact is missed by (n!)⁴ / ((2n + 1) ((2n)!)²) on [0, 1].
    if nodes <= 5:  # beyond, the miss drowns in rounding
        assert abs(w @ x ** (2 * nodes) - 1 / (2 * nodes + 1)) > 1e-8


@pytest.mark.parametrize("coefficients", [CUBIC, QUINTIC, (0.1, 0.25, 0.5)])
@pytest.mark.parametrize("interval", [(0.0, 1.0), (-2.0, 0.5)])
def test_weighted_mean_of_targets_is_the_integral(coefficients, interval):
    exact = integral_mean(coefficients, *interval)
    data = Polynomial(coefficients, *interval, train=8, test=400).load(KEY)
    assert data.train.weights @ data.train.targets[:, 0] == pytest.approx(exact, rel=1e-12)
    # Midpoint rule: error h² (y'(high) - y'(low)) / 24 in an interval of that many cells.
    slopes = np.polynomial.Polynomial(coefficients).deriv()(np.array(interval))
    width = interval[1] - interval[0]
    bound = 1.1 * width * abs(slopes[1] - slopes[0]) / (24 * 400**2)
    assert abs(data.test.weights @ data.test.targets[:, 0] - exact) <= bound + 1e-12


def test_absolute_errors_on_the_test_split_are_integrals_to_a_part_in_a_thousand():
    """The error of the best constant, a median, as the docstring of the module has it."""
    for points, words in ((64, "0.15809"), (100_000, "0.15820")):
        test = Polynomial(CUBIC, test=points).load(KEY).test
        error = test.weights @ np.abs(test.targets[:, 0] - np.median(test.targets))
        assert f"{error:.5f}" == words


@pytest.mark.parametrize("rule", ["gauss", "grid", "random"])
def test_shapes_weights_and_values(rule):
    data = Polynomial(CUBIC, train=20, test=31, rule=rule).load(KEY)
    for split, count in ((data.train, 20), (data.test, 31)):
        assert split.inputs.shape == split.targets.shape == (count, 1)
        assert split.weights.shape == (count,)
        assert split.inputs.dtype == split.targets.dtype == split.weights.dtype == np.float64
        assert split.weights.sum() == pytest.approx(1, abs=1e-14) and split.weights.min() > 0
        x = split.inputs
        assert x.min() >= 0 and x.max() <= 1
        np.testing.assert_allclose(split.targets, 8 * x**3 - 10 * x**2 + 3 * x, atol=1e-14)
    assert data.name == "cubic" and data.classes is None and data.outputs == 1
    assert not np.isin(data.train.inputs, data.test.inputs).any()


def test_grid_converges_like_the_trapezoid_rule():
    errors = []
    for count in (11, 21, 41):
        train = Polynomial(CUBIC, train=count, rule="grid").load(KEY).train
        errors.append(abs(train.weights @ train.targets[:, 0] - 1 / 6))
    assert train.inputs[0] == 0 and train.inputs[-1] == 1
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=1e-3)


def test_only_random_points_depend_on_the_key():
    other = jax.random.key(1)
    for rule in ("gauss", "grid", "random"):
        part = Polynomial(CUBIC, rule=rule)
        again = part.load(KEY).train.inputs
        np.testing.assert_array_equal(again, part.load(KEY).train.inputs)
        assert (rule == "random") != np.array_equal(again, part.load(other).train.inputs)


def test_random_points_are_uniform_and_splits_are_independent():
    part = Polynomial(CUBIC, train=10_000, test=10_000, rule="random")
    data = part.load(KEY)
    for split in (data.train, data.test):
        # Four standard errors of the mean and of the variance of a uniform variable.
        assert split.inputs.mean() == pytest.approx(0.5, abs=4 * 0.0029)
        assert split.inputs.var() == pytest.approx(1 / 12, abs=4 * 0.00075)
    fewer = Polynomial(CUBIC, train=10_000, test=10, rule="random").load(KEY)
    np.testing.assert_array_equal(fewer.train.inputs, data.train.inputs)


def test_quintic_has_four_turns_of_full_height():
    quintic = np.polynomial.Polynomial(QUINTIC)
    turns = np.sort(quintic.deriv().roots().real)
    np.testing.assert_allclose(quintic(turns), [1, 0, 1, 0], atol=1e-10)
    np.testing.assert_allclose(quintic(np.array([0.0, 1.0])), [0, 1], atol=1e-12)
    assert turns[0] > 0 and turns[-1] < 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"coefficients": ()}, "one or more finite"),
        ({"coefficients": (1.0, float("nan"))}, "one or more finite"),
        ({"low": 1.0}, "low must be less than high"),
        ({"high": float("inf")}, "low must be less than high"),
        ({"rule": "gaus"}, r"gauss, grid, random, got 'gaus' \(did you mean 'gauss'\?\)"),
        ({"train": 0}, "train must be at least 1, got 0"),
        ({"train": 1, "rule": "grid"}, "train must be at least 2"),
        (
            {"train": 10_001},
            "train must be at most 10000 with rule=gauss, got 10001; choose rule=g",
        ),
        ({"test": -3}, "test must be at least 1, got -3"),
    ],
)
def test_bad_settings_are_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=words):
        Polynomial(**{"coefficients": CUBIC} | settings)
