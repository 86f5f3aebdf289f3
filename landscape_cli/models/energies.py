"""Networks as energies of a flat parameter vector θ: plain, with batch norm, on mini-batches.

Batch norm makes an output depend on the other examples, and its statistics are no parameters. Two
ways to a function of θ alone: `NormalizedEnergy` computes them anew at every point, from a fixed
set of training examples (a fresh pass: Izmailov and others, 2018, section 3.2); its gradient
goes through them. `StoredEnergy` takes them for further coordinates of θ (as Draxler and others,
2018, did), so that they are interpolated along a string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core.energy import Contextual, Network
from landscape_cli.functional import LOSSES
from landscape_cli.models.layout import Layout
from landscape_cli.models.rows import by_rows

EMPTY = Layout((), ())


@dataclass(frozen=True)
class NetworkEnergy(Network):
    """Σ weight · loss(module(input; θ), target); equal settings compare and hash equal.

    So it can be a static argument of `jax.jit`, and a second equal network does not compile anew.

    Attributes:
        module: the network.
        loss: a name in `LOSSES`.
        layout: where its parameters are in θ.
        arithmetic: "bfloat16" computes the network's outputs in it, "tensorfloat32" its matrix
            products and convolutions; "" as θ is.
        remat: keep for the gradient what products and convolutions give, compute the rest again.
    """

    module: nn.Module
    loss: str
    layout: Layout
    arithmetic: str = ""
    remat: bool = False

    def __call__(self, theta: Float[Array, " param"], data: tuple[Array, Array, Array]) -> Array:
        """The energy of θ on (inputs, targets, weights)."""
        return self.of_outputs(theta, {}, data)

    def of_outputs(self, theta: Array, statistics: dict[str, Any], data: Any) -> Array:
        """The energy with `statistics` for batch norm, if the network has any."""
        inputs, targets, weights = data
        outputs = self.outputs(theta, statistics, inputs)
        losses = LOSSES[self.loss](outputs.astype(theta.dtype), targets)
        return jnp.dot(weights, losses, precision=jax.lax.Precision.HIGHEST)

    @contextmanager
    def products(self) -> Iterator[None]:
        """How matrix products and convolutions are computed while the network is traced.

        Left alone, a GPU would multiply float32 in tensorfloat32, and verdicts with it.
        """
        rough = {"tensorfloat32": "tensorfloat32", "bfloat16": "default"}
        with jax.default_matmul_precision(rough.get(self.arithmetic, "highest")), by_rows():
            yield

    def outputs(self, theta: Array, statistics: dict[str, Any], inputs: Array) -> Array:
        """The network's outputs."""

        def apply(theta: Array, statistics: dict[str, Any], inputs: Array) -> Array:
            if self.arithmetic == "bfloat16":
                theta, inputs = theta.astype(self.arithmetic), inputs.astype(self.arithmetic)
            variables = {"params": self.layout.unravel(theta)} | statistics
            with self.products():
                return cast(Array, self.module.apply(variables, inputs))

        return self.sparing(apply)(theta, statistics, inputs)

    def sparing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, which keeps as much for its gradient as `remat` says.

        Products alone: each recomputed value is then near one that was kept. With nothing kept
        all of them would be there at once.
        """
        if not self.remat:
            return function
        return jax.checkpoint(function, policy=jax.checkpoint_policies.dots_saveable)


@dataclass(frozen=True)
class NormalizedEnergy(NetworkEnergy, Contextual):
    """The energy of a network with batch norm, its statistics those of θ on the reference."""

    def context(self, theta: Array, reference: tuple[Array, ...]) -> dict[str, Any]:
        """Mean and variance of every batch norm over the inputs of `reference`."""

        def apply(theta: Array, inputs: Array) -> dict[str, Any]:
            params = {"params": self.layout.unravel(theta)}
            with self.products():
                _, statistics = self.module.apply(
                    params, inputs, train=True, mutable=["batch_stats"]
                )
            return jax.tree.map(lambda leaf: leaf.astype(theta.dtype), dict(statistics))

        return self.sparing(apply)(theta, reference[0])

    def __call__(self, theta: Array, data: tuple, context: dict[str, Any]) -> Array:
        """The energy of θ on (inputs, targets, weights), given its statistics."""
        return self.of_outputs(theta, context, data)


@dataclass(frozen=True)
class StoredEnergy(NetworkEnergy):
    """The energy of a network with batch norm whose statistics are the last coordinates of θ.

    They have no gradient: nothing but the string pulls at them.

    Attributes:
        statistics: where they are among the last coordinates.
    """

    statistics: Layout = EMPTY

    @classmethod
    def of(cls, energy: NormalizedEnergy, statistics: Layout) -> StoredEnergy:
        """The same network."""
        known = {field.name: getattr(energy, field.name) for field in fields(energy)}
        return cls(**known, statistics=statistics)

    def __call__(self, theta: Array, data: tuple[Array, Array, Array]) -> Array:
        """The energy of (θ, statistics) on (inputs, targets, weights)."""
        return self.of_outputs(*self.split(theta), data)


@dataclass(frozen=True)
class MiniBatch:
    """`size` examples drawn without replacement, an unbiased estimate of the full sum.

    Attributes:
        size: examples.
        augmentation: varies the inputs drawn; None leaves them as they are.
    """

    size: int
    augmentation: Callable[[Array, Array], Array] | None = None

    @property
    def plain(self) -> bool:
        """Whether as many as there are would be all of them, as they are."""
        return self.augmentation is None

    def __call__(self, data: tuple[Array, ...], key: jax.Array) -> tuple[Array, ...]:
        """A smaller (inputs, targets, weights)."""
        if self.augmentation is None:
            return minibatch(data, key, self.size)
        drawn, varied = jax.random.split(key)
        inputs, targets, weights = minibatch(data, drawn, self.size)
        return self.augmentation(inputs, varied), targets, weights


@partial(jax.jit, static_argnames=("total", "size"))
def subset(key: jax.Array, total: int, size: int) -> Array:
    """`size` of `total` numbers, every subset equally likely; their order is not random.

    Floyd's algorithm: for j = total - size .. total - 1 draw t from 0..j; take t, or j where t
    has been taken. `jax.random.choice` sorts all numbers instead, which costs more than the
    gradient. All steps are taken at once: t is taken if an earlier step drew it, or if it is the
    j of an earlier step that had to take its own. Chains of such steps are followed in leaps.

    Reference: Bentley and Floyd, "A sample of brilliance", Communications of the ACM 30 (1987).
    """
    steps = jnp.arange(size, dtype=jnp.int32)  # as wide in every precision: the same draws
    own = total - size + steps
    drawn = jax.random.randint(key, (size,), 0, own + 1, jnp.int32)
    first = jnp.full(total, size, jnp.int32).at[drawn].min(steps)
    taken = first[drawn] < steps
    asked = jnp.where(drawn < own[0], steps, drawn - own[0])  # the step whose j was drawn
    for _ in range((size - 1).bit_length()):
        taken, asked = taken | taken[asked], asked[asked]
    return jnp.where(taken, own, drawn)


def minibatch(data: tuple[Array, ...], key: jax.Array, size: int) -> tuple[Array, ...]:
    """Draw `size` examples, every subset equally likely; all of them where there are no more.

    Weights are scaled by examples / size: the expected energy of the batch is that of the data.
    """
    inputs, targets, weights = data
    total = len(weights)
    if size >= total:
        return data
    rows = subset(key, total, size)
    if isinstance(inputs, np.ndarray):  # they wait on the host: only the batch is sent
        rows = np.asarray(rows)
        inputs, targets, weights = (jnp.asarray(leaf[rows]) for leaf in data)
        return inputs, targets, weights * (total / size)
    return inputs[rows], targets[rows], weights[rows] * (total / size)
