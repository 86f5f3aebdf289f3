import math

import numpy as np
import pytest

from landscape_cli.records.statistics import (
    bootstrap_interval,
    mean_and_error,
    standard_errors_apart,
)


def test_mean_and_error_by_hand():
    mean, error = mean_and_error(np.array([1.0, np.nan, 2.0, 4.0]))
    # mean 7/3; squared deviations 16/9 + 1/9 + 25/9 = 42/9, over n - 1 = 2, over n = 3
    assert mean == pytest.approx(7 / 3, rel=1e-15)
    assert error == pytest.approx(math.sqrt(42 / 9 / 2 / 3), rel=1e-15)


def test_too_few_values():
    assert mean_and_error(np.array([1.5]))[0] == 1.5
    assert math.isnan(mean_and_error(np.array([1.5]))[1])
    assert np.isnan(mean_and_error(np.array([np.nan]))).all()
    assert np.isnan(bootstrap_interval(np.array([1.5, np.nan]))).all()
    assert np.isnan(mean_and_error(np.zeros(0))).all()


def test_the_bootstrap_is_deterministic_and_nearly_normal():
    values = np.random.default_rng(3).normal(1.3, 0.2, 200)
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    mean, error = mean_and_error(values)
    # 200 values: the interval of the mean is normal to a few percent of its width
    assert low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)


def test_standard_errors_apart():
    assert standard_errors_apart(1.5, 0.03, 1.0, 0.04) == pytest.approx(10.0)
    assert math.isnan(standard_errors_apart(1.5, np.nan, 1.0, 0.04))
    assert math.isnan(standard_errors_apart(1.5, 0.0, 1.5, 0.0))
