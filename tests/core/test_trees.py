"""Spanning trees and ultrametrics against brute force and against SciPy."""

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import squareform

from landscape_cli.core.trees import (
    bars,
    bounds,
    components,
    merges,
    next_pairs,
    order,
    side,
    spanning_tree,
)


def graph(count, seed, missing=0.0):
    """Random minima, and heights above both ends of every pair."""
    draws = np.random.default_rng(seed)
    energies = draws.uniform(0, 1, count)
    upper = np.triu(draws.uniform(0.5, 3, (count, count)), 1)
    heights = upper + upper.T + np.maximum(energies[:, None], energies)
    gone = np.triu(draws.uniform(size=(count, count)) < missing, 1)
    heights[gone | gone.T] = np.inf
    np.fill_diagonal(heights, np.inf)
    return energies, heights


def lowest_chain(heights, start, end):
    """The bound by looking at every chain without repetition."""
    inner = [i for i in range(len(heights)) if i not in (start, end)]
    best = np.inf
    for size in range(len(inner) + 1):
        for chain in permutations(inner, size):
            steps = [start, *chain, end]
            best = min(best, max(heights[a, b] for a, b in pairwise(steps)))
    return best


@pytest.mark.parametrize("missing", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_those_of_all_chains(seed, missing):
    _, heights = graph(6, seed, missing)
    found = bounds(heights)
    for start, end in combinations(range(6), 2):
        assert found[start, end] == found[end, start] == lowest_chain(heights, start, end)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_an_ultrametric(seed):
    _, heights = graph(15, seed, missing=0.5)
    found = bounds(heights)
    assert (found <= heights).all()
    for a, b, c in permutations(range(15), 3):
        assert found[a, c] <= max(found[a, b], found[b, c])


@pytest.mark.parametrize("seed", range(4))
def test_the_tree_against_scipy(seed):
    energies, heights = graph(12, seed)
    edges = spanning_tree(heights)
    full = np.where(np.eye(12, dtype=bool), 0, heights)
    other = minimum_spanning_tree(full)
    weights = heights[tuple(edges.T)]
    assert len(edges) == 11 and (np.diff(weights) >= 0).all()
    assert weights.sum() == pytest.approx(other.sum(), rel=1e-12)
    # The bounds of a graph are the levels at which single linkage joins its points.
    joined = cophenet(linkage(squareform(full), "single"))
    upper = np.triu_indices(12, 1)
    np.testing.assert_allclose(bounds(heights)[upper], joined, rtol=1e-12)
    assert np.allclose([merge.height for merge in merges(energies, heights)], weights)


def test_cutting_an_edge_leaves_two_sides():
    _, heights = graph(9, 5)
    edges = spanning_tree(heights)
    for edge, (first, second) in enumerate(edges):
        left = side(9, edges, edge)
        assert left[first] and not left[second]
        rest = np.delete(edges, edge, axis=0)
        assert (left[rest[:, 0]] == left[rest[:, 1]]).all(), "no other edge crosses"


@pytest.mark.parametrize("missing", [0.0, 0.6])
def test_components_are_those_of_the_graph_below_a_level(missing):
    energies, heights = graph(10, 7, missing)
    levels = np.sort(np.concatenate([energies, heights[np.isfinite(heights)], [-1.0, 99.0]]))
    counted = []
    for level in levels:
        below = np.flatnonzero(energies <= level)
        joined = (heights <= level)[np.ix_(below, below)]
        counted.append(connected_components(joined, directed=False)[0] if len(below) else 0)
    np.testing.assert_array_equal(components(energies, heights, levels), counted)


def test_bars_by_hand():
    # 0 joins 1 at 2, both join 2 at 5; the deepest is 1.
    energies = np.array([1.0, 0.0, 0.5])
    heights = np.array([[np.inf, 2, 6], [2, np.inf, 5], [6, 5, np.inf]])
    np.testing.assert_array_equal(bars(energies, heights), [[1, 2], [0, np.inf], [0.5, 5]])
    first, second = merges(energies, heights)
    assert first == (2.0, (1,), (0,)) and second == (5.0, (1, 0), (2,))
    assert order(energies, heights) == [1, 0, 2]
    np.testing.assert_array_equal(
        components(energies, heights, np.array([-0.1, 0, 0.5, 1, 2, 5])), [0, 1, 2, 3, 2, 1]
    )


def test_every_group_stands_together():
    energies, heights = graph(14, 3, missing=0.85)
    line = order(energies, heights)
    assert sorted(line) == list(range(14))
    for merge in merges(energies, heights):
        places = sorted(line.index(i) for i in merge.left + merge.right)
        assert places == list(range(places[0], places[-1] + 1))


def explore(energies, heights, distances, most, first):
    """Try pairs until there is none left to try; the heights of those that were tried."""
    seen = np.full(heights.shape, np.inf)
    tried = np.zeros(heights.shape, bool)
    pairs, spent = first, 0
    while pairs:
        for i, j in pairs:
            assert not tried[i, j], "no pair is tried twice"
            tried[i, j] = tried[j, i] = True
            seen[i, j] = seen[j, i] = heights[i, j]
            spent += 1
        pairs = next_pairs(energies, seen, tried, distances, most)
        assert len(pairs) <= most
    return seen, spent


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_exploring_ends_with_the_bounds_of_the_whole_graph(seed, most):
    """Whatever is left untried cannot lower any bound."""
    energies, heights = graph(8, seed)
    star = [(0, i) for i in range(1, 8)]
    distances = np.random.default_rng(9).uniform(size=(8, 8))
    seen, spent = explore(energies, heights, distances + distances.T, most, star)
    np.testing.assert_array_equal(bounds(seen), bounds(heights))
    assert spent <= 28


def test_pairs_that_cannot_help_are_not_tried():
    """Minima 1 and 2 lie at 3, the tree at 3: every bound is tight after the star."""
    energies = np.array([0.0, 3.0, 3.0])
    heights = np.full((3, 3), np.inf)
    heights[0, 1] = heights[1, 0] = heights[0, 2] = heights[2, 0] = 3.0
    tried = np.isfinite(heights)
    assert next_pairs(energies, heights, tried, np.ones((3, 3)), 5) == []
    assert next_pairs(energies - 1, heights, tried, np.ones((3, 3)), 5) == [(1, 2)]
    assert next_pairs(energies - 0.01, heights, tried, np.ones((3, 3)), 5, tight=0.01) == []


def test_unjoined_minima_come_first_and_the_nearest_of_them():
    energies, heights = np.zeros(4), np.full((4, 4), np.inf)
    heights[0, 1] = heights[1, 0] = 1.0
    tried = np.isfinite(heights)
    tried[0, 2] = tried[2, 0] = True  # in vain
    distances = np.array([[0, 1, 1, 9], [1, 0, 5, 8], [1, 5, 0, 4], [9, 8, 4, 0.0]])
    assert next_pairs(energies, heights, tried, distances, 2) == [(2, 3), (1, 2)]


def test_a_single_minimum_has_no_tree():
    one = np.full((1, 1), np.inf)
    assert spanning_tree(one).shape == (0, 2) and merges(np.zeros(1), one) == []
    np.testing.assert_array_equal(bars(np.zeros(1), one), [[0, np.inf]])
    assert next_pairs(np.zeros(1), one, np.zeros((1, 1), bool), one, 3) == []
