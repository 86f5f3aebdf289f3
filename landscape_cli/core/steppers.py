"""How beads follow their forces: Optax transformations that make a step of a push.

A bead's step should depend neither on the unit of the energy nor on the axes it is written in:
"isotropic" is Adam with one second moment per bead, that of the length of its push, so that a
step is about one rate long and turns with the surface. Where a bead rocks across a stiff valley
its second moment grows with the push, which makes it plain descent with momentum at the largest
stable rate.

Reference: Kingma and Ba, Adam: a method for stochastic optimization, 2015, arXiv 1412.6980.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array

STEPPERS = ("isotropic", "adam", "sgd")


class Moments(NamedTuple):
    """Running means of gradients, and of their squared lengths."""

    count: Array
    mean: Any  # like the beads
    square: Any  # (..., bead, 1)


def isotropic(memory: float = 0.9, longer: float = 0.99) -> optax.GradientTransformation:
    """Steps of length about one, whatever the scale of gradients or their direction."""

    def init(params: Any) -> Moments:
        count = jnp.zeros((), jnp.int32)
        return Moments(count, jnp.zeros_like(params), jnp.zeros_like(params[..., :1]))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Moments]:
        count = state.count + 1
        mean = memory * state.mean + (1 - memory) * updates
        square = longer * state.square + (1 - longer) * (updates**2).sum(-1, keepdims=True)
        weight = lambda decay: 1 - jnp.asarray(decay, mean.dtype) ** count  # of all seen so far
        size = jnp.sqrt(square / weight(longer))
        steps = mean / weight(memory) / jnp.where(size > 0, size, 1)
        return steps, Moments(count, mean, square)

    return optax.GradientTransformation(init, update)


@cache
def stepper(name: str, momentum: float = 0.0) -> optax.GradientTransformation:
    """The transformation of that name, one object for equal settings; not scaled by a rate."""
    if name == "isotropic":
        return isotropic()
    if name == "adam":
        return optax.scale_by_adam()
    return optax.trace(momentum) if momentum else optax.identity()
