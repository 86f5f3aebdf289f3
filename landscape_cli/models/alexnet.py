"""Small AlexNets for CIFAR: two 5×5 convolutions with overlapping pooling, then layers.

Two published ones, both descended from Krizhevsky's networks (Krizhevsky and others, 2012):

* Freeman and Bruna (2017), 24 × 24 pixels: the second convolution is normalized, then pooled;
* Zhang and others (2017), "small AlexNet", 28 × 28 pixels: both are pooled, then normalized.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers
from jaxtyping import Array, Float

from landscape_cli.models.choices import check_outputs, check_sizes
from landscape_cli.models.layers import (
    ZEROS,
    check_images,
    check_norm,
    connected,
    convolved,
    largest_near,
    normalized,
)
from landscape_cli.models.references import KRIZHEVSKY_ALEXNET

KERNEL, WINDOW, STRIDE = 5, 3, 2  # pixels: of convolutions, of pooling, between its windows
RADIUS, ALPHA, BETA = 4, 0.001 / 9, 0.75  # of `local_response`
TENTHS = initializers.constant(0.1)


class AlexNet(nn.Module):
    """Convolutions with pooling and local response normalization, then dense layers.

    Weights are truncated normal draws of deviation 0.05 in convolutions, 0.04 in dense layers and
    1/inputs in the last; biases are 0 in the first and last layer, else 0.1 (as in TensorFlow's
    tutorial, whose network this is). The energy is a function of θ alone.

    Attributes:
        channels: of the two convolutions.
        widths: units of each fully connected hidden layer.
        pool_first: whether the second convolution, too, is pooled before it is normalized.
        norm: none, layer, group or batch, as in `layers.normalized`; after convolutions, besides
            the local response normalization.
        groups: of channels, for norm "group".
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = KRIZHEVSKY_ALEXNET

    channels: tuple[int, int] = (64, 64)
    widths: tuple[int, ...] = (384, 192)
    pool_first: bool = True
    norm: str = "none"
    groups: int = 8
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes("channels", self.channels)
        check_sizes("widths", self.widths)
        check_norm(self.norm, self.groups)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"], train: bool = False
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        check_images(inputs, "AlexNet", least=8)
        hidden = local_response(pooled(self.feature(inputs, 0, train, ZEROS)))
        hidden = self.feature(hidden, 1, train, TENTHS)
        if self.pool_first:
            hidden = local_response(pooled(hidden))
        else:
            hidden = pooled(local_response(hidden))
        hidden = hidden.reshape(len(hidden), -1)
        draw = initializers.truncated_normal(0.04)
        for layer, width in enumerate(self.widths, start=2):
            hidden = nn.relu(connected(self, hidden, layer, width, draw, TENTHS))
        draw = initializers.truncated_normal(1 / hidden.shape[-1])
        return connected(self, hidden, len(self.widths) + 2, self.outputs or 1, draw)

    def feature(
        self, hidden: Array, layer: int, train: bool, biases: initializers.Initializer
    ) -> Array:
        """Convolution, bias or norm, relu."""
        draw = initializers.truncated_normal(0.05)
        hidden = convolved(self, hidden, layer, self.channels[layer], KERNEL, draw=draw)
        return nn.relu(normalized(self, hidden, layer, train, biases))


def pooled(images: Array) -> Array:
    """Largest of 3 × 3 pixels around every other one."""
    return largest_near(images, WINDOW, STRIDE)


def local_response(images: Array) -> Array:
    """Every x over (1 + α Σ x²)^β, the sum over the nine channels around it."""
    channel = jnp.arange(images.shape[-1])
    near = abs(channel[:, None] - channel) <= RADIUS
    return images / (1 + ALPHA * (images**2 @ near.astype(images.dtype))) ** BETA
