"""How long is the shortest path between two trained networks that never leaves the level set?

Train pairs of networks down through all levels; at every level join the points where the two
first crossed it; measure length / |end - start|. A length of 1 says "as good as convex".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Dataset, Experiment, Record, Trajectories
from landscape_cli.copies import copies
from landscape_cli.core import string
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.estimate import Estimate
from landscape_cli.models.base import Lift, named_arrays, weight_mask
from landscape_cli.networks import (
    estimate,
    joined_surface,
    joining,
    known_ends,
    say_unreached,
    surface_of,
    trained,
)
from landscape_cli.pace import Pace
from landscape_cli.published import PUBLISHED, published
from landscape_cli.ranges import choose
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.strings import Strings
from landscape_cli.references import FREEMAN_BRUNA
from landscape_cli.setup import Setup

ONE_OF_EACH = {"methods": "it has one method", "gauges": "it has one gauge"}


@dataclass(frozen=True)
class Ends:
    """End points of every pair at every level.

    Attributes:
        starts: (pair, level, param); NaN where training did not reach the level.
        ends: (pair, level, param).
        start_energies: (pair, level).
        end_energies: (pair, level).
        diverged: (pair, level) training of one of them met a NaN or infinity on its way there.
    """

    starts: np.ndarray
    ends: np.ndarray
    start_energies: np.ndarray
    end_energies: np.ndarray
    diverged: np.ndarray

    def moved(self, lift: Lift) -> Ends:
        """The same ends in other coordinates, their energies unchanged."""
        return replace(self, starts=lift(self.starts), ends=lift(self.ends))

    def aligned(self, setup: Setup, surface: Surface, paired: bool) -> Ends:
        """Second ends moved by the run's gauge towards the first; outputs stay as they are.

        Where levels share their pairs, they share the copy chosen at the lowest.
        """
        pairs = self.starts if paired else self.starts.reshape(-1, self.starts.shape[2])
        ends = copies(setup, setup.gauge, surface, pairs, self.ends.reshape(pairs.shape))
        return replace(self, ends=ends.reshape(self.ends.shape))

    def reached(self, levels: np.ndarray) -> np.ndarray:
        """(pair, level) both ends lie inside; NaN does not."""
        return (self.start_energies <= levels) & (self.end_energies <= levels)


@dataclass(frozen=True)
class Geodesic(Experiment):
    """Normalized geodesic length against level (Freeman & Bruna, 2017)."""

    reference: ClassVar[str] = FREEMAN_BRUNA
    unused: ClassVar[Mapping[str, str]] = ONE_OF_EACH
    paired: bool = True  # one training run crosses every level; False: new networks for each
    metric: str = "all"  # all: weights and biases count as length; weights: weights only
    published: str = ""  # figure of a paper to lay over: see landscape_cli/published.py

    def __post_init__(self) -> None:
        choose("metric", self.metric, ("all", "weights"))
        if self.published:
            choose("published", self.published, PUBLISHED)

    def run(self, setup: Setup) -> Iterator[Record]:
        """Train, connect, measure."""
        dataset, surface = setup.dataset, surface_of(setup)
        joined, lift = joined_surface(setup)
        record, strings = self._empty_records(setup, dataset, joined)
        ends = self._ends(setup, surface, dataset, record)
        ends = ends.aligned(setup, surface, record.paired).moved(lift)
        yield record
        mask = self._counted(setup, dataset, surface.dimension, joined.dimension)
        yield from self._connect(setup, joined, ends, record, strings, mask)

    def plan(self, setup: Setup) -> Estimate:
        """Bytes and evaluations of the strings of all pairs and levels."""
        setup.warm_start_for()  # refused here, before any work
        strings, levels = [joining(setup, setup.pairs, len(setup.levels))], len(setup.levels)
        if known_ends(setup) is not None:
            return estimate(setup, strings, networks=0, levels=levels)
        if self.paired:
            return estimate(setup, strings, 2 * setup.pairs, levels)
        return estimate(setup, strings, 2 * setup.pairs, levels=1, trainings=levels)

    def _counted(self, setup: Setup, dataset: Dataset, params: int, coordinates: int):
        """(coordinate,) True for those that lengths count; None for all."""
        weights = self.metric == "weights"
        kept = weight_mask(setup.model, dataset) if weights else np.ones(params, bool)
        stored = np.full(coordinates - params, setup.bn == "coordinates")
        mask = np.concatenate([kept, stored])
        return None if mask.all() else mask

    def _empty_records(self, setup: Setup, dataset: Dataset, surface: Surface):
        overlay = published(self.published) if self.published else ""
        record = Geodesics.empty(
            setup.pairs, setup.levels, 2 * setup.pairs,
            model=setup.called("model"), data=dataset.name,
            functional=setup.functional.describe(), method=setup.called("method"),
            gauge=setup.called("gauge"),
            unit=setup.functional.unit, seed=setup.seed,
            plateaux=setup.functional.plateaux(dataset), published=overlay, paired=self.paired,
        )  # fmt: skip
        strings = Strings.empty(
            setup.pairs, setup.levels, surface.dimension, surface.dtype, named_arrays(surface),
            model=setup.called("model"), data=dataset.name,
            functional=setup.functional.describe(), unit=setup.functional.unit,
        )  # fmt: skip
        return record, strings

    def _ends(self, setup: Setup, surface: Surface, dataset: Dataset, record) -> Ends:
        known = known_ends(setup)
        if known is not None:  # the same ends at every level, whatever was asked for
            record.data.attrs["paired"] = "true"
            shape = (setup.pairs, len(setup.levels))
            thetas = [np.repeat(points[:, None], shape[1], 1) for points in known]
            energies = [np.repeat(surface.energies(p)[:, None], shape[1], 1) for p in known]
            never = np.zeros(shape, bool)
            return Ends(thetas[0], thetas[1], energies[0], energies[1], never)
        found, diverged = setup.once("networks", lambda: self._train(setup))
        record.set_training(found.curve_steps, found.curve)
        record.data["lowest_energy"].values[:] = found.lowest
        record.data["diverged"].values[:] = found.diverged
        record.data["start_network"].values[:] = np.arange(0, 2 * setup.pairs, 2)
        record.data["end_network"].values[:] = np.arange(1, 2 * setup.pairs, 2)
        thetas, energies = found.thetas, found.energies
        return Ends(
            thetas[::2], thetas[1::2], energies[::2], energies[1::2],
            diverged[::2] | diverged[1::2],
        )  # fmt: skip

    def _train(self, setup: Setup) -> tuple[Trajectories, np.ndarray]:
        """The networks, and (network, level) who diverged before."""
        count = 2 * setup.pairs
        if self.paired:
            found = trained(setup, count, setup.levels)
            return found, found.diverged[:, None] & ~found.reached
        runs = [trained(setup, count, (level,), i) for i, level in enumerate(setup.levels)]
        return _side_by_side(runs), np.stack([run.diverged for run in runs], axis=1)

    def _connect(
        self, setup: Setup, surface: Surface, ends: Ends, record: Geodesics, strings, mask
    ) -> Iterator[Record]:
        levels = np.asarray(setup.levels)
        reached = ends.reached(levels)
        for pair, level in np.argwhere(~reached):
            lost = ends.diverged[pair, level]
            record.fill(
                pair, level, state="end diverged" if lost else "end not reached",
                start_energy=ends.start_energies[pair, level],
                end_energy=ends.end_energies[pair, level],
            )  # fmt: skip
        rows = np.argwhere(reached)
        setup.progress.phase("strings", total=len(rows), unit="strings")
        say_unreached(setup, reached, ends.diverged, record.data["lowest_energy"].values)
        if len(rows) == 0:
            yield record
            return
        pair, level = rows.T
        # Networks trained anew for a level have nothing to do with the pair of the level above.
        names = pair if record.paired else np.arange(len(rows))
        found = setup.connect(
            surface, ends.starts[pair, level], ends.ends[pair, level], levels[level], names
        )
        done, pace = set(), Pace()
        for news in pace.through(found):
            if news is not None:
                index, result = news
                self._fill(surface, record, strings, pair[index], level[index], result, ends, mask)
                done.add(index)
                connected = int(record.data["connected"].values.sum())
                setup.progress.found(f"{connected} connected, level {result.level:g}")
                setup.progress.update(len(done))
            if pace.due():
                yield record
                yield strings
        yield record
        yield strings

    def _fill(self, surface, record, strings, pair, level, found: Found, ends, mask) -> None:
        beads = found.beads
        chord = float(string.chord_length(beads, mask))
        length = float(string.length(beads, mask)) if found.connected else np.nan
        record.fill(
            pair, level,
            state=found.state, length=length, chord=chord, beads=len(beads),
            normalized_length=length / chord if chord > 0 else 1.0,
            sampled_length=found.sampled_length, peak=found.peak,
            worst_segment=found.worst_segment, kkt_residual=found.kkt_residual,
            length_change=found.length_change,
            gradient_evaluations=found.gradient_evaluations,
            energy_evaluations=found.energy_evaluations, seconds=found.seconds,
            start_energy=ends.start_energies[pair, level],
            end_energy=ends.end_energies[pair, level],
            profile=surface.energies(string.at(beads, record.data["t"].values)),
        )  # fmt: skip
        strings.put(pair, level, beads)


def _side_by_side(runs: list[Trajectories]) -> Trajectories:
    """Runs that each crossed one level, as if they were one; curves of the lowest level's."""
    join = lambda name: np.concatenate([getattr(run, name) for run in runs], axis=1)
    return Trajectories(
        thetas=join("thetas"),
        energies=join("energies"),
        steps=join("steps"),
        lowest=np.min([run.lowest for run in runs], axis=0),
        curve_steps=runs[-1].curve_steps,
        curve=runs[-1].curve,
        diverged=np.any([run.diverged for run in runs], axis=0),
        gradient_evaluations=sum(run.gradient_evaluations for run in runs),
    )
