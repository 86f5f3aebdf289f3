"""Convolutional networks for images: convolutions, each with pooling or a stride, then layers.

The default is of a size for a desk: strides in place of pooling make the gradient of 512 images
of 28 × 28 about five times cheaper on two CPU cores. The published network (Freeman and Bruna
2017) is 5×5×32, pooling by 2, 5×5×64, pooling by 2, 1,024 units, 10 classes.
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from landscape_cli.models.choices import (
    ACTIVATIONS,
    INITIALIZERS,
    check_outputs,
    check_sizes,
    choose,
    drawn,
)


class CNN(nn.Module):
    """Convolutions over images, padded to keep their size, then fully connected layers.

    Attributes:
        channels: channels of each convolution.
        kernel: height and width of every convolution, in pixels.
        stride: step of every convolution, in pixels.
        pool: pooling after every convolution takes the largest of pool × pool pixels.
        widths: units of each fully connected hidden layer.
        activation: tanh, sigmoid, relu, gelu, softplus or identity, after pooling.
        initializer: "lecun", "uniform" or "truncated", as in `MLP`.
        outputs: units of the last layer; None for what the data needs.
    """

    channels: tuple[int, ...] = (8, 16)
    kernel: int = 5
    stride: int = 2
    pool: int = 1
    widths: tuple[int, ...] = (32,)
    activation: str = "relu"
    initializer: str = "lecun"
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes("channels", self.channels)
        check_sizes("widths", self.widths)
        for name in ("kernel", "stride", "pool"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        choose("activation", self.activation, ACTIVATIONS)
        choose("initializer", self.initializer, INITIALIZERS)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"]
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        if inputs.ndim != 4:
            raise ValueError("convolutions need images, (height, width, channel)")
        activation = ACTIVATIONS[self.activation]
        hidden = inputs
        for layer, channels in enumerate(self.channels):
            hidden = activation(largest_of(self.convolved(hidden, layer, channels), self.pool))
        hidden = hidden.reshape(len(hidden), -1)
        first = len(self.channels)
        for layer, width in enumerate(self.widths, start=first):
            hidden = activation(self.connected(hidden, layer, width))
        return self.connected(hidden, first + len(self.widths), self.outputs or 1)

    def convolved(self, hidden: Array, layer: int, channels: int) -> Array:
        """One convolution with its bias."""
        kernels, biases = INITIALIZERS[self.initializer]
        shape = (self.kernel, self.kernel, hidden.shape[-1], channels)
        kernel = drawn(self, f"kernel_{layer}", kernels, shape)
        numbers = ("NHWC", "HWIO", "NHWC")
        strides = (self.stride, self.stride)
        convolved = jax.lax.conv_general_dilated(
            hidden, kernel, strides, "SAME", dimension_numbers=numbers
        )
        return convolved + drawn(self, f"bias_{layer}", biases, (channels,))

    def connected(self, hidden: Array, layer: int, width: int) -> Array:
        """One fully connected layer."""
        kernels, biases = INITIALIZERS[self.initializer]
        kernel = drawn(self, f"kernel_{layer}", kernels, (hidden.shape[-1], width))
        return hidden @ kernel + drawn(self, f"bias_{layer}", biases, (width,))


def largest_of(images: Array, pool: int) -> Array:
    """Largest value of each pool × pool block.

    A reshape and a maximum: the gradient of `reduce_window` is four times slower on a CPU.
    """
    if pool == 1:
        return images
    count, height, width, channels = images.shape
    if height % pool or width % pool:
        raise ValueError(f"images of {height} × {width} cannot be pooled by {pool}")
    blocks = (count, height // pool, pool, width // pool, pool, channels)
    return images.reshape(blocks).max(axis=(2, 4))
