"""The Müller-Brown potential: two parameters, three minima, two saddles.

V(x, y) = Σ A exp(a (x - x₀)² + b (x - x₀)(y - y₀) + c (y - y₀)²)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.models.base import ClosedForm
from landscape_cli.models.references import MULLER_BROWN

# one row per Gaussian: A, a, b, c, x₀, y₀
TERMS = np.array(
    [
        [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
        [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
        [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
        [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
    ]
)
MINIMUM_A = (-0.5582236346, 1.4417258418)  # V = -146.6995
MINIMUM_B = (0.6234994049, 0.0280377585)  # V = -108.1667


@dataclass(frozen=True)
class MullerBrown(ClosedForm):
    """V + shift; the valley from A to B climbs to V = -40.6648.

    Attributes:
        shift: added to V, whose lowest value is -146.6995.
    """

    reference: ClassVar[str] = MULLER_BROWN
    dimension: ClassVar[int] = 2

    shift: float = 0.0

    def energy(self, theta: Float[Array, "2"]) -> Float[Array, ""]:
        """V(x, y) + shift."""
        height, a, b, c, x0, y0 = jnp.asarray(TERMS.T, theta.dtype)
        x, y = theta[0] - x0, theta[1] - y0
        return (height * jnp.exp(a * x**2 + b * x * y + c * y**2)).sum() + self.shift

    def initial(self, key: jax.Array) -> Float[Array, "2"]:
        """A uniform draw from the box that holds the minima."""
        low, high = jnp.array([-1.2, -0.2]), jnp.array([1.0, 1.8])
        return jax.random.uniform(key, (2,), minval=low, maxval=high)

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """The two deepest minima, the same in every pair."""
        return np.tile(MINIMUM_A, (count, 1)), np.tile(MINIMUM_B, (count, 1))
