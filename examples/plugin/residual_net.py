"""A network of your own: a Flax module whose fields are its settings."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float


class ResidualNet(nn.Module):
    """h ← h + tanh(Wh + b), repeated; one linear layer in front and one behind.

    Attributes:
        width: units of every layer, at least 1.
        blocks: residual steps, at least 1.
        outputs: units of the last layer; None for what the data needs.
    """

    width: int = 6
    blocks: int = 2
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "blocks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @nn.compact
    def __call__(self, inputs: Float[Array, "example ..."]) -> Float[Array, "example output"]:
        """Outputs for every example."""
        hidden = nn.Dense(self.width)(inputs.reshape(len(inputs), -1))
        for _ in range(self.blocks):
            hidden = hidden + nn.tanh(nn.Dense(self.width)(hidden))
        return nn.Dense(self.outputs or 1)(hidden)
