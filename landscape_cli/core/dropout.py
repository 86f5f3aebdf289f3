"""A path of straight segments between two networks, through copies with half of their units.

A unit whose outgoing weights are zero is dead: whatever happens to its incoming weights, outputs
stay as they are. Where half of every layer can be spared, the dead half is room to build another
network in, and to move the last layer over to it. With K a kept half and 1/p what its outgoing
weights are multiplied by, θ_i is the network with layers i, i+1, ... halved, and the path is

    θ    → θ_L       the last layer's weights move
    θ_i+1 → θ_i      θ_i is built in the dead half of layers above i; the last layer moves over;
                     the first half becomes θ_i, too; the last layer moves back
    θ_1 → θ'_1       the other network's half is built in the dead half; the last layer moves
                     over; its units go to their own places by way of dead ones
    θ'_1 → θ'        as above, backwards

Every segment either leaves the outputs as they are or is linear in the last layer, so that with
a convex loss no point is higher than the highest of θ, θ_i, θ'_i and θ'.

Reference: Kuditipudi, Wang, Lee, Zhang, Li, Hu, Ge and Arora, "Explaining landscape connectivity
of low-cost solutions for multilayer nets", 2019, arXiv 1906.06247, theorem 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from landscape_cli.core.symmetry.knowledge import Path
from landscape_cli.core.symmetry.units import Units, Use

Net = dict[Path, np.ndarray]  # arrays by name; never changed in place
Kept = list[np.ndarray]  # for every layer the units of its kept half, in order


@dataclass(frozen=True, eq=False)
class Layer:
    """The hidden units of one layer.

    Attributes:
        size: units.
        into: where they are produced.
        own: what meets them one by one, such as biases and norms.
        out: where they are consumed, which is where the next layer is produced.
    """

    size: int
    into: Use
    own: tuple[Use, ...]
    out: Use


@dataclass(frozen=True, eq=False)
class Chain:
    """A network whose hidden layers come one after another.

    Attributes:
        layers: from the inputs on.
        rest: arrays that no hidden unit has a part in, such as the last bias.
    """

    layers: tuple[Layer, ...]
    rest: tuple[Path, ...]

    def halves(self, generator: np.random.Generator) -> Kept:
        """A random half of every layer, rounded down."""
        drawn = [generator.permutation(layer.size)[: layer.size // 2] for layer in self.layers]
        return [np.sort(units) for units in drawn]


def chain_of(units: Units, arrays: Mapping[Path, tuple[int, ...]]) -> Chain:
    """The layers of a network.

    Args:
        units: its hidden units.
        arrays: names and shapes of all its arrays.

    Raises:
        ValueError: it is no chain, or a layer has no half to spare; the message says why.
    """
    layers: list[Layer] = []
    for group in units.groups:
        into, out = group.role("produces"), group.role("consumes")
        if group.parent is not None or len(into) != 1 or len(out) != 1:
            raise ValueError(f"units of {group.name} belong to several layers")
        if layers and layers[-1].out.path != into[0].path:
            raise ValueError(f"{group.name} does not follow the layer before it")
        layers.append(Layer(group.size, into[0], group.role("adjusts"), out[0]))
    if not layers:
        raise ValueError("there are no hidden units")
    taken = {use.path for group in units.groups for use in group.uses}
    rest = tuple(path for path in arrays if path not in taken)
    for path in rest:
        if len(arrays[path]) > 1:  # weights of a layer, not a bias of the last
            raise ValueError(f"{'/'.join(path)} is of a layer without units to spare")
    return Chain(tuple(layers), rest)


def _at(array: np.ndarray, *places: tuple[Use, np.ndarray]) -> tuple:
    """The index of some units' entries of an array, whole along all other axes."""
    rows = [np.arange(size) for size in array.shape]
    for use, units in places:
        rows[use.axis] = use.positions[units].ravel()
    return np.ix_(*rows)


def _others(layer: Layer, units: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(layer.size), units)


class _Builder:
    """A network that is being changed, and the way it has come.

    Attributes:
        vertices: networks it has been, the first one included.
        still: of every segment, whether outputs stay as they are on it.
    """

    def __init__(self, chain: Chain, net: Net) -> None:
        self.chain = chain
        self.net = net
        self.vertices = [net]
        self.still: list[bool] = []

    def change(self, path: Path) -> np.ndarray:
        """An array of the network, to write to until the next `mark`."""
        if self.net is self.vertices[-1]:
            self.net = dict(self.net)
        if self.net[path] is self.vertices[-1][path]:
            self.net[path] = self.net[path].copy()
        return self.net[path]

    def mark(self, *, still: bool) -> None:
        """End a segment here, if it has a length."""
        last = self.vertices[-1]
        if any(not np.array_equal(self.net[path], last[path]) for path in last):
            self.vertices.append(self.net)
            self.still.append(still)

    def halve(self, number: int, kept: np.ndarray, *columns: np.ndarray) -> None:
        """Drop all but the `kept` units of a layer, for some units of the next (or for all)."""
        layer = self.chain.layers[number]
        array = self.change(layer.out.path)
        above = [(self.chain.layers[number + 1].into, units) for units in columns]
        array[_at(array, (layer.out, kept), *above)] *= layer.size / len(kept)
        array[_at(array, (layer.out, _others(layer, kept)), *above)] = 0

    def build(
        self, number: int, source: Net, units: np.ndarray, places: np.ndarray,
        below: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:  # fmt: skip
        """Units of `source` at `places`, with all of their incoming weights.

        Or with those alone that are from units `below`: of the layer before, in `source` and here.
        """
        layer = self.chain.layers[number]
        array = self.change(layer.into.path)
        given = source[layer.into.path]
        if below is None:
            array[_at(array, (layer.into, places))] = given[_at(given, (layer.into, units))]
        else:
            out = self.chain.layers[number - 1].out
            array[_at(array, (layer.into, places))] = 0
            array[_at(array, (out, below[1]), (layer.into, places))] = given[
                _at(given, (out, below[0]), (layer.into, units))
            ]
        for own in layer.own:
            array, given = self.change(own.path), source[own.path]
            array[_at(array, (own, places))] = given[_at(given, (own, units))]

    def move(self, number: int, units: np.ndarray, places: np.ndarray, *columns) -> None:
        """Outgoing weights from `units` to `places`, for some units of the next layer (or all)."""
        layer = self.chain.layers[number]
        array = self.change(layer.out.path)
        above = [(self.chain.layers[number + 1].into, some) for some in columns]
        weights = array[_at(array, (layer.out, units), *above)]
        array[_at(array, (layer.out, units), *above)] = 0
        array[_at(array, (layer.out, places), *above)] = weights


def halved(chain: Chain, net: Net, kept: Kept, first: int) -> Net:
    """θ_first: the network with layers `first` and above halved; 0 is the layer of the inputs."""
    builder = _Builder(chain, net)
    for number in range(first, len(chain.layers)):
        builder.halve(number, kept[number])
    return builder.net


def lowered(chain: Chain, net: Net, kept: Kept) -> tuple[list[Net], list[bool]]:
    """Vertices from a network to one with all layers halved, and which segments are still."""
    builder, last = _Builder(chain, net), len(chain.layers) - 1
    spare = [
        _others(layer, units)[: len(units)]
        for layer, units in zip(chain.layers, kept, strict=True)
    ]
    builder.halve(last, kept[last])
    builder.mark(still=False)
    for number in reversed(range(last)):
        source = dict(builder.net)  # with the next layer as it will be
        half = _Builder(chain, source)
        half.halve(number, kept[number], kept[number + 1])
        for above in range(number + 1, last + 1):
            here = kept[number] if above == number + 1 else spare[above - 1]
            builder.build(above, half.net, kept[above], spare[above], (kept[above - 1], here))
        builder.mark(still=True)
        builder.move(last, kept[last], spare[last])
        builder.mark(still=False)
        builder.halve(number, kept[number], kept[number + 1])
        builder.mark(still=True)
        builder.move(last, spare[last], kept[last])
        builder.mark(still=True)
    return builder.vertices, builder.still


def _homes(layer: Layer, mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Places outside `mine` for the units `theirs`: their own, where that is free."""
    dead = _others(layer, mine)
    free = iter(np.setdiff1d(dead, theirs))
    return np.array([unit if unit in dead else next(free) for unit in theirs])


def crossed(
    chain: Chain, net: Net, kept: Kept, other: Net, others: Kept
) -> tuple[list[Net], list[bool]]:
    """Vertices between two networks with all layers halved, and which segments are still."""
    builder, last = _Builder(chain, net), len(chain.layers) - 1
    homes = [_homes(*each) for each in zip(chain.layers, kept, others, strict=True)]
    for number in range(last + 1):
        below = None if number == 0 else (others[number - 1], homes[number - 1])
        builder.build(number, other, others[number], homes[number], below)
    builder.mark(still=True)
    top = chain.layers[last].out
    array, given = builder.change(top.path), other[top.path]
    array[...] = 0
    array[_at(array, (top, homes[last]))] = given[_at(given, (top, others[last]))]
    for path in chain.rest:
        builder.change(path)[...] = other[path]
    builder.mark(still=False)
    away = [units != places for units, places in zip(others, homes, strict=True)]
    source = builder.net
    for number, moved in enumerate(away):  # twins of what is not yet at home
        builder.build(number, source, homes[number][moved], others[number][moved], None)
    builder.mark(still=True)
    for number, moved in enumerate(away):
        columns = [np.union1d(homes[number + 1], others[number + 1])] if number < last else []
        builder.move(number, homes[number][moved], others[number][moved], *columns)
    builder.mark(still=True)
    for path, array in other.items():  # what is left differs in dead units only
        builder.change(path)[...] = array
    builder.mark(still=True)
    return builder.vertices, builder.still


@dataclass(frozen=True, eq=False)
class Route:
    """A path of straight segments.

    Attributes:
        vertices: networks, the two ends included.
        still: of every segment, whether outputs stay as they are on it; else they move as the
            last layer does.
    """

    vertices: list[Net]
    still: list[bool]

    def still_pairs(self) -> Iterator[tuple[Net, Net]]:
        """Neighboring vertices with the same outputs."""
        for number, still in enumerate(self.still):
            if still:
                yield self.vertices[number], self.vertices[number + 1]


def segments(layers: int) -> int:
    """Most segments of a path: one down, four more for every layer but the last, and across."""
    return 2 * (1 + 4 * (layers - 1)) + 5


def route(chain: Chain, start: Net, end: Net, kept: Kept, others: Kept) -> Route:
    """The whole path between two networks, by the halves that are kept of each."""
    down, first = lowered(chain, start, kept)
    up, last = lowered(chain, end, others)
    across, middle = crossed(chain, down[-1], kept, up[-1], others)
    vertices = [*down, *across[1:], *up[::-1][1:]]
    return Route(vertices, [*first, *middle, *last[::-1]])
