"""How does the barrier between two networks change with their width, depth and training?

For every size: train pairs of networks down through all levels, and at each level join the two by
the chord, by the chord to the copies that gauges choose, and by the run's method. Training is
looked at as it goes: at every level the networks are those that just crossed it.

    barrier = highest energy on the path - mean of the energies of its ends
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from landscape_cli.contracts import Experiment, Gauge, PathMethod, Record
from landscape_cli.copies import copies, gauges_of
from landscape_cli.core.string import Found, length
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peak
from landscape_cli.errors import UserError
from landscape_cli.estimate import Estimate, Joining, repeated
from landscape_cli.networks import (
    estimate,
    joined_surface,
    joining,
    say_unreached,
    surface_of,
    trained,
)
from landscape_cli.path_costs import chord_cost
from landscape_cli.ranges import check_counts
from landscape_cli.records.barriers import Barriers
from landscape_cli.references import AINSWORTH
from landscape_cli.setup import Setup
from landscape_cli.sizes import resized, size_of
from landscape_cli.splits import both_splits, own_split


@dataclass(frozen=True)
class Way:
    """How pairs are joined.

    Attributes:
        gauge: moves the second network first; None: as it is.
        method: joins the two; None: the chord does.
    """

    gauge: Gauge | None = None
    method: PathMethod | None = None


@dataclass(frozen=True)
class BarrierScan(Experiment):
    """Barriers against size and training (Ainsworth, Hayase & Srinivasa, 2023)."""

    reference: ClassVar[str] = AINSWORTH
    unused: ClassVar[Mapping[str, str]] = {"methods": "it has one method besides the chord"}
    widths: tuple[int, ...] = (8, 32, 128)  # of every layer, at least 1; empty: the model's own
    depths: tuple[int, ...] = ()  # hidden layers or `depth`, at least 1; empty: the model's own
    dense: int = 50  # points for every sixth of a chord; for a segment of a path fewer: `_points`

    def __post_init__(self) -> None:
        check_counts(self, "dense")
        for name in ("widths", "depths"):
            values = getattr(self, name)
            if any(value < 1 for value in values):
                raise ValueError(f"{name} must be at least 1 each, got {list(values)}")
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must differ from one another, got {list(values)}")

    def run(self, setup: Setup) -> Iterator[Record]:
        """Every size in turn: train, then join in every way."""
        ways = self._ways(setup)
        models, widths, depths = self._models(setup)
        splits = list(both_splits(setup)[0])
        own = own_split(setup)
        splits.sort(key=lambda split: split != own)
        record = Barriers.empty(
            widths, depths, setup.levels, list(ways), splits, setup.pairs,
            model=setup.called("model"), data=setup.dataset.name,
            functional=setup.functional.describe(), unit=setup.functional.unit,
            gauge=setup.called("gauge"), seed=setup.seed,
        )  # fmt: skip
        record.data.attrs["parameters"] = 0  # no single number: networks of several sizes
        yield record
        for at, model in models.items():
            sized = _sized(setup, model)
            setup.progress.message(f"width {widths[at[0]]}, depth {depths[at[1]]}")
            yield from self._one_size(sized, ways, splits, record, at)

    def plan(self, setup: Setup) -> Estimate:
        """All sizes as if each had the most parameters: bytes of one, evaluations of all."""
        setup.warm_start_for(anywhere=True)  # refused here, before any work
        sized = [_sized(setup, model) for model in self._models(setup)[0].values()]
        largest = max(sized, key=lambda each: surface_of(each).dimension)
        levels = len(setup.levels)
        joinings = [self._joining(largest, way) for way in self._ways(setup).values()]
        return estimate(
            largest, repeated(joinings, len(sized)), 2 * setup.pairs, levels, len(sized)
        )

    def _joining(self, setup: Setup, way: Way) -> Joining:
        """All pairs of one size at all levels, in one way."""
        pairs, levels = setup.pairs, len(setup.levels)
        if way.method is not None:
            return joining(setup, pairs, levels, way.method)
        cost = chord_cost(joined_surface(setup)[0], self.dense, pairs, levels)
        return Joining(pairs * levels, cost)

    def _ways(self, setup: Setup) -> dict[str, Way]:
        """Every way to join a pair, by its name in the record.

        Raises:
            UserError: the run's method wants a level.
        """
        method, name = setup.method, setup.called("method")
        if not method.level_free:
            raise UserError(
                f"method: {name} looks inside a level set; barrier_scan wants one that looks for "
                "a low path whatever the level, such as method=auto_neb"
            )
        ways = {
            "chord" if gauge is None else f"chord, {word}": Way(gauge)
            for word, gauge in gauges_of(setup).items()
        }
        if not method.straight:  # the chord is there anyway
            ways[name] = Way(setup.gauge, method)
        return ways

    def _models(self, setup: Setup) -> tuple[dict[tuple[int, int], Any], list[int], list[int]]:
        """The network of every size by its place in the record; all widths; all depths.

        Raises:
            UserError: the model has no such size.
        """
        own_width, own_depth = size_of(setup.model)
        models = {
            (i, j): resized(setup.model, width, depth)
            for i, width in enumerate(self.widths or [None])
            for j, depth in enumerate(self.depths or [None])
        }
        return models, list(self.widths or [own_width]), list(self.depths or [own_depth])

    def _one_size(
        self, setup: Setup, ways: dict[str, Way], splits: list[str], record: Barriers, at
    ) -> Iterator[Record]:
        """Train the networks of one size and join them at every level."""
        surfaces, lift = both_splits(setup)
        surfaces = {split: surfaces[split] for split in splits}
        data = record.data
        run = trained(setup, 2 * setup.pairs, setup.levels)
        data["params"].values[at] = run.thetas.shape[-1]
        reached = (run.reached[::2] & run.reached[1::2]).T  # (level, pair)
        lost = (run.diverged[::2] | run.diverged[1::2]) & ~reached  # (level, pair)
        states = np.where(reached, "joined", np.where(lost, "diverged", "end not reached"))
        data["state"].values[at] = states
        level, pair = np.nonzero(reached)
        firsts, seconds = run.thetas[::2], run.thetas[1::2]  # (pair, level, param)
        starts = lift(firsts[pair, level])
        say_unreached(setup, reached.T, lost.T, run.lowest)
        if len(pair) == 0:
            yield record
            return
        for k, surface in enumerate(surfaces.values()):
            for e, thetas in enumerate((starts, lift(seconds[pair, level]))):
                data["end_energy"].values[(*at, level, k, pair, e)] = surface.energies(thetas)
        for m, (name, way) in enumerate(ways.items()):
            moved = copies(setup, way.gauge, surface_of(setup), firsts, seconds)
            ends = lift(moved[pair, level])
            setup.progress.phase(name, total=len(pair), unit="pairs")
            found = self._joined(setup, surfaces[splits[0]], starts, ends, pair, way)
            for row, path in enumerate(found):
                cell = (*at, level[row], m)
                self._fill(surfaces, record, cell, pair[row], path)
                setup.progress.update(row + 1)
            yield record

    def _joined(self, setup: Setup, surface: Surface, starts, ends, pair, way: Way) -> list:
        """The path of every row: its chord, or what the method finds whatever the level."""
        if way.method is None:
            return [np.stack(both) for both in zip(starts, ends, strict=True)]
        anywhere = np.full(len(pair), np.inf)
        found = dict(setup.connect(surface, starts, ends, anywhere, pair))
        return [found[row] for row in range(len(pair))]

    def _points(self, segments: int) -> int:
        """Points for every segment of a path: its share of `dense`, at least a tenth of it."""
        return max(self.dense // segments, -(-self.dense // 10))

    def _fill(self, surfaces: dict[str, Surface], record: Barriers, cell, pair: int, path) -> None:
        """Heights on every split; on the run's own a method's verdict is not asked again."""
        beads = path.beads if isinstance(path, Found) else path
        points = self._points(len(beads) - 1)
        ends = record.data["end_energy"].values[(*cell[:3], slice(None), pair)].mean(axis=-1)
        for k, surface in enumerate(surfaces.values()):
            known = isinstance(path, Found) and k == 0
            height = path.peak if known else peak(surface, beads, points).energy
            record.data["barrier"].values[(*cell, k, pair)] = height - ends[k]
        chord = float(length(beads[[0, -1]]))
        ratio = float(length(beads)) / chord if chord > 0 else 1.0
        record.data["normalized_length"].values[(*cell, pair)] = ratio
        spent = path.gradient_evaluations if isinstance(path, Found) else 0
        record.data["gradient_evaluations"].values[(*cell, pair)] = spent


def _sized(setup: Setup, model: Any) -> Setup:
    """The same run with another network; its data are loaded once for all sizes."""
    return replace(setup, model=model, made={"dataset": setup.dataset})
