"""A host loop over one compiled point: energies and gradients of one point and block at a time.

On a CPU XLA runs a convolution over stacked parameters, or inside a loop of a program, many times
slower than by itself: so the loop is here, and none around the programs. Every core takes a point,
and of several devices every device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from landscape_cli.core.devices import here, on_devices
from landscape_cli.core.energy import (
    Arranged,
    Contextual,
    Energy,
    Parts,
    context_of,
    on_host,
    some_energy,
)
from landscape_cli.core.threads import local_devices, side_by_side

HELD = 1 << 32  # bytes of points on the device while blocks of examples are sent there

_one_context = jax.jit(context_of, static_argnames="energy")


Arrays = list[Array]  # θ in the arrays that make up a network, flat


@partial(jax.jit, static_argnames="energy", donate_argnames="total")
def _add_energy(energy: Energy, arrays: Arrays, context: Any, data: Any, total: Array) -> Array:
    return total + _energy(energy, data, arrays, context)


@partial(jax.jit, static_argnames="energy", donate_argnames="total")
def _add_gradient(energy: Energy, arrays: Arrays, context: Any, data: Any, total: Any) -> Any:
    """`total` with the gradient of some examples, an array of the network at a time.

    For all of θ at once XLA would compute the arrays anew for every entry of it.
    """
    found = jax.value_and_grad(partial(_energy, energy, data), argnums=(0, 1))(arrays, context)
    return jax.tree.map(jnp.add, total, found)


def _energy(energy: Energy, data: Any, arrays: Arrays, context: Any) -> Array:
    return some_energy(energy, jnp.concatenate(arrays), context, data)


@partial(jax.jit, static_argnames="energy")
def _arrays(energy: Energy, theta: Array) -> Arrays:
    """θ cut up, once for all blocks: where it is cut for one, XLA copies large arrays twice."""
    return list(jax.lax.split(theta, _sizes(energy, theta.size)))


@partial(jax.jit, static_argnames="energy")
def _no_gradient(energy: Energy, theta: Array, context: Any) -> Any:
    """What `_add_gradient` begins with; a program, since a network may have hundreds of arrays."""
    arrays = [jnp.zeros(size, theta.dtype) for size in _sizes(energy, theta.size)]
    return jnp.zeros((), theta.dtype), (arrays, jax.tree.map(jnp.zeros_like, context))


def _sizes(energy: Energy, size: int) -> tuple[int, ...]:
    """Of the arrays that make up θ, and of what else it holds; of a formula, all of it."""
    arrays = energy.layout.sizes if isinstance(energy, Arranged) else ()
    return (*arrays, size - sum(arrays)) if size > sum(arrays) else arrays


@jax.jit
def _joined(arrays: Arrays) -> Array:
    """Arrays as one vector; XLA's concatenation takes thirty times as long."""
    vector, at = jnp.zeros(sum(a.size for a in arrays), arrays[0].dtype), 0
    for array in arrays:
        vector = jax.lax.dynamic_update_slice(vector, array, (at,))
        at += array.size
    return vector


@partial(jax.jit, static_argnames="energy", donate_argnames="direct")
def _add_through(
    energy: Energy, theta: Array, reference: Any, through: Any, direct: Array
) -> Array:
    _, pull = jax.vjp(partial(context_of, energy, reference), theta)
    return direct + pull(through)[0]


_row = jax.jit(lambda rows, i: rows[i])
_with_row = jax.jit(lambda rows, i, row: rows.at[i].set(row), donate_argnums=0)


def energies(energy: Energy, parts: Parts, thetas: Any) -> list[Array]:
    """F at every point."""
    start = lambda theta, _: jnp.zeros((), theta.dtype)
    return on_devices(lambda some: _sum(_add_energy, energy, parts, some, start), thetas)


def gradients(energy: Energy, parts: Parts, thetas: Any) -> list[tuple[Array, Array]]:
    """(F, ∇F) at every point."""
    return on_devices(partial(_gradients, energy, parts), thetas)


def _gradients(energy: Energy, parts: Parts, thetas: list[Any]) -> list[tuple[Array, Array]]:
    found = _sum(_add_gradient, energy, parts, thetas, partial(_no_gradient, energy))

    def whole(one: Any) -> tuple[Array, Array]:
        theta, (value, (arrays, through)) = one
        direct = _joined(arrays)
        if not isinstance(energy, Contextual):
            return value, direct
        return value, _add_through(energy, theta, here(parts.reference), through, direct)

    return side_by_side(whole, zip(thetas, found, strict=True))


def gradient_rows(energy: Energy, parts: Parts, points: Array) -> tuple[Array, Array]:
    """F and ∇F at all points, (point,) and (point, param); a gradient is put into its row."""
    if on_host(parts.blocks) or len(local_devices()) > 1:  # a block is for many points
        found = gradients(energy, parts, points)
        return jnp.stack([e for e, _ in found]), jnp.stack([g for _, g in found])
    rows, lock = jnp.zeros(points.shape, points.dtype), Lock()

    def one(i: int) -> Array:
        nonlocal rows
        [(value, gradient)] = gradients(energy, parts, [_row(points, i)])
        with lock:
            rows = jax.block_until_ready(_with_row(rows, i, gradient))
        return value

    return jnp.stack(side_by_side(one, range(len(points)))), rows


def _sum(add: Callable, energy: Energy, parts: Parts, thetas: list, start: Callable) -> list:
    """`add` over all blocks, from `start`, at every point; on the device of this thread."""

    def begun(theta: Any) -> tuple[Arrays, Any, Any]:
        theta = jax.device_put(here(theta))  # once, for its context and all blocks
        context = _one_context(energy, here(parts.reference), theta)
        return _arrays(energy, theta), context, start(theta, context)

    def added(lane: tuple[Arrays, Any, Any], blocks: Any) -> tuple[Arrays, Any, Any]:
        arrays, context, total = lane
        for block in blocks:
            total = add(energy, arrays, context, here(block), total)
        return arrays, context, total

    if not on_host(parts.blocks):
        return side_by_side(lambda theta: added(begun(theta), parts.blocks)[2], thetas)
    found = []
    many = max(HELD // thetas[0].nbytes, 1)
    for first in range(0, len(thetas), many):  # a block is sent once for so many points
        lanes = side_by_side(begun, thetas[first : first + many])
        for block in parts.blocks:
            sent = jax.device_put(here(block))
            lanes = side_by_side(lambda lane, sent=sent: added(lane, [sent]), lanes)
        found += [total for *_, total in lanes]
    return found
