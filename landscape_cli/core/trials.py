"""The programs that advance strings while they are tightened: trials, and their gradients.

Where strings are small, trials and gradients are one program (`begun`, `trials`). Of surfaces that
are computed point by point, and of strings whose history is big, a trial is a program of its own,
with the gradients in between. The formulas for a single string are in `lagrangian`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.devices import over_devices
from landscape_cli.core.energy import total_gradient
from landscape_cli.core.lagrangian import (
    Inner,
    State,
    Tightening,
    Walls,
    begin,
    due,
    ended,
    judged,
    kkt,
    redirected,
    sample_points,
    updated,
)
from landscape_cli.core.lanes import compiled, in_pieces
from landscape_cli.core.surface import Surface


@jax.default_matmul_precision("highest")
def _each(function: Callable[..., Any], *lanes: Any) -> Any:
    """`function` of every lane; a lone one is computed as it is, which takes fewer operations.

    All products are in full precision, also on a GPU: L-BFGS takes small differences of them.
    """
    if len(jax.tree.leaves(lanes)[0]) > 1:
        return jax.vmap(function)(*lanes)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], lanes))
    return jax.tree.map(lambda leaf: leaf[None], alone)


def _all_points(beads: Array, walls: Walls, samples: int) -> Array:
    """Points of all strings, one after another: (string x point, param)."""
    points = _each(partial(sample_points, samples=samples), beads, walls)
    return points.reshape(-1, beads.shape[-1])


def _trial_points(state: State, walls: Walls, samples: int) -> Array:
    trial = state.beads + state.inner.step[:, None, None] * state.direction
    return _all_points(trial, walls, samples)


def _by_string(count: int, energies: Array, gradients: Array) -> tuple[Array, Array]:
    """(string, point) and (string, point, param) from what was evaluated in one row."""
    return energies.reshape(count, -1), gradients.reshape(count, -1, gradients.shape[-1])


def _tried(state, energies, gradients, walls, metric, always, settings) -> State:
    """A trial of all strings; multipliers are due now and then, and only then cost anything."""
    judge = partial(judged, metric=metric, always=always, samples=settings.samples)
    here = _by_string(len(state.scale), energies, gradients)
    state = _each(judge, state, *here, walls)
    late = due(state.inner, settings)
    old = state.inner, state.history.on

    def update() -> tuple[Inner, Array]:
        new = _each(partial(updated, metric=metric, settings=settings), state, *here, walls)
        choose = lambda a, b: jnp.where(late.reshape(-1, *[1] * (a.ndim - 1)), a, b)
        return jax.tree.map(choose, new, old)

    inner, on = jax.lax.cond(late.any(), update, lambda: old)
    history = state.history._replace(on=on)
    return _each(redirected, state._replace(inner=inner, history=history))


@partial(jax.jit, static_argnames="settings")
def begin_all(beads, energies, gradients, mu, rho, walls, metric, settings) -> State:
    """The states before the first trial, from what was evaluated at all points."""
    here = _by_string(len(beads), energies, gradients)
    each = partial(begin, metric=metric, settings=settings)
    return _each(each, beads, *here, mu, rho, walls)


def _evaluated(energy, parts, points, real, chunk, always) -> tuple[Array, Array]:
    """Energies and gradients at all points of the strings that are `real`, in a traced program.

    In a branch that is always taken: a branch is compiled apart, so it rounds as it does in
    another program.
    """
    each = len(points) // len(real)

    def evaluated(points: Array) -> tuple[Array, Array]:
        slope = jax.vmap(partial(total_gradient, energy, parts))
        return in_pieces(slope, points, real.sum() * each, chunk)

    def nothing(points: Array) -> tuple[Array, Array]:
        return jnp.zeros_like(points[:, 0]), jnp.zeros_like(points)

    return jax.lax.cond(always, evaluated, nothing, points)


@partial(compiled, static_argnames=("energy", "chunk", "settings"))
def begun(energy, parts, metric, beads, mu, rho, walls, real, always, chunk, settings) -> State:
    """The state before the first trial, as one program; see `trials`."""

    def run(shared: Any, lanes: Any) -> State:
        (parts, metric, always), (beads, mu, rho, walls, real) = shared, lanes
        points = _all_points(beads, walls, settings.samples)
        here = _evaluated(energy, parts, points, real, chunk, always)
        return begin_all(beads, *here, mu, rho, walls, metric, settings)

    return over_devices(run, (parts, metric, always), (beads, mu, rho, walls, real))


@partial(compiled, static_argnames=("energy", "chunk", "settings"), donate_argnames="state")
def trials(energy, parts, metric, state, walls, real, count, check, chunk, settings):
    """At most `count` trials of every string, gradients included, as one program.

    Every `check` trials it looks whether a string has ended, and ends if so. Strings that are not
    `real` are padding behind all others, and cost no gradients.

    Returns:
        (string,) trials of each, and the states.
    """

    def run(shared: Any, lanes: Any) -> tuple[Array, State]:
        (parts, metric, count, check), (state, walls, real) = shared, lanes

        def goes_on(carry: tuple[Array, State]) -> Array:
            number, state = carry
            looks = (number > 0) & (number % check == 0)
            stop = looks & (ended(state.inner, settings) & real).any()
            return (number < count) & ~stop

        def trial(carry: tuple[Array, State]) -> tuple[Array, State]:
            number, state = carry
            points = _trial_points(state, walls, settings.samples)
            here = _evaluated(energy, parts, points, real, chunk, count > 0)
            return number + 1, _tried(state, *here, walls, metric, count > 0, settings)

        number, state = jax.lax.while_loop(goes_on, trial, (jnp.zeros_like(count), state))
        return jnp.full(len(real), number), state

    return over_devices(run, (parts, metric, count, check), (state, walls, real))


@partial(jax.jit, static_argnames="settings")
def looked(inner: Inner, settings: Tightening) -> tuple[Array, Array, Array]:
    """(string,) whether strings have ended, their KKT residuals and violations."""
    return ended(inner, settings), kkt(inner), inner.now.violation


# The same for surfaces that are computed point by point, with the gradients in between.
points_of = jax.jit(_all_points, static_argnames="samples")
points_of_trial = jax.jit(_trial_points, static_argnames="samples")
tried: Any = jax.jit(_tried, static_argnames="settings", donate_argnums=0)


def evaluate_points(
    surface: Surface, points: list[Array], real: list[int]
) -> list[tuple[Array, Array]]:
    """Energies and gradients at the points of several programs, in one go.

    Args:
        surface: the surface.
        points: (string x point, param) of each program.
        real: how many of them are asked for; behind are those of padding.

    Returns:
        (string x point,) and (string x point, param) for each, padding repeats the last.
    """
    # A host loop pays for every point: leave out padding.
    counts = real if surface.strategy == "loop" else [len(each) for each in points]
    asked = [each if len(each) == n else each[:n] for each, n in zip(points, counts, strict=True)]
    if len(asked) == 1:
        found = [surface.energies_and_gradients(asked[0])]
    else:  # on a CPU, where NumPy sees the same memory, and compiles nothing for every shape
        together = jax.device_put(np.concatenate([np.asarray(each) for each in asked]))
        whole = map(np.asarray, surface.energies_and_gradients(together))
        found = list(zip(*(np.split(leaf, np.cumsum(counts)[:-1]) for leaf in whole), strict=True))

    def filled(leaf: Array, size: int) -> Array:
        fill = [(0, size - len(leaf)), *[(0, 0)] * (leaf.ndim - 1)]
        return leaf if len(leaf) == size else jnp.pad(leaf, fill, mode="edge")

    return [
        (filled(energies, len(each)), filled(gradients, len(each)))
        for (energies, gradients), each in zip(found, points, strict=True)
    ]
