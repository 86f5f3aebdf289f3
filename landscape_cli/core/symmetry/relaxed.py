"""Groups along two axes of one array: a quadratic assignment, relaxed.

The order is a matrix P, one 1 in every row and column (or ±1, with signs). Among all mixtures of
such matrices Frank and Wolfe's method climbs to where no order is worth more by a linear
estimate; the order nearest to that mixture is the answer (Vogelstein and others, 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landscape_cli.core.symmetry.assignment import (
    Assign,
    Order,
    Pair,
    assigned,
    signs_of,
    worth_of,
)

STEPS = 30


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The problem for one group.

    Attributes:
        group: the group.
        size: units in it.
        arrays: pairs it has axes in, and the network's own array with all other groups in order.
        with_signs: whether units have signs, along all of those axes.
        tolerance: gains below are rounding.
        assign: which unit goes where, by what it is worth.
    """

    group: int
    size: int
    arrays: Sequence[tuple[Pair, np.ndarray]]
    with_signs: bool
    tolerance: float
    assign: Assign = assigned

    def matrix(self, order: Order) -> np.ndarray:
        """An order as a matrix."""
        columns = order.orders[self.group]
        mixed = np.eye(len(columns))[columns]
        return mixed * order.signs[self.group][:, None] if self.with_signs else mixed

    def middle(self) -> np.ndarray:
        """No order at all."""
        value = 0.0 if self.with_signs else 1 / self.size
        return np.full((self.size, self.size), value)

    def slope(self, mixed: np.ndarray) -> tuple[np.ndarray, float]:
        """What each entry of P is worth at P, and what P is worth."""
        gradient, value = np.zeros_like(mixed), 0.0
        for pair, own in self.arrays:
            places = pair.places(self.group)
            for place in places:
                part = own
                for other in places:
                    if other != place:
                        part = np.moveaxis(np.tensordot(mixed, part, (1, other)), 0, other)
                worth = worth_of(pair, part, place)
                gradient += worth
            value += float(np.vdot(worth, mixed))
        return gradient, value

    def best(self, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The order that is worth most by a linear estimate: columns, signs, matrix."""
        columns = self.assign(np.abs(gradient) if self.with_signs else gradient)
        rows = np.arange(len(columns))
        signs = signs_of(gradient[rows, columns]) if self.with_signs else np.ones(len(columns))
        return columns, signs, np.eye(len(columns))[columns] * signs[:, None]

    def solved(self, mixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frank and Wolfe's steps from P, then the nearest order."""
        for _ in range(STEPS):
            gradient, value = self.slope(mixed)
            _, _, goal = self.best(gradient)
            rise = float(np.vdot(gradient, goal - mixed))
            if not rise > self.tolerance:
                break
            bend = self.slope(goal)[1] - value - rise  # f(t) = value + rise t + bend t²
            step = 1.0 if bend >= 0 else min(1.0, -rise / (2 * bend))
            mixed = mixed + step * (goal - mixed)
        columns, signs, _ = self.best(mixed)
        return columns, signs
