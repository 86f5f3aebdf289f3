"""What does the energy do along straight lines: from where training began, and between solutions?

    θ(α) = (1 - α) θ_begin + α θ_solution,   α from before the beginning to beyond the solution

Goodfellow, Vinyals & Saxe (2015) saw no obstacle on the first line and one on the second. Put into
numbers: the largest rise on the way (Lucas and others, 2021), the part of the line that is a
plateau, how far from the line training itself went, and the barrier between two solutions, of the
networks as they are and of the copies that the run's gauges choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Experiment, Record, Trajectories
from landscape_cli.copies import copies, gauges_of
from landscape_cli.core.shape import off_line
from landscape_cli.core.string import inside
from landscape_cli.core.surface import Surface
from landscape_cli.estimate import Estimate
from landscape_cli.models.base import Lift, initial_thetas
from landscape_cli.networks import estimate, known_ends, say_missed, surface_of, trained
from landscape_cli.pace import Pace
from landscape_cli.records.interpolations import Interpolations
from landscape_cli.references import GOODFELLOW
from landscape_cli.setup import Setup
from landscape_cli.splits import both_splits

LUCAS = """@inproceedings{lucas2021monotonic,
  title = {Analyzing Monotonic Linear Interpolation in Neural Network Loss Landscapes},
  author = {Lucas, James and Bae, Juhan and Zhang, Michael R. and Fort, Stanislav and
            Zemel, Richard and Grosse, Roger},
  booktitle = {International Conference on Machine Learning},
  year = {2021},
  eprint = {2104.11044},
}"""


@dataclass(frozen=True)
class Solutions:
    """Where networks began and where their training ended.

    Attributes:
        begins: (network, param) before training.
        ends: (network, param) where the lowest level was crossed; NaN where none was on the way.
        levels: (network,) that level, perhaps one that the network began below; NaN where none.
    """

    begins: np.ndarray
    ends: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(cls, begins: np.ndarray, found: Trajectories, levels: np.ndarray) -> Solutions:
        """The last crossings of `found`; where a network began is no solution."""
        last = found.reached.sum(axis=1) - 1  # levels fall, so that crossings have no gaps
        at = np.arange(len(last)), np.maximum(last, 0)
        moved = found.steps[at] > 0
        ends = np.where(moved[:, None], found.thetas[at], np.nan)
        return cls(begins, ends, np.where(last >= 0, levels[at[1]], np.nan))

    @property
    def found(self) -> np.ndarray:
        """(network,) whether there is a solution."""
        return np.asarray(np.isfinite(self.ends).all(axis=1))


@dataclass(frozen=True)
class Interpolation(Experiment):
    """Energies along straight lines (Goodfellow, Vinyals & Saxe, 2015)."""

    reference: ClassVar[str] = f"{GOODFELLOW}\n{LUCAS}"
    unused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("method", "methods", "warm_start"), "its lines are straight"
    )
    low: float = -1.0  # first α of the sparse grid, at most 0
    high: float = 2.0  # last α, at least 1
    points: int = 25  # of the sparse grid, at least 2
    dense: int = 101  # further points from 0 to 1, where everything is measured; at least 3
    plateau: float = 0.05  # part of the energy at α = 0 that a plateau may differ by; above 0

    def __post_init__(self) -> None:
        if not -np.inf < self.low <= 0:
            raise ValueError(f"low must be at most 0, got {self.low}")
        if not 1 <= self.high < np.inf:
            raise ValueError(f"high must be at least 1, got {self.high}")
        for name, least in (("points", 2), ("dense", 3)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.plateau < np.inf:
            raise ValueError(f"plateau must be positive, got {self.plateau}")

    @property
    def alphas(self) -> np.ndarray:
        """(alpha,) both grids in one, rising; 0 and 1 exactly among them."""
        both = [np.linspace(self.low, self.high, self.points), np.linspace(0, 1, self.dense)]
        return np.unique(np.round(np.concatenate(both), 12))

    def run(self, setup: Setup) -> Iterator[Record]:
        """Train, then look along the lines of every network and of every pair."""
        surfaces, lift = both_splits(setup)
        record = self._empty(setup, list(surfaces))
        count = 2 * setup.pairs
        key = setup.key("networks")
        begins = initial_thetas(setup.model, setup.dataset, key, count, setup.precision)
        found = trained(setup, count, setup.levels)
        solutions = Solutions.of(begins, found, np.asarray(setup.levels))
        record.set_networks(solutions.levels, found.diverged)
        say_missed(setup, found)
        self._follow(record, solutions, found)
        yield record
        yield from self._from_begins(setup, surfaces, lift, record, solutions)
        yield from self._between(setup, surfaces, lift, record, solutions)
        yield record

    def plan(self, setup: Setup) -> Estimate:
        """Bytes of training; lines take no more."""
        return estimate(setup, [], 2 * setup.pairs, len(setup.levels))

    def _empty(self, setup: Setup, splits: list[str]) -> Interpolations:
        return Interpolations.empty(
            2 * setup.pairs, setup.levels, splits, list(gauges_of(setup)), self.alphas,
            model=setup.called("model"), data=setup.dataset.name,
            functional=setup.functional.describe(), unit=setup.functional.unit,
            seed=setup.seed, precision=setup.precision, plateau=self.plateau,
        )  # fmt: skip

    def _follow(self, record: Interpolations, solutions: Solutions, found: Trajectories) -> None:
        """Where training was relative to the line, at every level it crossed."""
        for network in map(int, np.flatnonzero(solutions.found)):
            track = found.thetas[network]
            line = solutions.begins[network], solutions.ends[network]
            along, aside = off_line(track, *line)
            record.set_track(network, along, aside, float(np.linalg.norm(line[1] - line[0])))

    def _from_begins(
        self, setup: Setup, surfaces: dict[str, Surface], lift: Lift, record, solutions
    ) -> Iterator[Record]:
        rows = np.flatnonzero(solutions.found)
        setup.progress.phase("from the beginning", total=len(rows), unit="networks")
        pace = Pace()
        for done, network in enumerate(pace.through(rows), start=1):
            line = lift(np.stack([solutions.begins[network], solutions.ends[network]]))
            record.fill_network(network, self._energies(surfaces, *line))
            setup.progress.update(done)
            if pace.due():
                yield record

    def _between(
        self, setup: Setup, surfaces: dict[str, Surface], lift: Lift, record, solutions
    ) -> Iterator[Record]:
        known = known_ends(setup)
        starts, ends = (solutions.ends[::2], solutions.ends[1::2]) if known is None else known
        pairs = np.flatnonzero(np.isfinite(starts).all(1) & np.isfinite(ends).all(1))
        gauges = gauges_of(setup)
        setup.progress.phase("between solutions", len(pairs) * len(gauges), "lines")
        done, pace = 0, Pace()
        for name, gauge in gauges.items() if len(pairs) else ():
            moved = copies(setup, gauge, surface_of(setup), starts[pairs], ends[pairs])
            lines = zip(pairs, lift(starts[pairs]), lift(moved), strict=True)
            for pair, start, end in pace.through(lines):
                energies = self._energies(surfaces, start, end)
                record.fill_pair(name, pair, energies, float(np.linalg.norm(end - start)))
                done += 1
                setup.progress.update(done, name)
                if pace.due():
                    yield record

    def _energies(self, surfaces: dict[str, Surface], start, end) -> np.ndarray:
        """(split, alpha) energies on the line through `start` (α = 0) and `end` (α = 1)."""
        points = inside(start, end, self.alphas)
        points[self.alphas == 1] = end  # start + 1 (end - start) may miss it by a rounding
        return np.stack([surface.energies(points) for surface in surfaces.values()])
