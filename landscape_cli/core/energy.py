"""Energies of a network's examples, traced: blocks whose energies add up, one point or many.

An energy is a function of flat parameters θ and data. A `Contextual` one needs something more of
a point, such as the statistics of batch norm, and a `Network` is asked for its outputs, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.devices import here

Energy = Any  # (theta, data) -> scalar; pure and hashable


class Contextual(ABC):
    """An energy of a point, data and a context, which is computed once per point.

    Such as the statistics of batch norm.
    """

    @abstractmethod
    def context(self, theta: Array, reference: Any) -> Any:
        """What is needed of `theta`, computed from a reference of its own."""

    @abstractmethod
    def __call__(self, theta: Array, data: Any, context: Any) -> Array:
        """The energy of `theta` on data, given its context."""


class Arranged:
    """An energy whose θ is made of arrays, which a host loop takes apart.

    Attributes:
        layout: where they are in θ: has their `sizes`, and `size`, the sum of them.
    """

    layout: Any


class Network(Arranged, ABC):
    """An energy of a network's outputs.

    Attributes:
        statistics: the layout of what lies behind the parameters in θ (batch norm with
            bn=coordinates), or None.
    """

    statistics: Any = None

    @abstractmethod
    def outputs(self, theta: Array, statistics: Any, inputs: Array) -> Array:
        """(example, output), given the parameters and the statistics of batch norm, if any."""

    def split(self, theta: Array) -> tuple[Array, Any]:
        """The parameters in θ, and the statistics that lie behind them, which have no gradient."""
        if self.statistics is None:
            return theta, {}
        stored = jax.lax.stop_gradient(theta[self.layout.size :])
        return theta[: self.layout.size], self.statistics.unravel(stored)


class Parts(NamedTuple):
    """The data of an energy, as it is computed from.

    Attributes:
        blocks: examples in blocks, whose energies add up.
        reference: what an energy's context is computed from; empty for an energy without one.
    """

    blocks: Any
    reference: Any = ()


def examples_in(data: Any) -> int:
    """How many examples there are; 0 of a formula."""
    leaves = jax.tree.leaves(data)
    return len(leaves[0]) if leaves else 0


def spread_out(weights: Any, count: int) -> np.ndarray:
    """(count,) examples at equal steps of the sum of (example,) weights, heavy ones several times.

    A plain mean over them is nearly the weighted mean over all. The first examples would not do:
    they may be sorted, as the nodes of a quadrature are.
    """
    sums = np.cumsum(np.asarray(weights, float))
    return np.searchsorted(sums, (np.arange(count) + 0.5) / count * sums[-1])


def on_host(data: Any) -> bool:
    """Whether examples wait in the host's memory, as NumPy arrays, and are sent in blocks."""
    return any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(data))


def drawing(draw: Callable[..., Any]) -> Callable[..., Any]:
    """`draw(function, data, ...)` compiled; where examples wait on the host, picked there."""
    compiled = jax.jit(draw, static_argnums=0)

    def drawn(function: Any, data: Any, *rest: Any) -> Any:
        return (draw if on_host(data) else compiled)(function, here(data), *rest)

    return drawn


def even(examples: int, most: int) -> int:
    """Examples of a block, at most `most`, where all blocks are as equal as can be."""
    return -(-examples // -(-examples // most))


def in_blocks(data: Any, block: int | None) -> Any:
    """Examples as (block, example, ...): even blocks of at most `block`, none of them new.

    The energy of a block must be a weighted sum over its examples, the weights the last of the
    data. The last example is repeated with weight 0: zeros in its place might be where a network
    is not finite, and 0 · NaN is no 0.
    """
    leaves, tree = jax.tree.flatten(data)
    if block is None or not leaves:
        return jax.tree.map(lambda leaf: leaf[None], data)
    total = len(leaves[0])
    size = even(total, block)
    count = -(-total // size)

    def cut(leaf: Any, fill: str) -> Any:
        xp: Any = np if isinstance(leaf, np.ndarray) else jnp
        leaf = xp.pad(leaf, [(0, count * size - total), *[(0, 0)] * (leaf.ndim - 1)], fill)
        return leaf.reshape(count, size, *leaf.shape[1:])

    *examples, weights = leaves
    found = [*(cut(leaf, "edge") for leaf in examples), cut(weights, "constant")]
    return jax.tree.unflatten(tree, found)


def _sum(function: Callable[[Any], Any], blocks: Any) -> Any:
    """Σ function(block); a single block without a loop around it."""
    leaves = jax.tree.leaves(blocks)
    first = function(jax.tree.map(lambda leaf: leaf[0], blocks))
    if not leaves or len(leaves[0]) == 1:
        return first

    def add(total: Any, block: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(block)), None

    return jax.lax.scan(add, first, jax.tree.map(lambda leaf: leaf[1:], blocks))[0]


def context_of(energy: Energy, reference: Any, theta: Array) -> Any:
    """What the energy needs once per point, such as batch-norm statistics."""
    return energy.context(theta, reference) if isinstance(energy, Contextual) else ()


def whole(energy: Energy, data: Any) -> Parts:
    """All of a mini-batch at once, its own reference."""
    return Parts(in_blocks(data, None), data if isinstance(energy, Contextual) else ())


@jax.default_matmul_precision("highest")
def some_energy(energy: Energy, theta: Array, context: Any, data: Any) -> Array:
    """The energy of some examples.

    Left alone, a GPU would multiply float32 in tensorfloat32, and verdicts with it; an energy for
    gradients only may ask for less itself.
    """
    return energy(theta, data, context) if isinstance(energy, Contextual) else energy(theta, data)


def some_gradient(energy: Energy, theta: Array, context: Any, data: Any) -> tuple[Array, Any]:
    """The energy of some examples, and its gradients in the parameters and in the context."""
    return jax.value_and_grad(partial(some_energy, energy), argnums=(0, 1))(theta, context, data)


def total_energy(energy: Energy, parts: Parts, theta: Array) -> Array:
    """F(θ) over all blocks of examples."""
    context = context_of(energy, parts.reference, theta)
    return _sum(partial(some_energy, energy, theta, context), parts.blocks)


def total_gradient(energy: Energy, parts: Parts, theta: Array) -> tuple[Array, Array]:
    """F(θ) and ∇F(θ); gradients of blocks are added up as they come, so memory is one block's."""
    context, pull = jax.vjp(partial(context_of, energy, parts.reference), theta)
    total, (direct, through) = _sum(partial(some_gradient, energy, theta, context), parts.blocks)
    return total, direct + pull(through)[0] if isinstance(energy, Contextual) else direct


def mapped(function: Callable, energy: Energy, parts: Parts, points: Array, chunk: int) -> Any:
    """`total_energy` or `total_gradient` at many points, `chunk` at a time; traced."""
    return jax.lax.map(partial(function, energy, parts), points, batch_size=chunk)
