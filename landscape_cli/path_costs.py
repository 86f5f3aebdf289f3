"""What strings of every method may need, by its settings: bytes and evaluations; see `Cost`.

Bytes are those of the largest strings the settings allow; evaluations are given for the usual way
of a string (pulled taut, doubled once) and for one that takes every way round.
"""

from __future__ import annotations

import numpy as np

from landscape_cli.contracts import Cost
from landscape_cli.core import band, dropout, output_path
from landscape_cli.core.curve_training import Bending, together
from landscape_cli.core.descent import free
from landscape_cli.core.feasible import Search
from landscape_cli.core.sampling import Sampling
from landscape_cli.core.surface import Surface
from landscape_cli.core.tighten import bytes_of
from landscape_cli.core.verdict import LONGEST

DESCENT = 7  # copies of a point that descends: position, moments, gradient, and what replaces them
FAR = 20  # normalized length that a path of a proof may have: it visits networks of half the units
LONG = 3  # normalized length that a string is taken to have at most, where it is judged
SHORTCUT = 32  # energies of a look past a bead


def taut_cost(surface: Surface, search: Search, pairs: int, levels: int) -> Cost:
    """Of strings that are sampled, pulled taut and doubled (core/geodesic.py)."""
    settings = search.tightening
    pool = levels if search.every_start else 1
    sampled = sampled_cost(surface, search.sampling, search.dense, pairs, pool)
    together = pairs if search.continuation else pairs * levels
    counts = bead_counts(search)
    item = np.dtype(surface.dtype).itemsize
    moved = lambda segments: (
        bytes_of(settings, together, segments, surface.dimension, item)
        # What the host holds of strings on their way: before doubling, doubled, as they come out.
        + 3 * together * segments * surface.dimension * item
    )
    points = [segments * settings.samples - 1 for segments in counts]
    evaluations = settings.evaluations
    starts = (2 if search.every_start else 1) + search.continuation  # sample, chord, level above
    tried = starts if search.every_start else 1
    usual = evaluations * (tried * points[0] + 2 * points[1])
    # Once more inside a stiff wall, twice the evaluations for doubled beads, and two more rounds
    # of those that peek out. All of it from every start, and from a level below.
    rounds = starts + search.continuation
    most = rounds * evaluations * (2 * points[0] + 4 * sum(points[1:]))
    dense = search.dense
    return Cost(
        bytes=max(moved(counts[-1]), sampled.bytes),
        least=moved(counts[1]),
        kept=pairs * levels * (counts[-1] + 1) * surface.dimension * item,
        gradients=usual,
        most=most + sampled.most,
        energies=looks(dense, 1, length=1) + looks(dense, counts[1]),
        most_energies=sampled.most_energies
        + 3 * rounds * sum(looks(dense, segments) for segments in counts[1:]),
        change="method.max_beads, method.samples, method.history or pairs",
        of="energy",
    )


def bead_counts(search: Search) -> list[int]:
    """Segments of a string every time it is pulled: doubled at least once."""
    counts = [search.segments, 2 * search.segments]
    while 2 * counts[-1] + 1 <= search.max_beads:
        counts.append(2 * counts[-1])
    return counts


def sampled_cost(
    surface: Surface, sampling: Sampling, dense: int, pairs: int, levels: int
) -> Cost:
    """Of strings of Dynamic String Sampling, whose beads take all of their steps.

    On the usual way one bead a round; at most every segment gets one, and all of them are kicked.
    """
    beads = min(sampling.max_beads, 2**sampling.depth + 1)
    size = beads * surface.point_bytes
    most = (2 if sampling.kick else 1) * max(beads - 2, 0)  # descents
    usual = min(sampling.depth, most)
    steps = sampling.bead_steps
    seen = 0 if free(surface) else steps  # energies apart from the gradients
    seen = seen if sampling.every is None else -(-steps // sampling.every)
    return Cost(
        # All strings in one pool, and half of their beads, the newest, in descent.
        bytes=pairs * levels * size * (2 + DESCENT) // 2,
        least=0,
        kept=pairs * levels * size,
        gradients=usual * steps,
        most=most * steps,
        energies=usual * (seen + 2 * sampling.points) + looks(dense, usual + 1),
        most_energies=most * seen
        + (2 * sampling.points + SHORTCUT) * beads
        + (sampling.depth + 1) * looks(dense, beads),
        change="method.max_beads, method.depth, pairs or levels",
        of="loss" if sampling.every is None else "batch",
    )


def chord_cost(surface: Surface, dense: int, pairs: int, levels: int) -> Cost:
    """Of chords that are judged."""
    point = surface.point_bytes
    energies = looks(dense, 1, length=1)
    kept = 2 * pairs * levels * point
    return Cost(dense * point, dense * point, kept, 0, 0, energies, energies, "method.dense")


def band_cost(
    surface: Surface, beads: int, gradients: int, energies: int, dense: int, pairs: int,
    levels: int, most: int = 0,
) -> Cost:  # fmt: skip
    """Of strings of at most `beads` that are moved together, as many as fit, and judged."""
    strings, point = pairs * levels, surface.point_bytes
    moved = band.together(surface, beads, strings) * band.COPIES * beads * point
    energies += looks(dense, beads - 1)
    return Cost(
        moved, moved, strings * beads * point, gradients, most or gradients, energies, energies,
        "method.beads or pairs",
    )  # fmt: skip


def curve_cost(surface: Surface, settings: Bending, pairs: int, levels: int) -> Cost:
    """Of curves that are trained together, as many as fit, and judged as polylines."""
    point = surface.point_bytes
    strings = pairs * levels
    gradients = settings.steps * settings.points
    looked = settings.looks * settings.seen
    energies = looked + looks(settings.dense, settings.beads - 1)
    moved = together(surface, settings, strings) * settings.held * point
    kept = strings * settings.beads * point
    return Cost(
        moved, moved, kept, gradients, gradients, energies, energies,
        "method.points or method.bends", "batch" if settings.batch else "loss",
    )  # fmt: skip


def output_cost(
    surface: Surface, beads: int, steps: int, dense: int, pairs: int, levels: int
) -> Cost:
    """Of strings of networks that are shortened in the space of outputs, as many as fit."""
    strings, point = pairs * levels, surface.point_bytes
    moved = output_path.together(surface, beads, strings) * output_path.bytes_of(surface, beads)
    gradients = steps * (beads - 2)
    energies = (steps + 1) * beads + looks(dense, beads - 1)
    return Cost(
        moved, moved, strings * beads * point, gradients, gradients, energies, energies,
        "method.beads or pairs",
    )  # fmt: skip


def route_cost(
    surface: Surface, layers: int, draws: int, dense: int, pairs: int, levels: int
) -> Cost:
    """Of paths of a proof, that are built one after another and judged."""
    point = surface.point_bytes
    beads = dropout.segments(layers) + 1
    energies = 2 * draws * layers + looks(dense, beads - 1, length=FAR)
    moved, kept = 3 * beads * point, pairs * levels * beads * point
    return Cost(moved, moved, kept, 0, 0, energies, energies, "pairs")


def looks(dense: int, segments: int, length: int = LONG) -> int:
    """Energies of one dense check: grid, beads, and three rounds around the three peaks.

    Of a string of normalized `length`, whose segments are looked at in pieces.
    """
    pieces = segments - 1 + round(length / LONGEST)
    return (dense + 1) * pieces + 3 * 3 * 2
