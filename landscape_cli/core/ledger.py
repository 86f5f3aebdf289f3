"""The books of a training: first crossings of every level, curves, who is still in training.

On the host and in NumPy: training enters what it sees, step by step and in order, and closes the
books as `Trajectories`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from landscape_cli.core.report import Trajectories
from landscape_cli.core.surface import Surface

RECORDS = 200  # most points of a training curve
SLACK = 64  # rounding errors that a crossing stays below its level


class Ledger:
    """Host-side books: crossings, curves, and which networks are still in training.

    Args:
        surface: its dimension, dtype and smoothness.
        networks: how many are trained.
        levels: energies to cross, strictly decreasing.
        every: steps between two points of the curves, doubled when they grow too long.
    """

    def __init__(self, surface: Surface, networks: int, levels: Sequence[float], every: int):
        # A hair below each level: another program's rounding must not lift a crossing above it.
        self.asked = wanted = np.asarray(levels, np.float64)
        slack = SLACK * np.finfo(surface.dtype).eps * np.abs(wanted) if surface.smooth else 0.0
        below = (wanted - slack).astype(surface.dtype)
        # 0.8 in float32 lies above 0.8: an energy equal to it has not crossed that level.
        down = np.nextafter(below, np.asarray(-np.inf, surface.dtype))
        self.levels = np.where(below > wanted, down, below)
        shape = (networks, len(levels))
        self.thetas = np.full((*shape, surface.dimension), np.nan, surface.dtype)
        self.energies = np.full(shape, np.nan, surface.dtype)
        self.steps = np.full(shape, -1)
        self.lowest = np.full(networks, np.inf, surface.dtype)
        self.diverged = np.zeros(networks, bool)
        self.taken = 0
        self.curve_steps: list[int] = []
        self.curve: list[np.ndarray] = []
        self.every = every

    @property
    def left(self) -> np.ndarray:
        """Networks still in training."""
        return np.flatnonzero((self.steps[:, -1] < 0) & ~self.diverged)

    def record(self, networks: np.ndarray, first: int, energies: np.ndarray) -> np.ndarray:
        """Enter the energies (network, step) of steps first, first + 1, ...

        Returns:
            (network, level) which levels were crossed for the first time.
        """
        sound = np.logical_and.accumulate(np.isfinite(energies), axis=1)
        below = (energies[:, :, None] <= self.levels) & sound[:, :, None]
        new = below.any(axis=1) & (self.steps[networks] < 0)
        at = below.argmax(axis=1)
        self.steps[networks] = np.where(new, first + at, self.steps[networks])
        values = np.take_along_axis(energies, at, axis=1)
        self.energies[networks] = np.where(new, values, self.energies[networks])
        # What a network did after it arrived or diverged is not part of its history.
        last = np.where(new[:, -1], at[:, -1], energies.shape[1])
        history = sound & (np.arange(energies.shape[1]) <= last[:, None])
        seen = np.where(history, energies, np.inf).min(axis=1)
        self.lowest[networks] = np.minimum(self.lowest[networks], seen)
        self.diverged[networks] = ~new[:, -1] & ~sound[:, -1]
        self._extend_curve(networks, first, np.where(history, energies, np.nan))
        return new

    def keep(self, network: Any, new: np.ndarray, theta: Any) -> None:
        """Keep the parameters (param,) or (level, param) of newly crossed levels (level,)."""
        if new.any():
            rows = np.broadcast_to(np.asarray(theta), self.thetas[network].shape)
            self.thetas[network][new] = rows[new]

    def _extend_curve(self, networks: np.ndarray, first: int, values: np.ndarray) -> None:
        for column in range(-first % self.every, values.shape[1], self.every):
            row = np.full(len(self.lowest), np.nan, values.dtype)
            row[networks] = values[:, column]
            if np.isfinite(row).any():
                self.curve_steps.append(first + column)
                self.curve.append(row)
        while len(self.curve) > RECORDS:  # half as dense, over the whole past
            self.every *= 2
            kept = [i for i, step in enumerate(self.curve_steps) if step % self.every == 0]
            self.curve_steps = [self.curve_steps[i] for i in kept]
            self.curve = [self.curve[i] for i in kept]

    def note(self) -> str:
        """How many networks have arrived."""
        arrived = int((self.steps[:, -1] >= 0).sum())
        return f"{arrived} of {len(self.steps)} networks below {self.asked[-1]:g}"

    def trajectories(self) -> Trajectories:
        """The books, closed."""
        curve = np.array(self.curve).reshape(len(self.curve), len(self.lowest)).T
        return Trajectories(
            thetas=self.thetas,
            energies=self.energies,
            steps=self.steps,
            lowest=np.where(np.isfinite(self.lowest), self.lowest, np.nan),
            curve_steps=np.array(self.curve_steps, int),
            curve=curve,
            diverged=self.diverged,
            gradient_evaluations=self.taken,
        )
