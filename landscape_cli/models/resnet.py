"""Residual networks for small images: h ← relu(h + F(h)), two 3×3 convolutions in every F.

He and others (2016) gave the form for CIFAR: one convolution, three stages of n blocks with 1, 2
and 4 times the channels on a half and a quarter of the pixels, the mean over pixels, one dense
layer; 6n + 2 layers. Li and others (2018) left the shortcuts out to see what they do to the
landscape, and Draxler and others (2018) joined minima of these networks, with shortcut B.
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
    normalized,
)
from landscape_cli.models.references import HE_RESNET
from landscape_cli.ranges import check_counts, choose

SHORTCUTS = ("A", "B", "none")


class ResNet(nn.Module):
    """A residual network; kernels W ~ N(0, 2/inputs), biases 0 (He and others, 2015).

    The default norm keeps the energy a function of θ alone and, unlike groups, the symmetry under
    permuted channels. Without a norm, blocks add up: expect depths above 20 to be hard to train.

    Attributes:
        depth: layers, 6n + 2: 8, 20, 32, 44, 56, 110.
        channels: of the first stage; 16 k in a network k times as wide as the published one.
        shortcut: where channels double, "A" takes every other pixel and channels of zeros, and
            "B" a 1×1 convolution; "none" leaves out the shortcuts of all blocks.
        norm: none, layer, group or batch, as in `layers.normalized`.
        groups: of channels, for norm "group".
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = HE_RESNET

    depth: int = 8
    channels: int = 16
    shortcut: str = "A"
    norm: str = "layer"
    groups: int = 8
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 8 or self.depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2, such as 8, 20, 32 or 56, got {self.depth}")
        check_counts(self, "channels")
        choose("shortcut", self.shortcut, SHORTCUTS)
        check_norm(self.norm, self.groups)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"], train: bool = False
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        check_images(inputs, "ResNet", least=8)
        hidden = convolved(self, inputs, "first", self.channels)
        hidden = nn.relu(normalized(self, hidden, "first", train))
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                stride = 2 if stage and not block else 1
                hidden = self.block(hidden, f"{stage}_{block}", stride, train)
        return connected(self, hidden.mean(axis=(1, 2)), "dense", self.outputs or 1)

    def block(self, hidden: Array, name: str, stride: int, train: bool) -> Array:
        """relu(shortcut + F); a stride doubles the channels."""
        channels = hidden.shape[-1] * stride
        inner = convolved(self, hidden, f"{name}_0", channels, stride=stride)
        inner = nn.relu(normalized(self, inner, f"{name}_0", train))
        inner = convolved(self, inner, f"{name}_1", channels)
        inner = normalized(self, inner, f"{name}_1", train)
        if self.shortcut == "none":
            return nn.relu(inner)
        if stride > 1 and self.shortcut == "A":
            missing = channels - hidden.shape[-1]
            every_other = hidden[:, ::stride, ::stride]
            hidden = jnp.pad(every_other, ((0, 0), (0, 0), (0, 0), (0, missing)))
        elif stride > 1:
            hidden = convolved(self, hidden, f"{name}_shortcut", channels, size=1, stride=stride)
            hidden = normalized(self, hidden, f"{name}_shortcut", train)
        return nn.relu(hidden + inner)
