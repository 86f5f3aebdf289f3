"""No gauge: networks are compared as they are."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from landscape_cli.contracts import Gauge
from landscape_cli.core.surface import Surface


@dataclass(frozen=True)
class NoGauge(Gauge):
    """Every parameter vector is a network of its own."""

    def align(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> np.ndarray:
        """The networks as they are; see `Gauge.align`."""
        return thetas

    def align_many(self, surface: Surface, thetas: np.ndarray, key: jax.Array) -> np.ndarray:
        """The networks as they are; see `Gauge.align_many`."""
        return thetas
