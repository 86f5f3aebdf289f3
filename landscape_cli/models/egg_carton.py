"""The egg carton F(x) = Σᵢ (1 + cos 2πxᵢ): a lattice of equal minima and passes.

Minima of value 0 at all half-integers, passes of value 2 where one coordinate is an integer.
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
class EggCarton(ClosedForm):
    """The published toy, raised so that its minima have the value 0.

    Attributes:
        dimension: number of parameters, at least 2.
    """

    reference: ClassVar[str] = DRAXLER
    dimension: int = 2

    def __post_init__(self) -> None:
        if self.dimension < 2:
            raise ValueError(f"dimension must be at least 2, got {self.dimension}")

    def energy(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """F(x)."""
        return (1 + jnp.cos(2 * jnp.pi * theta)).sum()

    def initial(self, key: jax.Array) -> Float[Array, " param"]:
        """A uniform draw from [-2, 2], as published."""
        return jax.random.uniform(key, (self.dimension,), minval=-2.0, maxval=2.0)

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """A minimum and the one two to the right of it and one up, the same in every pair.

        The chord climbs to F = 3.1; a path over three passes, one of them on the chord, does not
        rise above 2.
        """
        start = np.full(self.dimension, 0.5)
        end = start.copy()
        end[:2] += 2.0, 1.0
        return np.tile(start, (count, 1)), np.tile(end, (count, 1))
