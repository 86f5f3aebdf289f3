"""What networks have in common: names of activations and initial draws, and checks of sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from jaxtyping import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "relu": nn.relu,
    "gelu": nn.gelu,
    "softplus": nn.softplus,
    "identity": lambda x: x,
}


def _uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0)


INITIALIZERS = {  # name -> draws (of weights, of biases)
    "lecun": (initializers.lecun_normal(), initializers.zeros),
    "uniform": (_uniform, initializers.normal(1.0)),
    "truncated": (initializers.truncated_normal(0.1), initializers.constant(0.1)),
}


def drawn(module: nn.Module, name: str, draw: Callable, shape: tuple[int, ...]) -> Array:
    """The module's parameter `name`; its first value is float32, so all precisions start alike."""
    return module.param(name, draw, shape, jnp.float32)


def check_sizes(field: str, sizes: tuple[int, ...]) -> None:
    """Raise ValueError unless every size is at least one."""
    if any(size < 1 for size in sizes):
        raise ValueError(f"{field} must all be at least 1, got {list(sizes)}")


def check_outputs(outputs: int | None) -> None:
    """Raise ValueError unless `outputs` is None or at least one."""
    if outputs is not None and outputs < 1:
        raise ValueError(f"outputs must be at least 1, or null to suit the data, got {outputs}")
