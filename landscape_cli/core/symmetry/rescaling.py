"""Pre-activations of a network between two others, brought to the statistics they should have.

Averaged weights make activations that vary less than those of either end, layer by layer more so.
Jordan and others (2023) rescale and shift every hidden unit's pre-activations, so that over the
training examples

    mean = (1 - t) mean_start + t mean_end,      deviation = (1 - t) std_start + t std_end

Here this changes the parameters themselves, the kernel (or the scale of a norm) and the bias that
make them, in one pass through the network: behind a layer that was changed the next one is
measured on what it then reads. Layers without a bias are only rescaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.symmetry.knowledge import Layer
from landscape_cli.core.symmetry.program import Walk, bind
from landscape_cli.core.symmetry.units import Units, flat, unflat

TINY = 1e-12  # a deviation below is a unit that says the same of all examples

Statistics = list[tuple[Array, Array]]  # (unit,) mean and deviation for every layer


def layers(units: Units) -> list[Layer]:
    """The hidden layers that can be changed: those whose kernel and bias belong to them alone."""
    alone = lambda path: path is None or units.trace.uses.get(path, 0) == 1
    found = [layer for _, layer in sorted(units.trace.layers.items())]
    return [layer for layer in found if alone(layer.kernel) and alone(layer.bias)]


def statistics(units: Units, params: Mapping[str, Any], inputs: Array | np.ndarray) -> Statistics:
    """Mean and deviation of every hidden layer's pre-activations, unit by unit.

    Args:
        units: of the network, found with as many examples as there are inputs.
        params: of the network.
        inputs: (example, ...).
    """
    return _statistics(units, params, inputs)


def rescaled(
    units: Units, params: Mapping[str, Any], wanted: Statistics, inputs: Array | np.ndarray
) -> dict[str, Any]:
    """The network with pre-activations of those statistics.

    Args:
        units: as in `statistics`.
        params: of the network.
        wanted: for every layer, as `statistics` gives them.
        inputs: (example, ...) on which they are to hold.
    """
    return unflat(
        {path: np.asarray(a) for path, a in _rescaled(units, params, wanted, inputs).items()}
    )


def between(start: Statistics, end: Statistics, t: float) -> Statistics:
    """Statistics at a fraction of the way."""
    mix = lambda one, other: (1 - t) * one + t * other
    return [(mix(m, n), mix(s, r)) for (m, s), (n, r) in zip(start, end, strict=True)]


@partial(jax.jit, static_argnames="units")
def _statistics(units: Units, params: Any, inputs: Array) -> Statistics:
    found: dict[int, tuple[Array, Array]] = {}

    def seen(layer: Layer, values: Sequence[Array], made: Array) -> Array:
        found[layer.number] = _moments(made, layer.axis)
        return made

    _through(units, params, inputs, seen)
    return [found[layer.number] for layer in layers(units)]


@partial(jax.jit, static_argnames="units")
def _rescaled(units: Units, params: Any, wanted: Statistics, inputs: Array) -> dict[Any, Array]:
    arrays = {path: jnp.asarray(array) for path, array in flat(params).items()}
    goals = {layer.number: goal for layer, goal in zip(layers(units), wanted, strict=True)}

    def changed(layer: Layer, values: Sequence[Array], made: Array) -> Array:
        goal, deviation = goals[layer.number]
        value = made if layer.operand is None else values[layer.operand]
        mean, spread = _moments(value, layer.axis)
        factor = jnp.where(spread > TINY, deviation / jnp.maximum(spread, TINY), 1.0)
        arrays[layer.kernel] = arrays[layer.kernel] * _along(
            factor, arrays[layer.kernel], layer.kernel_axis
        )
        scaled = value * _along(factor, value, layer.axis)
        if layer.bias is None:
            return scaled
        arrays[layer.bias] = bias = goal - factor * mean
        return scaled + _along(bias, value, layer.axis)

    _through(units, params, inputs, changed)
    return arrays


def _through(units: Units, params: Any, inputs: Array, visit: Any) -> None:
    """Compute the network; `visit` may put other pre-activations in place of a layer's."""
    known = {layer.number: layer for layer in layers(units)}

    def step(number: int, equation: Any, values: list[Any]) -> Sequence[Any]:
        found = bind(equation, values)
        if number not in known:
            return found
        return [visit(known[number], values, *found)]

    leaves = jax.tree.leaves((params, inputs))
    Walk(step, lambda constant: constant).run(units.program.jaxpr, units.program.consts, leaves)


def _moments(value: Array, axis: int) -> tuple[Array, Array]:
    others = tuple(place for place in range(value.ndim) if place != axis)
    return value.mean(others), value.std(others)


def _along(vector: Array, like: Array, axis: int) -> Array:
    return vector.reshape([len(vector) if place == axis else 1 for place in range(like.ndim)])
