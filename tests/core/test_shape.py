"""The shape of strings against circles, lines and walks whose shape is known."""

import numpy as np
import pytest

from landscape_cli.core.shape import (
    RANDOM_WALK,
    curvatures,
    filter_lengths,
    off_line,
    principal,
    refined,
    tangents,
    turning_angles,
)


def plane(dimension, seed=0):
    """Two orthonormal directions (2, param)."""
    draws = np.random.default_rng(seed).normal(size=(dimension, 2))
    return np.linalg.qr(draws)[0].T


def circle(radius, angles, dimension=6):
    axes = plane(dimension)
    return 3.0 + radius * (np.cos(angles)[:, None] * axes[0] + np.sin(angles)[:, None] * axes[1])


@pytest.mark.parametrize("spacing", ["even", "uneven"])
def test_a_circle_has_its_curvature_at_any_spacing(spacing):
    angles = np.linspace(0, 2, 9) if spacing == "even" else np.array([0, 0.1, 0.5, 0.6, 1.9, 2.0])
    beads = circle(2.5, angles)
    assert np.isnan(curvatures(beads)[[0, -1]]).all()
    np.testing.assert_allclose(curvatures(beads)[1:-1], 1 / 2.5, rtol=1e-12)
    # A chord leaves the circle at half of its arc: the turning angle is the mean of two arcs.
    arcs = np.diff(angles)
    np.testing.assert_allclose(turning_angles(beads)[1:-1], (arcs[1:] + arcs[:-1]) / 2, rtol=1e-10)


def test_straight_strings_do_not_turn_and_corners_do():
    line = np.array(
        [[0.0, 0, 0], [1, 0, 0], [4, 0, 0], [4, 2, 0], [4, 2, 0], [4, 1, 0], [4, 3, 0]]
    )
    angles = turning_angles(line)
    assert angles[1] == 0 and curvatures(line)[1] == 0
    assert angles[2] == pytest.approx(np.pi / 2)
    assert np.isnan(angles[[3, 4]]).all(), "a segment without length has no direction"
    assert angles[5] == pytest.approx(np.pi), "back the same way"


def test_tiny_turns_keep_their_digits():
    beads = circle(1.0, np.array([0.0, 1e-7, 2e-7]))
    # The coordinates are near 3, so that steps of 1e-7 hold about nine digits.
    assert turning_angles(beads)[1] == pytest.approx(1e-7, rel=1e-1)


def test_tangents_are_unit_and_central():
    angles = np.linspace(0, 1.2, 7)
    beads = circle(2.0, angles, dimension=2)
    found = tangents(beads)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-14)
    axes = plane(2)
    exact = -np.sin(angles)[:, None] * axes[0] + np.cos(angles)[:, None] * axes[1]
    np.testing.assert_allclose(found[1:-1], exact[1:-1], atol=1e-13)  # even spacing: exact
    assert np.isnan(tangents(np.zeros((3, 2)))).all()


def test_positions_along_and_off_a_line():
    start, end = np.array([1.0, 1.0, 0.0]), np.array([1.0, 5.0, 0.0])
    points = np.array([[1.0, 1.0, 0.0], [4.0, 3.0, 4.0], [1.0, 5.0, 0.0], [1.0, -3.0, 0.0]])
    along, aside = off_line(points, start, end)
    np.testing.assert_allclose(along, [0, 0.5, 1, -1], atol=1e-15)
    np.testing.assert_allclose(aside, [0, 5 / 4, 0, 0], atol=1e-15)
    assert np.isnan(off_line(points, start, start)).all()


def test_principal_axes_find_the_plane_of_a_curve():
    t = np.linspace(-1, 1, 41)
    axes = plane(30)
    beads = 7.0 + np.outer(3 * t, axes[0]) + np.outer(t**2, axes[1])
    coordinates, parts = principal(beads)
    np.testing.assert_allclose(coordinates[:, 0], 3 * t, atol=1e-12)
    flat = t**2 - (t**2).mean()
    np.testing.assert_allclose(coordinates[:, 1], flat, atol=1e-12)
    assert parts.sum() == pytest.approx(1)
    assert parts[1] == pytest.approx((flat**2).sum() / ((flat**2).sum() + 9 * (t**2).sum()))
    back, _ = principal(beads[::-1])
    np.testing.assert_allclose(back[:, 0], 3 * t, atol=1e-12)  # always from first to last


def test_two_equal_beads_have_no_axes():
    coordinates, parts = principal(np.ones((2, 5)))
    assert not coordinates.any() and not parts.any()


def test_a_long_random_walk_looks_like_the_control():
    steps = np.random.default_rng(0).normal(size=(200, 8000))
    _, parts = principal(np.cumsum(steps, axis=0))
    # 200 steps in 8,000 dimensions: fluctuations of a percent
    np.testing.assert_allclose(parts, RANDOM_WALK, rtol=0.03)


FILTERS = np.array([0, 1, 0, 1, -1, 2])


def test_filter_lengths_by_hand():
    beads = np.array([[3.0, 0, 4, 2, 9, 1], [3.0, 0, 4, 2, -9, 1], [0.0, 6, -8, 8, 0, 1]])
    first, second = filter_lengths(beads, FILTERS)
    assert first == 0, "a bias does not count"
    # Filter 0 goes from (3, 4) to (0, -8), norms 5 and 8; filter 1 from (0, 2) to (6, 8).
    expected = (9 + 144) / 6.5**2 + (36 + 36) / 6.0**2
    assert second == pytest.approx(np.sqrt(expected), rel=1e-14)


def test_filter_lengths_do_not_see_the_scale_of_a_filter():
    beads = np.random.default_rng(0).normal(size=(5, 6))
    scales = np.array([2.0, 0.1, 2.0, 0.1, 5.0, 30.0])
    np.testing.assert_allclose(
        filter_lengths(beads * scales, FILTERS), filter_lengths(beads, FILTERS), rtol=1e-12
    )


def test_filters_that_vanish_at_both_ends_do_not_count():
    beads = np.array([[0.0, 1.0], [5.0, 1.0], [0.0, 3.0]])
    np.testing.assert_allclose(filter_lengths(beads, np.array([0, 1])), [0, 1])


def test_refining_keeps_the_beads():
    beads = np.random.default_rng(1).normal(size=(4, 3))
    fine = refined(beads, 5)
    np.testing.assert_array_equal(fine[::5], beads)
    np.testing.assert_allclose(np.diff(fine[:6], axis=0) * 5, [beads[1] - beads[0]] * 5)
    np.testing.assert_array_equal(refined(beads, 1), beads)
