"""The curvy valley F(x, y) = (y - sin x)² + (x²/x₀² - 1)²: two minima in a valley along a sine.

Minima of value 0 at (±x₀, ± sin x₀), one pass of value 1 at the origin. The published form is
(y - sin x)² + 4β (βx⁴ - αx²) / α² + 1 with β = α / 2x₀²; α cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.models.base import ClosedForm
from landscape_cli.references import DRAXLER


@dataclass(frozen=True)
class CurvyValley(ClosedForm):
    """The published toy; its valley bends, so that straight strings climb its walls.

    Attributes:
        x0: where the minima are, positive; 5π/2 as published.
    """

    reference: ClassVar[str] = DRAXLER
    dimension: ClassVar[int] = 2

    x0: float = 2.5 * np.pi

    def __post_init__(self) -> None:
        if not 0 < self.x0 < np.inf:
            raise ValueError(f"x0 must be positive, got {self.x0}")

    def energy(self, theta: Float[Array, "2"]) -> Float[Array, ""]:
        """F(x, y)."""
        x, y = theta
        return (y - jnp.sin(x)) ** 2 + ((x / self.x0) ** 2 - 1) ** 2

    def initial(self, key: jax.Array) -> Float[Array, "2"]:
        """A uniform draw from the published box [-15, 15]²."""
        return jax.random.uniform(key, (2,), minval=-15.0, maxval=15.0)

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """The two minima, the same in every pair."""
        end = np.array([self.x0, np.sin(self.x0)])
        return np.tile(-end, (count, 1)), np.tile(end, (count, 1))
