"""No data, for surfaces given in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape_cli.contracts import Data, Dataset, Examples

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class NoData(Data):
    """Two empty splits."""

    def load(self, key: jax.Array) -> Dataset:
        """Make the empty splits."""
        empty = Examples(np.empty((0, 1)), np.empty((0, 1)), np.empty(0))
        return Dataset("none", empty, empty)
