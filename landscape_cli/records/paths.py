"""Paths: the beads of every string of a run, whatever its number of beads, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import xarray

from landscape_cli.contracts import Record
from landscape_cli.records import layout
from landscape_cli.records.meanings import NONE


class Paths(Record):
    """Beads of all strings in one long table; `string` names the string of every bead.

    The table is laid out when it is saved.

    Example:
        >>> paths = Paths.empty(params=2)
        >>> paths.add(np.zeros((3, 2))), paths.add(np.ones((5, 2)))
        (0, 1)
        >>> paths.beads(1).shape
        (5, 2)
    """

    name = "paths"
    meanings: ClassVar = {
        **layout.MEANINGS,
        "beads": ("parameters at every bead, ends included", NONE),
        "string": ("number of the string that the bead belongs to", NONE),
        "saddle": ("whether the method has found the bead to be a saddle", NONE),
    }

    def __init__(self, data: xarray.Dataset) -> None:
        """Wrap `data`; further strings may be added."""
        super().__init__(data)
        beads, string = data["beads"].values, data["string"].values
        firsts = np.searchsorted(string, np.arange(string[-1] + 2 if len(string) else 1))
        # Older files have no such variable.
        saddle = data["saddle"].values if "saddle" in data else np.zeros(len(string), bool)
        self._strings = [beads[first:end] for first, end in pairwise(firsts)]
        self._saddles = [np.flatnonzero(saddle[first:end]) for first, end in pairwise(firsts)]

    @classmethod
    def empty(
        cls,
        params: int,
        dtype: Any = np.float64,
        arrays: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Paths:
        """No string yet; `arrays` are names and shapes of what parameters belong to."""
        rows = _rows(np.zeros((0, params), dtype), [], [])
        return cls(xarray.Dataset(rows | layout.described(arrays, params)))

    def add(self, beads: np.ndarray, instead: int = -1, saddles: Sequence[int] = ()) -> int:
        """Keep a string (bead, param), `instead` of an earlier one or as another; its number.

        Args:
            beads: ends included.
            instead: the number of an earlier one; -1: none.
            saddles: indices of the beads that are saddles.
        """
        if instead < 0:
            instead = len(self._strings)
        beads = np.asarray(beads, self.data["beads"].dtype)
        self._strings[instead : instead + 1] = [beads]
        self._saddles[instead : instead + 1] = [np.array(saddles, int)]
        return instead

    def gather(self) -> Paths:
        """Lay out what was added."""
        rows = _rows(self.data["beads"].values[:0], self._strings, self._saddles)
        self.data = self.data.drop_dims("row").assign(rows)
        return self

    def beads(self, string: int) -> np.ndarray:
        """(bead, param) of one string, ends included."""
        return self._strings[string]

    def saddles(self, string: int) -> np.ndarray:
        """(saddle,) indices of the beads of one string that are saddles."""
        return self._saddles[string]

    def summary(self) -> dict[str, Any]:
        """How many strings there are, and parameters of a network."""
        return {"strings": len(self._strings), "params": self.data.sizes["param"]}


def _rows(
    none: np.ndarray, strings: list[np.ndarray], saddles: list[np.ndarray]
) -> dict[str, Any]:
    """Beads (row, param), of which string every row is, and whether it is a saddle.

    `none` are no beads of the right type, (0, param).
    """
    counts = [len(beads) for beads in strings]
    saddle = [np.isin(np.arange(n), at) for n, at in zip(counts, saddles, strict=True)]
    return {
        "beads": (("row", "param"), np.concatenate([none, *strings])),
        "string": ("row", np.repeat(np.arange(len(counts)), counts)),
        "saddle": ("row", np.concatenate([np.zeros(0, bool), *saddle])),
    }
