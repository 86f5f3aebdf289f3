"""Operations that lay arrays out in another way, and what they do to axes.

Every rule takes what is known, the operation and what is known of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from landscape_cli.core.symmetry.axes import Axis, Fixed, row
from landscape_cli.core.symmetry.knowledge import NO_LAYER, NONE, Knowledge, Source, Value

REDUCTIONS = [f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or", "xor")]
WINDOWS = [f"reduce_window_{name}" for name in ("sum", "max", "min")]
IN_ORDER = ["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "rev"]

Rule = Callable[[Knowledge, int, Any, list[Value]], "Value | list[Value]"]


def replaced(axes: tuple[Axis, ...], index: int, axis: Axis) -> tuple[Axis, ...]:
    """The axes with one of them exchanged."""
    return (*axes[:index], axis, *axes[index + 1 :])


def _transpose(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    return picked(values[0], equation.params["permutation"])


def picked(value: Value, order: Sequence[int]) -> Value:
    """The same array with some of its axes, in another order."""
    axes, sources = ([held[axis] for axis in order] for held in (value.axes, value.sources))
    return replace(value, axes=tuple(axes), sources=tuple(sources))


def _reshape(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
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


def _broadcast(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    value, shape = values[0], equation.params["shape"]
    axes = list(map(trace.axes.fresh, shape))
    sources = [NONE] * len(shape)
    for axis, place in enumerate(equation.params["broadcast_dimensions"]):
        if value.axes[axis].size == shape[place]:
            axes[place], sources[place] = value.axes[axis], value.sources[axis]
    return replace(value, axes=tuple(axes), sources=tuple(sources))


def _squeeze(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    dropped = equation.params["dimensions"]
    return picked(values[0], [a for a in range(len(values[0].axes)) if a not in dropped])


def _reduce(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    """Sums and extremes do not ask for an order."""
    dropped = equation.params["axes"]
    kept = [axis for axis in range(len(values[0].axes)) if axis not in dropped]
    return replace(picked(values[0], kept), leaf=None, layer=NO_LAYER)


def _concatenate(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
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


def _pad(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    """Copies of one number on either side; these may change places as they like."""
    axes = list(values[0].axes)
    for axis, sides in enumerate(equation.params["padding_config"]):
        low, high, between = map(int, sides)  # some are NumPy's
        if between or low < 0 or high < 0:
            trace.axes.fix(axes[axis])
            axes[axis] = Fixed(equation.outvars[0].aval.shape[axis])
        else:
            axes[axis] = row([trace.axes.fresh(low), axes[axis], trace.axes.fresh(high)])
    return Value(tuple(axes), values[0].sources, any(value.data for value in values))


def _slice(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
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


def _same(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> list[Value]:
    return values


def _in_order(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    """Running sums and the like: one axis is gone along."""
    settings = equation.params
    along = settings["dimensions"] if "dimensions" in settings else (settings["axis"],)
    for axis in along:
        trace.axes.fix(values[0].axes[axis])
    return Value(values[0].axes, values[0].sources, values[0].data)


def _windows(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    """Pooling: neighbors keep their places."""
    shape, value = equation.outvars[0].aval.shape, values[0]
    axes: list[Axis] = list(value.axes)
    for axis, size in enumerate(equation.params["window_dimensions"]):
        if size != 1 or shape[axis] != axes[axis].size:
            trace.axes.fix(axes[axis])
            axes[axis] = Fixed(shape[axis])
    return Value(tuple(axes), value.sources, value.data)


def _split(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> list[Value]:
    along, value, made = equation.params["axis"], values[0], []
    rest = value.axes[along]
    for size in equation.params["sizes"]:
        part, rest = trace.axes.cut(rest, size)
        made.append(Value(replaced(value.axes, along, part), value.sources, value.data))
    return made


def _iota(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
    shape, along = equation.params["shape"], equation.params["dimension"]
    axes = [Fixed(s) if a == along else trace.axes.fresh(s) for a, s in enumerate(shape)]
    return Value(tuple(axes), (NONE,) * len(shape), False)


def _gather(trace: Knowledge, number: int, equation: Any, values: list[Value]) -> Value:
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


LAYOUT: dict[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(WINDOWS, _windows),
    **dict.fromkeys(IN_ORDER, _in_order),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "gather": _gather,
    "iota": _iota,
    "optimization_barrier": _same,
    "pad": _pad,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
