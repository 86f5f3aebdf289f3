"""The level functional: plateaux with known values, losses against NumPy, what is refused."""

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.data.linear_map import LinearMap
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.errors import UserError
from landscape_cli.functional import LOSSES, Functional

CUBIC = (0.0, 3.0, -10.0, 8.0)
QUADRATIC = (0.1, 0.25, 0.5)


def load(coefficients, **settings):
    return Polynomial(coefficients, **settings).load(jax.random.key(0))


def classes(counts):
    targets = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    examples = Examples(
        np.zeros((len(targets), 2)), targets, np.full(len(targets), 1 / len(targets))
    )
    return Dataset("labels", examples, examples, classes=len(counts))


# The integrand has kinks, so the 64-point rule is good to about 1e-4 only.
@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [(CUBIC, [0.15820, 0.15625, 0.125]), (QUADRATIC, [0.1875, 0.03125])],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_absolute_plateaux_of_polynomials(coefficients, expected, split):
    found = Functional("mae", split).plateaux(load(coefficients))
    names = ["best constant", "best line", "best parabola"][: len(expected)]
    assert list(found) == names
    np.testing.assert_allclose(list(found.values()), expected, atol=3e-4)


def test_squared_plateaux_are_exact():
    # What a parabola misses of 8x³ is 8 times the monic Legendre polynomial, of norm² 1/2800.
    found = Functional("mse").plateaux(load(CUBIC))
    assert found["best parabola"] == pytest.approx(64 / 2800, rel=1e-10)
    targets = load(CUBIC).train
    mean = targets.weights @ targets.targets[:, 0]
    variance = targets.weights @ (targets.targets[:, 0] - mean) ** 2
    assert found["best constant"] == pytest.approx(variance, rel=1e-10)


def test_absolute_plateau_of_many_random_points():
    data = load(CUBIC, rule="random", train=4000, test=4000)
    assert Functional("mae").plateaux(data)["best line"] == pytest.approx(0.15625, abs=2e-3)


def test_plateaux_of_classes():
    data = classes([6, 3, 1])
    error = Functional("error", loss="cross_entropy").plateaux(data)
    assert error == {"majority class": pytest.approx(0.4)}
    shares = np.array([0.6, 0.3, 0.1])
    entropy = Functional("cross_entropy").plateaux(data)
    assert entropy == {"class frequencies": pytest.approx(-(shares @ np.log(shares)))}


def test_plateaux_of_classes_are_of_weighted_examples():
    examples = Examples(np.zeros((2, 1)), np.array([0, 1], np.int32), np.array([0.9, 0.1]))
    data = Dataset("labels", examples, examples, classes=2)
    found = Functional("error", loss="cross_entropy").plateaux(data)
    assert found == {"majority class": pytest.approx(0.1)}


def test_predictors_that_solve_the_task_are_no_plateaux():
    """A parabola fits a quadratic up to rounding."""
    assert list(Functional("mse").plateaux(load(QUADRATIC))) == ["best constant", "best line"]


def test_closed_forms_have_no_plateaux():
    assert Functional("energy").plateaux(load(CUBIC)) == {}


def test_losses_against_numpy():
    draws = np.random.default_rng(0)
    outputs, targets = draws.normal(size=(2, 5, 3))
    labels = np.array([0, 1, 2, 1, 0], np.int32)
    expected = {
        "mse": (targets, ((outputs - targets) ** 2).mean(1)),
        "mae": (targets, np.abs(outputs - targets).mean(1)),
        "cross_entropy": (labels, -log_softmax(outputs, axis=1)[np.arange(5), labels]),
        "error": (labels, (outputs.argmax(1) != labels).astype(float)),
    }
    for name, (wanted, losses) in expected.items():
        found = LOSSES[name](jax.numpy.asarray(outputs), jax.numpy.asarray(wanted))
        np.testing.assert_allclose(found, losses, rtol=1e-12)


def test_words():
    assert Functional("mse").describe() == "train mean squared error"
    assert Functional("error", "test", "cross_entropy").describe() == "test 0-1 error"
    assert Functional("energy").describe() == "energy"
    assert not Functional("error", loss="cross_entropy").smooth


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "entropy"}, "metric must be one of mse, mae,.*mean 'cross_entropy'"),
        ({"split": "tests"}, "split must be one of train, test, got 'tests'"),
        ({"loss": "error"}, "loss must be one of mse, mae, cross_entropy"),
        ({"metric": "error"}, "loss is needed with metric=error"),
        ({"metric": "mse", "loss": "cross_entropy"}, "loss=cross_entropy does not fit metric=mse"),
        ({"metric": "error", "loss": "mae"}, "loss=mae does not fit metric=error"),
        ({"metric": "energy", "loss": "mse"}, "loss=mse does not fit metric=energy"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Functional(**settings)


@pytest.mark.parametrize(
    ("functional", "data", "message"),
    [
        (Functional("cross_entropy"), load(CUBIC), "functional.metric=cross_entropy: data=cubic"),
        (Functional("mae"), classes([1, 1]), "functional.metric=mae: data=labels has 2 classes"),
        (Functional("energy"), load(CUBIC), "only closed-form models"),
    ],
)
def test_metric_and_data_must_fit(functional, data, message):
    with pytest.raises(UserError, match=message):
        functional.check(data)


def test_plateaux_of_several_inputs():
    data = LinearMap(inputs=3, outputs=2, noise=0.5).load(jax.random.key(0))
    found = Functional("mse").plateaux(data)
    inputs, targets = data.train.inputs, data.train.targets
    design = np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
    misses = targets - design @ np.linalg.lstsq(design, targets, rcond=None)[0]
    assert found["best linear map"] == pytest.approx(np.mean(misses**2))
    assert found["best constant"] == pytest.approx(np.mean((targets - targets.mean(0)) ** 2))
