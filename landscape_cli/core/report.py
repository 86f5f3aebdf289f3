"""What compiled work says while it runs and leaves behind: NumPy only, no JAX.

Told apart from the state of a computation: nothing here is needed for the next step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trajectories:
    """What training left behind: the first crossing of every level by every network.

    Attributes:
        thetas: (network, level, param); NaN where a level was not reached.
        energies: (network, level) level functional at the crossing; NaN where not reached.
        steps: (network, level) optimizer steps at the crossing; -1 where not reached.
        lowest: (network,) lowest level functional seen.
        curve_steps: (record,) steps at which the curve was recorded.
        curve: (network, record) level functional along training.
        diverged: (network,) a NaN or infinity stopped this network.
        gradient_evaluations: of all networks together, a step being one of each.
    """

    thetas: np.ndarray
    energies: np.ndarray
    steps: np.ndarray
    lowest: np.ndarray
    curve_steps: np.ndarray
    curve: np.ndarray
    diverged: np.ndarray
    gradient_evaluations: int = 0

    @property
    def reached(self) -> np.ndarray:
        """(network, level) whether the level was crossed."""
        return self.steps >= 0


class Progress:
    """Where long work says what it does; this one says nothing."""

    def phase(self, name: str, total: int = 0, unit: str = "") -> None:
        """Begin a phase of `total` units (0: unknown)."""

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` units of the phase are finished."""

    def found(self, text: str) -> None:
        """What the phase has found so far; said together with all that is said of it."""

    def message(self, text: str) -> None:
        """One line for the reader and the log."""
