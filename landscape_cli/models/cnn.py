"""Convolutional networks for images: convolutions, each with pooling or a stride, then layers.

The default is of a size for a desk: strides in place of pooling make the gradient of 512 images
of 28 × 28 about five times cheaper on two CPU cores. The published network (Freeman and Bruna
2017) is 5×5×32, pooling by 2, 5×5×64, pooling by 2, 1,024 units, 10 classes.
"""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from landscape_cli.models.choices import (
    ACTIVATIONS,
    INITIALIZERS,
    check_outputs,
    check_sizes,
    drawn,
)
from landscape_cli.models.layers import (
    check_images,
    check_norm,
    connected,
    convolve,
    largest_of,
    normalized,
)
from landscape_cli.ranges import check_counts, choose


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
        norm: none, layer, group or batch, as in `layers.normalized`; after convolutions.
        groups: of channels, for norm "group".
        outputs: units of the last layer; None for what the data needs.
    """

    channels: tuple[int, ...] = (8, 16)
    kernel: int = 5
    stride: int = 2
    pool: int = 1
    widths: tuple[int, ...] = (32,)
    activation: str = "relu"
    initializer: str = "lecun"
    norm: str = "none"
    groups: int = 8
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes("channels", self.channels)
        check_sizes("widths", self.widths)
        check_counts(self, "kernel", "stride", "pool")
        choose("activation", self.activation, ACTIVATIONS)
        choose("initializer", self.initializer, INITIALIZERS)
        check_norm(self.norm, self.groups)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"], train: bool = False
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        check_images(inputs)
        activation, draws = ACTIVATIONS[self.activation], INITIALIZERS[self.initializer]
        hidden = inputs
        for layer, channels in enumerate(self.channels):
            hidden = self.convolved(hidden, layer, channels, train)
            hidden = activation(largest_of(hidden, self.pool))
        hidden = hidden.reshape(len(hidden), -1)
        first = len(self.channels)
        for layer, width in enumerate(self.widths, start=first):
            hidden = activation(connected(self, hidden, layer, width, *draws))
        return connected(self, hidden, first + len(self.widths), self.outputs or 1, *draws)

    def convolved(self, hidden: Array, layer: int, channels: int, train: bool) -> Array:
        """One convolution with its bias or norm."""
        kernels, biases = INITIALIZERS[self.initializer]
        shape = (self.kernel, self.kernel, hidden.shape[-1], channels)
        kernel = drawn(self, f"kernel_{layer}", kernels, shape)
        return normalized(self, convolve(hidden, kernel, self.stride), layer, train, biases)
