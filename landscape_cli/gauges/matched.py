"""Gauges that put units in order: by weights, by activations, by the energy halfway."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.assignment import Order, Pair
from landscape_cli.core.symmetry.groups import Block
from landscape_cli.core.symmetry.matching import match
from landscape_cli.core.symmetry.units import flat
from landscape_cli.errors import UserError
from landscape_cli.gauges.base import Symmetric, Tree, TreeMove
from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class Matched(Symmetric):
    """Units in the order of the reference's, by a measure that subclasses bring.

    Attributes:
        signs: units of odd activations (tanh) may change their sign, too; other networks are
            none the worse.
        scales: units of homogeneous activations (relu) may be multiplied by positive numbers,
            too: they are compared at equal norms of incoming and outgoing weights, put in order,
            and then multiplied to be as close as they can. Other networks are none the worse.
        restarts: searches from random orders besides the one from the units as they are; the
            best by the measure is taken. At least 0.
    """

    signs: bool = True
    scales: bool = False
    restarts: int = 0

    def __post_init__(self) -> None:
        if self.restarts < 0:
            raise ValueError(f"restarts must be at least 0, got {self.restarts}")

    @abstractmethod
    def pairs(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree
    ) -> list[Pair]:
        """The arrays of two networks that are to be alike."""

    def refuse(self, symmetry: Symmetry, network: str) -> None:
        """See `Symmetric.refuse`."""
        if not symmetry.units.groups:
            raise UserError(
                f"{self.named}: no hidden units of {network} may change places; choose gauge=none"
            )

    def move(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree,
        generator: np.random.Generator,
    ) -> TreeMove:  # fmt: skip
        """Units in order and with their signs; factors are those of each point."""
        compared = reference, own
        if self.scales:
            even = lambda tree: symmetry.scales.times(tree, symmetry.scales.balancing(tree))
            compared = even(reference), even(own)
        pairs = self.pairs(surface, symmetry, *compared)
        order = match(symmetry.units.groups, pairs, generator, restarts=self.restarts)

        def moved(reference: Tree, own: Tree) -> Tree:
            copy = reordered(symmetry, own, order)
            return approached(symmetry, copy, reference) if self.scales else copy

        return moved


def reordered(symmetry: Symmetry, own: Tree, order: Order) -> Tree:
    """The network with its units in another order, with other signs."""
    copy = symmetry.units.permuted(own, order.orders)
    flipped = [group for group, signs in enumerate(order.signs) if (signs < 0).any()]
    return symmetry.signs.times(copy, {g: order.signs[g] for g in flipped}) if flipped else copy


def approached(symmetry: Symmetry, own: Tree, reference: Tree) -> Tree:
    """The network with the factors that bring it closest."""
    return symmetry.scales.times(own, symmetry.scales.approaching(own, reference))


def weights(symmetry: Symmetry, reference: Tree, own: Tree, signs: bool) -> list[Pair]:
    """All parameters of two networks that belong to units, block by block."""
    one, other = (
        {path: np.asarray(array, float) for path, array in flat(tree).items()}
        for tree in (reference, own)
    )
    return [
        Pair(
            block.of(one[block.path]),
            block.of(other[block.path]),
            block.groups,
            _signed(symmetry, block) if signs else (False,) * len(block.groups),
        )
        for block in symmetry.units.blocks
    ]


def _signed(symmetry: Symmetry, block: Block) -> tuple[bool, ...]:
    """For each axis of a block, whether its entries change with the units' signs."""

    def changes(group: int | None, axis: int) -> bool:
        if group is None or group not in symmetry.signs.exponents:
            return False
        uses = symmetry.units.groups[group].uses
        powers = zip(uses, symmetry.signs.exponents[group], strict=True)
        return any(power for u, power in powers if (u.path, u.axis) == (block.path, axis))

    return tuple(changes(*each) for each in zip(block.groups, block.axes, strict=True))
