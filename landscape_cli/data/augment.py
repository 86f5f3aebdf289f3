"""Random shifts and mirror images: training sees every picture in many positions.

The customary variation of CIFAR (He and others, 2016): pad with zeros, cut out a window of the
old size at a random place, and mirror every second picture. The energy of a level set must be a
function of the parameters alone, so only the mini-batches of a training are varied.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclass(frozen=True)
class Augmentation:
    """Varies a batch of images; a pure function of the images and a key.

    Attributes:
        crop: pixels by which an image moves at most in each direction; at least 0.
        flip: mirror left and right with probability one half.
    """

    crop: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise ValueError(f"crop must be at least 0, got {self.crop}")

    def __call__(
        self, inputs: Float[Array, "example height width channel"], key: jax.Array
    ) -> Float[Array, "example height width channel"]:
        """Every image moved and mirrored on its own; zeros come in from outside.

        Zero is black, or the mean color of standardized images.
        """
        moves, coins = jax.random.split(key)
        count, *shape = inputs.shape
        corners = jax.random.randint(moves, (count, 2), 0, 2 * self.crop + 1)
        around = (self.crop, self.crop)
        padded = jnp.pad(inputs, ((0, 0), around, around, (0, 0)))
        moved = jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), shape))(
            padded, corners
        )
        if not self.flip:
            return moved
        mirror = jax.random.bernoulli(coins, shape=(count, 1, 1, 1))
        return jnp.where(mirror, moved[:, :, ::-1], moved)
