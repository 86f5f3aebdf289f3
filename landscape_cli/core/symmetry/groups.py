"""Groups of hidden units, where they are in arrays, and how arrays change with their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landscape_cli.core.symmetry.knowledge import Path

Orders = Sequence[np.ndarray]  # for every group, which unit of the network given stands where


@dataclass(frozen=True, eq=False)
class Use:
    """A group's units along one axis of one array.

    Attributes:
        path: of the array in the tree of parameters.
        axis: the axis.
        role: "produces" (the units are what the array's product with activations gives),
            "adjusts" (the array meets them entry by entry: a bias, the scale of a norm) or
            "consumes" (the axis is summed over with the units' activations).
        positions: (unit, copy) entries of the axis that belong to each unit; a unit of a
            convolution has one for every pixel in the dense layer that reads the flattened image.
    """

    path: Path
    axis: int
    role: str
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Group:
    """Hidden units that may change places.

    Attributes:
        size: number of units.
        uses: where they are in the parameters.
        parent: the group whose every member has its own set of these units, such as the head
            for units within a head; None for units that exist once.
    """

    size: int
    uses: tuple[Use, ...]
    parent: int | None = None

    def role(self, name: str) -> tuple[Use, ...]:
        """The uses of one role."""
        return tuple(use for use in self.uses if use.role == name)

    @property
    def name(self) -> str:
        """The first array that produces them."""
        use = (*self.role("produces"), *self.role("adjusts"), *self.uses)[0]
        return "/".join(use.path)


def unmoved(groups: Sequence[Group]) -> list[np.ndarray]:
    """Orders that leave all units where they are: one row for every member of a parent."""
    members = [() if g.parent is None else (groups[g.parent].size, 1) for g in groups]
    return [np.tile(np.arange(g.size), rows) for g, rows in zip(groups, members, strict=True)]


def reordered(
    groups: Sequence[Group],
    places: Sequence[int | None],
    entries: np.ndarray,
    orders: Orders,
    but: Sequence[int] = (),
) -> np.ndarray:
    """An array with its units in another order.

    Args:
        groups: of hidden units.
        places: for each axis of the array its group, or None.
        entries: the array.
        orders: as in `Units.permuted`.
        but: groups whose units stay.
    """
    children = []
    for place, number in enumerate(places):
        if number is None or number in but:
            continue
        if groups[number].parent is None:
            entries = np.take(entries, orders[number], axis=place)
        else:
            children.append((place, number))
    for place, number in children:  # their rows follow the parents' new order
        above = places.index(groups[number].parent)
        order = orders[number] if above < place else orders[number].T
        shape = [1] * entries.ndim
        shape[above], shape[place] = orders[number].shape
        entries = np.take_along_axis(entries, order.reshape(shape), axis=place)
    return entries


@dataclass(frozen=True, eq=False)
class Block:
    """A part of an array whose every axis is a plain product of groups and fixed entries.

    Attributes:
        path: of the array.
        rows: for each axis of the array, the positions that are in the block.
        shape: sizes of all factors of all axes, in order.
        groups: the group of each factor; None where entries keep their places.
        axes: the axis of the array that each factor belongs to.
    """

    path: Path
    rows: tuple[np.ndarray, ...]
    shape: tuple[int, ...]
    groups: tuple[int | None, ...]
    axes: tuple[int, ...]

    def of(self, array: np.ndarray) -> np.ndarray:
        """The entries of the block, one axis for every factor."""
        return array[np.ix_(*self.rows)].reshape(self.shape)

    def put(self, array: np.ndarray, entries: np.ndarray) -> None:
        """Write the entries into the array."""
        array[np.ix_(*self.rows)] = entries.reshape([len(rows) for rows in self.rows])
