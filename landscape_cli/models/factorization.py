"""The smallest factorization F(u, v) = (u·v - 1)².

With scalars the minima are the two branches of a hyperbola, and every path between them passes
u·v = 0, where F = 1. With vectors u can be turned around, and all level sets are connected.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.models.base import ClosedForm
from landscape_cli.ranges import check_counts


@dataclass(frozen=True)
class Factorization(ClosedForm):
    """The energy of (u, v), first all of u, then all of v.

    Attributes:
        width: length of u and of v; 1 for scalars.
    """

    width: int = 1

    def __post_init__(self) -> None:
        check_counts(self, "width")

    @property
    def dimension(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of parameters."""
        return 2 * self.width

    def energy(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """F(u, v)."""
        return (theta[: self.width] @ theta[self.width :] - 1.0) ** 2

    def initial(self, key: jax.Array) -> Float[Array, " param"]:
        """A normal draw, scaled so that u·v has variance one."""
        return jax.random.normal(key, (self.dimension,)) / self.width**0.25

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """(e, e) and (-e, -e), for random unit vectors e."""
        draws = np.asarray(jax.random.normal(key, (count, self.width)))
        units = draws / np.linalg.norm(draws, axis=1, keepdims=True)
        starts = np.concatenate([units, units], axis=1)
        return starts, -starts
