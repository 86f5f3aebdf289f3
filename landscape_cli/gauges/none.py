"""No gauge: networks are compared as they are."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from landscape_cli.contracts import Gauge, Move
from landscape_cli.core.surface import Surface


@dataclass(frozen=True)
class NoGauge(Gauge):
    """Every parameter vector is a network of its own."""

    def moves(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> list[Move]:
        """The networks as they are; see `Gauge.moves`."""
        return [lambda reference, theta: theta] * len(thetas)

    def align_many(self, surface: Surface, thetas: np.ndarray, key: jax.Array) -> np.ndarray:
        """The networks as they are; see `Gauge.align_many`."""
        return thetas
