"""Curvature of the energy along a direction: vᵀ ∇²F(θ) v, without ever making the matrix.

    vᵀ ∇²F(θ) v = d²/ds² F(θ + s v) at s = 0

Computed by forward differentiation twice, which is exact up to rounding and costs about three
energies. For a unit vector it is between the smallest and the largest eigenvalue of the Hessian.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core.devices import here, over_devices, point_by_point
from landscape_cli.core.energy import Energy, Parts, total_energy
from landscape_cli.core.lanes import pad, rung
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import in_shares


def second_derivative(energy: Energy, parts: Parts, theta: Array, direction: Array) -> Array:
    """d²/ds² F(θ + s v) at s = 0; traced."""

    def slope(point: Array) -> Array:
        return jax.jvp(partial(total_energy, energy, parts), (point,), (direction,))[1]

    return jax.jvp(slope, (theta,), (direction,))[1]


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _together(energy: Energy, parts: Parts, lanes: tuple[Array, Array], chunk: int) -> Array:
    def run(parts: Parts, lanes: tuple[Array, Array]) -> Array:
        one = lambda lane: second_derivative(energy, parts, *lane)
        return jax.lax.map(one, lanes, batch_size=chunk)

    return over_devices(run, parts, lanes)


@partial(jax.jit, static_argnames="energy")
def _one_block(energy: Energy, parts: Parts, theta: Array, direction: Array) -> Array:
    return second_derivative(energy, parts, theta, direction)


def along(
    surface: Surface,
    points: Float[np.ndarray, "point param"],
    directions: Float[np.ndarray, "point param"],
) -> Float[np.ndarray, " point"]:
    """vᵀ ∇²F v at every point, on the full data; NaN where a direction is, or without gradients.

    Args:
        surface: its energy is differentiated in the run's own precision.
        points: (point, param).
        directions: (point, param); unit vectors give curvatures per squared length.
    """
    if len(points) == 0 or not surface.smooth:
        return np.full(len(points), np.nan)
    points, directions = (np.asarray(rows, surface.dtype) for rows in (points, directions))
    surface.count.add(energies=3 * len(points))
    if surface.strategy == "loop":
        lanes = zip(points, directions, strict=True)
        return np.array(point_by_point(partial(_on_host, surface), lanes), surface.dtype)
    size = rung(len(points))
    lanes = jnp.asarray(pad(points, size)), jnp.asarray(pad(directions, size))
    look = lambda some: _together(surface.energy, surface.parts, some, surface.chunk)
    return np.asarray(in_shares(look, lanes))[: len(points)]


def _on_host(surface: Surface, lane: tuple[np.ndarray, np.ndarray]) -> float:
    """One point, block by block: energies of blocks add up, and so do their derivatives."""
    total = 0.0
    for block in surface.parts.blocks:
        alone = jax.tree.map(lambda leaf: leaf[None], here(block))
        alone = Parts(alone, here(surface.parts.reference))
        total += float(_one_block(surface.energy, alone, *lane))
    return total
