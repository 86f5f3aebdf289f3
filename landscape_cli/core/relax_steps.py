"""Steps of strings of beads: one compiled program, or a host loop with the gradients in between.

    forces on every bead (`tangent`) → a step (`steppers`) → beads put back in place (`respace`)

Strings of a band may have different numbers of beads: they are padded with copies of their ends,
and only real beads are in the pool whose gradients are taken. A NaN or infinity ends its own
string and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.devices import over_devices, point_by_point
from landscape_cli.core.energy import Energy, mapped, total_gradient, whole
from landscape_cli.core.mini_batches import mini_batch, mini_batch_on_host
from landscape_cli.core.respace import INTERPOLATIONS, respaced
from landscape_cli.core.steppers import STEPPERS, stepper
from landscape_cli.core.string import chord_length
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces, moves
from landscape_cli.ranges import choose

BAND = Forces()


@dataclass(frozen=True)
class Relaxing:
    """How strings are relaxed; equal settings compile once.

    Attributes:
        forces: what moves a bead.
        optimizer: "isotropic" or "adam": steps of the rate times the distance of the ends, with a
            second moment per bead or per coordinate; "sgd": steps of the rate times the push.
        momentum: of sgd, in [0, 1).
        interpolation: between beads that are put back in place: "linear" or "cubic".
    """

    forces: Forces = BAND
    optimizer: str = "isotropic"
    momentum: float = 0.0
    interpolation: str = "linear"

    def __post_init__(self) -> None:
        for name, choices in (("optimizer", STEPPERS), ("interpolation", INTERPOLATIONS)):
            choose(name, getattr(self, name), choices)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {self.momentum}")

    @property
    def stepper(self) -> Any:
        """The Optax transformation."""
        return stepper(self.optimizer, self.momentum if self.optimizer == "sgd" else 0.0)

    def units(self, beads: np.ndarray) -> np.ndarray:
        """(string,) what a rate of one stands for, from (string, bead, param)."""
        if self.optimizer == "sgd":
            return np.ones(len(beads))
        chord = np.asarray(chord_length(beads))
        return chord / np.sqrt(beads.shape[2]) if self.optimizer == "adam" else chord


class Program(NamedTuple):
    """What a step computes; equal programs compile once.

    Attributes:
        settings: how strings are relaxed.
        loss: what gradients are taken of.
        draw: makes a mini-batch of the loss's data for a bead; None: full batches.
        chunk: points computed at a time.
    """

    settings: Relaxing
    loss: Energy
    draw: Any
    chunk: int


class Band(NamedTuple):
    """Strings on their way; all fields but the optimizer's state have a leading string axis.

    Attributes:
        beads: (string, bead, param) ends included, then copies of the second end.
        places: (string, bead) where each belongs, by arclength, in [0, 1].
        inner: (string, bead-2) False for copies.
        ends: (string, 2) losses at the ends.
        unit: (string,) length of a step of rate one.
        tolerance: (string,) a string whose largest push is below it stays as it is.
        pull: (string,) largest push on a bead at the last step.
        broken: (string,) a NaN or infinity has ended this string.
        state: the optimizer's.
    """

    beads: Any
    places: Any
    inner: Any
    ends: Any
    unit: Any
    tolerance: Any
    pull: Any
    broken: Any
    state: Any


class Pool(NamedTuple):
    """The beads of a band whose gradients are taken, in a row.

    Attributes:
        rows: (point,) where they are among all interior beads; padding lies outside.
        strings: (point,) number of its string in the run; mini-batches depend on it,
        beads: (point,) and on the number of the bead in its string.
    """

    rows: Any
    strings: Any
    beads: Any


def _points(band: Band, pool: Pool) -> Array:
    """(point, param) beads in the pool; padding takes any bead."""
    return band.beads[:, 1:-1].reshape(-1, band.beads.shape[-1])[pool.rows]


def _scattered(band: Band, pool: Pool, values: Array) -> Array:
    """(string, bead-2, ...) of values in the pool, zero where there is no bead."""
    shape = band.inner.shape
    flat = jnp.zeros((shape[0] * shape[1], *values.shape[1:]), values.dtype)
    return flat.at[pool.rows].set(values, mode="drop").reshape(*shape, *values.shape[1:])


def _moved(settings: Relaxing, band: Band, pool: Pool, losses, gradients, rate) -> Band:
    """One step of all strings, from losses and gradients in the pool."""
    inside, gradients = (_scattered(band, pool, values) for values in (losses, gradients))
    inside = jnp.where(band.inner, inside, band.ends[:, 1:])
    losses = jnp.concatenate([band.ends[:, :1], inside, band.ends[:, 1:]], axis=1)
    each = jax.vmap(partial(moves, settings.forces))
    push, slide = each(band.beads, losses, gradients, band.inner)
    steps, state = settings.stepper.update(-push, band.state)
    beads = band.beads.at[:, 1:-1].add(slide - (rate * band.unit)[:, None, None] * steps)
    if not np.isfinite(settings.forces.spring):
        put = jax.vmap(partial(respaced, interpolation=settings.interpolation))
        beads = put(beads, band.places, band.inner)
    pull = jnp.sqrt((push**2).sum(-1).max(-1))
    sound = jnp.isfinite(beads).all((1, 2)) & jnp.isfinite(losses).all(1) & ~band.broken
    going = sound & (pull >= band.tolerance)
    beads = jnp.where(going[:, None, None], beads, band.beads)
    return band._replace(beads=beads, state=state, pull=pull, broken=~sound)


def _evaluated(
    program: Program, data, points: Array, pool: Pool, key, step
) -> tuple[Array, Array]:
    """Losses and gradients of the pool, shared out over the devices."""
    loss, draw, chunk = program.loss, program.draw, program.chunk
    if draw is None:
        every = lambda parts, lanes: mapped(total_gradient, loss, parts, lanes, chunk)
        return over_devices(every, data, points)

    def run(shared: Any, lanes: Any) -> Any:
        data, key, step = shared

        def one(lane: Any) -> Any:
            theta, string, bead = lane
            drawn = whole(loss, mini_batch(draw, data, key, string, bead, step))
            return total_gradient(loss, drawn, theta)

        return jax.lax.map(one, lanes, batch_size=chunk)

    return over_devices(run, (data, key, step), (points, pool.strings, pool.beads))


@partial(jax.jit, static_argnames="program", donate_argnames="band")
def _advance(program: Program, data, band: Band, pool: Pool, rates, key, first, count) -> Band:
    """`count` steps, gradients included, as one program."""

    def step(i: Any, band: Band) -> Band:
        losses, gradients = _evaluated(program, data, _points(band, pool), pool, key, first + i)
        return _moved(program.settings, band, pool, losses, gradients, rates[i])

    return jax.lax.fori_loop(0, count, step, band)


# The same for surfaces that are computed point by point, with the gradients in between.
_points_of: Any = jax.jit(_points)
_moved_by: Any = jax.jit(_moved, static_argnames="settings", donate_argnames="band")


def _looped(surface: Surface, program: Program, points, pool: Pool, key, step):
    """Losses and gradients of the pool, bead by bead."""
    if program.draw is None:
        return surface.losses_and_gradients(points)

    def one(lane: Any) -> Any:
        theta, string, bead = lane
        drawn = mini_batch_on_host(program.draw, surface.slope_data, key, string, bead, step)
        return surface.loss_and_gradient(theta, surface.cut(drawn, reference=drawn))

    surface.count.add(gradients=len(points))
    found = point_by_point(one, list(zip(points, pool.strings, pool.beads, strict=True)))
    return tuple(jnp.stack(leaf) for leaf in zip(*found, strict=True))


def advance(
    surface: Surface, program: Program, band: Band, pool: Pool, rates, key, first: int, count: int
) -> Band:
    """Steps `first` to `first + count` of a run, by the first `count` of `rates`."""
    if surface.strategy == "loop":
        for i in range(count):
            found = _looped(surface, program, _points_of(band, pool), pool, key, first + i)
            band = _moved_by(program.settings, band, pool, *found, rates[i])
        return band
    data = surface.slope_parts if program.draw is None else surface.slope_data
    return _advance(program, data, band, pool, rates, key, first, count)
