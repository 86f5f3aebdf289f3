"""Numbers that figures are made of: limits and labels of logarithmic axes."""

import numpy as np
import pytest

from landscape_cli import plots


@pytest.mark.parametrize(
    ("values", "logs"),
    [
        ([1.0, 100.0], (-0.1, 2.1)),  # 5 % of two decades on either side
        ([100.0, -3.0, 0.0, np.nan, np.inf, 1.0], (-0.1, 2.1)),  # of what has a logarithm
        ([10.0], (0.9, 1.1)),
        ([1.0, 10**0.1], (-0.1, 0.2)),
        ([1.0, 10**0.3], (-0.02, 0.32)),
        ([], (-1.05, 0.05)),
        ([1e-300, 1e300], (-275.0, 275.0)),  # with margins still numbers
    ],
)
def test_limits_of_a_logarithmic_axis(values, logs):
    found = plots.log_limits(np.array(values))
    np.testing.assert_allclose(np.log10(found), logs, atol=1e-12)


def test_exponents_are_written_one_way():
    """20000 was `2e+04` beside `1e5`."""
    shown = [plots.number(x) for x in (1e-3, 9.99e-4, -0.05, 9999.0, 9999.9, 20_000, -1e5)]
    assert shown == ["0.001", "9.99e-4", "-0.05", "9999", "1e4", "2e4", "-1e5"]


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize(
    ("high", "ticks"),
    [
        (2.0, [1.0, 1.2, 1.4, 1.6, 1.8, 2.0]),
        (10.0, [1, 2, 3, 5, 10]),
        (100.0, [1, 2, 5, 10, 20, 50, 100]),
        (1000.0, [1, 10, 100, 1000]),
    ],
)
def test_a_logarithmic_axis_has_as_many_round_numbers_as_fit(which, high, ticks):
    ax = plots.new_figure().subplots()
    ax.set(xscale="log", yscale="log", xlim=(1, 1e9), ylim=(1, 1e9))
    (ax.set_xlim if which == "x" else ax.set_ylim)(1.0, high)
    plots.number_axis(ax, which)
    found = ax.get_xticks() if which == "x" else ax.get_yticks()
    np.testing.assert_allclose(found[(found > 0.99) & (found < 1.01 * high)], ticks)
