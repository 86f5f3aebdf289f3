"""Which minima are joined below which energy? A tree of passes, from few connections.

Find minima; join every one to the lowest; then take the highest edges of the minimum spanning
tree and try, for each, another pair across the cut it leaves, until the budget is spent or no
pair left can lower the tree (Draxler, Veschgini, Salmhofer & Hamprecht, 2018, landscape
exploration). Between minima that were never joined directly the ultrametric bounds the pass,
max(L_AB, L_BC) >= L_AC. Heights are those of paths that were found, hence upper bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import numpy as np

from landscape_cli.contracts import Experiment, Record
from landscape_cli.copies import copies
from landscape_cli.core import string
from landscape_cli.core.descent import adam, descend
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.trees import next_pairs
from landscape_cli.errors import UserError
from landscape_cli.estimate import Estimate
from landscape_cli.models.base import ClosedForm, initial_thetas, named_arrays
from landscape_cli.networks import (
    estimate,
    joined_surface,
    joining,
    say_missed,
    surface_of,
    trained,
)
from landscape_cli.pace import Pace
from landscape_cli.ranges import check_counts, check_positive
from landscape_cli.records.minima import Connection, Minima
from landscape_cli.records.paths import Paths
from landscape_cli.references import DRAXLER
from landscape_cli.setup import Setup

SETTLE = 4000  # steps by which points of a closed form get to their minima
RATES = (1.0, 0.1, 0.01, 0.001)  # parts of the learning rate, one after the other


@dataclass(frozen=True)
class Descents:
    """Where the descents from random points ended.

    Attributes:
        states: (start,) "minimum", "copy" of a lower one, "not reached" or "diverged".
        minimum_of: (start,) the minimum each ended at; -1 for none.
        thetas: (minimum, param), the lowest first.
        energies: (minimum,).
    """

    states: list[str]
    minimum_of: np.ndarray
    thetas: np.ndarray
    energies: np.ndarray

    @classmethod
    def of(cls, thetas: np.ndarray, energies: np.ndarray, states: list[str], closest: float):
        """Keep one of all minima that lie within `closest` of one another: the lowest."""
        minimum_of = np.full(len(thetas), -1)
        kept: list[int] = []
        for start in np.argsort(energies, kind="stable"):
            if states[start] != "minimum":
                continue
            apart = np.linalg.norm(thetas[kept] - thetas[start], axis=1)
            if len(kept) and apart.min() <= closest:
                minimum_of[start] = int(apart.argmin())
                states[start] = "copy"
            else:
                minimum_of[start] = len(kept)
                kept.append(int(start))
        return cls(states, minimum_of, thetas[kept], energies[kept])


@dataclass(frozen=True)
class NetworkOfMinima(Experiment):
    """Landscape exploration by a minimum spanning tree (Draxler and others, 2018)."""

    reference: ClassVar[str] = DRAXLER
    unused: ClassVar[Mapping[str, str]] = {
        "methods": "it has one method",
        "gauges": "it has one gauge",
    }
    minima: int | None = None  # descents from random points, at least 2; null: 2 pairs
    connections: int | None = None  # most pairs to try; null: twice what joins all minima
    together: int = 4  # pairs of one round, one for each of the highest edges
    settle: int | None = None  # further steps after training; null: closed forms only
    learning_rate: float = 0.01  # of these steps; falls to a thousandth
    dedupe: float = 1e-3  # minima this close are one; at least 0
    tight: float = 1e-3  # a pass this part above the higher minimum is none; in [0, 1)

    def __post_init__(self) -> None:
        check_counts(self, "together")
        check_positive(self, "learning_rate")
        for name, least in (("minima", 2), ("connections", 1), ("settle", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not 0 <= self.dedupe < np.inf:
            raise ValueError(f"dedupe must be at least 0, got {self.dedupe}")
        if not 0 <= self.tight < 1:
            raise ValueError(f"tight must lie in [0, 1), got {self.tight}")

    def run(self, setup: Setup) -> Iterator[Record]:
        """Find minima, join them to the lowest, then round after round where the tree is high."""
        if not setup.method.level_free:
            name = setup.called("method")
            raise UserError(
                f"method: {name} looks inside a level set; network_of_minima wants one that looks "
                "for a low path whatever the level, such as method=auto_neb"
            )
        surface, lift = joined_surface(setup)
        found = self._descents(setup)
        thetas = lift(found.thetas) if len(found.thetas) else found.thetas
        distances = np.linalg.norm(thetas[:, None] - thetas, axis=-1)
        slopes = _slopes(surface, thetas)
        paths = Paths.empty(thetas.shape[1], surface.dtype, named_arrays(surface))
        budget = self._budget(len(thetas))

        def record(tried: list[Connection]) -> Minima:
            return Minima.of(
                found.states, found.minimum_of, found.energies, slopes, distances, tried,
                model=setup.called("model"), data=setup.dataset.name,
                functional=setup.functional.describe(), unit=setup.functional.unit,
                method=setup.called("method"), gauge=setup.called("gauge"),
                seed=setup.seed, most_connections=budget, tight=self.tight,
                levels=list(setup.levels),
            )  # fmt: skip

        tried: list[Connection] = []
        so_far = record(tried)
        yield so_far
        pairs = [(0, other) for other in range(1, len(thetas))][:budget]
        number = 0
        while pairs:
            setup.progress.phase(f"round {number}", total=len(pairs), unit="pairs")
            joined: dict[int, Found] = {}
            pace = Pace()
            for news in pace.through(_join(setup, surface, thetas, pairs)):
                if news is not None:
                    joined[news[0]] = news[1]
                    setup.progress.update(len(joined))
                if pace.due():
                    some = [_connection(pairs[i], each, number) for i, each in joined.items()]
                    yield record(tried + some)
            for row, path in sorted(joined.items()):
                finite = bool(np.isfinite(path.beads).all())
                kept = paths.add(path.beads, saddles=path.saddles) if finite else -1
                tried.append(_connection(pairs[row], path, number, kept))
            so_far = record(tried)
            yield so_far
            yield paths
            setup.progress.message(_line(so_far))
            most = min(self.together, budget - len(tried))
            pairs = most and next_pairs(
                found.energies, so_far.heights, so_far.tried, distances, most, self.tight
            )
            number += 1

    def plan(self, setup: Setup) -> Estimate:
        """Bytes and evaluations of all paths that may be looked for, round after round."""
        setup.warm_start_for(anywhere=True)  # refused here, before any work
        count = self._count(setup)
        rounds, last = divmod(self._budget(count) - (count - 1), self.together)
        joinings = [joining(setup, count - 1)]
        joinings += [joining(setup, self.together)] * rounds
        joinings += [joining(setup, last)] if last else []
        return estimate(setup, joinings, count, len(setup.levels))

    def _count(self, setup: Setup) -> int:
        """Random points to descend from."""
        return self.minima or 2 * setup.pairs

    def _budget(self, minima: int) -> int:
        """How many pairs may be tried.

        Raises:
            UserError: too few to join all minima.
        """
        least = max(minima - 1, 0)
        budget = 2 * least if self.connections is None else self.connections
        if budget < least:
            raise UserError(
                f"experiment.connections={budget}: joining {minima} minima takes at least {least}"
            )
        return budget

    def _descents(self, setup: Setup) -> Descents:
        """Random points, trained, settled, moved to the lowest by the gauge, each kept once."""
        surface = surface_of(setup)
        thetas, states = self._ended(setup)
        energies = surface.energies(thetas)
        for start in np.flatnonzero(~np.isfinite(energies)):
            states[start] = "diverged" if states[start] == "minimum" else states[start]
        good = np.flatnonzero(np.array(states) == "minimum")
        best, *others = good[np.argsort(energies[good], kind="stable")] if len(good) else [0]
        references = np.repeat(thetas[[best]], len(others), axis=0)
        thetas[others] = copies(setup, setup.gauge, surface, references, thetas[others])
        return Descents.of(thetas, energies, states, self.dedupe)

    def _ended(self, setup: Setup) -> tuple[np.ndarray, list[str]]:
        """(start, param) where training and settling ended, and how."""
        count, settle = self._count(setup), self.settle
        if settle is None:
            settle = SETTLE if isinstance(setup.model, ClosedForm) else 0
        run = trained(setup, count, setup.levels)
        last = run.reached.sum(axis=1) - 1  # levels fall, so that crossings have no gaps
        thetas = run.thetas[np.arange(count), last]
        if settle:
            key = setup.key("networks")
            begins = initial_thetas(setup.model, setup.dataset, key, count, setup.precision)
            thetas = np.where(last[:, None] < 0, begins, thetas)
            thetas = self._settled(setup, thetas, settle)
        there = run.reached[:, -1] | (settle > 0)
        states = np.where(there, "minimum", "not reached")
        if not settle:
            say_missed(setup, run)
        return thetas, np.where(run.diverged, "diverged", states).tolist()

    def _settled(self, setup: Setup, thetas: np.ndarray, steps: int) -> np.ndarray:
        """All points `steps` further down, at falling rates."""
        setup.progress.phase("settling", total=steps, unit="steps")
        surface, bottom = surface_of(setup), np.full(len(thetas), -np.inf)
        for stage, part in enumerate(RATES, start=1):
            optimizer = adam(self.learning_rate * part)
            some = -(-steps // len(RATES))
            thetas = descend(surface, optimizer, thetas, bottom, some).thetas
            setup.progress.update(steps * stage // len(RATES))
        return thetas


def _join(setup: Setup, surface: Surface, thetas: np.ndarray, pairs) -> Iterator:
    """(row, path) of all pairs of a round at once, whatever the level."""
    first, second = np.array(pairs).T
    anywhere, numbers = np.full(len(pairs), np.inf), np.arange(len(pairs))
    return setup.connect(surface, thetas[first], thetas[second], anywhere, numbers)


def _connection(pair: tuple[int, int], path: Found, number: int, kept: int = -1) -> Connection:
    return Connection(
        *pair, path.peak, number, path.state, float(string.length(path.beads)), path.chord,
        len(path.beads), path.gradient_evaluations, path.energy_evaluations, kept,
    )  # fmt: skip


def _slopes(surface: Surface, thetas: np.ndarray) -> np.ndarray:
    """(minimum,) norms of the energy's gradient: how far from a minimum; NaN without gradients."""
    if not surface.smooth or len(thetas) == 0:
        return np.full(len(thetas), np.nan)
    _, gradients = surface.energies_and_gradients(jax.device_put(thetas))
    return np.linalg.norm(np.asarray(gradients), axis=1)


def _line(record: Minima) -> str:
    heights = record.tree_heights
    tight = record.tight()
    words = f"{record.data.sizes['connection']} pairs tried"
    if len(heights):
        words += f": the highest of {len(heights)} edges lies at most at {heights[-1]:.4g}"
    return f"{words}; {tight.sum()} of {len(tight)} bounds are tight"
