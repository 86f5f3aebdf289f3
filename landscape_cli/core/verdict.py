"""The dense check: the last word on whether a string stays inside its level set.

Every segment is looked at on a grid; where the largest values lie, the grid is refined, so that
the peak between two samples is found as well. Energies only, on the full data of the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscape_cli.core.string import inside
from landscape_cli.core.surface import Surface

AT_ONCE = 1 << 28  # bytes of points made at a time: a string of a large network has many


@dataclass(frozen=True)
class Peak:
    """Highest point of a string.

    Attributes:
        energy: the highest energy found; NaN if any energy is NaN.
        segment: index of its segment.
        per_segment: (segment,) highest energy of each.
        energies: energies evaluated.
    """

    energy: float
    segment: int
    per_segment: np.ndarray
    energies: int


def energies_inside(
    surface: Surface, starts: np.ndarray, ends: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """(segment, t) energies at fractions `t` between `starts` and `ends`, (segment, param) each.

    As many segments at a time as `AT_ONCE` holds the points of.
    """
    each = 8 * len(t) * max(surface.dimension, 1)
    pieces = min(len(starts), -(-len(starts) * each // AT_ONCE))
    some = np.array_split(np.arange(len(starts)), max(pieces, 1))
    look = lambda rows: surface.energies(inside(starts[rows], ends[rows], t))
    return np.concatenate([look(rows) for rows in some])


def _grid(surface: Surface, beads: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(segment, t) energies, first bead of each segment included, last of the string too."""
    energies = energies_inside(surface, beads[:-1], beads[1:], t)
    last = surface.energies(beads[1:])
    return np.concatenate([energies, last[:, None]], axis=1)


def _refine(surface: Surface, beads, t, energies, rounds: int, most: int) -> tuple:
    """Bisect around the highest samples of the string: `rounds` times, `most` segments."""
    peaks = energies.max(1)
    count = 0
    for segment in np.argsort(-peaks)[:most]:
        grid = np.append(t, 1.0)
        centre = grid[np.argmax(energies[segment])]
        width = grid[1] - grid[0]
        for _ in range(rounds):
            near = np.clip(centre + width * np.array([-0.5, 0.5]), 0, 1)
            values = surface.energies(inside(beads[segment], beads[segment + 1], near))
            count += len(near)
            if not np.isfinite(values).all():
                peaks[segment] = np.nan  # every comparison with it would be false
                break
            if values.max() > peaks[segment]:
                peaks[segment], centre = values.max(), near[np.argmax(values)]
            width /= 2
    return peaks, count


def peak(surface: Surface, beads: np.ndarray, points: int = 50, rounds: int = 3) -> Peak:
    """Find the highest energy along a string.

    Args:
        surface: the surface; its full data.
        beads: (bead, param).
        points: samples per segment.
        rounds: bisections around the samples of the three highest segments.
    """
    t = np.arange(points) / points
    energies = _grid(surface, beads, t)
    peaks, more = energies.max(1), 0
    if np.isfinite(peaks).all():
        peaks, more = _refine(surface, beads, t, energies, rounds, most=3)
    if not np.isfinite(peaks).all():
        return Peak(np.nan, int(np.argmax(~np.isfinite(peaks))), peaks, energies.size + more)
    return Peak(float(peaks.max()), int(peaks.argmax()), peaks, energies.size + more)
