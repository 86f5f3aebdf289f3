"""The ring F(θ) = (‖θ‖² - 1)², whose minima are a sphere and whose geodesics are known.

Between antipodal minima, with r = √(1 - √λ) the radius of the forbidden ball, the shortest path
in {F ≤ λ} leaves along a tangent, follows the ball and returns along a tangent:

    length / chord = √(1 - r²) + r (π/2 - arccos r),      λ ≤ 1
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.models.base import ClosedForm


@dataclass(frozen=True)
class Ring(ClosedForm):
    """The ring in any dimension; exact tests of strings in level sets.

    Attributes:
        dimension: number of parameters, at least 2.
    """

    dimension: int = 2

    def __post_init__(self) -> None:
        if self.dimension < 2:
            raise ValueError(f"dimension must be at least 2, got {self.dimension}")

    def energy(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """F(θ)."""
        return (theta @ theta - 1.0) ** 2

    def initial(self, key: jax.Array) -> Float[Array, " param"]:
        """A normal draw with ‖θ‖ near one."""
        return jax.random.normal(key, (self.dimension,)) / np.sqrt(self.dimension)

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """Antipodal pairs in random directions."""
        draws = np.asarray(jax.random.normal(key, (count, self.dimension)))
        starts = draws / np.linalg.norm(draws, axis=1, keepdims=True)
        return starts, -starts

    @staticmethod
    def normalized_length(level: float) -> float:
        """Normalized length of the geodesic between antipodal minima."""
        inner = np.sqrt(1.0 - np.sqrt(min(level, 1.0)))
        return float(np.sqrt(1.0 - inner**2) + inner * (np.pi / 2 - np.arccos(inner)))
