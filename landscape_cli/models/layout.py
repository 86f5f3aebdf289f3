"""Where each array of a network sits in the flat parameter vector θ.

The order is that of `jax.flatten_util.ravel_pytree`: names sorted at every depth. Unlike the
function `ravel_pytree` returns, a layout compares and hashes by what it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float


@dataclass(frozen=True)
class Layout:
    """Names and shapes of all arrays, in the order of θ.

    Attributes:
        paths: names from the outside in, such as ("Dense_0", "kernel").
        shapes: shape of each array.
    """

    paths: tuple[tuple[str, ...], ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Layout:
        """The layout of a tree of arrays or shapes."""
        leaves = sorted(flatten_dict(params).items())
        return cls(tuple(path for path, _ in leaves), tuple(leaf.shape for _, leaf in leaves))

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name, such as "Dense_0/kernel"."""
        return dict(zip(map("/".join, self.paths), self.shapes, strict=True))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each array."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """Length of θ."""
        return sum(self.sizes)

    @property
    def weight_mask(self) -> np.ndarray:
        """(param,) False for the entries of arrays whose name begins with "bias"."""
        kinds = [not path[-1].startswith("bias") for path in self.paths]
        return np.repeat(kinds, self.sizes)

    def ravel(self, params: Mapping[str, Any]) -> Float[Array, " param"]:
        """The tree as one vector."""
        flat: dict[Any, Any] = dict(flatten_dict(params))
        return jnp.concatenate([flat[path].ravel() for path in self.paths])

    def unravel(self, theta: Float[Array, " param"]) -> dict[str, Any]:
        """The vector as a tree."""
        parts = jax.lax.split(theta, self.sizes)  # its gradient is one concatenation
        arrays = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return unflatten_dict(dict(zip(self.paths, arrays, strict=True)))
