"""What a program does to the axes of its arrays, found out operation by operation.

Every axis of every parameter starts as units that may change places (`core.axes.Atom`), every
axis of the inputs as fixed. An addition says that the axes of its terms hold the same units, a
product that is summed says so of the axes summed over, a reshape lays units out in another way,
and whatever treats entries by their place, such as a convolution its pixels, makes an axis fixed.
Operations that are not known make everything they touch fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from landscape_cli.core.axes import Axes, Axis, Fixed, row
from landscape_cli.core.program import Walk

Path = tuple[str, ...]
Source = tuple[Path, int]  # an axis of a parameter array
NONE: frozenset[Source] = frozenset()
NO_LAYER = -1

ELEMENTWISE = set(
    ["abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "clamp", "convert_element_type", "copy", "copy_p", "cos", "cosh", "digamma", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt", "max", "min", "mul", "name", "ne", "neg", "nextafter", "not", "or", "pow", "real", "reduce_precision", "rem", "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor"]
)
CASTS = {"convert_element_type", "copy", "stop_gradient"}
REDUCTIONS = {f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or", "xor")}


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of an array.

    Attributes:
        axes: what stands along each axis.
        sources: for each axis, the axes of parameters whose order it follows. Of activations:
            those of the array they were just multiplied by.
        data: whether it depends on the inputs.
        leaf: the parameter array in which it is linear, if it is known to be in one.
        layer: the number of the `Layer` that made it, if nothing but layout has changed since.
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
class Tracing:
    """The walk over all operations, and what it has found.

    Attributes:
        axes: what is known of every axis.
        values: every array met.
        matched: pairs of axes, as (left array, right array, pairs of their axes), whose products
            were formed entry by entry.
        consumed: axes of parameters that were summed over.
        uses: in how many operations each parameter array met others.
        readings: activations that layers read.
        layers: by the number of the operation.
        outer: False inside loops, whose operations have no numbers of their own.
    """

    axes: Axes = field(default_factory=Axes)
    values: list[Value] = field(default_factory=list)
    matched: list[tuple[Value, Value, list[tuple[int, int]]]] = field(default_factory=list)
    consumed: set[Source] = field(default_factory=set)
    uses: dict[Path, int] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    layers: dict[int, Layer] = field(default_factory=dict)
    outer: bool = True

    def parameter(self, path: Path, shape: Sequence[int]) -> Value:
        """An array of parameters."""
        sources = tuple(frozenset([(path, axis)]) for axis in range(len(shape)))
        return self._keep(Value(tuple(map(self.axes.fresh, shape)), sources, False, path))

    def given(self, shape: Sequence[int]) -> Value:
        """An array of inputs."""
        return self._keep(Value(tuple(map(Fixed, shape)), (NONE,) * len(shape), True))

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

    def run(self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Value]) -> list[Value]:
        """Walk through a program; the axes of its outputs are fixed."""
        outputs = Walk(self.step, self.constant).run(jaxpr, constants, inputs)
        for value in outputs:
            for axis in value.axes:
                self.axes.fix(axis)
            self.layers.pop(value.last, None)  # these are outputs, not hidden units
        return outputs

    def step(self, number: int, equation: Any, values: list[Value]) -> list[Value]:
        """Look at one operation."""
        name = equation.primitive.name
        shapes = [tuple(variable.aval.shape) for variable in equation.outvars]
        if name in ELEMENTWISE:
            made = [_elementwise(self, number, equation, values, shape) for shape in shapes]
        elif name in RULES:
            found = RULES[name](self, number, equation, values)
            made = found if isinstance(found, list) else [found]
        else:
            made = self.unknown(values, shapes)
        assert [value.shape for value in made] == shapes, f"{name}: {made} is not {shapes}"
        alone = {value.leaf for value in made if not value.data}
        for path in {value.leaf for value in values if not value.data} - alone:
            if path is not None:
                self.uses[path] = self.uses.get(path, 0) + 1
        return [self._keep(value) for value in made]

    def unknown(self, values: list[Value], shapes: list[tuple[int, ...]]) -> list[Value]:
        """Nothing is known of the operation: every entry it touches keeps its place."""
        for axis in (axis for value in values for axis in value.axes):
            self.axes.fix(axis)
        data = any(value.data for value in values)
        return [Value(tuple(map(Fixed, s)), (NONE,) * len(s), data) for s in shapes]

    def _keep(self, value: Value) -> Value:
        self.values.append(value)
        return value

    def read(self, number: int, values: Sequence[Value], summed: Sequence[Sequence[int]]) -> None:
        """Two arrays are multiplied and summed over the axes `summed` of each."""
        for operand, (value, axes) in enumerate(zip(values, summed, strict=True)):
            if value.data and self.outer:
                self.readings.append(Reading(number, operand, value))
            elif not value.data and (operand == 1 or values[1].data):
                self.consumed |= {source for axis in axes for source in value.sources[axis]}


Rule = Callable[[Tracing, int, Any, list[Value]], "Value | list[Value]"]


def _elementwise(
    trace: Tracing, number: int, equation: Any, values: list[Value], shape: tuple[int, ...]
) -> Value:
    """Entry by entry; an axis of one entry meets every entry of the others'."""
    axes: list[Axis] = [Fixed(size) for size in shape]
    sources = [NONE] * len(shape)
    full = [value for value in values if len(value.axes) == len(shape)]
    for axis, size in enumerate(shape):
        meeting = [value.axes[axis] for value in full if value.axes[axis].size == size]
        for one, other in pairwise(meeting):
            trace.axes.unify(one, other)
        axes[axis] = meeting[0] if meeting else trace.axes.fresh(size)
        sources[axis] = frozenset().union(*(value.sources[axis] for value in full))
    data = any(value.data for value in values)
    lasts = {value.last for value in values if value.axes}
    last = lasts.pop() if len(lasts) == 1 else NO_LAYER
    made = Value(tuple(axes), tuple(sources), data, last=last)
    return _named(trace, number, equation, values, made)


def _named(
    trace: Tracing, number: int, equation: Any, values: list[Value], made: Value
) -> Value:
    """What `made` is linear in, and whether pre-activations are made here."""
    name, leaves = equation.primitive.name, [value.leaf for value in values]
    if name in CASTS:
        return replace(values[0], axes=made.axes)
    if name == "div" and values[0].leaf and not values[1].data and not leaves[1]:
        return replace(made, leaf=leaves[0], sources=values[0].sources)
    if name == "mul":
        own = [v for v in values if v.leaf and not v.data] or [v for v in values if v.leaf]
        if len(own) == 1 and len(own[0].axes) == len(made.axes):
            return replace(made, leaf=own[0].leaf, sources=own[0].sources)
    if name == "add" and trace.outer and values[0].data != values[1].data:
        operand = 0 if values[0].data else 1
        layer = _layer(number, operand, values[operand], values[1 - operand])
        if layer is not None:
            trace.layers.pop(values[operand].layer, None)
            trace.layers[number] = layer
            return replace(made, layer=number, last=number)
    return made


def _layer(number: int, operand: int, value: Value, bias: Value) -> Layer | None:
    """A bias for every unit of what is linear in a kernel."""
    if value.leaf is None or bias.leaf is None or len(bias.axes) != len(value.axes):
        return None
    long = [axis for axis, size in enumerate(bias.shape) if size > 1]
    if len(long) != 1 or bias.shape[long[0]] != value.shape[long[0]]:
        return None
    kernels = [axis for path, axis in value.sources[long[0]] if path == value.leaf]
    if len(kernels) != 1 or bias.sources[long[0]] != {(bias.leaf, 0)}:
        return None
    return Layer(number, operand, value.leaf, kernels[0], bias.leaf, long[0])


def _product(
    trace: Tracing,
    number: int,
    values: list[Value],
    summed: Sequence[Sequence[int]],
    batch: Sequence[Sequence[int]],
    free: Sequence[tuple[int, int]],
    made: Sequence[Axis],
) -> Value:
    """A product summed over axes; `free` lists (operand, axis) or (-1, 0) for each axis made."""
    pairs = [*zip(*summed, strict=True), *zip(*batch, strict=True)]
    for one, other in pairs:
        trace.axes.unify(values[0].axes[one], values[1].axes[other])
    trace.matched.append((values[0], values[1], pairs))
    trace.read(number, values, summed)
    own = [v for v in values if v.leaf and not v.data]
    sources = [values[o].sources[a] if o >= 0 else NONE for o, a in free]
    data = values[0].data or values[1].data
    leaf = own[0].leaf if len(own) == 1 and data else None
    mine = [a for a, s in enumerate(sources) if leaf and any(path == leaf for path, _ in s)]
    value = Value(tuple(made), tuple(sources), data, leaf)
    if leaf is None or not trace.outer or len(mine) != 1 or len(sources[mine[0]]) != 1:
        return value
    ((_, kernel_axis),) = sources[mine[0]]
    trace.layers[number] = Layer(number, None, leaf, kernel_axis, None, mine[0])
    return replace(value, layer=number, last=number)


def _dot(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    summed, batch = equation.params["dimension_numbers"]
    taken = [{*summed[operand], *batch[operand]} for operand in (0, 1)]
    free = [(0, axis) for axis in batch[0]]
    for operand, value in enumerate(values):
        free += [(operand, axis) for axis in range(len(value.axes)) if axis not in taken[operand]]
    made = [values[operand].axes[axis] for operand, axis in free]
    return _product(trace, number, values, summed, batch, free, made)


def _convolution(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    """Pixels keep their places; channels are summed over, in groups if there are any."""
    lhs, rhs, out = equation.params["dimension_numbers"]
    groups = equation.params["feature_group_count"]
    shape = equation.outvars[0].aval.shape
    if equation.params["batch_group_count"] != 1:
        return trace.unknown(values, [tuple(shape)])[0]
    for value, spec in zip(values, (lhs, rhs), strict=True):
        for axis in spec[2:]:
            trace.axes.fix(value.axes[axis])
    within, outputs = values[0].axes[lhs[1]], values[1].axes[rhs[0]]
    if groups > 1:  # channel = (group, member), on both sides
        group, within = trace.axes.split(within, groups)
        trace.axes.unify(group, trace.axes.split(outputs, groups)[0])
    left = replace(values[0], axes=_with(values[0].axes, lhs[1], within))
    trace.axes.unify(within, values[1].axes[rhs[1]])
    made: list[Axis] = [Fixed(size) for size in shape]
    made[out[0]], made[out[1]] = values[0].axes[lhs[0]], outputs
    free = [(-1, 0)] * len(shape)
    free[out[0]], free[out[1]] = (0, lhs[0]), (1, rhs[0])
    if groups == 1:
        return _product(trace, number, values, ((lhs[1],), (rhs[1],)), ((), ()), free, made)
    value = _product(trace, number, [left, values[1]], ((), ()), ((), ()), free, made)
    trace.matched[-1] = (values[0], values[1], [(lhs[1], rhs[1]), (lhs[1], rhs[0])])
    trace.consumed |= values[1].sources[rhs[1]]
    return value


def _with(axes: tuple[Axis, ...], index: int, axis: Axis) -> tuple[Axis, ...]:
    return (*axes[:index], axis, *axes[index + 1 :])


def _transpose(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    return _picked(values[0], equation.params["permutation"])


def _picked(value: Value, order: Sequence[int]) -> Value:
    """The same array with some of its axes, in another order."""
    axes, sources = ([held[axis] for axis in order] for held in (value.axes, value.sources))
    return replace(value, axes=tuple(axes), sources=tuple(sources))


def _reshape(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    (value, *_), shape = values, equation.params["new_sizes"]
    if equation.params.get("dimensions") is not None:
        return trace.unknown(values, [tuple(shape)])[0]
    axes = trace.axes.reshape(value.axes, shape)
    sources = _sources(value, shape)
    return replace(value, axes=tuple(axes), sources=sources)


def _sources(value: Value, shape: Sequence[int]) -> tuple[frozenset[Source], ...]:
    """Where the axes of a reshaped array come from: all that their strides overlap."""

    def spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
        inside = list(accumulate(reversed(sizes), lambda x, y: x * y, initial=1))[::-1]
        return [(low, high) for high, low in pairwise(inside)]

    old = list(zip(spans(value.shape), value.sources, strict=True))
    return tuple(
        frozenset().union(*(s for (a, b), s in old if max(a, low) < min(b, high)))
        for low, high in spans(shape)
    )


def _broadcast(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    value, shape = values[0], equation.params["shape"]
    axes = list(map(trace.axes.fresh, shape))
    sources = [NONE] * len(shape)
    for axis, place in enumerate(equation.params["broadcast_dimensions"]):
        if value.axes[axis].size == shape[place]:
            axes[place], sources[place] = value.axes[axis], value.sources[axis]
    return replace(value, axes=tuple(axes), sources=tuple(sources))


def _squeeze(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    dropped = equation.params["dimensions"]
    return _picked(values[0], [a for a in range(len(values[0].axes)) if a not in dropped])


def _reduce(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    """Sums and extremes do not ask for an order."""
    dropped = equation.params["axes"]
    kept = [axis for axis in range(len(values[0].axes)) if axis not in dropped]
    return replace(_picked(values[0], kept), leaf=None, layer=NO_LAYER, last=NO_LAYER)


def _concatenate(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    along = equation.params["dimension"]
    axes = list(values[0].axes)
    for axis in range(len(axes)):
        if axis == along:
            axes[axis] = row(value.axes[axis] for value in values)
        else:
            for one, other in pairwise(values):
                trace.axes.unify(one.axes[axis], other.axes[axis])
    columns = zip(*(value.sources for value in values), strict=True)
    sources = tuple(frozenset().union(*column) for column in columns)
    return Value(tuple(axes), sources, any(value.data for value in values))


def _pad(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    """Copies of one number on either side; these may change places as they like."""
    axes = list(values[0].axes)
    for axis, (low, high, between) in enumerate(equation.params["padding_config"]):
        if between or low < 0 or high < 0:
            trace.axes.fix(axes[axis])
            axes[axis] = Fixed(equation.outvars[0].aval.shape[axis])
        else:
            axes[axis] = row([trace.axes.fresh(low), axes[axis], trace.axes.fresh(high)])
    return Value(tuple(axes), values[0].sources, any(value.data for value in values))


def _slice(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    steps = equation.params["strides"] or (1,) * len(values[0].axes)
    bounds = zip(equation.params["start_indices"], equation.params["limit_indices"], strict=True)
    axes = list(values[0].axes)
    for axis, ((start, stop), step) in enumerate(zip(bounds, steps, strict=True)):
        if (start, stop, step) == (0, axes[axis].size, 1):
            continue
        if step == 1:
            axes[axis] = trace.axes.cut(trace.axes.cut(axes[axis], stop)[0], start)[1]
        else:
            trace.axes.fix(axes[axis])
            axes[axis] = Fixed(equation.outvars[0].aval.shape[axis])
    return Value(tuple(axes), values[0].sources, values[0].data)


def _same(trace: Tracing, number: int, equation: Any, values: list[Value]) -> list[Value]:
    return values


def _in_order(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    """Running sums and the like: one axis is gone along."""
    settings = equation.params
    along = settings["dimensions"] if "dimensions" in settings else (settings["axis"],)
    for axis in along:
        trace.axes.fix(values[0].axes[axis])
    return Value(values[0].axes, values[0].sources, values[0].data)


def _windows(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    """Pooling: neighbors keep their places."""
    shape, value = equation.outvars[0].aval.shape, values[0]
    axes: list[Axis] = list(value.axes)
    for axis, size in enumerate(equation.params["window_dimensions"]):
        if size != 1 or shape[axis] != axes[axis].size:
            trace.axes.fix(axes[axis])
            axes[axis] = Fixed(shape[axis])
    return Value(tuple(axes), value.sources, value.data)


def _split(trace: Tracing, number: int, equation: Any, values: list[Value]) -> list[Value]:
    along, value, made = equation.params["axis"], values[0], []
    rest = value.axes[along]
    for size in equation.params["sizes"]:
        part, rest = trace.axes.cut(rest, size)
        made.append(Value(_with(value.axes, along, part), value.sources, value.data))
    return made


def _iota(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    shape, along = equation.params["shape"], equation.params["dimension"]
    axes = [Fixed(s) if a == along else trace.axes.fresh(s) for a, s in enumerate(shape)]
    return Value(tuple(axes), (NONE,) * len(shape), False)


def _gather(trace: Tracing, number: int, equation: Any, values: list[Value]) -> Value:
    """Entries of an array at given places, as of an embedding; axes taken whole go through."""
    value, places = values
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    shape = tuple(equation.outvars[0].aval.shape)
    if numbers.operand_batching_dims:
        return trace.unknown(values, [shape])[0]
    kept = [a for a in range(len(sizes)) if a not in numbers.collapsed_slice_dims]
    for axis, size in enumerate(sizes):
        if size != value.axes[axis].size or axis in numbers.start_index_map:
            trace.axes.fix(value.axes[axis])
    trace.axes.fix(places.axes[-1])
    axes: list[Axis] = [Fixed(size) for size in shape]
    sources = [NONE] * len(shape)
    batch = [a for a in range(len(shape)) if a not in numbers.offset_dims]
    for place, axis in zip(batch, places.axes[:-1], strict=True):
        axes[place] = axis
    for place, axis in zip(numbers.offset_dims, kept, strict=True):
        if sizes[axis] == value.axes[axis].size:
            axes[place], sources[place] = value.axes[axis], value.sources[axis]
    trace.consumed |= {s for a in numbers.collapsed_slice_dims for s in value.sources[a]}
    return Value(tuple(axes), tuple(sources), value.data or places.data)


def _scan(trace: Tracing, number: int, equation: Any, values: list[Value]) -> list[Value]:
    """A loop over the first axis, whose steps have their places; carried axes stay what they are."""
    settings = equation.params
    constants, carried = settings["num_consts"], settings["num_carry"]
    before = [replace(v, data=True, leaf=None) for v in values[constants : constants + carried]]
    stacked = values[constants + carried :]
    for value in stacked:
        trace.axes.fix(value.axes[0])
    slices = [replace(_picked(v, range(1, len(v.axes))), layer=NO_LAYER, last=NO_LAYER) for v in stacked]
    body, outer = settings["jaxpr"], trace.outer
    trace.outer = False
    inputs = [*values[:constants], *before, *slices]
    found = Walk(trace.step, trace.constant).run(body.jaxpr, body.consts, inputs)
    trace.outer = outer
    for one, other in zip(before, found[:carried], strict=True):
        for axis, same in zip(one.axes, other.axes, strict=True):
            trace.axes.unify(axis, same)
    after = [replace(value, leaf=None, layer=NO_LAYER, last=NO_LAYER) for value in found[:carried]]
    length = Fixed(settings["length"])
    made = [
        Value((length, *value.axes), (NONE, *value.sources), value.data)
        for value in found[carried:]
    ]
    return [*after, *made]


RULES: dict[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "rev"), _in_order),
    **dict.fromkeys((f"reduce_window_{name}" for name in ("sum", "max", "min")), _windows),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "gather": _gather,
    "iota": _iota,
    "optimization_barrier": _same,
    "pad": _pad,
    "reshape": _reshape,
    "scan": _scan,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
