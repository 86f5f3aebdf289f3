"""What curves, strings in the space of outputs and paths of a proof may need; see `estimate`."""

from __future__ import annotations

import numpy as np

from landscape_cli.contracts import Cost
from landscape_cli.core import dropout, output_path
from landscape_cli.core.curve_training import Bending, together
from landscape_cli.core.surface import Surface
from landscape_cli.estimate import looks

FAR = 20  # normalized length that a path of a proof may have: it visits networks of half the units


def curve_cost(surface: Surface, settings: Bending, pairs: int, levels: int) -> Cost:
    """Of curves that are trained together, as many as fit, and judged as polylines."""
    point = surface.dimension * np.dtype(surface.dtype).itemsize
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
    strings, point = pairs * levels, surface.dimension * np.dtype(surface.dtype).itemsize
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
    point = surface.dimension * np.dtype(surface.dtype).itemsize
    beads = dropout.segments(layers) + 1
    energies = 2 * draws * layers + looks(dense, beads - 1, length=FAR)
    moved, kept = 3 * beads * point, pairs * levels * beads * point
    return Cost(moved, moved, kept, 0, 0, energies, energies, "pairs")
