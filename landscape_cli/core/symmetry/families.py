"""Units that exist once for every member of another group, such as those within a head.

Wherever the units d show up, so does the head h they belong to, and whatever is multiplied entry
by entry along d is so along h. Then the units of every head can be put in an order of their own:
nothing ever compares the d-th unit of one head with that of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from landscape_cli.core.symmetry.axes import Axis, atoms, terms
from landscape_cli.core.symmetry.knowledge import Knowledge, Value

Word = Counter[int]  # how often each atom occurs


def parents(trace: Knowledge, numbers: set[int]) -> dict[int, int]:
    """For atoms (of `numbers`) with a set of units for every member of another: that other.

    No parent has a parent, and no two children of one parent share an array.
    """
    words = [list(_words(trace, value)) for value in trace.values if _is_ordered(value)]
    joint = _joint(words)
    candidates = [
        (child, parent)
        for child in sorted(numbers)
        for parent in sorted(numbers & joint.get(child, set()))
        if _always_together(trace, child, parent)
    ]
    found: dict[int, int] = {}
    for child, parent in candidates:
        taken = child in found or child in found.values() or parent in found
        siblings = {other for other, above in found.items() if above == parent}
        if not taken and not any(
            siblings & word.keys() for w in words for word in w if child in word
        ):
            found[child] = parent
    return found


def _is_ordered(value: Value) -> bool:
    """Not an array made of constants, which is the same for all units."""
    return value.data or any(value.sources)


def _words(trace: Knowledge, value: Value) -> Iterator[Word]:
    """The atoms of every part of an array that is a plain product, over all of its axes."""
    found = [Counter[int]()]
    for axis in value.axes:
        parts = [Counter(a.number for a in term) for term in _terms(trace, axis)]
        found = [Counter(one + other) for one in found for other in _distinct(parts)]
    yield from _distinct(found)


def _terms(trace: Knowledge, axis: Axis) -> Iterator[list]:
    for term in terms(trace.axes.resolve(axis)):
        yield [atom for factor in term.factors for atom in atoms(factor)]


def _distinct(words: Iterable[Word]) -> list[Word]:
    return [Counter(dict(key)) for key in {tuple(sorted(word.items())): None for word in words}]


def _joint(words: list[list[Word]]) -> dict[int, set[int]]:
    """For every atom, those that occur exactly once wherever it does, itself once."""
    found: dict[int, set[int]] = {}
    for word in (word for each in words for word in each):
        once = {atom for atom, count in word.items() if count == 1}
        for atom, count in word.items():
            beside = once - {atom} if count == 1 else set()
            found[atom] = found[atom] & beside if atom in found else beside
    return found


def _always_together(trace: Knowledge, child: int, parent: int) -> bool:
    """Whether products entry by entry along the child are so along the parent."""
    for left, right, pairs in trace.matched:
        for value, side in ((left, 0), (right, 1)):
            along = [{a.number for a in _atoms(trace, value.axes[pair[side]])} for pair in pairs]
            joined = set().union(*along)
            if child in joined and parent not in joined:
                return False
    return True


def _atoms(trace: Knowledge, axis: Axis) -> Iterator:
    return atoms(trace.axes.resolve(axis))
