"""What gauges share: networks put in order pair by pair, with signs and scales, and checked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from landscape_cli.contracts import Gauge
from landscape_cli.core.assignment import Order, Pair
from landscape_cli.core.matching import match
from landscape_cli.core.surface import Surface
from landscape_cli.core.units import Block, flat
from landscape_cli.errors import UserError
from landscape_cli.symmetry import Symmetry, symmetry_of


def name_of(gauge: Gauge) -> str:
    """As a user types it: files of gauges are called like their options."""
    return f"gauge={type(gauge).__module__.rpartition('.')[2]}"


def permutable(surface: Surface, gauge: Gauge) -> Symmetry:
    """The symmetry of the surface's network.

    Raises:
        UserError: a closed form, or no hidden unit may change places.
    """
    symmetry = symmetry_of(surface, name_of(gauge))
    if not symmetry.units.groups:
        name = type(surface.network.module).__name__
        raise UserError(f"{name_of(gauge)}: no hidden units of {name} may change places")
    return symmetry


def generators(key: jax.Array, count: int) -> list[np.random.Generator]:
    """One for every pair, whatever the others are."""
    keys = [jax.random.fold_in(key, pair) for pair in range(count)]
    return [np.random.default_rng(np.asarray(jax.random.key_data(each))) for each in keys]


@dataclass(frozen=True)
class Matched(Gauge):
    """Units in the order of the reference's, by a measure that subclasses bring.

    Attributes:
        signs: units of odd activations may change their sign, too.
        scales: units of homogeneous activations (relu) may be multiplied by positive factors:
            they are compared at equal incoming and outgoing norms, and brought close afterwards.
        restarts: searches from random orders besides the one from the units as they are.
    """

    signs: bool = True
    scales: bool = False
    restarts: int = 0

    def __post_init__(self) -> None:
        if self.restarts < 0:
            raise ValueError(f"restarts must be at least 0, got {self.restarts}")

    @abstractmethod
    def pairs(self, surface: Surface, symmetry: Symmetry, reference: Any, own: Any) -> list[Pair]:
        """The arrays of two networks (trees) that are to be alike."""

    def align(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> np.ndarray:
        """The copy of every network that lies closest to its reference; see `Gauge.align`."""
        symmetry, moved = permutable(surface, self), np.array(thetas)
        for row, generator in enumerate(generators(key, len(thetas))):
            if np.isfinite(references[row]).all() and np.isfinite(thetas[row]).all():
                reference, own = symmetry.tree(references[row]), symmetry.tree(thetas[row])
                order = self.order(surface, symmetry, reference, own, generator)
                copy = self.copied(symmetry, reference, own, order)
                moved[row] = symmetry.checked(thetas[row], copy)
        return moved

    def order(
        self,
        surface: Surface,
        symmetry: Symmetry,
        reference: Mapping[str, Any],
        own: Mapping[str, Any],
        generator: np.random.Generator,
        start: Order | None = None,
    ) -> Order:
        """The order of one network's units that is closest to the reference's."""
        if self.scales:
            balance = lambda tree: symmetry.scales.times(tree, symmetry.scales.balancing(tree))
            reference, own = balance(reference), balance(own)
        pairs = self.pairs(surface, symmetry, reference, own)
        return match(symmetry.units.groups, pairs, generator, start, self.restarts)

    def copied(
        self,
        symmetry: Symmetry,
        reference: Mapping[str, Any],
        own: Mapping[str, Any],
        order: Order,
    ) -> dict[str, Any]:
        """The network with its units in that order, and with those factors."""
        copy = symmetry.units.permuted(own, order.orders)
        if self.signs:
            signed = {group: order.signs[group] for group in symmetry.signs.exponents}
            copy = symmetry.signs.times(copy, signed)
        if self.scales:
            copy = symmetry.scales.times(copy, symmetry.scales.approaching(copy, reference))
        return copy

    def signed(self, symmetry: Symmetry, block: Block) -> tuple[bool, ...]:
        """For each axis of a block of parameters, whether it changes with its units' signs."""
        powers = symmetry.signs.exponents if self.signs else {}
        uses = lambda group: zip(symmetry.units.groups[group].uses, powers[group], strict=True)
        return tuple(
            group in powers
            and any(p for u, p in uses(group) if (u.path, u.axis) == (block.path, axis))
            for group, axis in zip(block.groups, block.axes, strict=True)
        )


def weights(
    gauge: Matched, symmetry: Symmetry, reference: Mapping[str, Any], own: Mapping[str, Any]
) -> list[Pair]:
    """All parameters of two networks, block by block."""
    one, other = (
        {path: np.asarray(array, float) for path, array in flat(tree).items()}
        for tree in (reference, own)
    )
    blocks: Sequence[Block] = symmetry.units.blocks
    return [
        Pair(b.of(one[b.path]), b.of(other[b.path]), b.groups, gauge.signed(symmetry, b))
        for b in blocks
    ]
