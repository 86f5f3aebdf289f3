"""What is known of the arrays of a program while it is read; see `core.symmetry.tracing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from landscape_cli.core.symmetry.axes import Axes, Axis, Fixed

Path = tuple[str, ...]
Source = tuple[Path, int]  # an axis of a parameter array
NONE: frozenset[Source] = frozenset()
NO_LAYER = -1


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of an array.

    Attributes:
        axes: what stands along each axis.
        sources: for each axis, the axes of parameters whose order it follows. Of activations:
            those of the array they were just multiplied by.
        data: whether it depends on the inputs.
        leaf: the parameter array in which it is linear, if it is known to be in one.
        layer: the number of the `Layer` that made it, if it has only been laid out in another way
            or multiplied since.
        last: the same, if it has met no other array since.
    """

    axes: tuple[Axis, ...]
    sources: tuple[frozenset[Source], ...]
    data: bool
    leaf: Path | None = None
    layer: int = NO_LAYER
    last: int = NO_LAYER

    @property
    def shape(self) -> tuple[int, ...]:
        """Entries along each axis."""
        return tuple(axis.size for axis in self.axes)


@dataclass(frozen=True)
class Reading:
    """Activations that are summed over with something: what a layer reads.

    Attributes:
        number: of the operation.
        operand: which of its inputs they are.
        value: what is known of them.
    """

    number: int
    operand: int
    value: Value


@dataclass(frozen=True)
class Layer:
    """A place where pre-activations are made: kernel · activations, or scale · x, with a bias.

    Attributes:
        number: of the operation that makes them; of the addition, if there is a bias.
        operand: which input of the addition is to be scaled; None without a bias.
        kernel: the array in which they are linear.
        kernel_axis: its axis that runs over the units.
        bias: the array added to them.
        axis: of the pre-activations, that runs over the units.
    """

    number: int
    operand: int | None
    kernel: Path
    kernel_axis: int
    bias: Path | None
    axis: int


@dataclass
class Knowledge:
    """Everything found so far.

    Attributes:
        axes: what is known of every axis.
        values: every array met.
        matched: pairs of axes, as (left array, right array, pairs of their axes), whose products
            were formed entry by entry.
        consumed: axes of parameters that were summed over.
        uses: in how many operations each parameter array met others.
        readings: activations that layers read.
        layers: by the number of the operation.
        shapes: of the parameter arrays.
        outer: False inside loops, whose operations have no numbers of their own.
    """

    axes: Axes = field(default_factory=Axes)
    values: list[Value] = field(default_factory=list)
    matched: list[tuple[Value, Value, list[tuple[int, int]]]] = field(default_factory=list)
    consumed: set[Source] = field(default_factory=set)
    uses: dict[Path, int] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    layers: dict[int, Layer] = field(default_factory=dict)
    shapes: dict[Path, tuple[int, ...]] = field(default_factory=dict)
    outer: bool = True

    def parameter(self, path: Path, shape: Sequence[int]) -> Value:
        """An array of parameters."""
        self.shapes[path] = tuple(shape)
        sources = tuple(frozenset([(path, axis)]) for axis in range(len(shape)))
        return self.keep(Value(tuple(map(self.axes.fresh, shape)), sources, False, path))

    def given(self, shape: Sequence[int]) -> Value:
        """An array of inputs."""
        return self.keep(Value(tuple(map(Fixed, shape)), (NONE,) * len(shape), True))

    def constant(self, array: Any) -> Value:
        """A number or array; an axis along which nothing changes orders nothing."""
        array = np.asarray(array)
        same = [
            bool((array == array.take([0], axis)).all()) if size else False
            for axis, size in enumerate(array.shape)
        ]
        axes = [
            self.axes.fresh(size) if free else Fixed(size)
            for size, free in zip(array.shape, same, strict=True)
        ]
        return Value(tuple(axes), (NONE,) * array.ndim, False)

    def unknown(self, values: list[Value], shapes: list[tuple[int, ...]]) -> list[Value]:
        """Nothing is known of the operation: every entry it touches keeps its place."""
        for axis in (axis for value in values for axis in value.axes):
            self.axes.fix(axis)
        data = any(value.data for value in values)
        return [Value(tuple(map(Fixed, s)), (NONE,) * len(s), data) for s in shapes]

    def keep(self, value: Value) -> Value:
        """Remember that there is such an array."""
        self.values.append(value)
        return value

    def read(self, number: int, values: Sequence[Value], summed: Sequence[Sequence[int]]) -> None:
        """Two arrays are multiplied and summed over the axes `summed` of each."""
        for operand, (value, axes) in enumerate(zip(values, summed, strict=True)):
            if value.data and self.outer:
                self.readings.append(Reading(number, operand, value))
            elif not value.data and (operand == 1 or values[1].data):
                self.consumed |= {source for axis in axes for source in value.sources[axis]}
