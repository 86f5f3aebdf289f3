"""Hidden units of the network behind a surface, from vectors θ and back; checked copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import numpy as np

from landscape_cli.core.energy import Contextual, spread_out
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.factors import Multiples, multiples
from landscape_cli.core.symmetry.knowledge import Path
from landscape_cli.core.symmetry.units import TOLERANCE, Units, flat, unflat, unit_groups
from landscape_cli.errors import UserError

FEW = 8  # examples on which outputs are compared


@dataclass(frozen=True)
class Applied:
    """A network as a function of all that θ holds; batch norm takes its examples' statistics.

    In full precision on every device: copies are compared to a part in a hundred thousand.
    Statistics that are coordinates of θ themselves (bn=coordinates) are arrays like all others.
    """

    module: Any
    normalized: bool

    def __call__(self, variables: Mapping[str, Any], inputs: Any) -> Any:
        """Outputs."""
        with jax.default_matmul_precision("highest"):
            if not self.normalized:
                return self.module.apply(variables, inputs)
            return self.module.apply(variables, inputs, train=True, mutable=["batch_stats"])[0]


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A network's hidden units, and how its parameters lie in θ.

    Attributes:
        units: groups of hidden units.
        arrays: name and shape of every array in θ, in order.
        shapes: the same as a tree.
        inputs: a few examples.
    """

    units: Units
    arrays: tuple[tuple[Path, tuple[int, ...]], ...]
    shapes: dict[str, Any]
    inputs: np.ndarray

    def tree(self, theta: np.ndarray) -> dict[str, Any]:
        """(param,) as a tree of arrays."""
        edges = np.cumsum([int(np.prod(shape)) for _, shape in self.arrays])[:-1]
        parts = np.split(np.asarray(theta), edges)
        named = zip(self.arrays, parts, strict=True)
        return unflat({path: part.reshape(shape) for (path, shape), part in named})

    def theta(self, tree: Mapping[str, Any]) -> np.ndarray:
        """A tree of arrays as (param,)."""
        leaves = flat(tree)
        return np.concatenate([np.ravel(leaves[path]) for path, _ in self.arrays])

    @cached_property
    def signs(self) -> Multiples:
        """Groups of units that may change their sign."""
        return multiples(self.units, self.shapes, self.inputs, signs=True)

    @cached_property
    def scales(self) -> Multiples:
        """Groups of units that may be multiplied by positive factors."""
        return multiples(self.units, self.shapes, self.inputs, signs=False)

    def with_examples(self, count: int) -> Units:
        """The same units, found on another number of examples: activations have their shapes."""
        return _refound(self, count)

    def checked(self, theta: np.ndarray, tree: Mapping[str, Any]) -> np.ndarray:
        """The copy of `theta` as (param,), after its outputs have been compared.

        Raises:
            RuntimeError: they differ. A fault of ours: a symmetry was found that is none.
        """
        difference = self.units.difference(self.tree(theta), tree, self.inputs)
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"a copy of the network gives other outputs, by {difference:.1e} of the largest; "
                "please report the model: its symmetries were not found right"
            )
        return self.theta(tree).astype(theta.dtype)


def symmetry_of(surface: Surface, asked: str) -> Symmetry:
    """The hidden units of the network behind a surface; found once per network.

    Args:
        surface: of a network.
        asked: the setting that needs them, as the user types it, for messages.

    Raises:
        UserError: a closed form, which has none.
    """
    network = surface.network
    if network is None:
        raise UserError(f"{asked}: a closed form has no hidden units; it takes a network")
    kind = _Kind(np.asarray(surface.slope_data[0][:FEW]), np.dtype(surface.dtype))
    normalized = isinstance(network, Contextual)
    known = network.module, network.layout, network.statistics, normalized, kind
    try:
        return _found(*known)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _found.__wrapped__(*known)  # a module that holds a list cannot be remembered


def examples(surface: Surface, count: int) -> Any:
    """Inputs of what a network is trained on, over which plain means are those of its loss.

    All of them, or, where there are more than `count` or their weights differ, so many, spread
    out over the weights.
    """
    inputs, _, weights = surface.slope_data
    weights = np.asarray(weights)
    if len(weights) <= count and (weights == weights[0]).all():
        return inputs
    return inputs[spread_out(weights, count)]


class _Kind:
    """Examples that compare by their kind: any of a shape will do to find units on."""

    def __init__(self, inputs: np.ndarray, dtype: np.dtype) -> None:
        self.inputs = inputs
        self.dtype = dtype
        self.said = inputs.shape, inputs.dtype.name, dtype.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and self.said == other.said

    def __hash__(self) -> int:
        return hash(self.said)


@lru_cache(maxsize=32)
def _refound(symmetry: Symmetry, count: int) -> Units:
    shape = (count, *symmetry.inputs.shape[1:])
    inputs = jax.ShapeDtypeStruct(shape, symmetry.inputs.dtype)
    return unit_groups(symmetry.units.function, symmetry.shapes, inputs)


@lru_cache(maxsize=32)
def _found(module: Any, layout: Any, statistics: Any, normalized: bool, kind: _Kind) -> Symmetry:
    arrays = [(("params", *p), s) for p, s in zip(layout.paths, layout.shapes, strict=True)]
    if statistics is not None:
        arrays += list(zip(statistics.paths, statistics.shapes, strict=True))
    tree = unflat({path: jax.ShapeDtypeStruct(shape, kind.dtype) for path, shape in arrays})
    units = unit_groups(Applied(module, normalized), tree, kind.inputs)
    return Symmetry(units, tuple(arrays), tree, kind.inputs)
