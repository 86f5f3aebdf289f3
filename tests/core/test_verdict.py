"""The dense check: narrow peaks, values that are not finite, which segment is blamed."""

import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peak, peaks

LINE = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])


def bump(theta, data):
    """Height 1 at x = data[0], of width data[1]."""
    return jnp.exp(-(((theta[0] - data[0]) / data[1]) ** 2))


def test_a_narrow_peak_between_two_samples_is_found():
    # Samples at 78/60 and 79/60 see 0.105; the peak between them is 1.
    surface = Surface(bump, (78.5 / 60, 0.00667 / 1.2), 2)
    top = peak(surface, LINE, points=20)
    assert max(surface.energies(np.array([[78 / 60, 0.0], [79 / 60, 0.0]]))) < 0.11
    assert top.energy == pytest.approx(1.0, abs=1e-9)
    assert top.segment == 1
    np.testing.assert_allclose(top.per_segment, [0.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("where", [0.0, 0.125, 0.137, 0.25, 0.5, 1.0, 1.731, 2.0])
def test_smooth_peaks_are_found_to_a_part_in_a_thousand(where):
    # Three bisections of a spacing of 0.02 end within 0.00125 of the peak, of curvature 2/0.05².
    surface = Surface(bump, (where, 0.05), 2)
    top = peak(surface, LINE, points=17)
    assert 1 - 1.1 * (0.00125 / 0.05) ** 2 <= top.energy <= 1
    assert where - 1e-9 <= top.segment + 1 and top.segment <= where + 1e-9


def test_the_peaks_of_three_segments_are_refined():
    """Which of three equal peaks wins is decided by the refinement, not by the first grid."""

    def three(theta, data):
        x = theta[0]
        heights = jnp.array([0.9, 1.0, 0.95])
        centres = jnp.array([0.5, 1.51, 2.5])  # 1.51 lies between two samples
        return (heights * jnp.exp(-(((x - centres) / 0.02) ** 2))).max()

    beads = np.linspace([0.0], [3.0], 4)
    top = peak(Surface(three, (), 1), beads, points=50)
    assert top.segment == 1 and top.energy == pytest.approx(1.0, abs=1e-9)


def gap(theta, data):
    """Not finite within 0.001 of x = 1.51, whose neighbors on the grid are 1.50 and 1.52."""
    middle = jnp.abs(theta[0] - 1.51)
    return jnp.where(middle < 1e-3, data, 1.0 - middle)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_a_number_that_passes(value):
    beads = np.linspace([0.0], [2.0], 3)
    on_grid = peak(
        Surface(lambda theta, data: jnp.where(theta[0] > 1.4, data, 0.0), value, 1), beads
    )
    assert not np.isfinite(on_grid.energy) and on_grid.segment == 1
    between = peak(Surface(gap, value, 1), beads)
    assert not np.isfinite(between.energy) and between.segment == 1


def test_energies_spent_are_counted():
    surface = Surface(bump, (0.3, 0.1), 2)
    top = peak(surface, LINE, points=10)
    assert top.energies == surface.count.energies
    # A grid for each third of both segments, then three bisections of three of these.
    assert top.energies == 6 * 11 + 3 * 3 * 2


def test_a_long_segment_is_looked_at_as_closely_as_short_ones():
    """A string that turns far away and comes back does not leap over what lies between."""
    away = np.array([[0.0, 0.0], [0.0, 9.0], [1.0, 9.0], [1.0, 0.0]])
    wall = Surface(lambda theta, data: jnp.exp(-(((theta[1] - 4.567) / 0.01) ** 2)), (), 2)
    top = peak(wall, away, points=50)
    assert top.energy == pytest.approx(1.0, abs=0.02) and top.segment in (0, 2)
    assert top.per_segment.shape == (3,) and top.per_segment[1] == 0.0
    assert peak(wall, away[[0, 0]]).energies == 50 + 1 + 3 * 2  # ends that are the same


def test_no_string_is_cut_into_more_pieces_than_a_few_thousand():
    far = np.array([[0.0, 0.0], [0.0, 1e9], [1.0, 0.0]])
    surface = Surface(bump, (0.3, 0.1), 2)
    assert peak(surface, far, points=2).energies < 3 * 4100 + 20


@pytest.mark.parametrize(("slope", "highest"), [(1.0, 2.0), (-1.0, 0.0)])
def test_nothing_beyond_the_ends_is_looked_at(slope, highest):
    uphill = Surface(lambda theta, data: data * theta[0], slope, 2)
    assert peak(uphill, LINE).energy == highest


def test_ends_count():
    assert peak(Surface(bump, (2.0, 1e-6), 2), LINE).energy == 1.0
    assert peak(Surface(bump, (0.0, 1e-6), 2), LINE).energy == 1.0


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_many_strings_are_judged_as_each_alone(strategy):
    draws = np.random.default_rng(0)
    strings = [draws.normal(size=(beads, 2)) for beads in (2, 5, 3, 9)]
    surface = Surface(bump, (0.3, 0.2), 2, strategy=strategy)
    holed = [*strings, np.array([[0.0, 0.0], [np.nan, 0.0], [1.0, 0.0]])]
    together = list(peaks(surface, holed, points=20))
    assert len(together) == 5
    for beads, top in zip(strings, together[:4], strict=True):
        alone = peak(surface, beads, points=20)
        assert (alone.energy, alone.segment, alone.energies) == (
            top.energy, top.segment, top.energies,
        )  # fmt: skip
        np.testing.assert_array_equal(alone.per_segment, top.per_segment)
    assert np.isnan(together[4].energy), "spoils no other"
