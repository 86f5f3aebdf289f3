"""Fully connected networks: h ← activation(Wᵀ h + b), layer by layer.

Activations are held as (unit, example), examples last: the vector units of a CPU run along the
examples, of which there are many, and not along the four units of a small layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from jaxtyping import Array, Float

from landscape_cli.errors import nearest

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "relu": nn.relu,
    "gelu": nn.gelu,
    "softplus": nn.softplus,
    "identity": lambda x: x,
}


def _uniform(key: Array, shape: tuple[int, ...], dtype: type = jnp.float32) -> Array:
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0)


INITIALIZERS = {  # name -> (of weights, of biases)
    "lecun": (initializers.lecun_normal(), initializers.zeros),
    "uniform": (_uniform, initializers.normal(1.0)),
}


class MLP(nn.Module):
    """A multilayer perceptron; images are flattened.

    Attributes:
        widths: units of each hidden layer.
        activation: tanh, sigmoid, relu, gelu, softplus or identity.
        output_activation: the same choice, for the last layer.
        bias: whether layers have biases.
        initializer: "lecun" (W ~ N(0, 1/inputs), b = 0) or "uniform" (W ~ U(-1, 1),
            b ~ N(0, 1), as Freeman and Bruna 2017).
        outputs: units of the last layer; None for what the data needs.
    """

    reference: ClassVar[str] = ""

    widths: tuple[int, ...] = (4, 4)
    activation: str = "tanh"
    output_activation: str = "identity"
    bias: bool = True
    initializer: str = "lecun"
    outputs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self.widths, self.outputs)
        _choose("activation", self.activation, ACTIVATIONS)
        _choose("output_activation", self.output_activation, ACTIVATIONS)
        _choose("initializer", self.initializer, INITIALIZERS)

    @nn.compact
    def __call__(self, inputs: Float[Array, "example ..."]) -> Float[Array, "example output"]:
        """Outputs for every example."""
        kernels, biases = INITIALIZERS[self.initializer]
        hidden = inputs.reshape(len(inputs), -1).T
        widths = (*self.widths, self.outputs or 1)
        names = [self.activation] * len(self.widths) + [self.output_activation]
        for layer, (width, name) in enumerate(zip(widths, names, strict=True)):
            kernel = self.param(f"kernel_{layer}", kernels, (len(hidden), width))
            hidden = kernel.T @ hidden
            if self.bias:
                hidden = hidden + self.param(f"bias_{layer}", biases, (width,))[:, None]
            hidden = ACTIVATIONS[name](hidden)
        return hidden.T


def check_sizes(widths: tuple[int, ...], outputs: int | None) -> None:
    """Raise ValueError unless all layers have units."""
    if any(width < 1 for width in widths):
        raise ValueError(f"widths must all be at least 1, got {list(widths)}")
    if outputs is not None and outputs < 1:
        raise ValueError(f"outputs must be at least 1, or null to suit the data, got {outputs}")


def _choose(field: str, value: str, known: dict) -> None:
    if value not in known:
        hint = nearest(value, known)
        raise ValueError(f"{field} must be one of {', '.join(known)}, got {value!r}{hint}")
