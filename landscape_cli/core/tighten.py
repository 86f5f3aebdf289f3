"""Shorten strings inside their level sets until they are taut: in company, each on its own.

Every string has its own step, multipliers and history (`lagrangian`). A `Pool` advances strings
of the same number of beads together; one that is done leaves, and makes room for one that waits.
Small strings take trials and gradients in one program, on a CPU a string at a time for every core;
of large ones there are as many at a time as `Tightening.history` holds.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core import trials
from landscape_cli.core.lagrangian import State, Tightening, Walls, green
from landscape_cli.core.lanes import SOON, hands, one_cpu, pad, side_by_side
from landscape_cli.core.lbfgs import ROW, row_bytes
from landscape_cli.core.nearby import least_residual
from landscape_cli.core.string import normalized_length, reparametrized
from landscape_cli.core.surface import Surface


@dataclass(eq=False)
class Pull:
    """A string that is to be pulled taut, then how far it got.

    Attributes:
        beads: (bead, param), ends included; need not be feasible. The ends never move.
        level: λ.
        margin: units by which points are kept below λ.
        unit: of energies, in which the walls are measured; None: |λ|, or 1 where λ is 0.
        evaluations: most evaluations; rounded down to whole looks (`Tightening.check`).
        multipliers: (point,) what the walls push with; None: nothing yet.
        rho: penalty; None: the first one.
        residual: relative KKT residual; of one that is not taut, the least nearby (`nearby`).
        violation: units by which a point lies above λ less the margin, at most.
        spent: evaluations, each of all points.
        seconds: share of the wall time.
    """

    beads: np.ndarray
    level: float
    margin: float
    evaluations: int
    multipliers: np.ndarray | None = None
    rho: float | None = None
    unit: float | None = None
    residual: float = np.nan
    violation: float = np.nan
    spent: int = 0
    seconds: float = 0.0

    @property
    def segments(self) -> int:
        """Of the string."""
        return len(self.beads) - 1

    @property
    def points(self) -> int:
        """Points of one evaluation; known when it was evaluated."""
        return 0 if self.multipliers is None else len(self.multipliers)

    @property
    def scale(self) -> float:
        """The unit, also where it is not given."""
        return self.unit or abs(self.level) or 1.0

    @property
    def price(self) -> float:
        """The part dℓ/ℓ of its length that the margin m costs; 0 before it is pulled.

        At a minimum L changes with a constraint as its multiplier says (envelope theorem), and
        the walls are c + m <= 0: dL = m Σ μ_k / K, where L is ℓ²/2 but for a constant.
        """
        if self.multipliers is None:
            return 0.0
        return float(self.margin * self.multipliers.mean() / normalized_length(self.beads) ** 2)

    def warmed(self, other: Pull) -> Pull:
        """The same with the multipliers of another, of any number of beads and any unit."""
        if other.multipliers is None or other.rho is None:
            return self
        finer = self.scale / other.scale
        rho = float(np.clip(other.rho * finer**2, 1, 100))
        return replace(self, multipliers=other.multipliers * finer, rho=rho)


@jax.jit
def _picked(lanes: Any, rows: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], lanes)


@jax.jit
def _joined(lanes: Any, others: Any, rows: Array) -> Any:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b])[rows], lanes, others)


class Batch:
    """Strings of one number of beads that are advanced together; lanes behind them are padding.

    Args:
        surface: a smooth surface.
        settings: see `Tightening`; its `evaluations` do not matter.
        segments: of every string.
        check: evaluations between two looks at who is done.
    """

    def __init__(self, surface: Surface, settings: Tightening, segments: int, check: int) -> None:
        self.surface, self.segments, self.check = surface, segments, check
        self.size = row_bytes(segments, surface.dimension)
        self.settings = settings.fitted(self.size)
        self.one_program = _one_program(surface, settings, self.size)
        self.metric = jnp.asarray(green(segments), surface.dtype)
        self.pulls: list[Pull] = []
        self.lanes: tuple[State, Walls] | None = None
        self.looks = 1  # between two times that the program comes back

    @property
    def most(self) -> float:
        """Strings that it takes: a CPU is best at one, in its cache; a GPU wants them all."""
        return 1 if self.one_program and one_cpu() else np.inf

    def add(self, pulls: list[Pull]) -> None:
        """Begin strings, and put them behind the others."""
        new, count = self._begun(pulls), len(self.pulls)
        self.pulls = self.pulls + pulls
        if self.lanes is None:
            self.lanes = new
            return
        behind = len(self.lanes[0].scale) + np.arange(len(pulls))
        rows = np.concatenate([np.arange(count), behind])
        self.lanes = _joined(self.lanes, new, self._padded(rows))

    def advance(self) -> None:
        """Trials up to a look at which somebody is done, or one that is due."""
        spent = self._as_one_program() if self.one_program else self._step_by_step()
        for pull, count in zip(self.pulls, spent.tolist(), strict=False):  # padding is behind
            pull.spent += count

    def _as_one_program(self) -> np.ndarray:
        """(lane,) trials; the more at a time the less they take, but some time comes back."""
        assert self.lanes is not None
        surface, (state, walls), began = self.surface, self.lanes, time.perf_counter()
        left = min(pull.evaluations - pull.spent for pull in self.pulls) // self.check
        count = min(self.looks, left) * self.check
        real = np.arange(len(state.scale)) < len(self.pulls)
        spent, state = trials.trials(surface.light)(
            surface.steep, surface.parts, self.metric, state, walls, real, count, self.check,
            surface.chunk, self.settings,
        )  # fmt: skip
        self.lanes, spent = (state, walls), np.asarray(spent)
        surface.count.add(gradients=int(spent[real].sum()) * self.pulls[0].points)
        if time.perf_counter() - began < SOON:
            self.looks *= 2
        return spent

    def _step_by_step(self) -> np.ndarray:
        """(lane,) trials, a program each, with the gradients in between."""
        assert self.lanes is not None
        surface, settings, metric = self.surface, self.settings, self.metric
        (state, walls), self.lanes = self.lanes, None  # a state is handed on, never copied
        for _ in range(self.check):
            points = trials.points_of_trial(state, walls, settings.samples)
            here = trials.evaluate_points(surface, points, len(self.pulls), len(state.scale))
            del points  # as large as the gradients
            state = trials.tried(state, *here, walls, metric, True, settings)
            del here
        self.lanes = state, walls
        return np.full(len(state.scale), self.check)

    def ended(self) -> list[Pull]:
        """Strings that are done, which leave."""
        assert self.lanes is not None
        state, pulls = self.lanes[0], self.pulls
        done = self._look(state)
        if not done.any():
            return []
        beads, mu, rho = map(
            np.asarray, (state.beads, state.inner.now.multipliers, state.inner.rho)
        )
        for lane in np.flatnonzero(done):
            pull = pulls[lane]
            pull.beads = np.concatenate([pull.beads[:1], beads[lane], pull.beads[-1:]])
            pull.multipliers, pull.rho = mu[lane], float(rho[lane])
            if self.settings.tolerance <= pull.residual < np.inf:  # else taut, or lost
                gap = float(state.inner.now.gap[lane])
                pull.residual = max(gap, least_residual(state, self.lanes[1], int(lane)))
        kept = np.flatnonzero(~done)
        self.pulls = [pulls[lane] for lane in kept]
        self.lanes = _picked(self.lanes, self._padded(kept)) if len(kept) else None
        return [pulls[lane] for lane in np.flatnonzero(done)]

    def _look(self, state: State) -> np.ndarray:
        """(string,) who is taut, lost, or out of evaluations."""
        found = map(np.asarray, trials.looked(state.inner, self.settings))
        ended, residual, violation = (leaf[: len(self.pulls)] for leaf in found)
        for pull, *values in zip(self.pulls, residual, violation, strict=True):
            pull.residual, pull.violation = map(float, values)
        left = np.array([pull.evaluations - pull.spent for pull in self.pulls])
        return ended | (left < self.check)

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        wanted = 1 if self.most == 1 else self.settings.lanes(len(rows), self.size)
        return pad(rows, wanted)

    def _begun(self, pulls: list[Pull]) -> tuple[State, Walls]:
        """Strings before their first trial."""
        surface, settings, metric = self.surface, self.settings, self.metric
        points = self.segments * settings.samples - 1
        for pull in pulls:
            pull.multipliers = _spread(pull.multipliers, points)
            pull.rho = settings.rho if pull.rho is None else pull.rho
        rows = self._padded(np.arange(len(pulls)))
        take: Any = lambda value: np.stack([value(pull) for pull in pulls])[rows]
        number = lambda value: np.asarray(value, surface.dtype)
        walls = jax.device_put(Walls(
            take(lambda pull: number(pull.beads[0])), take(lambda pull: number(pull.beads[-1])),
            take(lambda pull: number(pull.level - pull.margin * pull.scale)),
            take(lambda pull: number(pull.scale)),
        ))  # fmt: skip
        inner = take(lambda pull: number(pull.beads[1:-1]))
        pushes = take(lambda pull: number(pull.multipliers)), take(lambda pull: number(pull.rho))
        if self.one_program:
            real = np.arange(len(rows)) < len(pulls)
            state = trials.begun(surface.light)(
                surface.steep, surface.parts, metric, inner, *pushes, walls, real, True,
                surface.chunk, settings,
            )  # fmt: skip
            return state, walls
        here = trials.evaluate_points(
            surface, trials.points_of(inner, walls, settings.samples), len(pulls), len(rows)
        )
        return trials.begin_all(inner, *here, *pushes, walls, metric, settings), walls


class Pool:
    """Strings on their way to being taut; who is done makes room for who waits.

    Args:
        surface: a smooth surface.
        settings: see `Tightening`; its `evaluations` do not matter, those of a `Pull` do.
        share: part of `Tightening.history`, and of the machine, that is for this pool.
    """

    def __init__(self, surface: Surface, settings: Tightening, share: float = 1.0) -> None:
        self.surface, self.share = surface, share
        self.settings = replace(settings, evaluations=0)  # no part of any program
        self.waiting: deque[Pull] = deque()
        self.batches: dict[tuple[int, int], Batch] = {}

    def __len__(self) -> int:
        return len(self.waiting) + len(self.running)

    @property
    def running(self) -> list[Pull]:
        """Strings that have their room."""
        return [pull for batch in self.batches.values() for pull in batch.pulls]

    def add(self, pull: Pull) -> None:
        """Let a string wait for its turn."""
        self.waiting.append(pull)

    def advance(self) -> list[Pull]:
        """Let strings in, advance all up to the next look; return those that have ended."""
        began = time.perf_counter()
        for batch, pulls in self._admitted().items():
            batch.add(pulls)
        here, busy = self.running, [batch for batch in self.batches.values() if batch.pulls]
        for batch in busy:
            batch.advance()
        ended = [pull for batch in busy for pull in batch.ended()]
        for pull in here:
            pull.seconds += (time.perf_counter() - began) / len(here) * self.share
        return ended

    def _admitted(self) -> dict[Batch, list[Pull]]:
        """Those in front of the others that wait, as long as there is room and a lane."""
        used = sum(map(self._room, self.running))
        found: dict[Batch, list[Pull]] = {}
        late: deque[Pull] = deque()
        while self.waiting:
            pull = self.waiting.popleft()
            need, batch = self._room(pull), self._batch(pull)
            crowded = used > 0 and used + need > self.share
            if crowded or (self.running and not self.settings.roomy(batch.size)):
                late.append(pull)  # big strings begin together: joining others copies them
                break
            if len(batch.pulls) + len(found.get(batch, [])) < batch.most:
                used += need
                found.setdefault(batch, []).append(pull)
            else:
                late.append(pull)
        self.waiting.extendleft(reversed(late))
        return found

    def _room(self, pull: Pull) -> float:
        """The part of the history that a string takes."""
        size = row_bytes(pull.segments, self.surface.dimension)
        return (1 - 1e-9) / self.settings.together(size)

    def _batch(self, pull: Pull) -> Batch:
        """Where a string belongs."""
        check = min(self.settings.check, pull.evaluations)
        key = pull.segments, check
        if key not in self.batches:
            self.batches[key] = Batch(self.surface, self.settings, *key)
        return self.batches[key]


def crew(surface: Surface, settings: Tightening, segments: int, strings: int) -> tuple[int, int]:
    """How many pools go on side by side, and how many strings each is best at.

    A CPU takes a small string after another, whose memory stays in the cache of a core.
    """
    if one_cpu() and _one_program(surface, settings, row_bytes(segments, surface.dimension)):
        return max(1, min(hands(), strings)), 1
    return 1, strings


def tighten(surface: Surface, pulls: list[Pull], settings: Tightening) -> None:
    """Shorten strings, in place; each stops when taut and feasible, or out of evaluations.

    Args:
        surface: a smooth surface.
        pulls: strings, of any numbers of beads.
        settings: see `Tightening`; its `evaluations` do not matter, those of a `Pull` do.
    """
    count, _ = crew(surface, settings, max(pull.segments for pull in pulls), len(pulls))

    def work(some: list[Pull]) -> None:
        pool = Pool(surface, settings, 1 / count)
        pool.waiting.extend(some)
        while len(pool):
            pool.advance()

    side_by_side(work, [pulls[i::count] for i in range(count)])


def _one_program(surface: Surface, settings: Tightening, size: int) -> bool:
    """Whether trials and gradients are one program: fast, but XLA copies big histories in it."""
    return surface.strategy == "vmap" and settings.roomy(size)


def bytes_of(settings: Tightening, strings: int, segments: int, params: int, item: int) -> int:
    """Bytes that `strings` take while they are tightened, points and gradients included.

    Counted in strings, of which a `State` holds beads, direction, gradient, raised gradient and
    the history; a trial brings a pair, gradients at its points, and what XLA puts between.
    """
    size = row_bytes(segments, params)
    together, settings = min(strings, settings.together(size)), settings.fitted(size)
    state, trial = 4 * item, (8 + settings.samples) * item
    history = 2 * settings.memory * np.dtype(ROW).itemsize
    return settings.lanes(together, size) * (state + history + trial) * segments * params


def _spread(multipliers: np.ndarray | None, points: int) -> np.ndarray:
    """Multipliers at `points`, interpolated from those of another bead count; zeros of none."""
    if multipliers is None:
        return np.zeros(points)
    old, new = (np.arange(1, n + 1) / (n + 1) for n in (len(multipliers), points))
    return np.interp(new, old, multipliers)


def doubled(beads: np.ndarray) -> np.ndarray:
    """The same string, (bead, param), with twice the segments, equal arcs."""
    return reparametrized(beads, 2 * (len(beads) - 1))
