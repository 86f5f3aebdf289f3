"""Descend many points below their own targets at once: beads do not see their neighbours.

On all examples of the loss, with a look at F before every step, or on mini-batches, with a look
at F, on the full data, every so many steps.

The points of all strings, of all pairs and levels, form one pool. A point that is below its
target freezes; when half of them have, the pool is compacted to a smaller size of the ladder, so
that a straggler never costs more than itself.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from landscape_cli.core.devices import over_devices, point_by_point
from landscape_cli.core.energy import total_energy, total_gradient
from landscape_cli.core.lanes import FLOCK, SOON, compiled, flight, in_chunks, in_pieces, pad, rung
from landscape_cli.core.mini_batches import noisy_gradient, noisy_gradient_on_host
from landscape_cli.core.random import named_key
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import in_shares

FEW = 8  # lanes below which a second thread costs more than it saves
LAST = 4  # lanes that go on until all of them have ended, not half


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
        gradients: (point,) steps of each, a gradient evaluation apiece.
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


class Batches(NamedTuple):
    """Steps on mini-batches: what draws them, and steps between two looks at F."""

    draw: Any
    every: int


class Lane(NamedTuple):
    """A point on its way."""

    theta: Any  # (param,)
    number: Any  # names its mini-batches
    state: Any  # of the optimizer
    target: Any  # energy to reach
    left: Any  # steps it may still take; none: it only fills a place
    energy: Any  # before its latest step; where it is, if that was not taken


@partial(compiled, static_argnames=("optimizer", "energy", "loss", "batches", "chunk"))
def _advance(optimizer, energy, loss, batches, parts, loss_parts, lanes, real, key, looks, chunk):
    """At most `looks` at every lane above its target, a step or more each, until half have ended.

    Of `chunk` lanes at a time, or of few until the `real` ones are done; and where lanes are few,
    until all have. `energy` is None where the loss is it. With mini-batches `loss_parts` is what
    they are drawn from, whole.

    Returns:
        The lanes, and (lane,) gradients computed of each.
    """

    def full_step(shared, lane):
        parts, loss_parts = shared[:2]
        value, gradient = total_gradient(loss, loss_parts, lane.theta)
        # The level functional costs an evaluation of its own only where it is not the loss.
        value = value if energy is None else total_energy(energy, parts, lane.theta)
        going, here = (value > lane.target) & (lane.left > 0), (lane.theta, lane.state)
        theta, state = _select(going, _update(optimizer, *here, gradient), here)
        return lane._replace(theta=theta, state=state, left=lane.left - going, energy=value), going

    def noisy_steps(shared, lane):
        parts, data, key = shared[:3]
        value = total_energy(energy, parts, lane.theta)
        going = (value > lane.target) & (lane.left > 0)

        def step(i, here):
            theta, state = here
            job = batches.draw, data, key, lane.number, lane.left - i
            return _update(optimizer, theta, state, noisy_gradient(loss, *job, theta)[1])

        taken = jnp.where(going, jnp.minimum(batches.every, lane.left), 0)
        theta, state = jax.lax.fori_loop(0, taken, step, (lane.theta, lane.state))
        return lane._replace(theta=theta, state=state, left=lane.left - taken, energy=value), going

    one = full_step if batches is None else noisy_steps

    def some(shared, lanes):
        size, begun = len(lanes.left), (lanes.left > 0).sum()
        enough = jnp.where(begun > LAST, begun // 2, 0)

        def goes_on(carry):
            number, going, _ = carry
            return (number == 0) | ((number < shared[-1]) & (going.sum() > enough))

        def step(carry):
            number, _, lanes = carry
            lanes, going = jax.vmap(partial(one, shared))(lanes)
            return number + 1, going, lanes

        start = jnp.zeros((), int), jnp.zeros(size, bool), lanes
        number, _, lanes = jax.lax.while_loop(goes_on, step, start)
        return lanes, jnp.full(size, number * (1 if batches is None else batches.every))

    def run(shared, lanes):
        if real is None:
            return in_chunks(partial(some, shared), lanes, chunk)
        return in_pieces(partial(some, shared), lanes, real, FLOCK, alike=True)

    return over_devices(run, (parts, loss_parts, key, looks), lanes)


@partial(jax.jit, static_argnames=("optimizer",))
def _one_update(optimizer, thetas, states, gradients, active):
    new = jax.vmap(partial(_update, optimizer))(thetas, states, gradients)
    return _select(active, new, (thetas, states))


moved = jax.jit(_update, static_argnames="optimizer")  # one point, a step further


def _noisy_steps(
    surface: Surface, optimizer: Any, every: int, key: Any, lane: Lane
) -> tuple[Array, Any]:
    """Steps of one point on mini-batches, from the host."""
    theta, state = jnp.asarray(lane.theta), lane.state
    for left in range(lane.left, max(lane.left - every, 0), -1):
        _, gradient = noisy_gradient_on_host(surface, key, lane.number, left, theta)
        theta, state = moved(optimizer, theta, state, gradient)
    return theta, state


@partial(jax.jit, static_argnames=("optimizer",))
def initial_states(optimizer: Any, thetas: Array) -> Any:
    """One optimizer state per lane."""
    return jax.vmap(optimizer.init)(thetas)


def descend(
    surface: Surface,
    optimizer: Any,
    thetas: np.ndarray,
    targets: np.ndarray,
    steps: int,
    every: int | None = None,
    seed: int = 0,
) -> Descended:
    """Run `optimizer` on every point until it is at or below its target, or out of steps.

    Args:
        surface: the surface; gradients are those of `surface.slope`.
        optimizer: an Optax transformation, hashable (a NamedTuple of functions is).
        thetas: (point, param) starts.
        targets: (point,) energies to reach.
        steps: most steps for a point.
        every: steps on mini-batches of `surface.batch` between two looks at F; None: on all
            examples of the loss, with a look before every step.
        seed: of the mini-batches.

    Returns:
        Positions, energies and costs; compare energies with targets to see who arrived.
    """
    thetas = np.array(thetas, surface.dtype)
    pool = _Pool(surface, optimizer, thetas, np.asarray(targets), steps, every, seed)
    while len(pool.going):
        pool.advance()
    return pool.ended(steps)


def _size(surface: Surface, count: int) -> int:
    """Lanes of a program for `count`; none to spare where each may be a big network."""
    if surface.strategy == "loop":
        return count
    return flight(count) if surface.light else rung(count)


def _at_most(numbers: np.ndarray, dtype: Any) -> np.ndarray:
    """The numbers in `dtype`, rounded down: an energy at or below one is at or below the other."""
    found = numbers.astype(dtype)
    down = np.nextafter(found, np.asarray(-np.inf, dtype))
    return np.where(found > numbers, down, found)


class _Pool:
    """Points on their way; (point,) `going` are those that are not there yet."""

    def __init__(
        self, surface: Surface, optimizer: Any, thetas: np.ndarray, targets: np.ndarray,
        steps: int, every: int | None, seed: int,
    ) -> None:  # fmt: skip
        self.surface, self.optimizer = surface, optimizer
        self.batches = None if every is None else Batches(surface.batch, every)
        self.thetas, self.energies = thetas, surface.energies(thetas)
        if np.isnan(targets).any():  # devices and host would disagree on who is there
            raise ValueError("targets: NaN is no energy to reach")
        # Once, and the same for all that compare: who disagreed would wait for ever.
        self.targets = _at_most(targets, surface.dtype)
        self.left = np.full(len(thetas), steps)
        # A point is named by where it begins: it sees the same mini-batches whatever is beside it.
        named = thetas if every is not None else np.zeros((len(thetas), 0))
        self.numbers = np.array([zlib.crc32(theta.tobytes()) for theta in named], np.uint32)
        self.key = named_key(seed, "descent")
        self.states: Any = None
        steps = 3 if surface.strategy == "loop" else 100  # until all are looked at from here
        self.together = max(steps // (every or 1), 1)
        self.going = self._still(np.arange(len(thetas)))

    def advance(self) -> None:
        """Some steps of all that are on their way; the states of the others are dropped."""
        surface, going = self.surface, self.going
        thetas, count = self.thetas[going], len(going)
        if self.states is None:
            begun = initial_states(self.optimizer, pad(thetas, _size(surface, count)))
            self.states = jax.tree.map(lambda leaf: np.array(leaf)[:count], begun)
        lanes = Lane(
            thetas, self.numbers[going], self.states, self.targets[going], self.left[going],
            self.energies[going],
        )  # fmt: skip
        if surface.strategy != "loop":
            lanes = self._steps(lanes)
        elif self.batches is None:
            lanes = self._host_steps(lanes)
        else:
            lanes = self._noisy_host_steps(lanes, self.batches.every)
        self.thetas[going], self.left[going] = lanes.theta, lanes.left
        self.energies[going] = lanes.energy
        self.going = self._still(going)
        kept = np.flatnonzero(np.isin(going, self.going))
        self.states = jax.tree.map(lambda leaf: np.asarray(leaf)[kept], lanes.state)

    def _still(self, some: np.ndarray) -> np.ndarray:
        """Those of some points that go on."""
        energies = self.energies[some]
        high = ~(energies <= self.targets[some]) & np.isfinite(energies)
        return some[high & (self.left[some] > 0)]

    def _steps(self, lanes: Lane) -> Lane:
        """One program of many steps; the longer the shorter they take, but it comes back soon.

        How long decides which points go on together. Only where they round the same in any may
        that depend on the time.
        """
        surface, began = self.surface, time.perf_counter()
        energy = None if free(surface) and self.batches is None else surface.energy
        parts = () if energy is None else surface.parts
        loss_parts = surface.slope_parts if self.batches is None else surface.slope_data

        def advance(lanes: Lane) -> tuple[Lane, Array]:
            count = len(lanes.left)
            padded = jax.tree.map(lambda leaf: pad(leaf, _size(surface, count)), lanes)
            padded.left[count:] = 0  # padding stays where it is
            found = _advance(surface.light)(
                self.optimizer, energy, surface.slope, self.batches, parts, loss_parts, padded,
                count if surface.light else None, self.key, self.together, surface.chunk,
            )  # fmt: skip
            return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], found)

        lanes, gradients = in_shares(advance, lanes, least=FEW)
        surface.count.add(gradients=int(np.asarray(gradients).sum()))
        if surface.light and time.perf_counter() - began < SOON:
            self.together = min(2 * self.together, int(self.left.max()))
        return lanes

    def _host_steps(self, lanes: Lane) -> Lane:
        """The same for surfaces that are computed point by point."""
        surface, lanes = self.surface, jax.tree.map(jnp.asarray, lanes)
        for _ in range(self.together):
            energies, gradients = surface.losses_and_gradients(lanes.theta)
            if not free(surface):
                energies = jnp.asarray(surface.energies(np.asarray(lanes.theta)))
            going = (energies > lanes.target) & (lanes.left > 0)
            lanes = lanes._replace(left=lanes.left - going, energy=energies)
            if not bool(going.any()):
                break
            theta, state = _one_update(self.optimizer, lanes.theta, lanes.state, gradients, going)
            lanes = lanes._replace(theta=theta, state=state)
        return lanes

    def _noisy_host_steps(self, lanes: Lane, every: int) -> Lane:
        """The same on mini-batches."""
        surface = self.surface
        for _ in range(self.together):
            energies = surface.energies(lanes.theta)
            lanes = lanes._replace(energy=energies)
            going = np.flatnonzero((energies > lanes.target) & (lanes.left > 0))
            if len(going) == 0:
                break
            some = [jax.tree.map(lambda leaf, i=i: leaf[i], lanes) for i in going]
            walk = partial(_noisy_steps, surface, self.optimizer, every, self.key)
            for i, (theta, state) in zip(going, point_by_point(walk, some), strict=True):
                lanes.theta[i] = theta
                jax.tree.map(lambda leaf, new, i=i: leaf.__setitem__(i, new), lanes.state, state)
            taken = np.minimum(lanes.left[going], every)
            lanes.left[going] -= taken
            surface.count.add(gradients=int(taken.sum()))
        return lanes

    def ended(self, steps: int) -> Descended:
        """Where they all are, with the energies of those that ran out of steps."""
        last = np.flatnonzero(self.left == 0)
        self.energies[last] = self.surface.energies(self.thetas[last])
        return Descended(self.thetas, self.energies, steps - self.left)
