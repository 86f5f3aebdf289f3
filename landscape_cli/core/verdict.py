"""The dense check: the last word on whether a string stays inside its level set.

Every segment is looked at on a grid, long ones in pieces: a path that could only pass a wall by a
leap is found out. Where the largest values lie, the grid is refined, so that the peak between two
samples is found as well. Energies only, on the full data of the surface.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from landscape_cli.core.string import inside
from landscape_cli.core.surface import Surface

AT_ONCE = 1 << 28  # bytes of points made at a time: a string of a large network has many
HIGHEST = 3  # pieces of a string around whose highest samples the grid is refined
LONGEST = 1 / 6  # of a piece, in distances of the ends
MOST = 4096  # pieces of a string at most, besides its segments


@dataclass(frozen=True)
class Peak:
    """Highest point of a string.

    Attributes:
        energy: the highest energy found; NaN if one is infinite or NaN.
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


def _grid(surface: Surface, strings: list[np.ndarray], t: np.ndarray) -> list[np.ndarray]:
    """(segment, t) energies of every string, both ends of a segment included."""
    starts = np.concatenate([beads[:-1] for beads in strings])
    ends = np.concatenate([beads[1:] for beads in strings])
    energies = energies_inside(surface, starts, ends, t)
    last = surface.energies(ends)
    grid = np.concatenate([energies, last[:, None]], axis=1)
    return np.split(grid, np.cumsum([len(beads) - 1 for beads in strings])[:-1])


def _refine(surface: Surface, strings, t, grids: list[np.ndarray], rounds: int) -> tuple:
    """Bisect around the highest samples of every string: `rounds` times, `HIGHEST` pieces."""
    peaks, counts = [grid.max(1) for grid in grids], [0] * len(strings)
    ends = np.append(t, 1.0)
    rows = [
        (s, segment, ends[np.argmax(grids[s][segment])])
        for s, highest in enumerate(peaks)
        if np.isfinite(highest).all()
        for segment in np.argsort(-highest)[:HIGHEST]
    ]
    width = ends[1] - ends[0]
    for _ in range(rounds):
        if not rows:
            break
        near = np.stack([np.clip(c + width * np.array([-0.5, 0.5]), 0, 1) for *_, c in rows])
        points = np.concatenate(
            [
                inside(strings[s][i], strings[s][i + 1], where)
                for (s, i, _), where in zip(rows, near, strict=True)
            ]
        )
        values, left = surface.energies(points).reshape(-1, 2), []
        for (s, segment, centre), some, where in zip(rows, values, near, strict=True):
            counts[s] += 2
            if not np.isfinite(some).all():
                peaks[s][segment] = np.nan  # every comparison with it would be false
                continue
            if some.max() > peaks[s][segment]:
                peaks[s][segment], centre = some.max(), where[np.argmax(some)]
            left.append((s, segment, centre))
        rows, width = left, width / 2
    return peaks, counts


def _groups(surface: Surface, strings: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Strings that are looked at together: as many as `AT_ONCE` holds the beads of."""
    group, size = [], 0
    for beads in strings:
        if group and (surface.strategy == "loop" or size + beads.nbytes > AT_ONCE):
            yield group
            group, size = [], 0
        group.append(beads)
        size += beads.nbytes
    if group:
        yield group


def _cut(beads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The string with beads put into long segments, and (segment,) where each of them begins."""
    legs = np.linalg.norm(np.diff(beads, axis=0), axis=1)
    chord = np.linalg.norm(beads[-1] - beads[0])
    pieces = np.ones(len(legs), int)
    if chord > 0 and np.isfinite(legs).all():
        pieces = np.maximum(1, np.ceil(legs / max(LONGEST * chord, legs.sum() / MOST))).astype(int)
    begins = np.cumsum(pieces) - pieces
    if pieces.max() == 1:
        return beads, begins
    owner = np.repeat(np.arange(len(legs)), pieces)
    t = ((np.arange(len(owner)) - begins[owner]) / pieces[owner])[:, None].astype(beads.dtype)
    finer = beads[owner] * (1 - t) + beads[owner + 1] * t
    return np.concatenate([finer, beads[-1:]]), begins


def peaks(
    surface: Surface, strings: Iterable[np.ndarray], points: int = 50, rounds: int = 3
) -> Iterator[Peak]:
    """Find the highest energy along every string, many of them at a time.

    Args:
        surface: the surface; its full data.
        strings: (bead, param) each.
        points: samples per segment; of one longer than a sixth of the distance of the ends, per
            piece that is not.
        rounds: bisections around the samples of the three highest pieces.
    """
    t = np.arange(points) / points
    for group in _groups(surface, strings):
        finer, begins = zip(*map(_cut, group), strict=True)
        grids = _grid(surface, list(finer), t)
        heights, more = _refine(surface, finer, t, grids, rounds)
        for grid, pieces, begin, extra in zip(grids, heights, begins, more, strict=True):
            each = np.maximum.reduceat(pieces, begin)
            bad = ~np.isfinite(each)
            if bad.any():
                yield Peak(np.nan, int(np.argmax(bad)), each, grid.size + extra)
            else:
                yield Peak(float(each.max()), int(each.argmax()), each, grid.size + extra)


def peak(surface: Surface, beads: np.ndarray, points: int = 50, rounds: int = 3) -> Peak:
    """Find the highest energy along one string, (bead, param); see `peaks`."""
    (found,) = peaks(surface, [beads], points, rounds)
    return found
