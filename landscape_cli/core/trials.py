"""The programs that advance strings while they are tightened: many strings, one trial or several.

Where strings are small, trials and gradients are one program (`begun`, `trials`). Of surfaces that
are computed point by point, and of strings whose history is big, each step is a program of its
own, with the gradients in between. The formulas for a single string are in `lagrangian`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from landscape_cli.core.lagrangian import (
    Inner,
    Pair,
    Sight,
    State,
    Walls,
    begin,
    due,
    judge_trial,
    learnt,
    redirected,
    sample_points,
    updated,
)
from landscape_cli.core.lanes import over_devices
from landscape_cli.core.surface import Surface, mapped_first, total_gradient


def _all_points(beads: Array, walls: Walls, samples: int) -> Array:
    """Points of all strings, one after another: (string x point, param)."""
    points = jax.vmap(partial(sample_points, samples=samples))(beads, walls)
    return points.reshape(-1, beads.shape[-1])


def _trial_points(state: State, walls: Walls, samples: int) -> Array:
    trial = state.beads + state.inner.step[:, None, None] * state.direction
    return _all_points(trial, walls, samples)


def _by_string(count: int, energies: Array, gradients: Array) -> tuple[Array, Array]:
    """(string, point) and (string, point, param) from what was evaluated in one row."""
    return energies.reshape(count, -1), gradients.reshape(count, -1, gradients.shape[-1])


def _judge_all(state, energies, gradients, walls, metric, samples) -> tuple[State, Pair]:
    each = partial(judge_trial, samples=samples)
    here = _by_string(len(state.scale), energies, gradients)
    return jax.vmap(each, (0, 0, 0, 0, None))(state, *here, walls, metric)


def _turn_all(state, pair, walls, metric, settings) -> State:
    """What follows a verdict; multipliers are due now and then, and only then cost anything."""
    state, sight = jax.vmap(learnt, (0, 0, 0, None))(state, pair, walls, metric)
    late = jax.vmap(partial(due, settings=settings))(state.inner)

    def update() -> tuple[Inner, Sight]:
        each = partial(updated, settings=settings)
        new = jax.vmap(each, (0, 0, None))(state, walls, metric)
        choose = lambda a, b: jnp.where(late.reshape(-1, *[1] * (a.ndim - 1)), a, b)
        return jax.tree.map(choose, new, (state.inner, sight))

    inner, sight = jax.lax.cond(late.any(), update, lambda: (state.inner, sight))
    return jax.vmap(redirected)(state._replace(inner=inner), sight)


@partial(jax.jit, static_argnames="settings")
def begin_all(beads, energies, gradients, mu, rho, walls, metric, settings) -> State:
    """The states before the first trial, from what was evaluated at all points."""
    each = partial(begin, settings=settings)
    here = _by_string(len(beads), energies, gradients)
    return jax.vmap(each, (0, 0, 0, 0, 0, 0, None))(beads, *here, mu, rho, walls, metric)


def _evaluated(energy, parts, points, real, chunk, always) -> tuple[Array, Array]:
    """Energies and gradients at all points of the strings that are `real`, in a traced program.

    In a branch that is always taken: a branch is compiled apart, so it rounds as it does in
    another program. A CPU takes a string at a time, whose gradients then round alike in any
    company; a GPU is wide, and takes as many as it may.
    """
    each = len(points) // len(real)
    part = min(chunk, each) if jax.default_backend() == "cpu" else chunk

    def evaluated(points: Array) -> tuple[Array, Array]:
        return mapped_first(total_gradient, energy, parts, points, real.sum() * each, part)

    def nothing(points: Array) -> tuple[Array, Array]:
        return jnp.zeros_like(points[:, 0]), jnp.zeros_like(points)

    return jax.lax.cond(always, evaluated, nothing, points)


@partial(jax.jit, static_argnames=("energy", "chunk", "settings"))
def begun(energy, parts, metric, beads, mu, rho, walls, real, always, chunk, settings) -> State:
    """The state before the first trial, as one program; see `trials`."""

    def run(shared: Any, lanes: Any) -> State:
        (parts, metric, always), (beads, mu, rho, walls, real) = shared, lanes
        points = _all_points(beads, walls, settings.samples)
        here = _evaluated(energy, parts, points, real, chunk, always)
        return begin_all(beads, *here, mu, rho, walls, metric, settings)

    return over_devices(run, (parts, metric, always), (beads, mu, rho, walls, real))


@partial(jax.jit, static_argnames=("energy", "chunk", "settings"), donate_argnames="state")
def trials(energy, parts, metric, state, walls, real, count, chunk, settings) -> State:
    """`count` trials of every string, gradients included, as one program.

    Strings that are not `real` are padding behind all others, and cost no gradients.
    """

    def run(shared: Any, lanes: Any) -> State:
        (parts, metric, count), (state, walls, real) = shared, lanes

        def trial(_: Any, state: State) -> State:
            points = _trial_points(state, walls, settings.samples)
            here = _evaluated(energy, parts, points, real, chunk, count > 0)
            judged = _judge_all(state, *here, walls, metric, settings.samples)
            return _turn_all(*judged, walls, metric, settings)

        return jax.lax.fori_loop(0, count, trial, state)

    return over_devices(run, (parts, metric, count), (state, walls, real))


# The same for surfaces that are computed point by point, with the gradients in between.
points_of = jax.jit(_all_points, static_argnames="samples")
points_of_trial = jax.jit(_trial_points, static_argnames="samples")
# Two programs: one that both wrote a row of the history and multiplied by it would copy it whole.
judged: Any = jax.jit(_judge_all, static_argnames="samples", donate_argnums=0)
turned: Any = jax.jit(_turn_all, static_argnames="settings", donate_argnums=0)


def evaluate_points(surface: Surface, points: Array, strings: int, size: int):
    """Energies and gradients at the points of `size` strings, of which `strings` are real."""
    if surface.strategy == "vmap" or strings == size:
        return surface.energies_and_gradients(points)
    real = len(points) // size * strings  # a host loop pays for every point: leave out padding
    energies, gradients = surface.energies_and_gradients(points[:real])
    fill = (0, len(points) - real)
    return jnp.pad(energies, fill, mode="edge"), jnp.pad(gradients, (fill, (0, 0)), mode="edge")
