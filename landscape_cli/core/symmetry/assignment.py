"""What a matching of two networks is made of: pairs of arrays, orders, worths, assignments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

Assign = Callable[[np.ndarray], np.ndarray]  # (unit, unit) worth -> (unit,) columns


@dataclass(frozen=True, eq=False)
class Pair:
    """One array of both networks, as blocks: an axis is a group or holds its order.

    Attributes:
        reference: of the network whose order is to be taken.
        own: of the network to be put in order.
        groups: for each axis; None where entries keep their places.
        signed: for each axis, whether a unit's sign changes the entries.
    """

    reference: np.ndarray
    own: np.ndarray
    groups: tuple[int | None, ...]
    signed: tuple[bool, ...]

    def places(self, group: int) -> list[int]:
        """The axes of a group."""
        return [place for place, number in enumerate(self.groups) if number == group]


@dataclass
class Order:
    """Where every unit of every group comes from, and with which sign.

    Attributes:
        orders: for every group as in `Units.permuted`.
        signs: (unit,) for every group, 1 or -1, of the units in their new places.
    """

    orders: list[np.ndarray]
    signs: list[np.ndarray]

    def copy(self) -> Order:
        """One that can be changed."""
        return Order(list(self.orders), list(self.signs))


def assigned(worth: np.ndarray) -> np.ndarray:
    """For every row the column, each taken once, that make the largest sum."""
    return linear_sum_assignment(worth, maximize=True)[1]


def in_place(worth: np.ndarray) -> np.ndarray:
    """Every unit where it is."""
    return np.arange(len(worth))


def worth_of(pair: Pair, own: np.ndarray, place: int) -> np.ndarray:
    """(unit, unit) what it is worth to put a unit of `own` (column) in a place (row)."""
    rows = lambda array: np.moveaxis(array, place, 0).reshape(array.shape[place], -1)
    return rows(pair.reference) @ rows(own).T


def signs_of(values: np.ndarray) -> np.ndarray:
    """1 or -1."""
    return np.where(values < 0, -1.0, 1.0)


def along(values: np.ndarray, place: int, dimensions: int) -> np.ndarray:
    """A vector as an array that broadcasts along one axis."""
    shape = [1] * dimensions
    shape[place] = len(values)
    return values.reshape(shape)
