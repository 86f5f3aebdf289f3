"""Geometry of strings: lengths, positions, and ends that never move by one bit."""

import numpy as np
import pytest

from landscape_cli.core import string
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
