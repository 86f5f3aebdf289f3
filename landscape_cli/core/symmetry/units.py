"""Hidden units of a network, found in the program that computes it.

    units = unit_groups(function, params, inputs)      # function(params, inputs) -> outputs
    units.groups[0].size, units.groups[0].uses         # who produces and who consumes them
    copy = units.permuted(params, orders)              # the same function, units in another order

A group is a set of hidden units that may change places without changing the function: the
channels of a convolution, or those of all layers that a residual sum ties together. Where it
shows up in the parameters is listed use by use. Attention heads are a group whose members have
groups of their own: the units within a head change places independently of those of other heads.

Nothing here knows what a layer is; see `core.symmetry.tracing` for how a program is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import jax
import numpy as np

from landscape_cli.core.symmetry.axes import Atom, Axis, Term, atoms, terms
from landscape_cli.core.symmetry.families import parents
from landscape_cli.core.symmetry.groups import Block, Group, Orders, Use, reordered, unmoved
from landscape_cli.core.symmetry.knowledge import Knowledge, Path, Value
from landscape_cli.core.symmetry.program import Walk, bind
from landscape_cli.core.symmetry.tracing import read

Function = Callable[[Any, Any], Any]  # (params, inputs) -> outputs
TOLERANCE = 1e-5  # of outputs, relative to the largest


@dataclass(frozen=True, eq=False)
class Activations:
    """Activations that a layer reads, where groups are among them.

    Attributes:
        number: of the operation that reads them, in the program.
        operand: which of its inputs they are.
        blocks: of the array.
    """

    number: int
    operand: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Units:
    """The hidden units of a network and where they are.

    Attributes:
        groups: in the order in which the network computes them.
        blocks: of every array of parameters that any group has a part in.
        activations: where units can be watched.
        function: the network, (params, inputs) -> outputs.
        program: it, traced.
        trace: all that was found out about the program.
    """

    groups: tuple[Group, ...]
    blocks: tuple[Block, ...]
    activations: tuple[Activations, ...]
    function: Function
    program: Any
    trace: Knowledge

    @cached_property
    def outputs(self) -> Callable[[Any, Any], Any]:
        """The network, compiled; a function of its own, since not every network can be hashed."""
        return jax.jit(lambda params, inputs: self.function(params, inputs))

    def identity(self) -> list[np.ndarray]:
        """Orders that leave everything as it is."""
        return unmoved(self.groups)

    def random(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Orders drawn at random, all equally likely."""
        return [generator.permuted(order, axis=-1) for order in self.identity()]

    def permuted(self, params: Mapping[str, Any], orders: Orders) -> dict[str, Any]:
        """The network with its units in another order.

        Args:
            params: nested dictionaries of arrays.
            orders: for every group (unit,) the unit that comes to each place; (parent, unit) for
                a group with a parent, whose rows follow the parent's new order.

        Returns:
            A tree of host arrays.
        """
        arrays = {path: np.asarray(array) for path, array in flat(params).items()}
        moved = {path: np.array(array) for path, array in arrays.items()}
        for block in self.blocks:
            given = block.of(arrays[block.path])
            entries = reordered(self.groups, block.groups, given, orders)
            block.put(moved[block.path], entries)
        return unflat(moved)

    def difference(self, one: Mapping[str, Any], other: Mapping[str, Any], inputs: Any) -> float:
        """Largest difference of two networks' outputs, over the largest output (or 1)."""
        first, second = (np.asarray(self.outputs(params, inputs)) for params in (one, other))
        return float(np.abs(first - second).max() / max(1.0, np.abs(first).max()))

    def watch(self, params: Mapping[str, Any], inputs: Any) -> list[Any]:
        """The arrays of `activations`, in order; traceable."""
        wanted = {(each.number, each.operand): None for each in self.activations}
        found: dict[tuple[int, int], Any] = {}

        def step(number: int, equation: Any, values: list[Any]) -> Sequence[Any]:
            for operand, value in enumerate(values):
                if (number, operand) in wanted:
                    found[number, operand] = value
            return bind(equation, values)

        leaves = jax.tree.leaves((params, inputs))
        Walk(step, lambda constant: constant).run(self.program.jaxpr, self.program.consts, leaves)
        return [found[each] for each in wanted]


def unit_groups(function: Function, params: Mapping[str, Any], inputs: Any) -> Units:
    """Find the hidden units of a network.

    Args:
        function: the network: outputs of (params, inputs), by operations of JAX.
        params: nested dictionaries of arrays or of their shapes.
        inputs: arrays or shapes; a few examples do.

    Returns:
        The groups; none where every unit has its place.
    """
    program = jax.make_jaxpr(function)(params, inputs)
    trace = Knowledge()
    shapes = {path: tuple(array.shape) for path, array in flat(params).items()}
    parameters = {path: trace.parameter(path, shape) for path, shape in shapes.items()}
    given = [trace.given(np.shape(leaf)) for leaf in jax.tree.leaves(inputs)]
    ordered = [parameters[path] for path in flat(params)]
    read(trace, program.jaxpr, program.consts, [*ordered, *given])
    return _Finder(trace, parameters).units(function, program)


@dataclass(frozen=True, eq=False)
class _Finder:
    """From what is known of every axis to groups and blocks."""

    trace: Knowledge
    parameters: dict[Path, Value]

    def units(self, function: Function, program: Any) -> Units:
        above = parents(self.trace, set(self.numbers))
        uses = self.uses()
        sizes = {atom.number: atom.size for atom in self.met()}
        groups = [
            Group(sizes[atom], tuple(uses[number]), self.numbers.get(above.get(atom, -1)))
            for atom, number in self.numbers.items()
        ]
        blocks = [block for path, v in self.parameters.items() for block in self.blocks(path, v)]
        found = self.activations()
        return Units(tuple(groups), tuple(blocks), found, function, program, self.trace)

    def met(self, values: Iterable[Value] | None = None) -> Iterator[Atom]:
        """Atoms of some values, by default of the parameters."""
        for value in self.parameters.values() if values is None else values:
            for axis in value.axes:
                yield from atoms(self.trace.axes.resolve(axis))

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Atom -> group, in the order in which the network meets them."""
        mine = {atom.number for atom in self.met()}
        computed = sorted(self.trace.values, key=lambda value: not value.data)
        order = dict.fromkeys(a.number for a in self.met(computed) if a.number in mine)
        return {atom: number for number, atom in enumerate(order)}

    def terms(self, axis: Axis) -> list[Term]:
        return terms(self.trace.axes.resolve(axis))

    def uses(self) -> dict[int, list[Use]]:
        """Every group's places in the parameters."""
        found: dict[int, list[Use]] = {number: [] for number in self.numbers.values()}
        for path, value in self.parameters.items():
            for axis, each in enumerate(value.axes):
                for atom, positions in _positions(self.terms(each)).items():
                    use = Use(path, axis, self.role(path, axis), positions)
                    found[self.numbers[atom]].append(use)
        return found

    def role(self, path: Path, axis: int) -> str:
        consumed = {source for source in self.trace.consumed if source[0] == path}
        if (path, axis) in consumed:
            return "consumes"
        return "produces" if consumed else "adjusts"

    def blocks(self, path: Path, value: Value) -> Iterator[Block]:
        """The parts of an array that a group has a share in."""
        for combination in product(*map(self.terms, value.axes)):
            factors = [factor for term in combination for factor in term.factors]
            groups = [self.numbers.get(getattr(f, "number", -1)) for f in factors]
            if any(group is not None for group in groups):
                rows = tuple(term.positions.ravel() for term in combination)
                axes = [axis for axis, term in enumerate(combination) for _ in term.factors]
                sizes = tuple(factor.size for factor in factors)
                yield Block(path, rows, sizes, tuple(groups), tuple(axes))

    def activations(self) -> tuple[Activations, ...]:
        """Arrays that layers read, each once, and the groups in them."""
        first = {id(reading.value): reading for reading in reversed(self.trace.readings)}
        found = []
        for reading in reversed(first.values()):
            blocks = tuple(self.blocks((), reading.value))
            if blocks:
                found.append(Activations(reading.number, reading.operand, blocks))
        return tuple(found)


def _positions(found: Iterable[Term]) -> dict[int, np.ndarray]:
    """Atom -> (unit, copy) places along an axis."""
    rows: dict[int, list[np.ndarray]] = {}
    for term in found:
        for place, factor in enumerate(term.factors):
            if isinstance(factor, Atom):
                first = np.moveaxis(term.positions, place, 0)
                rows.setdefault(factor.number, []).append(first.reshape(factor.size, -1))
    return {atom: np.concatenate(parts, axis=1) for atom, parts in rows.items()}


def flat(tree: Mapping[str, Any]) -> dict[Path, Any]:
    """Nested dictionaries as one, by the names from the outside in; in the order of JAX."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {tuple(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in leaves}


def unflat(arrays: Mapping[Path, Any]) -> dict[str, Any]:
    """The opposite of `flat`."""
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        inner = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = array
    return tree
