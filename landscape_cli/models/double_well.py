"""Two wells and the pass between them: F(θ) = height (θ₁² - 1)² + ½ Σ θᵢ², i > 1.

The minima are (±1, 0, …) with F = 0, the saddle is the origin with F = height.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.models.base import ClosedForm
from landscape_cli.ranges import check_counts


@dataclass(frozen=True)
class DoubleWell(ClosedForm):
    """The wells are joined at level λ if and only if λ ≥ height.

    Attributes:
        dimension: number of parameters, at least 1.
        height: energy of the saddle, positive.
    """

    dimension: int = 2
    height: float = 1.0

    def __post_init__(self) -> None:
        check_counts(self, "dimension")
        if not 0.0 < self.height < np.inf:
            raise ValueError(f"height must be positive and finite, got {self.height}")

    def energy(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """F(θ)."""
        return self.height * (theta[0] ** 2 - 1.0) ** 2 + 0.5 * theta[1:] @ theta[1:]

    def initial(self, key: jax.Array) -> Float[Array, " param"]:
        """A normal draw."""
        return jax.random.normal(key, (self.dimension,))

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """The two minima, the same in every pair."""
        starts = np.zeros((count, self.dimension))
        starts[:, 0] = -1.0
        return starts, -starts
