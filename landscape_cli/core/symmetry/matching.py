"""Put the units of one network in the order of another's: coordinate descent over groups.

Both networks are lists of arrays with groups of units along their axes: parameters, or
activations. Sought are orders (and signs, where units have them) with the largest

    Σ ⟨array of the reference, array of the network in the new order⟩

which is the least squared distance, since orders and signs change no norm. With all groups but
one held, that is a linear assignment problem; groups take turns in random order until nothing is
gained (Ainsworth and others, 2023, algorithm 1). A group along two axes of one array, such as
the stream of a residual layer, makes the problem quadratic: it is relaxed to doubly stochastic
matrices and solved by Frank and Wolfe's method (Vogelstein and others, 2015). A group whose
members have units of their own (heads) is solved together with them: for every pair of members
the best order of the units within, then the best order of the members.

NumPy and SciPy on the host; nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from landscape_cli.core.symmetry.assignment import (
    Assign,
    Order,
    Pair,
    along,
    assigned,
    signs_of,
    worth_of,
)
from landscape_cli.core.symmetry.groups import Group, reordered, unmoved
from landscape_cli.core.symmetry.relaxed import Relaxed

GAIN = 1e-12  # of the objective, over the product of norms, below which a step is none
SWEEPS = 100


def identity(groups: Sequence[Group]) -> Order:
    """Everything as it is."""
    return Order(unmoved(groups), [np.ones(group.size) for group in groups])


def shuffled(groups: Sequence[Group], generator: np.random.Generator) -> Order:
    """A random order."""
    found = identity(groups)
    return Order([generator.permuted(order, axis=-1) for order in found.orders], found.signs)


def match(
    groups: Sequence[Group],
    pairs: Sequence[Pair],
    generator: np.random.Generator,
    start: Order | None = None,
    restarts: int = 0,
    sweeps: int = SWEEPS,
    assign: Assign = assigned,
) -> Order:
    """The best order found.

    Args:
        groups: of hidden units.
        pairs: arrays of both networks.
        generator: draws the order in which groups take turns, and random starts.
        start: where to begin; None: the units as they are.
        restarts: further descents from random orders; the best of all is returned.
        sweeps: most turns of every group.
        assign: which unit goes where, by what it is worth; `in_place` to choose signs only.
    """
    matcher = Matcher(groups, list(pairs), assign)
    found = [matcher.descend(start or identity(groups), generator, sweeps)]
    for _ in range(restarts):  # one after the other: more of them find all that fewer do
        found.append(matcher.descend(shuffled(groups, generator), generator, sweeps))
    return max(found, key=matcher.objective)


@dataclass
class Matcher:
    """Costs of assignments for one pair of networks."""

    groups: Sequence[Group]
    pairs: list[Pair]
    assign: Assign = assigned
    _still: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def tolerance(self) -> float:
        """Gains below are rounding."""
        scale = sum(float(np.linalg.norm(p.reference) * np.linalg.norm(p.own)) for p in self.pairs)
        return GAIN * max(scale, 1.0)

    @cached_property
    def signed(self) -> set[int]:
        """Groups whose units have signs."""
        return {
            group
            for pair in self.pairs
            for group, sign in zip(pair.groups, pair.signed, strict=True)
            if sign and group is not None
        }

    def having(self, group: int) -> list[Pair]:
        """The arrays that a group has an axis of."""
        return [pair for pair in self.pairs if group in pair.groups]

    def children(self, group: int) -> list[int]:
        """Groups that exist once for every member of this one."""
        return [number for number, each in enumerate(self.groups) if each.parent == group]

    @cached_property
    def neighbors(self) -> list[set[int]]:
        """For every group, those whose worth depends on its order."""
        found: list[set[int]] = [set() for _ in self.groups]
        for pair in self.pairs:
            heads = {self._head(group) for group in pair.groups if group is not None}
            for group in heads:
                found[group] |= heads - {group}
        return found

    def _head(self, group: int) -> int:
        parent = self.groups[group].parent
        return group if parent is None else parent

    def descend(self, start: Order, generator: np.random.Generator, sweeps: int) -> Order:
        """Groups take turns until none gains; a turn that cannot have changed is left out."""
        order = start.copy()
        heads = [number for number, each in enumerate(self.groups) if each.parent is None]
        waiting = set(heads)
        for _ in range(sweeps):
            for group in generator.permutation(heads):
                if group in waiting:
                    waiting.discard(group)
                    if self.turn(int(group), order):
                        waiting |= self.neighbors[group]
            if not waiting:
                break
        return order

    def turn(self, group: int, order: Order) -> bool:
        """Give one group (and its children) their best order; whether anything was gained."""
        if self.children(group):
            return self._family(group, order)
        if any(len(pair.places(group)) > 1 for pair in self.having(group)):
            return self._quadratic(group, order)
        plain, signed = self.worths(group, order)
        here = np.arange(self.groups[group].size), order.orders[group]
        before = (plain[here] + order.signs[group] * signed[here]).sum()
        columns = self.assign(plain + np.abs(signed))
        here = np.arange(len(columns)), columns
        signs = signs_of(signed[here]) if group in self.signed else order.signs[group]
        gain = (plain[here] + signs * signed[here]).sum() - before
        if not gain > self.tolerance:
            return False
        order.orders[group], order.signs[group] = columns, signs
        return True

    def worths(self, group: int, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """(unit, unit) what each assignment is worth: without signs, and with a plus sign."""
        size = self.groups[group].size
        if group not in self._still:
            alone = [p for p in self.having(group) if self._others(p, group) == set()]
            self._still[group] = _summed(size, ((p, p.own) for p in alone), group)
        moving = [p for p in self.having(group) if self._others(p, group)]
        plain, signed = _summed(size, ((p, self.moved(p, order, group)) for p in moving), group)
        return self._still[group][0] + plain, self._still[group][1] + signed

    def _others(self, pair: Pair, group: int) -> set[int | None]:
        return set(pair.groups) - {None, group}

    def moved(self, pair: Pair, order: Order, *but: int) -> np.ndarray:
        """A network's own array with all groups in their new order, `but` some as they were."""
        entries = reordered(self.groups, pair.groups, pair.own, order.orders, but)
        for place, group in enumerate(pair.groups):
            if pair.signed[place] and group is not None and group not in but:
                entries = entries * along(order.signs[group], place, entries.ndim)
        return entries

    def objective(self, order: Order) -> float:
        """Σ ⟨reference, own in order⟩."""
        return sum(float(np.vdot(p.reference, self.moved(p, order))) for p in self.pairs)

    def _family(self, group: int, order: Order) -> bool:
        """Members with units of their own: best units for every pair of members, then members."""
        size, children = self.groups[group].size, self.children(group)
        worth = np.zeros((size, size))
        for pair in self.having(group):
            if not set(children) & set(pair.groups):
                worth += worth_of(pair, self.moved(pair, order, group), pair.places(group)[0])
        inner = {}
        for child in children:
            inner[child], gained = self._within(group, child, order)
            worth += gained
        found, best = order.copy(), self.assign(worth)
        found.orders[group] = best
        for child in children:
            found.orders[child] = inner[child][np.arange(size), best]
        return self._accept(order, found, {group, *children})

    def _within(self, group: int, child: int, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """(member, member, unit) best orders of the units within, and what they are worth."""
        members, units = self.groups[group].size, self.groups[child].size
        worths = np.zeros((members * units, members * units))
        for pair in self.having(child):
            places = pair.groups.index(group), pair.groups.index(child)
            own = self.moved(pair, order, group, child)
            one, other = (
                np.moveaxis(array, places, (0, 1)).reshape(members * units, -1)
                for array in (pair.reference, own)
            )
            worths += one @ other.T
        blocks = worths.reshape(members, units, members, units).swapaxes(1, 2)
        orders = np.array([[self.assign(block) for block in line] for line in blocks])
        worth = np.take_along_axis(blocks, orders[..., None], axis=-1).sum((-2, -1))
        return orders, worth

    def _accept(self, order: Order, found: Order, groups: set[int]) -> bool:
        """Take over what was found if it is better on all arrays that it changes."""
        touched = [pair for pair in self.pairs if groups & set(pair.groups)]
        value = lambda o: sum(float(np.vdot(p.reference, self.moved(p, o))) for p in touched)
        if not value(found) > value(order) + self.tolerance:
            return False
        order.orders, order.signs = found.orders, found.signs
        return True

    def _quadratic(self, group: int, order: Order) -> bool:
        """A group along two axes of one array: the best of two relaxed descents."""
        having, better = self.having(group), False
        signed = [p.signed[place] for p in having for place in p.places(group)]
        arrays = [(pair, self.moved(pair, order, group)) for pair in having]
        size = self.groups[group].size
        problem = Relaxed(group, size, arrays, all(signed), self.tolerance, self.assign)
        for start in (problem.matrix(order), problem.middle()):
            found = order.copy()
            found.orders[group], found.signs[group] = problem.solved(start)
            better |= self._accept(order, found, {group})
        return better


def _summed(
    size: int, arrays: Iterator[tuple[Pair, np.ndarray]], group: int
) -> tuple[np.ndarray, np.ndarray]:
    """Worths over arrays: of axes without signs, and of those with."""
    found = np.zeros((2, size, size))
    for pair, own in arrays:
        (place,) = pair.places(group)
        found[int(pair.signed[place])] += worth_of(pair, own, place)
    return found[0], found[1]
