"""Deep linear networks f(x) = W_K … W_1 x, about which theorems are known.

With every hidden width above min(inputs, outputs), all level sets of the squared error are
connected, at any depth (Freeman and Bruna 2017, proposition 2.2).
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from landscape_cli.models.choices import INITIALIZERS, check_outputs, check_sizes, drawn
from landscape_cli.references import FREEMAN_BRUNA


class LinearNet(nn.Module):
    """A product of matrices, without biases; W ~ N(0, 1/inputs) at the start.

    Attributes:
        widths: units of each hidden layer; empty for one matrix.
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = FREEMAN_BRUNA

    widths: tuple[int, ...] = (4,)
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes("widths", self.widths)
        check_outputs(self.outputs)

    @nn.compact
    def __call__(self, inputs: Float[Array, "example ..."]) -> Float[Array, "example output"]:
        """Outputs for every example."""
        hidden = inputs.reshape(len(inputs), -1).T  # (unit, example), as in `MLP`
        for layer, width in enumerate((*self.widths, self.outputs or 1)):
            shape = (len(hidden), width)
            kernel = drawn(self, f"kernel_{layer}", INITIALIZERS["lecun"][0], shape)
            hidden = kernel.T @ hidden
        return hidden.T
