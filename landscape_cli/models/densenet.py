"""Densely connected networks: each layer sees all earlier ones of its block, h ← [h, F(h)].

Huang and others (2017): one convolution, three blocks, between them a 1×1 convolution and the
mean of 2 × 2 pixels, at the end the mean over pixels and one dense layer. F is norm, relu and a
3×3 convolution to a few channels, the growth; norms come before convolutions throughout.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from landscape_cli.models.choices import check_outputs
from landscape_cli.models.layers import (
    check_images,
    check_norm,
    connected,
    convolved,
    mean_of,
    normalized,
)
from landscape_cli.models.references import HUANG_DENSENET
from landscape_cli.ranges import check_counts


class DenseNet(nn.Module):
    """A dense network; kernels W ~ N(0, 2/inputs), biases 0.

    The published DenseNet-BC has bottlenecks and a compression of 0.5; batch norm in any case.

    Attributes:
        depth: layers; 3n + 4, or 6n + 4 with bottlenecks.
        growth: channels that every layer adds.
        bottleneck: whether a 1×1 convolution to 4 growth channels precedes every 3×3 one, and
            the first convolution has 2 growth channels rather than 16.
        compression: channels kept between blocks, as a fraction in (0, 1].
        norm: none, layer, group or batch, as in `layers.normalized`.
        groups: of channels, for norm "group"; must divide the channels of every layer.
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = HUANG_DENSENET

    depth: int = 40
    growth: int = 12
    bottleneck: bool = False
    compression: float = 1.0
    norm: str = "layer"
    groups: int = 4
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        layers = 6 if self.bottleneck else 3
        if self.depth < layers + 4 or self.depth % layers != 4 % layers:
            raise ValueError(f"depth must be {layers}n + 4, such as 40, got {self.depth}")
        check_counts(self, "growth")
        if not 0 < self.compression <= 1:
            raise ValueError(f"compression must be in (0, 1], got {self.compression}")
        check_norm(self.norm, self.groups)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"], train: bool = False
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        check_images(inputs, "DenseNet", multiple=4)
        count = (self.depth - 4) // (6 if self.bottleneck else 3)
        hidden = convolved(self, inputs, "first", 2 * self.growth if self.bottleneck else 16)
        for block in range(3):
            if block:
                kept = max(1, int(self.compression * hidden.shape[-1]))
                hidden = mean_of(self.step(hidden, f"{block}_between", kept, 1, train), 2)
            for layer in range(count):
                hidden = self.grown(hidden, f"{block}_{layer}", train)
        hidden = nn.relu(normalized(self, hidden, "last", train))
        return connected(self, hidden.mean(axis=(1, 2)), "dense", self.outputs or 1)

    def grown(self, hidden: Array, name: str, train: bool) -> Array:
        """[h, F(h)]."""
        added = hidden
        if self.bottleneck:
            added = self.step(added, f"{name}_narrow", 4 * self.growth, 1, train)
        added = self.step(added, name, self.growth, 3, train)
        return jnp.concatenate([hidden, added], axis=-1)

    def step(self, hidden: Array, name: str, channels: int, size: int, train: bool) -> Array:
        """Norm, relu, convolution."""
        hidden = nn.relu(normalized(self, hidden, name, train))
        return convolved(self, hidden, name, channels, size)
