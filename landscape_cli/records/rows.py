"""What records have in common: rows with a state, and attributes that say whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray

from landscape_cli.contracts import Record
from landscape_cli.records.encoding import attribute
from landscape_cli.records.meanings import STATE_TYPE


class Rows(Record):
    """A record whose rows have a `state`; rows that are filled later may have a longer word."""

    def __init__(self, data: xarray.Dataset) -> None:
        """Wrap `data`, laid out as `empty` makes it."""
        super().__init__(data.assign(state=data["state"].astype(STATE_TYPE)))


def described(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a record: those it knows, with what was given in place of defaults.

    Raises:
        TypeError: one that it does not know was given.
    """
    if unknown := set(given) - set(known):
        raise TypeError(f"unknown attributes: {', '.join(sorted(unknown))}")
    return {**known, **{name: attribute(value) for name, value in given.items()}}
