"""What networks for images share: convolution, pooling, normalization, dense layers.

Images are (example, height, width, channel), kernels (height, width, input, output). Whatever
begins with `bias` is one to `Layout.weight_mask`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from jaxtyping import Array

from landscape_cli.models.choices import drawn
from landscape_cli.models.rows import rows
from landscape_cli.ranges import choose

NORMS = ("none", "layer", "group", "batch")
HE = initializers.variance_scaling(2.0, "fan_in", "normal")  # N(0, 2 / inputs of a unit)
HE_OUT = initializers.variance_scaling(2.0, "fan_out", "normal")  # N(0, 2 / (pixels · outputs))
ZEROS = initializers.zeros


def convolve(images: Array, kernel: Array, stride: int = 1, padding: int | str = "SAME") -> Array:
    """Every convolution of every network.

    Args:
        images: (example, height, width, input).
        kernel: (height, width, input, output).
        stride: step in pixels.
        padding: zeros on every side, or "SAME" or "VALID" as XLA means them. With a stride,
            "SAME" takes windows a pixel further down than the published networks do.
    """
    pads = padding if isinstance(padding, str) else [(padding, padding)] * 2
    if (found := rows(images, kernel, stride, pads)) is not None:
        return found
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def convolved(
    module: nn.Module,
    hidden: Array,
    name: str | int,
    channels: int,
    size: int = 3,
    stride: int = 1,
    draw: Callable = HE,
) -> Array:
    """A convolution of size × size pixels, without bias, centered on every stride-th pixel."""
    kernel = drawn(module, f"kernel_{name}", draw, (size, size, hidden.shape[-1], channels))
    return convolve(hidden, kernel, stride, size // 2)


def biased(module: nn.Module, hidden: Array, name: str | int, draw: Callable = ZEROS) -> Array:
    """One number added to every channel or unit."""
    return hidden + drawn(module, f"bias_{name}", draw, hidden.shape[-1:])


def connected(
    module: nn.Module,
    hidden: Array,
    name: str | int,
    width: int,
    kernels: Callable = HE,
    biases: Callable = ZEROS,
) -> Array:
    """A fully connected layer."""
    kernel = drawn(module, f"kernel_{name}", kernels, (hidden.shape[-1], width))
    return biased(module, hidden @ kernel, name, biases)


def normalized(
    module: Any, hidden: Array, name: str | int, train: bool, biases: Callable = ZEROS
) -> Array:
    """Hidden images normalized as the settings `norm` and `groups` of the module say.

    * "none": a bias per channel, drawn by `biases`, takes its place;
    * "layer": over height, width and all channels of one example (a group norm of one group);
      permuting channels changes nothing;
    * "group": the same over `groups` runs of neighboring channels;
    * "batch": over height, width and the examples. With `train` these are the examples at hand,
      whose mean and variance are stored in the collection "batch_stats" as they are (biased, no
      running average); without, they are what is stored there.

    All but "none" have a scale and a bias per channel.
    """
    if module.norm == "none":
        return biased(module, hidden, name, biases)
    settings: dict[str, Any] = {
        "epsilon": 1e-5,
        "use_fast_variance": False,
        "name": f"norm_{name}",
    }
    if module.norm == "batch":
        return nn.BatchNorm(use_running_average=not train, momentum=0.0, **settings)(hidden)
    groups = module.groups if module.norm == "group" else 1
    if hidden.shape[-1] % groups:
        raise ValueError(
            f"groups must divide all channels; {groups} and {hidden.shape[-1]} do not"
        )
    return nn.GroupNorm(groups, **settings)(hidden)


def largest_of(images: Array, pool: int) -> Array:
    """Largest value of each pool × pool block.

    A reshape and a maximum: the gradient of `reduce_window` is four times slower on a CPU.
    """
    return images if pool == 1 else _blocks(images, pool).max(axis=(2, 4))


def mean_of(images: Array, pool: int) -> Array:
    """Mean of each pool × pool block."""
    return _blocks(images, pool).mean(axis=(2, 4))


def largest_near(images: Array, window: int, stride: int) -> Array:
    """Largest of window × window pixels around every stride-th: blocks that overlap.

    One axis after the other, as a maximum of shifted images, for the reason of `largest_of`;
    pixels beyond the edge do not count.
    """
    for axis in (1, 2):
        size = images.shape[axis]
        count = -(-size // stride)
        last = (count - 1) * stride + 1
        beyond = max(last - 1 + window - size, 0)
        sides = [(0, 0)] * 4
        sides[axis] = (beyond // 2, beyond - beyond // 2)
        padded = jnp.pad(images, sides, constant_values=-jnp.inf)
        shifts = [
            jax.lax.slice_in_dim(padded, first, first + last, stride, axis)
            for first in range(window)
        ]
        images = reduce(jnp.maximum, shifts)
    return images


def _blocks(images: Array, pool: int) -> Array:
    """(example, row, pool, column, pool, channel)."""
    count, height, width, channels = images.shape
    if height % pool or width % pool:
        raise ValueError(f"images of {height} × {width} cannot be pooled by {pool}")
    return images.reshape(count, height // pool, pool, width // pool, pool, channels)


def check_images(inputs: Array, network: str = "", least: int = 1, multiple: int = 1) -> None:
    """Raise ValueError unless inputs are images, of a size that the network can take."""
    if inputs.ndim != 4:
        raise ValueError("convolutions need images, (height, width, channel)")
    height, width = inputs.shape[1:3]
    if min(height, width) < least:
        raise ValueError(
            f"{network} needs images of at least {least} × {least} pixels, got {height} × {width}"
        )
    if height % multiple or width % multiple:
        raise ValueError(
            f"{network} needs images with sides in multiples of {multiple} pixels, "
            f"got {height} × {width}"
        )


def check_norm(norm: str, groups: int) -> None:
    """Raise ValueError unless these are settings that `normalized` knows."""
    choose("norm", norm, NORMS)
    if groups < 1:
        raise ValueError(f"groups must be at least 1, got {groups}")
