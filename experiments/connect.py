"""How is one pair of networks joined? Every method, in every gauge, under one check.

Train networks down to the lowest level; join pairs of them by each of `methods`, as they are and
with the second moved to the copy that each of `gauges` chooses. A method that looks for a low path
whatever the level is asked once, and its string is judged against every level; the others are
asked at every level. Heights are those of the dense check of every segment on all the data.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from landscape_cli.contracts import Experiment, PathMethod, Record
from landscape_cli.copies import copies, gauges_of
from landscape_cli.core import string
from landscape_cli.core.judge import rejudged
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peak
from landscape_cli.errors import UserError, nearest
from landscape_cli.estimate import Estimate
from landscape_cli.models.base import named_arrays
from landscape_cli.networks import estimate, joining, known_ends, say_missed, surface_of, trained
from landscape_cli.pace import Pace
from landscape_cli.ranges import check_counts
from landscape_cli.records.connections import Connections
from landscape_cli.records.geodesic import CONNECTED_STATES
from landscape_cli.records.paths import Paths
from landscape_cli.setup import Setup
from landscape_cli.splits import both_splits, own_split

LEGEND = (
    "medians over pairs, lengths of connected ones; level: the lowest at which most connect; "
    "barrier: above the mean of both ends; gradients and seconds: mean of a pair, all levels"
)
COLUMNS = {  # of the table in the terminal: number of the summary -> heading
    "level": "level",
    "connected": "connected",
    "height": "height",
    "integral": "integral",
    "normalized_length": "length",
    "output_length": "in outputs",
    "gradient_evaluations": "gradients",
    "seconds": "seconds",
}
COUNTED = ("gradient_evaluations", "energy_evaluations")


@dataclass(frozen=True)
class Task:
    """What is joined, and where results go."""

    surfaces: dict[str, Surface]  # the run's own first
    starts: np.ndarray  # (pair, param)
    ends: np.ndarray  # (pair, param), moved by the gauge
    record: Connections
    paths: Paths
    gauge: int

    @property
    def surface(self) -> Surface:
        """The surface that strings are on."""
        return next(iter(self.surfaces.values()))


@dataclass(frozen=True)
class Connect(Experiment):
    """All methods side by side, in all gauges."""

    reference: ClassVar[str] = ""
    methods: tuple[str, ...] = ()  # names among those composed; none: all of them
    networks: int = 0  # join all pairs of so many networks; 0: `pairs` pairs of two each
    dense: int = 20  # points per segment where other splits are looked at

    def __post_init__(self) -> None:
        check_counts(self, "dense")
        if self.networks == 1 or self.networks < 0:
            raise ValueError(f"networks must be 0 or at least 2, got {self.networks}")
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods must differ from one another, got {list(self.methods)}")

    def run(self, setup: Setup) -> Iterator[Record]:
        """Train, then every gauge and method in turn."""
        methods = self._methods(setup)
        surfaces, lift = both_splits(setup)
        own = own_split(setup)
        surfaces = {own: surfaces[own]} | surfaces
        pairs, networks = self._pairs(setup), self._networks(setup)
        first, second = np.array(pairs).reshape(-1, 2).T
        record = Connections.empty(
            list(gauges_of(setup)), list(methods), pairs, setup.levels, list(surfaces),
            model=setup.called("model"), data=setup.dataset.name,
            functional=setup.functional.describe(), unit=setup.functional.unit,
            seed=setup.seed,
        )  # fmt: skip
        dimension = lift(networks[:1]).shape[1]
        paths = Paths.empty(dimension, surfaces[own].dtype, named_arrays(surfaces[own]))
        reached = np.asarray(np.isfinite(networks).all(axis=1))
        for gauge, (name, chosen) in enumerate(gauges_of(setup).items()):
            good = np.flatnonzero(reached[first] & reached[second])
            starts, ends = networks[first], networks[second].copy()
            ends[good] = copies(setup, chosen, surface_of(setup), starts[good], ends[good])
            task = Task(surfaces, lift(starts), lift(ends), record, paths, gauge)
            for number, (word, method) in enumerate(methods.items()):
                asked = 1 if method.level_free else len(setup.levels)
                total = len(good) * asked
                setup.progress.phase(f"{word}, gauge {name}", total=total, unit="strings")
                try:
                    yield from self._join(setup, task, number, method, good)
                except UserError as error:
                    if self.methods:  # asked for by name
                        raise
                    setup.progress.message(f"{word} is left out: {error}")
                    record.leave_out(gauge, number)
                yield record
                yield paths
        for line in table(record):
            setup.progress.message(line)

    def plan(self, setup: Setup) -> Estimate:
        """Bytes of the greediest method, evaluations of all of them in all gauges."""
        pairs, levels = len(self._pairs(setup)), len(setup.levels)
        methods = self._methods(setup).values()
        for method in methods:  # refused here, before any work
            setup.warm_start_for(method, anywhere=method.level_free)
        joinings = []
        for method in methods:
            try:
                joinings.append(joining(setup, pairs, 1 if method.level_free else levels, method))
            except UserError:
                if self.methods:  # asked for by name; else the run leaves it out
                    raise
        return estimate(setup, joinings * len(gauges_of(setup)), self._trained(setup), levels)

    def _trained(self, setup: Setup) -> int:
        """How many networks are trained; none where the model has ends of its own.

        Raises:
            UserError: it has, and so many networks were asked for.
        """
        if known_ends(setup) is None:
            return self.networks or 2 * setup.pairs
        if self.networks:
            raise UserError(
                f"experiment.networks={self.networks}: {setup.called('model')} has ends "
                "of its own; choose pairs"
            )
        return 0

    def _methods(self, setup: Setup) -> dict[str, PathMethod]:
        """The chosen methods by name, without those that this model has no use for."""
        known = setup.methods or {setup.called("method"): setup.method}
        for name in self.methods:
            if name not in known:
                raise UserError(
                    f"experiment.methods={name}: not among the methods of this run; choose from "
                    f"{', '.join(known)}{nearest(name, known)}, or add it with "
                    f"+method@methods.{name}={name}"
                )
        chosen = {name: known[name] for name in self.methods or known}
        if known_ends(setup) is not None:
            chosen = {name: m for name, m in chosen.items() if not m.needs_network}
        return chosen

    def _pairs(self, setup: Setup) -> list[tuple[int, int]]:
        if self.networks:
            return list(combinations(range(self.networks), 2))
        return [(2 * pair, 2 * pair + 1) for pair in range(setup.pairs)]

    def _networks(self, setup: Setup) -> np.ndarray:
        """(network, param) at the lowest level; NaN for those that did not get there."""
        count, known = self._trained(setup), known_ends(setup)
        if known is not None:
            return np.stack(known, axis=1).reshape(-1, known[0].shape[1])
        found = trained(setup, count, setup.levels)
        say_missed(setup, found)
        return found.thetas[:, -1]

    def _join(
        self, setup: Setup, task: Task, number: int, method: PathMethod, good: np.ndarray
    ) -> Iterator[Record]:
        """Join all good pairs by one method and fill its rows, as strings come."""
        levels = np.asarray(setup.levels)
        for pair in np.setdiff1d(np.arange(len(task.starts)), good):
            for level in range(len(levels)):
                task.record.fill(task.gauge, number, pair, level, state="end not reached")
        if not len(good):
            return
        # One string for all levels, or one at each.
        asked = np.array([np.inf]) if method.level_free else levels
        pair, which = np.repeat(good, len(asked)), np.tile(np.arange(len(asked)), len(good))
        strings = setup.connect(
            task.surface, task.starts[pair], task.ends[pair], asked[which], pair, method
        )
        found: dict[int, Found] = {}
        pace, spent, began = Pace(), 0.0, time.perf_counter()
        for news in pace.through(strings):
            spent += time.perf_counter() - began
            if news is not None:
                row, result = news
                found[row] = result
                some = range(len(levels)) if method.level_free else [which[row]]
                self._fill(task, number, int(pair[row]), some, levels, result)
                setup.progress.update(len(found))
            if pace.due():
                yield task.record
                yield task.paths
            began = time.perf_counter()
        for one in good:
            own = [result for row, result in found.items() if pair[row] == one]
            costs = {name: sum(getattr(each, name) for each in own) for name in COUNTED}
            for level in range(len(levels)):
                task.record.fill(
                    task.gauge, number, one, level, seconds=spent / len(good), **costs
                )

    def _fill(self, task: Task, number: int, pair: int, some, levels, found: Found) -> None:
        record, beads = task.record, found.beads
        finite = bool(np.isfinite(beads).all())
        values = measured(task.surfaces, found, record.data["t"].values, self.dense)
        # A method may come back to a pair with a better string.
        before = int(record.data["string"].values[task.gauge, number, pair, some[0]])
        values["string"] = task.paths.add(beads, before, found.saddles) if finite else -1
        for level in some:
            state = rejudged(found, levels[level])
            connected = state in CONNECTED_STATES
            own = values["length"] / values["chord"] if values["chord"] > 0 else 1.0
            record.fill(
                task.gauge, number, pair, level, **values, state=state,
                normalized_length=own if connected else np.nan,
            )  # fmt: skip


def measured(
    surfaces: dict[str, Surface], found: Found, t: np.ndarray, dense: int
) -> dict[str, Any]:
    """Lengths, and on every split the height, barrier, integral and profile of a path.

    The barrier is the height above the mean of the two ends (Ainsworth and others, 2023); the
    integral is the mean energy over arclength.
    """
    beads = found.beads
    profiles = [surface.energies(string.at(beads, t)) for surface in surfaces.values()]
    peaks = [found.peak] + [peak(s, beads, dense).energy for s in list(surfaces.values())[1:]]
    ends = [(profile[0] + profile[-1]) / 2 for profile in profiles]
    return dict(
        peak=found.peak, length=float(string.length(beads)), chord=found.chord,
        output_length=found.output_length, kkt_residual=found.kkt_residual,
        length_change=found.length_change, beads=len(beads),
        height=peaks, barrier=np.subtract(peaks, ends),
        integral=[np.trapezoid(profile, t) for profile in profiles], profile=profiles,
    )  # fmt: skip


def table(record: Connections) -> list[str]:
    """The rows of the summary in aligned columns, one line for every gauge and method."""
    rows = [(gauge, method, record.numbers(part)) for gauge, method, part in record.rows()]
    if not rows:
        return []
    every = dict.fromkeys(name for *_, numbers in rows for name in numbers)
    names = [name for name in every if name in COLUMNS or name.startswith("barrier")]
    cells = [["gauge", "method", *[COLUMNS.get(name, name.replace("_", " ")) for name in names]]]
    for gauge, method, numbers in rows:
        values = [numbers.get(name, np.nan) for name in names]
        words = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in values]
        cells.append([gauge, method, *words])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [LEGEND] + [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
