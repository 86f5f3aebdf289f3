"""Products of two networks' activations: what it is worth to take one unit for another.

    K[i, j] = Σ over examples and places  z_reference[i] z_own[j],   what a layer reads in both

Only these small matrices leave the device; activations themselves are never kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.symmetry.groups import Block
from landscape_cli.core.symmetry.units import Units


def products(
    units: Units, reference: Mapping[str, Any], own: Mapping[str, Any], inputs: np.ndarray
) -> list[tuple[Block, np.ndarray]]:
    """Every block of activations with units in it, and K over all of its units.

    Args:
        units: of the network, found with as many examples as are to be taken at a time.
        reference: parameters of one network.
        own: parameters of another.
        inputs: (batch, example, ...).

    Returns:
        Blocks with a (units, units) matrix each; where there are several groups in a block, over
        all combinations of their units, in the order of the block's axes.
    """
    total: list[Any] = []
    for batch in inputs:
        some = [np.asarray(k, float) for k in _products(units, reference, own, batch)]
        total = (
            some if not total else [one + other for one, other in zip(total, some, strict=True)]
        )
    return list(zip(_blocks(units), total, strict=True))


def grouped(block: Block) -> list[int]:
    """The axes of a block that are groups of units."""
    return [place for place, group in enumerate(block.groups) if group is not None]


def _blocks(units: Units) -> Iterator[Block]:
    return (block for each in units.activations for block in each.blocks)


@partial(jax.jit, static_argnames="units")
def _products(units: Units, reference: Any, own: Any, inputs: Array) -> list[Array]:
    watched = [units.watch(params, inputs) for params in (reference, own)]
    found = []
    for each, one, other in zip(units.activations, *watched, strict=True):
        for block in each.blocks:
            left, right = _rows(block, one), _rows(block, other)
            found.append(jnp.matmul(left, right.T, precision="highest"))
    return found


def _rows(block: Block, array: Array) -> Array:
    """(units, sample) entries of a block."""
    for axis, rows in enumerate(block.rows):
        if len(rows) != array.shape[axis] or (np.diff(rows) != 1).any():
            array = jnp.take(array, rows, axis=axis)
    shaped = array.reshape(block.shape)
    places = grouped(block)
    size = int(np.prod([block.shape[place] for place in places]))
    return jnp.moveaxis(shaped, places, range(len(places))).reshape(size, -1)
