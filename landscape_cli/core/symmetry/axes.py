"""What stands along an axis of an array: hidden units, and how they are laid out.

An axis of 512 numbers may be 8 × 4 pixels of 16 channels, or 16 channels of one layer followed by
496 of others. Written down as an expression, it can be compared with another axis that meets it
in an addition or a sum over products: both must hold the same units in the same order.

    Atom        units that may change places among themselves, as far as is known
    Fixed       entries that each have their own place
    Grid        a row-major product: every entry of the first part with every one of the second
    Row         one part after another

`Axes` keeps what has been learned: an atom bound to an expression stands for it ever after. It is
unification as in logic, where an atom is a variable. What cannot be expressed is made fixed, so
that too few symmetries may be found but never a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fixed:
    """Entries in places of their own, such as pixels, inputs and outputs."""

    size: int


@dataclass(frozen=True)
class Atom:
    """Units without further structure."""

    number: int
    size: int


@dataclass(frozen=True)
class Grid:
    """Every entry of each part with every one of the others, the last part's running fastest."""

    parts: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """Entries."""
        return math.prod(part.size for part in self.parts)


@dataclass(frozen=True)
class Row:
    """The entries of one part after those of another."""

    parts: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """Entries."""
        return sum(part.size for part in self.parts)


Axis = Fixed | Atom | Grid | Row


def grid(parts: Iterable[Axis]) -> Axis:
    """The product in its shortest form."""
    flat: list[Axis] = []
    for part in parts:
        for each in part.parts if isinstance(part, Grid) else (part,):
            if isinstance(each, Fixed) and flat and isinstance(flat[-1], Fixed):
                flat[-1] = Fixed(flat[-1].size * each.size)
            elif each.size != 1:
                flat.append(each)
    return Fixed(1) if not flat else flat[0] if len(flat) == 1 else Grid(tuple(flat))


def row(parts: Iterable[Axis]) -> Axis:
    """The parts one after another in their shortest form."""
    flat: list[Axis] = []
    for part in parts:
        for each in part.parts if isinstance(part, Row) else (part,):
            if isinstance(each, Fixed) and flat and isinstance(flat[-1], Fixed):
                flat[-1] = Fixed(flat[-1].size + each.size)
            elif each.size:
                flat.append(each)
    return Fixed(0) if not flat else flat[0] if len(flat) == 1 else Row(tuple(flat))


def atoms(axis: Axis) -> Iterator[Atom]:
    """All atoms of an expression, as often as they occur."""
    if isinstance(axis, Atom):
        yield axis
    elif isinstance(axis, Grid | Row):
        for part in axis.parts:
            yield from atoms(part)


@dataclass(frozen=True, eq=False)
class Term:
    """A part of an axis that is a plain product.

    Attributes:
        factors: atoms and fixed parts.
        positions: where the entries are on the axis, one array axis for every factor.
    """

    factors: tuple[Atom | Fixed, ...]
    positions: np.ndarray


def terms(axis: Axis) -> list[Term]:
    """An axis as parts that are plain products; together they hold every entry once."""
    if isinstance(axis, Atom | Fixed):
        return [Term((axis,), np.arange(axis.size))]
    if isinstance(axis, Row):
        starts = np.cumsum([0, *(part.size for part in axis.parts)])
        return [
            Term(term.factors, start + term.positions)
            for start, part in zip(starts, axis.parts, strict=False)
            for term in terms(part)
        ]
    first, rest = axis.parts[0], grid(axis.parts[1:])
    return [
        Term(
            (*left.factors, *right.factors),
            np.add.outer(rest.size * left.positions, right.positions),
        )
        for left in terms(first)
        for right in terms(rest)
    ]


class Axes:
    """All that is known of the axes of a program; grows as operations are looked at."""

    def __init__(self) -> None:
        self._bound: dict[int, Axis] = {}
        self._count = 0

    def fresh(self, size: int) -> Axis:
        """Units that nothing is known of; a single one has nobody to change places with."""
        if size < 2:
            return Fixed(size)
        self._count += 1
        return Atom(self._count, size)

    def resolve(self, axis: Axis) -> Axis:
        """The expression with everything that is known put in."""
        if isinstance(axis, Atom) and axis.number in self._bound:
            self._bound[axis.number] = found = self.resolve(self._bound[axis.number])
            return found
        if isinstance(axis, Grid):
            return grid(map(self.resolve, axis.parts))
        if isinstance(axis, Row):
            return row(map(self.resolve, axis.parts))
        return axis

    def fix(self, axis: Axis) -> None:
        """Every entry has a place of its own."""
        for atom in list(atoms(self.resolve(axis))):
            self._bound[atom.number] = Fixed(atom.size)

    def unify(self, one: Axis, other: Axis) -> None:
        """Both axes hold the same units in the same order."""
        one, other = self.resolve(one), self.resolve(other)
        if one.size != other.size:
            raise AssertionError(f"axes of {one.size} and {other.size} entries cannot be the same")
        if one == other:
            return
        if isinstance(other, Atom) or (isinstance(other, Row) and isinstance(one, Grid)):
            one, other = other, one
        if isinstance(one, Atom):
            self._bound[one.number] = other
        elif isinstance(one, Fixed) or isinstance(other, Fixed):
            self.fix(one)
            self.fix(other)
        elif isinstance(one, Row):
            self._unify_row(one, other)
        else:
            assert isinstance(other, Grid)
            first, *rest = other.parts
            head, tail = self.split(one, first.size)
            self.unify(head, first)
            self.unify(tail, grid(rest))

    def _unify_row(self, one: Row, other: Axis) -> None:
        """Cut off as few parts as the other axis can be cut after."""
        step = grid(other.parts[1:]).size if isinstance(other, Grid) else 1
        count = 1
        while sum(part.size for part in one.parts[:count]) % step:
            count += 1
        if count == len(one.parts):
            self.fix(one)
            self.fix(other)
            return
        first = row(one.parts[:count])
        left, right = self.cut(other, first.size)
        self.unify(first, left)
        self.unify(row(one.parts[count:]), right)

    def cut(self, axis: Axis, at: int) -> tuple[Axis, Axis]:
        """The first `at` entries and the others."""
        axis = self.resolve(axis)
        if at in (0, axis.size):
            none = Fixed(0)
            return (none, axis) if at == 0 else (axis, none)
        if isinstance(axis, Atom):
            pair = self.fresh(at), self.fresh(axis.size - at)
            self._bound[axis.number] = row(pair)
            return pair
        if isinstance(axis, Row):
            first, *rest = axis.parts
            if at < first.size:
                left, right = self.cut(first, at)
                return left, row([right, *rest])
            left, right = self.cut(row(rest), at - first.size)
            return row([first, left]), right
        if isinstance(axis, Grid):
            first, rest = axis.parts[0], grid(axis.parts[1:])
            if at % rest.size == 0:
                left, right = self.cut(first, at // rest.size)
                return grid([left, rest]), grid([right, rest])
            self.fix(axis)
        return Fixed(at), Fixed(axis.size - at)

    def split(self, axis: Axis, size: int) -> tuple[Axis, Axis]:
        """The axis as a product of `size` entries and the rest; `size` divides its entries."""
        axis = self.resolve(axis)
        rest = axis.size // size if size else 0
        if size == 1 or rest == 1:
            return (Fixed(1), axis) if size == 1 else (axis, Fixed(1))
        if isinstance(axis, Fixed):
            return Fixed(size), Fixed(rest)
        if isinstance(axis, Grid):
            return self._split_grid(axis, size)
        pair = self.fresh(size), self.fresh(rest)
        if isinstance(axis, Atom):
            self._bound[axis.number] = grid(pair)
        else:
            self.unify(axis, grid(pair))
        return self.resolve(pair[0]), self.resolve(pair[1])

    def _split_grid(self, axis: Grid, size: int) -> tuple[Axis, Axis]:
        first, others = axis.parts[0], axis.parts[1:]
        if first.size % size == 0:
            head, tail = self.split(first, size)
            return head, grid([tail, *others])
        if size % first.size == 0:
            head, tail = self.split(grid(others), size // first.size)
            return grid([first, head]), tail
        count = 1  # the parts that the cut runs through lose their structure
        while math.prod(part.size for part in axis.parts[:count]) % size:
            count += 1
        for part in axis.parts[:count]:
            self.fix(part)
        return self.split(grid(map(self.resolve, axis.parts)), size)

    def reshape(self, axes: Iterable[Axis], shape: Iterable[int]) -> list[Axis]:
        """The same entries in row-major order under another shape."""
        rest, found = grid(map(self.resolve, axes)), []
        for size in shape:
            head, rest = self.split(rest, size)
            found.append(head)
        return found
