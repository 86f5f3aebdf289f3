"""Which minima are joined below which energy: spanning tree, ultrametric bounds, merge tree.

    height of a pair   highest energy of a path found between two minima: an upper bound
    bound of a pair    min over chains of pairs of the highest height on the chain

The bound is an ultrametric, bound(A, C) <= max(bound(A, B), bound(B, C)), and all bounds can be
read off one minimum spanning tree: the highest edge between A and C on it. Draxler and others
(2018) explore minima this way. Heights are (minimum, minimum), symmetric, infinite where a pair
has not been tried or was not joined. NumPy only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Merge(NamedTuple):
    """Two groups of minima that join as the level rises.

    Attributes:
        height: the level.
        left: minima of the group with the lower minimum.
        right: minima of the other group.
    """

    height: float
    left: tuple[int, ...]
    right: tuple[int, ...]


def spanning_tree(heights: np.ndarray) -> np.ndarray:
    """(edge, 2) the pairs of a minimum spanning tree, the lowest first (Kruskal, 1956).

    A forest where heights are infinite. Of equal heights the pair with smaller numbers wins.
    """
    rows, columns = np.triu_indices(len(heights), k=1)
    group = np.arange(len(heights))
    edges = []
    for pair in np.argsort(heights[rows, columns], kind="stable"):
        i, j = rows[pair], columns[pair]
        if group[i] == group[j] or not np.isfinite(heights[i, j]):
            continue
        edges.append((i, j))
        group[group == group[j]] = group[i]
    return np.array(edges, int).reshape(-1, 2)


def bounds(heights: np.ndarray) -> np.ndarray:
    """(minimum, minimum) ultrametric bounds; infinite between trees, -infinity for a minimum."""
    found = np.full(heights.shape, np.inf)
    np.fill_diagonal(found, -np.inf)
    group = np.arange(len(heights))
    for i, j in spanning_tree(heights):
        left, right = group == group[i], group == group[j]
        found[np.ix_(left, right)] = found[np.ix_(right, left)] = heights[i, j]
        group[right] = group[i]
    return found


def side(count: int, edges: np.ndarray, edge: int) -> np.ndarray:
    """(minimum,) whether one is still joined to the first end of `edge` when that is cut."""
    left = np.zeros(count, bool)
    left[edges[edge, 0]] = True
    rest = np.delete(edges, edge, axis=0)
    for _ in range(count):
        touched = left[rest].any(axis=1)
        before = left.sum()
        left[rest[touched]] = True
        if left.sum() == before:
            break
    return left


def next_pairs(
    energies: np.ndarray,
    heights: np.ndarray,
    tried: np.ndarray,
    distances: np.ndarray,
    most: int,
    tight: float = 0.0,
) -> list[tuple[int, int]]:
    """Pairs that may lower the tree, one for each of its highest edges, the highest first.

    A path across the cut that an edge leaves can lower the edge only if both of its ends lie
    below it. Where minima are not joined at all, pairs between their trees come first. Of several
    pairs across a cut the nearest is chosen. None are left when every bound is tight.

    Args:
        energies: (minimum,) energies of the minima.
        heights: (minimum, minimum).
        tried: (minimum, minimum) pairs that need not be tried again.
        distances: (minimum, minimum).
        most: how many pairs at most, at least 1.
        tight: an edge counts as no higher than a minimum within this part of its height.
    """
    edges = spanning_tree(heights)
    count = len(energies)
    apart = np.isinf(bounds(heights)) & ~np.eye(count, dtype=bool)
    higher = np.maximum(energies[:, None], energies)
    left = ~(tried | np.eye(count, dtype=bool))
    chosen: list[tuple[int, int]] = []

    def choose(allowed: np.ndarray) -> None:
        cost = np.where(allowed & left, distances, np.inf)
        i, j = np.unravel_index(np.argmin(cost), cost.shape)
        if np.isfinite(cost[i, j]):
            chosen.append((int(min(i, j)), int(max(i, j))))
            left[i, j] = left[j, i] = False

    while len(chosen) < most and (apart & left).any():
        choose(apart)
    for edge in range(len(edges) - 1, -1, -1):
        if len(chosen) >= most:
            break
        height = heights[tuple(edges[edge])]
        first = side(count, edges, edge)
        group = first | side(count, edges[:, ::-1], edge)  # the tree that the edge is part of
        across = first[:, None] & (group & ~first)
        choose((across | across.T) & (height - higher > tight * abs(height)))
    return chosen


def merges(energies: np.ndarray, heights: np.ndarray) -> list[Merge]:
    """How groups of minima join as the level rises, in that order.

    Members of a merge are those of its left group and then those of its right group: drawn in
    the order of the last merge, no two lines of a disconnectivity tree cross.
    """
    groups: dict[int, tuple[int, ...]] = {i: (i,) for i in range(len(energies))}
    found = []
    for i, j in spanning_tree(heights):
        lowest = lambda group: energies[list(group)].min()
        left, right = sorted((groups[i], groups[j]), key=lowest)
        found.append(Merge(float(heights[i, j]), left, right))
        groups |= dict.fromkeys(left + right, left + right)
    return found


def order(energies: np.ndarray, heights: np.ndarray) -> list[int]:
    """All minima in an order in which every group of every merge stands together."""
    groups: dict[tuple[int, ...], None] = {(i,): None for i in range(len(energies))}
    for merge in merges(energies, heights):
        del groups[merge.left], groups[merge.right]
        groups[merge.left + merge.right] = None
    return [i for group in sorted(groups, key=lambda g: energies[list(g)].min()) for i in group]


def bars(energies: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(minimum, 2) levels at which each component appears and joins one with a lower minimum.

    The deepest component of every tree never ends: its death is infinite.
    """
    found = np.stack([energies, np.full(len(energies), np.inf)], axis=1).astype(float)
    for merge in merges(energies, heights):
        right = list(merge.right)
        found[right[int(np.argmin(energies[right]))], 1] = merge.height
    return found


def components(energies: np.ndarray, heights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(level,) groups of minima at or below each level that no path found joins below it.

    An upper bound: a lower path that was not found would join some of them.
    """
    births, deaths = bars(energies, heights).T
    levels = np.asarray(levels, float)[:, None]
    return (births <= levels).sum(axis=1) - (deaths <= levels).sum(axis=1)
