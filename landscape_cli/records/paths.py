"""Paths: the beads of every string of a run, whatever its number of beads, one after another."""

from __future__ import annotations

from collections.abc import Mapping
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
    }

    def __init__(self, data: xarray.Dataset) -> None:
        """Wrap `data`; further strings may be added."""
        super().__init__(data)
        beads, string = data["beads"].values, data["string"].values
        firsts = np.searchsorted(string, np.arange(string[-1] + 2 if len(string) else 1))
        self._strings = [beads[first:end] for first, end in pairwise(firsts)]

    @classmethod
    def empty(
        cls,
        params: int,
        dtype: Any = np.float64,
        arrays: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Paths:
        """No string yet; `arrays` are names and shapes of what parameters belong to."""
        rows = _rows(np.zeros((0, params), dtype), np.zeros(0, int))
        return cls(xarray.Dataset(rows | layout.described(arrays, params)))

    def add(self, beads: np.ndarray, instead: int = -1) -> int:
        """Keep a string (bead, param), `instead` of an earlier one or as another; its number."""
        beads = np.asarray(beads, self.data["beads"].dtype)
        if instead < 0:
            self._strings.append(beads)
            return len(self._strings) - 1
        self._strings[instead] = beads
        return instead

    def gather(self) -> Paths:
        """Lay out what was added."""
        counts = [len(beads) for beads in self._strings]
        beads = np.concatenate([self.data["beads"].values[:0], *self._strings])
        rows = _rows(beads, np.repeat(np.arange(len(counts)), counts))
        self.data = self.data.drop_dims("row").assign(rows)
        return self

    def beads(self, string: int) -> np.ndarray:
        """(bead, param) of one string, ends included."""
        return self._strings[string]

    def summary(self) -> dict[str, Any]:
        """How many strings there are, and parameters of a network."""
        return {"strings": len(self._strings), "params": self.data.sizes["param"]}


def _rows(beads: np.ndarray, string: np.ndarray) -> dict[str, Any]:
    """Beads (row, param), and of which string every row is."""
    return {"beads": (("row", "param"), beads), "string": ("row", string)}
