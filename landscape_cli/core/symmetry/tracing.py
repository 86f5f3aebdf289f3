"""What a program does to the axes of its arrays, found out operation by operation.

Every axis of every parameter starts as units that may change places (`axes.Atom`), every
axis of the inputs as fixed. An addition says that the axes of its terms hold the same units, a
product that is summed says so of the axes summed over, a reshape lays units out in another way,
and whatever treats entries by their place, such as a convolution its pixels, makes an axis fixed.
Operations that are not known make everything they touch fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from landscape_cli.core.symmetry.axes import Axis, Fixed
from landscape_cli.core.symmetry.knowledge import NO_LAYER, NONE, Knowledge, Layer, Value
from landscape_cli.core.symmetry.layout_rules import LAYOUT, Rule, picked, replaced
from landscape_cli.core.symmetry.program import Walk

ELEMENTWISE = {
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh",
    "cbrt", "ceil", "clamp", "convert_element_type", "copy", "copy_p", "cos", "cosh", "digamma",
    "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt",
    "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt", "max", "min",
    "mul", "name", "ne", "neg", "nextafter", "not", "or", "pow", "real", "reduce_precision",
    "rem", "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square",
    "stop_gradient", "sub", "tan", "tanh", "xor",
}  # fmt: skip
CASTS = {"convert_element_type", "copy", "stop_gradient"}


def read(
    trace: Knowledge, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Value]
) -> list[Value]:
    """Walk through a program; the axes of its outputs are fixed."""
    outputs = _walk(trace, jaxpr, constants, inputs)
    for value in outputs:
        for axis in value.axes:
            trace.axes.fix(axis)
        trace.layers.pop(value.last, None)  # these are outputs, not hidden units
    return outputs


def _walk(
    trace: Knowledge, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Value]
) -> list[Value]:
    step = lambda number, equation, values: _step(trace, number, equation, values)
    return Walk(step, trace.constant).run(jaxpr, constants, inputs)


def _step(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> list[Value]:
    """Look at one operation."""
    name = equation.primitive.name
    shapes = [tuple(variable.aval.shape) for variable in equation.outvars]
    if name in ELEMENTWISE:
        made = [_elementwise(trace, number, equation, values, shape) for shape in shapes]
    elif name in RULES:
        found = RULES[name](trace, number, equation, values)
        made = found if isinstance(found, list) else [found]
    else:
        made = trace.unknown(values, shapes)
    assert [value.shape for value in made] == shapes, f"{name}: {made} is not {shapes}"
    alone = {value.leaf for value in made if not value.data}
    for path in {value.leaf for value in values if not value.data} - alone:
        if path is not None:
            trace.uses[path] = trace.uses.get(path, 0) + 1
    return [trace.keep(value) for value in made]


def _elementwise(
    trace: Knowledge, number: int, equation: Any, values: list[Value], shape: tuple[int, ...]
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
    trace: Knowledge, number: int, equation: Any, values: list[Value], made: Value
) -> Value:
    """What `made` is linear in, and whether pre-activations are made here."""
    name, leaves = equation.primitive.name, [value.leaf for value in values]
    if name in CASTS:
        return replace(values[0], axes=made.axes)
    if name == "div" and values[0].leaf and not values[1].data and not leaves[1]:
        known = values[0]
        return replace(made, leaf=known.leaf, sources=known.sources, layer=known.layer)
    if name == "mul":
        own = [v for v in values if v.leaf and not v.data] or [v for v in values if v.leaf]
        if len(own) == 1 and len(own[0].axes) == len(made.axes):
            known = own[0]
            return replace(made, leaf=known.leaf, sources=known.sources, layer=known.layer)
    if name == "add" and trace.outer and values[0].data != values[1].data:
        operand = 0 if values[0].data else 1
        layer = _layer(trace, number, operand, values[operand], values[1 - operand])
        if layer is not None:
            trace.layers.pop(values[operand].layer, None)
            trace.layers[number] = layer
            return replace(made, layer=number, last=number)
    return made


def _layer(trace: Knowledge, number: int, operand: int, value: Value, bias: Value) -> Layer | None:
    """A bias for every unit of what is linear in a kernel."""
    if value.leaf is None or bias.leaf is None or len(bias.axes) != len(value.axes):
        return None
    long = [axis for axis, size in enumerate(bias.shape) if size > 1]
    if len(long) != 1 or bias.shape[long[0]] != value.shape[long[0]]:
        return None
    kernels = [axis for path, axis in value.sources[long[0]] if path == value.leaf]
    if len(kernels) != 1 or bias.sources[long[0]] != {(bias.leaf, 0)}:
        return None
    units = value.shape[long[0]]
    if (trace.shapes[value.leaf][kernels[0]], *trace.shapes[bias.leaf]) != (units, units):
        return None  # the units are laid out in another way
    return Layer(number, operand, value.leaf, kernels[0], bias.leaf, long[0])


def _product(
    trace: Knowledge,
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
    if trace.shapes[leaf][kernel_axis] != value.shape[mine[0]]:
        return value
    trace.layers[number] = Layer(number, None, leaf, kernel_axis, None, mine[0])
    return replace(value, layer=number, last=number)


def _dot(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    summed, batch = equation.params["dimension_numbers"]
    taken = [{*summed[operand], *batch[operand]} for operand in (0, 1)]
    free = [(0, axis) for axis in batch[0]]
    for operand, value in enumerate(values):
        free += [(operand, axis) for axis in range(len(value.axes)) if axis not in taken[operand]]
    made = [values[operand].axes[axis] for operand, axis in free]
    return _product(trace, number, values, summed, batch, free, made)


def _convolution(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
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
    left = replace(values[0], axes=replaced(values[0].axes, lhs[1], within))
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


def _scan(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> list[Value]:
    """A loop along the first axis, in order; what is carried keeps its axes."""
    settings = equation.params
    constants, carried = settings["num_consts"], settings["num_carry"]
    before = [replace(v, data=True, leaf=None) for v in values[constants : constants + carried]]
    stacked = values[constants + carried :]
    for value in stacked:
        trace.axes.fix(value.axes[0])
    slices = [
        replace(picked(v, range(1, len(v.axes))), layer=NO_LAYER, last=NO_LAYER) for v in stacked
    ]
    body, outer = settings["jaxpr"], trace.outer
    trace.outer = False
    inputs = [*values[:constants], *before, *slices]
    found = _walk(trace, body.jaxpr, body.consts, inputs)
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
    **LAYOUT,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "scan": _scan,
}
