"""What figures share: energy axes, and what they are called."""

import numpy as np
import pytest

from landscape_cli.plots import new_figure
from landscape_cli.records.furniture import energy_axis, energy_words, median

LOSS = {"functional": "train cross entropy"}


def axis(values, attributes, which):
    """Scale and limits."""
    ax = new_figure().subplots()
    energy_axis(ax, np.array(values), attributes, which)
    return (ax.get_xscale(), ax.get_xlim()) if which == "x" else (ax.get_yscale(), ax.get_ylim())


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize(
    ("values", "attributes", "scale", "limits"),
    [
        ([1.0, 100.0, np.nan], LOSS, "log", (10**-0.1, 10**2.1)),
        ([1.0, 3.0, np.inf], LOSS, "linear", (0.9, 3.1)),
        ([1.0, 19.0], LOSS, "linear", (0.1, 19.9)),
        ([1.0, 101.0], {"functional": "energy"}, "linear", (-4.0, 106.0)),  # its zero says nothing
        ([0.0, 100.0], LOSS, "linear", (-5.0, 105.0)),
        ([-1.0, 99.0], LOSS, "linear", (-6.0, 104.0)),
        ([2.0, 2.0], LOSS, "linear", (1.9, 2.1)),
        ([0.0], LOSS, "linear", (-0.05, 0.05)),
        ([np.nan], LOSS, "linear", (0.0, 1.0)),  # as it was
    ],
)
def test_energies_are_logarithmic_where_they_are_losses_that_differ_twentyfold(
    which, values, attributes, scale, limits
):
    found, between = axis(values, attributes, which)
    assert found == scale
    np.testing.assert_allclose(between, limits, atol=1e-12)


def test_an_energy_is_called_by_its_split_and_unit():
    assert energy_words(LOSS) == "train cross entropy"
    assert energy_words(LOSS, "test") == "test cross entropy"
    assert energy_words({"functional": "energy", "unit": "eV"}, "test") == "energy (eV)"
    assert energy_words({}) == "energy"


def test_the_median_is_of_what_is_finite():
    assert median(np.array([np.inf, 1.0, np.nan, 6.0, 2.0])) == 2.0
    assert np.isnan(median(np.array([np.nan])))
