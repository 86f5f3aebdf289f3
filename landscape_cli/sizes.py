"""The same network wider or deeper, for recipes that scan sizes.

Width is the number of channels of a convolutional network, of units of another. Where a network
lists a number for every layer, all layers of the list get the same width and the list gets as
many entries as the depth says; where it has one number and a `depth`, these two are set.
"""

from __future__ import annotations

import typing
from typing import Any

import flax.linen as nn

from landscape_cli.errors import UserError

FIELDS = ("channels", "widths", "growth")  # what width may be called, in this order


def size_of(model: Any) -> tuple[int, int]:
    """Width and depth of a network: of its first layer, and the length of its list or `depth`.

    Raises:
        UserError: the model has no width, or no depth.
    """
    field = _width_field(model)
    value = getattr(model, field)
    if isinstance(value, tuple):
        return (value[0] if value else 0), len(value)
    return value, getattr(model, "depth", 0)


def resized(model: Any, width: int | None = None, depth: int | None = None) -> nn.Module:
    """A copy of `model` of this width and depth; None leaves what it has.

    Raises:
        UserError: the model has no such field, or refuses the value.
    """
    field, name = _width_field(model), type(model).__name__
    value = getattr(model, field)
    if not isinstance(value, tuple):
        if depth is not None and not hasattr(model, "depth"):
            raise UserError(f"experiment.depths: {name} has no depth to change")
        changes = {field: width, "depth": depth}
    else:
        hint = typing.get_type_hints(type(model))[field]
        fixed = Ellipsis not in typing.get_args(hint)
        if fixed and depth not in (None, len(value)):
            raise UserError(f"experiment.depths: {name} always has {len(value)} {field}")
        own, count = size_of(model)
        layers = (own if width is None else width,) * (count if depth is None else depth)
        changes = {field: layers if (width, depth) != (None, None) else None}
    asked = {key: number for key, number in changes.items() if number is not None}
    try:
        return model.clone(**asked)
    except ValueError as error:
        at = ", ".join(
            f"{key}={list(n) if isinstance(n, tuple) else n}" for key, n in asked.items()
        )
        raise UserError(f"experiment: {name} of {at}: {error}") from error


def _width_field(model: Any) -> str:
    for field in FIELDS:
        if isinstance(model, nn.Module) and hasattr(model, field):
            return field
    raise UserError(
        f"model: {type(model).__name__} has no {', '.join(FIELDS[:-1])} or {FIELDS[-1]} to scan; "
        "choose a network that has one"
    )
