"""The shape of a string: turning, curvature, principal axes, distance off a line; NumPy only.

    turning angle at a bead    angle between the segments before and after it
    curvature at a bead        2 sin(turning angle) / |next - previous|

The curvature is that of the circle through three beads (Menger's), exact on a circle at any
spacing. A corner has a finite turning angle and a curvature that grows as beads get denser.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

# Parts of the variance that a long random walk in many dimensions has along its first principal
# axes: 6 / (π k)². A path that is no more than noise looks like this.
RANDOM_WALK = (6 / np.pi**2, 6 / (2 * np.pi) ** 2)


def turning_angles(beads: np.ndarray) -> np.ndarray:
    """(bead,) angles in radians between neighboring segments; NaN at the ends.

    NaN, too, next to a segment of no length, which has no direction.
    """
    angles = np.full(len(beads), np.nan)
    steps = np.diff(np.asarray(beads, float), axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    units = np.divide(
        steps, lengths[:, None], out=np.full_like(steps, np.nan), where=lengths[:, None] > 0
    )
    # From the half chord of two unit vectors: exact where arccos of their product loses digits.
    half = np.linalg.norm(units[1:] - units[:-1], axis=1) / 2
    angles[1:-1] = 2 * np.arcsin(np.minimum(half, 1.0))
    return angles


def curvatures(beads: np.ndarray) -> np.ndarray:
    """(bead,) curvature of the circle through a bead and its neighbors; NaN at the ends."""
    found = np.full(len(beads), np.nan)
    across = np.linalg.norm(beads[2:] - beads[:-2], axis=1)
    sines = 2 * np.sin(turning_angles(beads)[1:-1])
    found[1:-1] = np.divide(sines, across, out=np.full_like(across, np.nan), where=across > 0)
    return found


def tangents(beads: np.ndarray) -> np.ndarray:
    """(bead, param) unit vectors from the bead before to the bead after; one-sided at ends.

    NaN where these are one and the same point.
    """
    padded = np.concatenate([beads[:1], beads, beads[-1:]])
    steps = padded[2:] - padded[:-2]
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    return np.divide(steps, lengths, out=np.full_like(steps, np.nan), where=lengths > 0)


def off_line(
    points: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where `points` lie relative to the line from `start` to `end`.

    Args:
        points: (point, param).
        start: (param,).
        end: (param,), another point.

    Returns:
        (point,) positions along the line, 0 at `start` and 1 at `end`, and (point,) distances
        from it, in units of its length; NaN where the two ends are one point.
    """
    line = np.asarray(end, float) - start
    square = line @ line
    if not square > 0:
        return np.full(len(points), np.nan), np.full(len(points), np.nan)
    steps = np.asarray(points, float) - start
    along = steps @ line / square
    aside = np.linalg.norm(steps - along[:, None] * line, axis=1)
    return along, aside / np.sqrt(square)


def principal(beads: np.ndarray, axes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The string along its principal axes.

    Args:
        beads: (bead, param).
        axes: how many.

    Returns:
        (bead, axis) coordinates relative to the mean of the beads, the largest variance first,
        and (axis,) the parts of the variance; zeros behind the rank of the beads. The last
        bead lies further along the first axis than the first one, and along the others the
        bead furthest from zero lies on the positive side.
    """
    centered = beads - beads.mean(axis=0)
    left, scales, _ = np.linalg.svd(centered, full_matrices=False)
    coordinates = np.zeros((len(beads), axes))
    parts = np.zeros(axes)
    count = min(axes, len(scales))
    coordinates[:, :count] = left[:, :count] * scales[:count]
    variance = (scales**2).sum()
    parts[:count] = scales[:count] ** 2 / variance if variance > 0 else 0.0
    signs = np.sign(coordinates[np.abs(coordinates).argmax(axis=0), np.arange(axes)])
    signs[0] = np.sign(coordinates[-1, 0] - coordinates[0, 0]) or signs[0]
    return coordinates * np.where(signs == 0, 1.0, signs), parts


def filter_lengths(beads: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """(bead-1,) segment lengths, every filter's change relative to the filter's norm at the ends.

        length² = Σ over filters |change of the filter|² / (½ |that at start| + ½ |that at end|)²

    After the normalization of Li and others (2018): rescaling a filter along the whole string
    changes no length. Parameters of no filter, such as biases, do not count; neither do filters
    that vanish at both ends.

    Args:
        beads: (bead, param).
        filters: (param,) the number of the filter of every parameter; -1: of none.
    """
    kept = np.flatnonzero(filters >= 0)
    shape = (beads.shape[1], int(filters.max(initial=-1)) + 1)
    sums = sparse.csr_array((np.ones(len(kept)), (kept, filters[kept])), shape=shape)
    beads = np.asarray(beads, float)
    changes = np.diff(beads, axis=0) ** 2 @ sums
    norms = np.sqrt(beads[[0, -1]] ** 2 @ sums).mean(axis=0)
    relative = np.divide(changes, norms**2, out=np.zeros_like(changes), where=norms > 0)
    return np.sqrt(relative.sum(axis=1))


def refined(beads: np.ndarray, pieces: int) -> np.ndarray:
    """(1 + pieces × segment, param) every segment cut into `pieces` equal ones."""
    t = np.arange(pieces) / pieces
    steps = np.diff(beads, axis=0)
    inner = beads[:-1, None] + t[:, None] * steps[:, None]
    return np.concatenate([inner.reshape(-1, beads.shape[1]), beads[-1:]])
