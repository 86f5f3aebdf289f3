"""Data of your own: two interleaved spirals in the plane, to be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape_cli.contracts import Data, Dataset, Examples

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class Spirals(Data):
    """Points on two arms, half a turn apart; the test split lies between the training points.

    Attributes:
        examples: points on each arm, in each split; at least 1.
        turns: revolutions of an arm, positive.
    """

    examples: int = 32
    turns: float = 0.75

    def __post_init__(self) -> None:
        if self.examples < 1:
            raise ValueError(f"examples must be at least 1, got {self.examples}")
        if not self.turns > 0:
            raise ValueError(f"turns must be positive, got {self.turns}")

    def load(self, key: jax.Array) -> Dataset:
        """Place the points; nothing is random, so `key` is not used."""
        return Dataset("spirals", self._split(0.0), self._split(0.5), classes=2)

    def _split(self, shift: float) -> Examples:
        t = (np.arange(self.examples) + 0.25 + shift) / self.examples
        angles = 2 * np.pi * self.turns * t
        arm = t[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        classes = np.repeat(np.arange(2, dtype=np.int32), self.examples)
        weights = np.full(2 * self.examples, 0.5 / self.examples)
        return Examples(np.concatenate([arm, -arm]), classes, weights)
