"""Strings of one number of beads that are pulled taut together, each on its own.

Every string has its own step, multipliers and history (`lagrangian`). On a wide device they are
lanes of one program. On a CPU, where lanes cost what they take, every string has programs of its
own, one after another or a core each; what is evaluated at a time are the points of all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core import trials
from landscape_cli.core.lagrangian import State, Tightening, Walls, green
from landscape_cli.core.lanes import SOON, pad
from landscape_cli.core.lbfgs import row_bytes
from landscape_cli.core.nearby import least_residual
from landscape_cli.core.string import normalized_length
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import one_cpu, side_by_side


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


@dataclass(eq=False)
class Crowd:
    """Strings that are lanes of the same programs.

    Attributes:
        pulls: the strings; lanes behind theirs are padding.
        state: their states, with a leading lane axis.
        walls: theirs.
    """

    pulls: list[Pull]
    state: State
    walls: Walls

    @property
    def lanes(self) -> int:
        """With those that are padding."""
        return len(self.state.scale)

    @property
    def real(self) -> np.ndarray:
        """(lane,) which are no padding."""
        return np.arange(self.lanes) < len(self.pulls)


class Batch:
    """Strings of one number of beads that are advanced together.

    Args:
        surface: a smooth surface.
        settings: see `Tightening`; its `evaluations` do not matter.
        segments: of every string.
        check: evaluations between two looks at who is done.

    Attributes:
        crowds: the strings; on a CPU each is a crowd of its own.
    """

    def __init__(self, surface: Surface, settings: Tightening, segments: int, check: int) -> None:
        self.surface, self.segments, self.check = surface, segments, check
        self.size = row_bytes(segments, surface.dimension)
        self.settings = settings.fitted(self.size)
        self.one_program = in_one_program(surface, settings, self.size)
        self.metric = jnp.asarray(green(segments), surface.dtype)
        self.crowds: list[Crowd] = []
        self.looks = 1  # between two times that the program comes back

    @property
    def pulls(self) -> list[Pull]:
        """The strings."""
        return [pull for crowd in self.crowds for pull in crowd.pulls]

    @property
    def most(self) -> float:
        """Strings that it takes: a CPU is best at one, in its cache; a GPU wants them all."""
        return 1 if self.one_program and one_cpu() else np.inf

    def add(self, pulls: list[Pull]) -> None:
        """Begin strings, and put them behind the others."""
        if one_cpu():
            self.crowds += [self._begun([pull]) for pull in pulls]
            return
        new = self._begun(pulls)
        for old in self.crowds:  # one at most
            rows = np.concatenate([np.flatnonzero(old.real), old.lanes + np.flatnonzero(new.real)])
            both = (old.state, old.walls), (new.state, new.walls)
            new = Crowd(old.pulls + pulls, *_joined(*both, self._padded(rows)))
        self.crowds = [new]

    def advance(self) -> None:
        """Trials up to a look at which somebody is done, or one that is due."""
        if not self.one_program:
            self._step_by_step()
            return
        for crowd in self.crowds:
            self._as_one_program(crowd)

    def _as_one_program(self, crowd: Crowd) -> None:
        """The more trials at a time the less they take, but some time comes back."""
        surface, began = self.surface, time.perf_counter()
        left = min(pull.evaluations - pull.spent for pull in crowd.pulls) // self.check
        count = min(self.looks, left) * self.check
        spent, crowd.state = trials.trials(surface.light)(
            surface.steep, surface.parts, self.metric, crowd.state, crowd.walls, crowd.real, count,
            self.check, surface.chunk, self.settings,
        )  # fmt: skip
        for pull, trial in zip(crowd.pulls, np.asarray(spent).tolist(), strict=False):
            pull.spent += trial  # of padding, behind, nobody asks
            surface.count.add(gradients=trial * pull.points)
        if time.perf_counter() - began < SOON:
            self.looks *= 2

    def _step_by_step(self) -> None:
        """Trials that are a program each, with the gradients in between."""
        surface, samples = self.surface, self.settings.samples
        for _ in range(self.check):
            points = [trials.points_of_trial(c.state, c.walls, samples) for c in self.crowds]
            real = [len(crowd.pulls) * crowd.pulls[0].points for crowd in self.crowds]
            here = trials.evaluate_points(surface, points, real)
            del points  # as large as the gradients
            side_by_side(self._try, zip(self.crowds, here, strict=True))
            del here
        for pull in self.pulls:
            pull.spent += self.check

    def _try(self, work: tuple[Crowd, Any]) -> None:
        """One trial, which has been evaluated; a state is handed on, never copied."""
        crowd, here = work
        crowd.state = trials.tried(
            crowd.state, *here, crowd.walls, self.metric, True, self.settings
        )

    def ended(self) -> list[Pull]:
        """Strings that are done, which leave."""
        found = [pull for crowd in self.crowds for pull in self._leaving(crowd)]
        self.crowds = [crowd for crowd in self.crowds if crowd.pulls]
        return found

    def _leaving(self, crowd: Crowd) -> list[Pull]:
        """Strings of a crowd that are done; the others stay."""
        done = self._look(crowd)
        if not done.any():
            return []
        state, pulls = crowd.state, crowd.pulls
        beads, mu, rho = map(
            np.asarray, (state.beads, state.inner.now.multipliers, state.inner.rho)
        )
        for lane in np.flatnonzero(done):
            pull = pulls[lane]
            pull.beads = np.concatenate([pull.beads[:1], beads[lane], pull.beads[-1:]])
            pull.multipliers, pull.rho = mu[lane], float(rho[lane])
            if self.settings.tolerance <= pull.residual < np.inf:  # else taut, or lost
                gap = float(state.inner.now.gap[lane])
                pull.residual = max(gap, least_residual(state, crowd.walls, int(lane)))
        kept = np.flatnonzero(~done)
        crowd.pulls = [pulls[lane] for lane in kept]
        if len(kept):
            crowd.state, crowd.walls = _picked((state, crowd.walls), self._padded(kept))
        return [pulls[lane] for lane in np.flatnonzero(done)]

    def _look(self, crowd: Crowd) -> np.ndarray:
        """(string,) who is taut, lost, or out of evaluations."""
        found = map(np.asarray, trials.looked(crowd.state.inner, self.settings))
        ended, residual, violation = (leaf[: len(crowd.pulls)] for leaf in found)
        for pull, *values in zip(crowd.pulls, residual, violation, strict=True):
            pull.residual, pull.violation = map(float, values)
        left = np.array([pull.evaluations - pull.spent for pull in crowd.pulls])
        return ended | (left < self.check)

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        return pad(rows, self.settings.lanes(len(rows), self.size))

    def _begun(self, pulls: list[Pull]) -> Crowd:
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
            return Crowd(pulls, state, walls)
        every = trials.points_of(inner, walls, settings.samples)
        (here,) = trials.evaluate_points(surface, [every], [len(pulls) * points])
        state = trials.begin_all(inner, *here, *pushes, walls, metric, settings)
        return Crowd(pulls, state, walls)


def in_one_program(surface: Surface, settings: Tightening, size: int) -> bool:
    """Whether trials and gradients are one program: fast, but XLA copies big histories in it."""
    return surface.strategy == "vmap" and settings.roomy(size)


def _spread(multipliers: np.ndarray | None, points: int) -> np.ndarray:
    """Multipliers at `points`, interpolated from those of another bead count; zeros of none."""
    if multipliers is None:
        return np.zeros(points)
    old, new = (np.arange(1, n + 1) / (n + 1) for n in (len(multipliers), points))
    return np.interp(new, old, multipliers)
