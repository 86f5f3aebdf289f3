"""What the network behind a surface answers, at many points: distances between functions.

d(θ, θ')² = Σ weight · mean over outputs of (f(x; θ) - f(x; θ'))²  over examples, weights of sum 1
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core.devices import here, point_by_point
from landscape_cli.core.energy import context_of, spread_out
from landscape_cli.core.lanes import pad, rung
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import in_shares


def answers(network: Any, reference: Any, theta: Array, inputs: Array) -> Array:
    """(example, output) of a network, batch norm's statistics found as its energy finds them."""
    context = context_of(network, reference, theta)
    params, stored = network.split(theta)
    return network.outputs(params, context or stored, inputs)


@partial(jax.jit, static_argnames=("network", "chunk"))
def _together(network: Any, reference: Any, points: Array, inputs: Array, chunk: int) -> Array:
    one = lambda theta: answers(network, reference, theta, inputs)
    return jax.lax.map(one, points, batch_size=chunk)


_one = jax.jit(answers, static_argnames="network")


def output_steps(
    surface: Surface, points: Float[np.ndarray, "point param"], examples: int
) -> Float[np.ndarray, " step"]:
    """(point-1,) distances between the functions of neighboring points.

    Args:
        surface: of a network.
        points: (point, param).
        examples: how many of the surface's examples at most; of more so many, spread out.
    """
    inputs, _, weights = surface.data
    shares = np.asarray(weights, float)
    shares = shares / shares.sum()
    if len(shares) > examples:
        rows = spread_out(shares, examples)
        inputs, shares = inputs[rows], np.full(examples, 1 / examples)
    points = np.asarray(points, surface.dtype)
    network, reference = surface.network, surface.parts.reference
    if surface.strategy == "loop":
        look = lambda theta: _one(network, here(reference), jnp.asarray(theta), here(inputs))
        found = np.stack([np.asarray(each) for each in point_by_point(look, points)])
    else:
        lanes = jnp.asarray(pad(points, rung(len(points))))
        look = lambda some: _together(network, reference, some, inputs, surface.chunk)
        found = np.asarray(in_shares(look, lanes))[: len(points)]
    changes = np.diff(found.astype(float), axis=0)
    return np.sqrt((changes**2).mean(axis=tuple(range(2, changes.ndim))) @ shares)
