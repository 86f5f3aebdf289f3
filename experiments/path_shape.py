"""What shape has a path between two networks, and how long is it when length means something else?

Join pairs at every level as `geodesic` does; then measure every string: how it turns at its
beads, how these are spaced, the Hessian along its tangent, the plane it mostly lies in. Its length
over that of the chord is taken in several metrics:

    all       every parameter counts alike
    weights   biases do not count
    filters   each filter's change relative to its norm at the ends (after Li and others, 2018)
    outputs   root mean square change of the network's outputs
    modulo G  each bead is first moved to the copy that gauge G finds closest to the bead before;
              so is the end, for the chord

Measured by outputs the chord need not be the shortest path: a ratio below 1 says that it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from landscape_cli.experiments.geodesic import Geodesic  # pyright: ignore[reportMissingImports]

from landscape_cli.contracts import Experiment, Gauge, Record
from landscape_cli.copies import copies, gauges_of
from landscape_cli.core import string
from landscape_cli.core.curvature import along
from landscape_cli.core.outputs import output_steps
from landscape_cli.core.shape import (
    curvatures,
    filter_lengths,
    principal,
    refined,
    tangents,
    turning_angles,
)
from landscape_cli.core.surface import Surface
from landscape_cli.estimate import Estimate
from landscape_cli.models.base import weight_mask
from landscape_cli.models.layout import Layout
from landscape_cli.networks import joined_surface, surface_of
from landscape_cli.ranges import check_counts
from landscape_cli.records.geodesic import CONNECTED_STATES, Geodesics
from landscape_cli.records.shapes import Shapes
from landscape_cli.records.strings import Strings
from landscape_cli.setup import Setup

Measure = Callable[[np.ndarray, int], float]  # (bead, param), pieces of a segment -> length


@dataclass(frozen=True)
class PathShape(Experiment):
    """Turning, spacing, curvature and length of strings (metrics after Li and others, 2018)."""

    reference: ClassVar[str] = """@inproceedings{li2018visualizing,
  title = {Visualizing the Loss Landscape of Neural Nets},
  author = {Li, Hao and Xu, Zheng and Taylor, Gavin and Studer, Christoph and Goldstein, Tom},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2018},
  eprint = {1712.09913},
}"""
    unused: ClassVar[Mapping[str, str]] = {"methods": "it has one method"}
    paired: bool = True  # one training run crosses every level; False: new networks for each
    pieces: int = 4  # of a segment, where lengths change within it: outputs
    examples: int = 256  # that outputs are compared on, at most

    def __post_init__(self) -> None:
        check_counts(self, "pieces", "examples")

    def run(self, setup: Setup) -> Iterator[Record]:
        """The strings of `geodesic`, each measured as it comes."""
        surface, _ = joined_surface(setup)
        metrics = self._metrics(setup, surface)
        record = Shapes.empty(
            setup.pairs, setup.levels, list(metrics),
            model=setup.called("model"), data=setup.dataset.name,
            functional=setup.functional.describe(), unit=setup.functional.unit,
            method=setup.called("method"), gauge=setup.called("gauge"), seed=setup.seed,
        )  # fmt: skip
        seen: dict[tuple[int, int], tuple[int, float]] = {}
        rows: Geodesics | None = None
        for part in Geodesic(paired=self.paired).run(setup):
            yield part
            rows = part if isinstance(part, Geodesics) else rows
            if isinstance(part, Strings) and rows is not None:
                self._measure(surface, metrics, record, rows, part, seen)
                yield record

    def plan(self, setup: Setup) -> Estimate:
        """Bytes and evaluations of the strings of all pairs and levels."""
        return Geodesic(paired=self.paired).plan(setup)

    def _measure(self, surface: Surface, metrics, record: Shapes, rows, strings, seen) -> None:
        """Measure the strings that are new, or were replaced by better ones."""
        states = rows.data["state"].values
        for pair, level in map(tuple, np.argwhere(strings.data["bead_count"].values > 0)):
            beads = strings.beads(pair, level)
            mark = len(beads), float(string.length(beads))
            if seen.get((pair, level)) == mark or not np.isfinite(beads).all():
                continue
            seen[pair, level] = mark
            directions = tangents(beads)
            coordinates, parts = principal(beads)
            record.fill(
                pair, level, connected=states[pair, level] in CONNECTED_STATES,
                position=string.arclength(beads), energy=surface.energies(beads),
                turning=turning_angles(beads), curvature=curvatures(beads),
                hessian=along(surface, beads, directions), coordinates=coordinates, parts=parts,
                lengths={name: self._lengths(measure, beads) for name, measure in metrics.items()},
            )  # fmt: skip

    def _lengths(self, measure: Measure, beads: np.ndarray) -> tuple[float, float]:
        """The string's length, and that of its chord, looked at as finely."""
        chord = beads[[0, -1]]
        return measure(beads, self.pieces), measure(chord, self.pieces * (len(beads) - 1))

    def _metrics(self, setup: Setup, surface: Surface) -> dict[str, Measure]:
        """What measures a string in every metric that this model has."""
        found: dict[str, Measure] = {"all": lambda beads, pieces: float(string.length(beads))}
        network = surface.network
        if network is None:
            return found
        params = network.layout.size  # coordinates behind them are statistics
        mask = weight_mask(setup.model, setup.dataset)
        filters = filters_of(network.layout)

        def by_filters(beads: np.ndarray, pieces: int) -> float:
            return float(filter_lengths(beads[:, :params], filters).sum())

        def by_outputs(beads: np.ndarray, pieces: int) -> float:
            return float(output_steps(surface, refined(beads, pieces), self.examples).sum())

        found["weights"] = lambda beads, pieces: float(string.length(beads[:, :params], mask))
        found |= {"filters": by_filters, "outputs": by_outputs}
        for name, gauge in gauges_of(setup).items():
            if gauge is not None:
                found[f"modulo {name}"] = _modulo(setup, gauge, params)
        return found


def _modulo(setup: Setup, gauge: Gauge, params: int) -> Measure:
    """Lengths of steps to the copy of each bead that is closest to the bead before."""

    def measure(beads: np.ndarray, pieces: int) -> float:
        before, after = beads[:-1, :params], beads[1:, :params]
        moved = copies(setup, gauge, surface_of(setup), before, after)
        return float(np.linalg.norm(moved - before, axis=1).sum())

    return measure


def filters_of(layout: Layout) -> np.ndarray:
    """(param,) the filter of every parameter: the weights into one unit or channel; -1 for none.

    Kernels have their outputs last, (input, output) or (height, width, input, output); biases and
    the scales of norms belong to no filter.
    """
    found, count = [], 0
    for shape in layout.shapes:
        last = shape[-1] if len(shape) > 1 else 0
        numbers = count + np.arange(last) if last else np.array(-1)
        found.append(np.broadcast_to(numbers, shape).ravel())
        count += last
    return np.concatenate(found)
