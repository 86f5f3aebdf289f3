"""A convex quadratic F(θ) = ½ Σ cᵢ θᵢ²: every chord stays inside its level set."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.models.base import ClosedForm
from landscape_cli.ranges import check_counts


@dataclass(frozen=True)
class QuadraticBowl(ClosedForm):
    """Curvatures c from 1 to `condition`, evenly spaced in their logarithm.

    Attributes:
        dimension: number of parameters, at least 1.
        condition: largest curvature over the smallest, at least 1.
    """

    dimension: int = 2
    condition: float = 10.0

    def __post_init__(self) -> None:
        check_counts(self, "dimension")
        if not 1.0 <= self.condition < np.inf:
            raise ValueError(f"condition must be finite and at least 1, got {self.condition}")

    @property
    def curvatures(self) -> np.ndarray:
        """(param,) eigenvalues of the Hessian, ascending."""
        return np.geomspace(1.0, self.condition, self.dimension)

    def energy(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """F(θ)."""
        return 0.5 * jnp.asarray(self.curvatures, theta.dtype) @ theta**2

    def initial(self, key: jax.Array) -> Float[Array, " param"]:
        """A normal draw."""
        return jax.random.normal(key, (self.dimension,))
