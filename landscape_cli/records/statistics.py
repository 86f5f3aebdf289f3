"""Averages over pairs: mean, standard error, bootstrap interval, distance to a published value.

standard error = s / sqrt(n),  s with n - 1 in its denominator
z = (ours - theirs) / sqrt(error² + error_theirs²)
"""

from __future__ import annotations

import math

import numpy as np


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard error of the finite `values`; NaN where there are too few."""
    finite = values[np.isfinite(values)]
    mean = float(finite.mean()) if len(finite) else math.nan
    error = float(finite.std(ddof=1) / math.sqrt(len(finite))) if len(finite) > 1 else math.nan
    return mean, error


def bootstrap_interval(
    values: np.ndarray, confidence: float = 0.95, resamples: int = 4000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of the finite `values`; the same in every call.

    The generator has a fixed seed, so that a redrawn figure equals the first one.
    """
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return math.nan, math.nan
    picks = np.random.default_rng(0).integers(len(finite), size=(resamples, len(finite)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(finite[picks].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def standard_errors_apart(ours: float, error: float, theirs: float, their_error: float) -> float:
    """z-score of `ours` against `theirs`; NaN where either error is missing or both are zero."""
    scale = math.hypot(error, their_error)
    return (ours - theirs) / scale if scale > 0 else math.nan
