"""VGG for small images: 3×3 convolutions in five blocks, each halved by pooling, then layers.

Simonyan and Zisserman's (2015) convolutions with the smaller dense layers, 512-512, that Garipov
and others (2018) joined minima of: no norm, 32 × 32 pixels. Their dropout is left out.
Convolutions begin as in their code, dense layers, there PyTorch's default, as in `ResNet`.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from landscape_cli.models.choices import check_outputs, check_sizes
from landscape_cli.models.layers import (
    HE_OUT,
    check_images,
    check_norm,
    connected,
    convolved,
    largest_of,
    normalized,
)
from landscape_cli.models.references import SIMONYAN_VGG
from landscape_cli.ranges import check_counts

BLOCKS = {  # depth -> convolutions of each block; three dense layers make up the rest
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
WIDENING = (1, 2, 4, 8, 8)  # channels of each block, over those of the first


class VGG(nn.Module):
    """Convolutions, pooling and three dense layers; convolutions W ~ N(0, 2/outputs), biases 0.

    Outputs are a kernel's nine pixels times its channels out; dense layers are N(0, 2/inputs).

    Attributes:
        depth: layers with weights: 11, 13, 16 or 19.
        channels: of the first block; 64 as published.
        widths: units of the two fully connected hidden layers.
        norm: none, layer, group or batch, as in `layers.normalized`; after convolutions.
        groups: of channels, for norm "group".
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = SIMONYAN_VGG

    depth: int = 16
    channels: int = 64
    widths: tuple[int, int] = (512, 512)
    norm: str = "none"
    groups: int = 8
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in BLOCKS:
            raise ValueError(f"depth must be one of {list(BLOCKS)}, got {self.depth}")
        check_counts(self, "channels")
        check_sizes("widths", self.widths)
        check_norm(self.norm, self.groups)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"], train: bool = False
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        check_images(inputs, "VGG", multiple=32)
        hidden = inputs
        for block, count in enumerate(BLOCKS[self.depth]):
            for layer in range(count):
                name = f"{block}_{layer}"
                channels = WIDENING[block] * self.channels
                hidden = convolved(self, hidden, name, channels, draw=HE_OUT)
                hidden = nn.relu(normalized(self, hidden, name, train))
            hidden = largest_of(hidden, 2)
        hidden = hidden.reshape(len(hidden), -1)
        for layer, width in enumerate(self.widths):
            hidden = nn.relu(connected(self, hidden, f"dense_{layer}", width))
        return connected(self, hidden, "dense_2", self.outputs or 1)
