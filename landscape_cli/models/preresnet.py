"""Residual networks with norms before convolutions: h ← h + F(h), three convolutions in every F.

He and others (2016), second paper: the sum passes through untouched, without a relu behind it. F
is a bottleneck, 1×1, 3×3 and 1×1 convolutions, each after norm and relu; the last has four times
the channels. Depth 164 is the network that Garipov and others (2018) joined by curves;
convolutions begin as in their code, the last layer, there PyTorch's default, as in `ResNet`.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from landscape_cli.models.choices import check_outputs
from landscape_cli.models.layers import (
    HE_OUT,
    check_images,
    check_norm,
    connected,
    convolved,
    normalized,
)
from landscape_cli.models.references import HE_PRERESNET
from landscape_cli.ranges import check_counts

WIDER = 4  # channels of a block's sum, in those of its bottleneck


class PreResNet(nn.Module):
    """A pre-activation residual network; convolutions W ~ N(0, 2/outputs), biases 0.

    Outputs are a kernel's pixels times its channels out; the last layer is N(0, 2/inputs).

    Attributes:
        depth: layers, 9n + 2: 11, 20, 29, 110, 164.
        channels: of the first stage's bottlenecks; the published networks have 16.
        norm: none, layer, group or batch, as in `layers.normalized`.
        groups: of channels, for norm "group".
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = HE_PRERESNET

    depth: int = 11
    channels: int = 16
    norm: str = "layer"
    groups: int = 8
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 11 or self.depth % 9 != 2:
            raise ValueError(f"depth must be 9n + 2, such as 11, 20 or 164, got {self.depth}")
        check_counts(self, "channels")
        check_norm(self.norm, self.groups)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "example height width channel"], train: bool = False
    ) -> Float[Array, "example output"]:
        """Outputs for every image."""
        check_images(inputs, "PreResNet", least=8)
        hidden = convolved(self, inputs, "first", self.channels, draw=HE_OUT)
        for stage in range(3):
            for block in range((self.depth - 2) // 9):
                stride = 2 if stage and not block else 1
                hidden = self.block(hidden, f"{stage}_{block}", stage, stride, train)
        hidden = nn.relu(normalized(self, hidden, "last", train))
        return connected(self, hidden.mean(axis=(1, 2)), "dense", self.outputs or 1)

    def block(self, hidden: Array, name: str, stage: int, stride: int, train: bool) -> Array:
        """The sum of h and F(h); a 1×1 convolution of h where channels or pixels change."""
        narrow = self.channels * 2**stage
        wide = WIDER * narrow
        inner = hidden
        for layer, (channels, size, step) in enumerate(
            [(narrow, 1, 1), (narrow, 3, stride), (wide, 1, 1)]
        ):
            inner = nn.relu(normalized(self, inner, f"{name}_{layer}", train))
            inner = convolved(self, inner, f"{name}_{layer}", channels, size, step, HE_OUT)
        if hidden.shape[-1] != wide or stride > 1:
            hidden = convolved(self, hidden, f"{name}_shortcut", wide, 1, stride, HE_OUT)
        return hidden + inner
