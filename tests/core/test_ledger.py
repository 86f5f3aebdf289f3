"""The books of a training, by hand: crossings, endings, thin curves."""

import numpy as np

from landscape_cli.core.ledger import RECORDS, Ledger
from landscape_cli.core.surface import Surface

LEVELS = (1.0, 0.5, 0.1)
NAN = np.nan


def books(networks, every=1, **more):
    return Ledger(
        Surface(lambda theta, data: theta @ theta, (), 2, **more), networks, LEVELS, every
    )


def test_first_crossings_by_hand():
    ledger = books(2)
    both = np.arange(2)
    new = ledger.record(both, 0, np.array([[3.0, 0.7], [2.0, 1.5]]))
    np.testing.assert_array_equal(new, [[True, False, False], [False] * 3])
    new = ledger.record(both, 2, np.array([[0.9, 0.05], [0.4, 0.2]]))
    np.testing.assert_array_equal(new, [[False, True, True], [True, True, False]])
    np.testing.assert_array_equal(ledger.steps, [[1, 3, 3], [2, 2, -1]])
    np.testing.assert_array_equal(ledger.energies, [[0.7, 0.05, 0.05], [0.4, 0.4, NAN]])
    np.testing.assert_array_equal(ledger.lowest, [0.05, 0.2])
    np.testing.assert_array_equal(ledger.left, [1])
    assert ledger.note() == "1 of 2 networks below 0.1"


def test_an_error_that_is_the_level_only_in_float32_has_not_crossed_it():
    """200 of 250 images are 0.8, but 0.8 in float32 lies above 0.8, as every later check says."""
    surface = Surface(lambda theta, data: theta @ theta, (), 2, smooth=False, dtype=np.float32)
    ledger = Ledger(surface, 1, (0.8, 0.5), 1)
    assert np.float64(np.float32(0.8)) > 0.8 and np.float32(0.5) == 0.5
    new = ledger.record(np.arange(1), 0, np.array([[0.8]], np.float32))
    assert not new.any()
    new = ledger.record(np.arange(1), 1, np.array([[0.5]], np.float32))
    assert new.all() and (ledger.energies <= ledger.asked).all()
    assert ledger.note() == "1 of 1 networks below 0.5"


def test_what_comes_after_an_arrival_or_a_nan_is_no_history():
    ledger = books(3)
    rows = [[0.05, 0.01, NAN], [2.0, NAN, 0.05], [2.0, 1.9, 1.8]]
    ledger.record(np.arange(3), 0, np.array(rows))
    np.testing.assert_array_equal(ledger.diverged, [False, True, False])
    np.testing.assert_array_equal(ledger.steps[1], -1)
    np.testing.assert_array_equal(ledger.lowest, [0.05, 2.0, 1.8])
    curve = ledger.trajectories().curve
    np.testing.assert_array_equal(curve, [[0.05, NAN, NAN], [2.0, NAN, NAN], rows[2]])


def test_only_newly_crossed_levels_take_their_parameters():
    ledger = books(1)
    ledger.keep(0, np.array([True, False, False]), [1.0, 2.0])
    ledger.keep(0, np.array([False, True, False]), np.array([[9.0, 9.0], [3.0, 4.0], [9.0, 9.0]]))
    np.testing.assert_array_equal(ledger.thetas[0], [[1, 2], [3, 4], [NAN, NAN]])


def test_a_crossing_stays_a_hair_below_its_level():
    ledger = books(1)
    assert not ledger.record(np.arange(1), 0, np.array([[1.0]])).any(), "rounding may lift it"
    assert ledger.record(np.arange(1), 1, np.array([[1.0 - 1e-12]]))[0, 0]
    assert books(1, smooth=False).record(np.arange(1), 0, np.array([[1.0]]))[0, 0], "a fraction"


def test_a_long_curve_is_thinned_over_its_whole_past():
    ledger = books(1)
    energies = np.linspace(9, 2, 3 * RECORDS)
    for first in range(0, len(energies), 50):
        ledger.record(np.arange(1), first, energies[None, first : first + 50])
    found = ledger.trajectories()
    assert RECORDS // 2 <= len(found.curve_steps) <= RECORDS
    np.testing.assert_array_equal(np.diff(found.curve_steps), 4)
    np.testing.assert_array_equal(found.curve[0], energies[found.curve_steps])
