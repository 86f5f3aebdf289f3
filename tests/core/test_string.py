"""Geometry of strings: lengths, positions, and ends that never move by one bit."""

import tracemalloc

import numpy as np
import pytest

from landscape_cli.core import string
from landscape_cli.core.search import move_ends
from landscape_cli.core.string import Found

CORNER = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])


def test_lengths_of_a_corner():
    assert string.length(CORNER) == 7
    assert string.chord_length(CORNER) == 5
    assert string.normalized_length(CORNER) == 1.4
    np.testing.assert_array_equal(string.segment_lengths(CORNER), [3, 4])
    only_x = np.array([True, False])
    assert string.length(CORNER, only_x) == string.chord_length(CORNER, only_x) == 3


def test_positions_are_fractions_of_arclength():
    np.testing.assert_allclose(string.arclength(CORNER), [0, 3 / 7, 1])
    points = string.at(CORNER, np.array([0.0, 1.5 / 7, 3 / 7, 5 / 7, 1.0]))
    np.testing.assert_allclose(points, [[0, 0], [1.5, 0], [3, 0], [3, 2], [3, 4]])


def test_reparametrizing_keeps_ends_bit_by_bit_and_never_lengthens():
    beads = np.random.default_rng(0).normal(size=(9, 5))
    for segments in (1, 4, 37):
        equal = string.reparametrized(beads, segments)
        assert np.array_equal(equal[[0, -1]], beads[[0, -1]])
        assert string.length(equal) <= string.length(beads) * (1 + 1e-12)
    # Equal arcs of the old polyline; on a straight one they are equal segments.
    line = np.linspace([0.0, 0.0], [1.0, 2.0], 4) ** 1
    line[1] = line[0] + 0.1 * (line[3] - line[0])
    steps = string.segment_lengths(string.reparametrized(line, 8))
    np.testing.assert_allclose(steps, steps[0])


def test_coinciding_beads_and_a_string_without_length():
    twice = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(string.reparametrized(twice, 4)[:, 0], [0, 0.5, 1, 1.5, 2])
    point = np.ones((3, 2))
    np.testing.assert_array_equal(string.reparametrized(point, 5), np.ones((6, 2)))


def test_points_inside_segments():
    points = string.inside(CORNER[:-1], CORNER[1:], np.array([0.5, 0.25]))
    np.testing.assert_allclose(points, [[[1.5, 0], [0.75, 0]], [[3, 2], [3, 1]]])


@pytest.mark.parametrize("state", ["straight", "taut", "loose", "not connected", "diverged"])
def test_only_connected_strings_have_a_length(state):
    found = Found(state, CORNER, level=-2.0, peak=-3.0)
    assert found.connected == (state in ("straight", "taut", "loose"))
    assert found.chord == 5
    assert np.isnan(found.length) != found.connected
    assert found.normalized_length == pytest.approx(
        1.4 if found.connected else np.nan, nan_ok=True
    )
    assert found.margin == 0.5  # inside, of a negative level too


def test_beyond_its_ends_a_string_goes_on_straight():
    """A right angle with legs of 1 and 3, by hand."""
    beads = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 3.0]])
    t = np.array([-0.5, 0.0, 0.25, 1.0, 1.25])
    found = string.beyond(beads, t)
    np.testing.assert_allclose(found, [[3, 0], [1, 0], [0, 0], [0, 3], [0, 4]], atol=1e-15)
    still = np.zeros((2, 2))
    np.testing.assert_array_equal(string.beyond(still, t), np.zeros((5, 2)))


def test_a_bow_is_an_arch_across_the_chord_and_the_same_from_either_end():
    beads = np.linspace([1.0, 2.0, 0.0], [4.0, 2.0, 4.0], 9)
    moved = string.bowed(beads, 0.1) - beads
    np.testing.assert_array_equal(moved[[0, -1]], 0)
    np.testing.assert_allclose(moved @ (beads[-1] - beads[0]), 0, atol=1e-12)
    assert np.linalg.norm(moved[4]) == pytest.approx(0.1 * 5)
    np.testing.assert_allclose(string.bowed(beads[::-1], 0.1)[::-1], beads + moved, atol=1e-12)
    other = string.bowed(beads, 0.1, seed=1) - beads
    assert np.linalg.norm(other[4]) == pytest.approx(0.1 * 5)
    assert np.abs(other - moved).max() > 0.01, "to another side"
    line = np.linspace([0.0], [1.0], 5)
    np.testing.assert_array_equal(string.bowed(line, 0.1), line)  # there is no other side


T = np.array([0.0, 0.1, 0.35, 1.0])
MADE = {
    "at": lambda beads: string.at(beads, np.linspace(0, 1, 65)),
    "beyond": lambda beads: string.beyond(beads, np.array([-0.25, *T, 1.5])),
    "reparametrized": lambda beads: string.reparametrized(beads, 12),
    "inside": lambda beads: string.inside(beads[:-1], beads[1:], T),
    "bowed": lambda beads: string.bowed(beads, 0.1),
    "move_ends": lambda beads: move_ends(beads, beads[0] + 1, beads[-1] - 1),
}


@pytest.mark.parametrize("name", MADE)
def test_points_of_a_string_have_its_precision(name):
    """They were float64 for float32 beads: twice the memory, and not what a surface computes."""
    beads = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    found, exact = MADE[name](beads), MADE[name](beads.astype(float))
    assert (found.dtype, exact.dtype) == (np.float32, np.float64)
    # A few roundings of numbers of a size around 1.
    np.testing.assert_allclose(found, exact, rtol=0, atol=4 * np.finfo(np.float32).eps)


def test_lengths_are_added_up_in_float64():
    """A sum of a million float32 squares would be wrong in the seventh digit."""
    beads = np.random.default_rng(0).normal(size=(3, 10**6)).astype(np.float32)
    mask = np.arange(10**6) % 3 > 0
    for length in (string.length, string.chord_length, string.normalized_length):
        for which in (None, mask):
            found, exact = length(beads, which), length(beads.astype(float), which)
            assert found == pytest.approx(exact, rel=2e-9) and found.dtype == np.float64
    np.testing.assert_allclose(
        string.arclength(beads), string.arclength(beads.astype(float)), rtol=2e-9
    )


def test_of_integers_points_are_fractions():
    found = string.at(CORNER.astype(int), np.array([1.5 / 7]))
    np.testing.assert_allclose(found, [[1.5, 0]])


@pytest.mark.parametrize("name", ["at", "reparametrized", "inside", "bowed", "move_ends"])
def test_no_string_is_copied_into_float64_on_the_way(name):
    """Its beads are gigabytes: by the bytes at once, of which a float64 copy takes two strings."""
    beads = np.random.default_rng(0).normal(size=(65, 10**4)).astype(np.float32)
    tracemalloc.start()
    points = MADE[name](beads).size
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3.6 * 4 * max(points, beads.size)
