"""Values from YAML checked against the fields of a dataclass, with messages for its user.

The class itself is the schema. Field types: int, float, bool, str, Literal, tuples of these, and
`X | None`. YAML lists become tuples, because settings must be hashable to be static under jit.
A field with the metadata `{"setting": False}` is not for YAML.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from landscape_cli.errors import UserError, nearest

Formats = tuple[Literal["png", "svg", "pdf"], ...]  # of figures
LINEN_FIELDS = {"parent", "name"}  # Flax's own bookkeeping, not settings
WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
}


def fill(cls: type, values: Mapping[str, Any], key: str) -> Any:
    """Check `values` against the fields of a dataclass and call it."""
    hints = typing.get_type_hints(cls)
    fields = {
        field.name: field
        for field in dataclasses.fields(cls)
        if field.init and field.name not in LINEN_FIELDS and field.metadata.get("setting", True)
    }
    prefix = f"{key}." if key else ""
    for name in values:
        if name not in fields:
            raise UserError(unknown(f"{prefix}{name}", f"setting of {cls.__name__}", fields))
    missing = dataclasses.MISSING
    for name, field in fields.items():
        if name not in values and field.default is missing and field.default_factory is missing:
            raise UserError(f"{prefix}{name}: {cls.__name__} needs a value")
    checked = {
        name: convert(value, hints[name], f"{prefix}{name}") for name, value in values.items()
    }
    try:
        return cls(**checked)
    except ValueError as error:
        names_field = str(error).split(" ")[0].split("=")[0] in fields
        raise UserError(f"{prefix}{error}" if names_field else f"{key}: {error}") from error


def unknown(key: str, what: str, known: Collection[str]) -> str:
    """The message for a key that does not exist."""
    place, _, last = key.rpartition(".")
    if not known:
        return f"{key}: no such {what}; {place} has none"
    return f"{key}: no such {what}; choose from {', '.join(sorted(known))}{nearest(last, known)}"


def convert(value: Any, hint: Any, key: str) -> Any:
    """`value` as the type `hint`: lists become tuples, whole numbers may be floats."""
    if hint is Any or accepts(value, hint):
        return freeze(value, hint)
    as_list = f"; write {key}=[{typed(value)}]" if accepts([value], hint) else ""
    raise UserError(f"{key}={typed(value)}: expected {describe(hint)}{as_list}")


def accepts(value: Any, hint: Any) -> bool:
    """Whether a YAML value may stand for the type `hint`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(accepts(value, arg) for arg in args)
    if origin is typing.Literal:
        return value in args
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        items = item_hints(hint, len(value))
        return len(items) == len(value) and all(map(accepts, value, items))
    if hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def freeze(value: Any, hint: Any) -> Any:
    """Lists as tuples, because settings must be hashable; integers as floats where asked."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if accepts(value, arg))
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value, item_hints(hint, len(value))))
    return float(value) if hint is float else value


def item_hints(hint: Any, count: int) -> Sequence[Any]:
    """The type of every item of a tuple; of `tuple[X, ...]`, and of `Any`, with `count` items."""
    args = typing.get_args(hint) or (Any, ...)
    return [args[0]] * count if args[-1] is ... else args


def describe(hint: Any) -> str:
    """A type in words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(describe, args))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is tuple:
        if args[-1] is ... or len(set(args)) == 1:
            return f"a list, each {describe(args[0])}"
        return "a list of " + ", ".join(map(describe, args))
    return WORDS.get(hint) or f"a {getattr(hint, '__name__', hint)}"


def typed(value: object) -> str:
    """A value as its user would type it on the command line."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
