"""Descend many points below their own targets at once: beads do not see their neighbours.

The points of all strings, of all pairs and levels, form one pool. A point that is below its
target freezes; when few are left the pool is compacted to the next smaller size of the ladder,
so that a straggler never costs more than itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from landscape_cli.core.lanes import in_shares, over_devices, pad, rung
from landscape_cli.core.surface import Surface, total_energy, total_gradient

FEW = 8  # lanes below which a second thread costs more than it saves


@cache
def adam(learning_rate: float) -> Any:
    """Adam as one object per rate: a compiled descent recognizes it and is not traced again."""
    return optax.adam(learning_rate)


@dataclass(frozen=True)
class Descended:
    """Where the points of a pool ended.

    Attributes:
        thetas: (point, param) final positions.
        energies: (point,) level functional there.
        gradients: (point,) gradient evaluations spent on each.
    """

    thetas: np.ndarray
    energies: np.ndarray
    gradients: np.ndarray


def _update(optimizer: Any, theta: Array, state: Any, gradient: Array) -> tuple[Any, Any]:
    updates, state = optimizer.update(gradient, state, theta)
    return optax.apply_updates(theta, updates), state


def _select(keep: Array, new: Any, old: Any) -> Any:
    """Lane by lane: the new leaf where `keep`, else the old one."""
    choose = lambda n, o: jnp.where(keep.reshape(keep.shape + (1,) * (n.ndim - 1)), n, o)
    return jax.tree.map(choose, new, old)


def free(surface: Surface) -> bool:
    """Whether the energy comes with the gradient: the loss is the energy, of the same data."""
    return surface.slope is surface.energy and surface.loss_data is None


@partial(jax.jit, static_argnames=("optimizer", "energy", "loss", "chunk"))
def _advance(optimizer, energy, loss, parts, loss_parts, lanes, steps, chunk):
    """`steps` optimizer steps of every lane (theta, state, target) above its target.

    `energy` is None where the loss is it.
    """

    def one(shared, lane):
        (parts, loss_parts, steps), (theta, state, target) = shared, lane

        def step(_, carry):
            theta, state = carry
            value, gradient = total_gradient(loss, loss_parts, theta)
            # The level functional costs an evaluation of its own only where it is not the loss.
            value = value if energy is None else total_energy(energy, parts, theta)
            return _select(value > target, _update(optimizer, theta, state, gradient), carry)

        return jax.lax.fori_loop(0, steps, step, (theta, state))

    def run(shared, lanes):
        few = len(lanes[0]) <= chunk
        each = partial(one, shared)
        return jax.vmap(each)(lanes) if few else jax.lax.map(each, lanes, batch_size=chunk)

    return over_devices(run, (parts, loss_parts, steps), lanes)


@partial(jax.jit, static_argnames=("optimizer",))
def _one_update(optimizer, thetas, states, gradients, active):
    new = jax.vmap(partial(_update, optimizer))(thetas, states, gradients)
    return _select(active, new, (thetas, states))


@partial(jax.jit, static_argnames=("optimizer",))
def initial_states(optimizer: Any, thetas: Array) -> Any:
    """One optimizer state per lane."""
    return jax.vmap(optimizer.init)(thetas)


def _host_steps(surface, optimizer, thetas, states, targets, steps):
    """The same as `_advance` for surfaces that are computed point by point."""
    for _ in range(steps):
        energies, gradients = surface.losses_and_gradients(thetas)
        if not free(surface):
            energies = jnp.asarray(surface.energies(np.asarray(thetas)))
        active = energies > targets
        if not bool(active.any()):
            break
        thetas, states = _one_update(optimizer, thetas, states, gradients, active)
    return thetas, states


def descend(
    surface: Surface,
    optimizer: Any,
    thetas: np.ndarray,
    targets: np.ndarray,
    steps: int,
    check: int = 25,
) -> Descended:
    """Run `optimizer` on every point until it is at or below its target, or out of steps.

    Args:
        surface: the surface; gradients are those of `surface.slope`.
        optimizer: an Optax transformation, hashable (a NamedTuple of functions is).
        thetas: (point, param) starts.
        targets: (point,) energies to reach.
        steps: most steps for a point.
        check: steps between two compactions of the pool.

    Returns:
        Positions, energies and costs; compare energies with targets to see who arrived.
    """
    if surface.strategy == "loop":
        check = min(check, 3)  # every lane of a host loop costs, so look often who is done
    thetas = np.array(thetas, surface.dtype)
    energies = surface.energies(thetas)
    spent = np.zeros(len(thetas), int)
    left = np.flatnonzero(~(energies <= targets) & np.isfinite(energies))
    states = None
    for first in range(0, steps, check):
        if len(left) == 0:
            break
        count = min(check, steps - first)
        size = len(left) if surface.strategy == "loop" else rung(len(left))
        lanes = jnp.asarray(pad(thetas[left], size))
        goals = jnp.asarray(pad(np.asarray(targets, surface.dtype)[left], size))
        states = _repack(states, size) if states else initial_states(optimizer, lanes)
        lanes, states = _run(surface, optimizer, lanes, states, goals, count)
        thetas[left] = np.asarray(lanes)[: len(left)]
        energies[left] = surface.energies(thetas[left])
        spent[left] += count
        going = (energies[left] > targets[left]) & np.isfinite(energies[left])
        kept = np.flatnonzero(going)
        states = jax.tree.map(lambda leaf, kept=kept: np.asarray(leaf)[kept], states)
        left = left[going]
    return Descended(thetas, energies, spent)


def _repack(states: Any, size: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(pad(leaf, size)), states)


def _run(surface, optimizer, lanes, states, goals, steps):
    if surface.strategy == "loop":
        return _host_steps(surface, optimizer, lanes, states, goals, steps)
    surface.count.add(gradients=len(lanes) * steps)
    energy = None if free(surface) else surface.energy
    parts = () if energy is None else surface.parts
    advance = lambda lanes: _advance(
        optimizer, energy, surface.slope, parts, surface.slope_parts, lanes, steps, surface.chunk
    )
    return in_shares(advance, (lanes, states, goals), least=FEW)
