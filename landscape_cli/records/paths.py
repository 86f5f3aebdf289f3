"""Paths: the beads of every string of a run, whatever its number of beads, one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from landscape_cli.contracts import Record


class Paths(Record):
    """Beads of all strings in one long table; `string` names the string of every bead.

    Example:
        >>> paths = Paths.empty(params=2)
        >>> paths.add(np.zeros((3, 2))), paths.add(np.ones((5, 2)))
        (0, 1)
        >>> paths.gather().beads(1).shape
        (5, 2)
    """

    name = "paths"
    _strings: list[np.ndarray]
    _params: int
    _dtype: Any

    @classmethod
    def empty(cls, params: int, dtype: Any = np.float64) -> Paths:
        """No string yet."""
        record = cls(xarray.Dataset())
        record._strings = []
        record._params, record._dtype = params, dtype
        record.gather()
        return record

    def add(self, beads: np.ndarray) -> int:
        """Keep a string (bead, param); returns its number."""
        self._strings.append(np.asarray(beads, self._dtype))
        return len(self._strings) - 1

    def gather(self) -> Paths:
        """Lay out what was added, to be saved."""
        counts = [len(beads) for beads in self._strings]
        rows = [np.zeros((0, self._params), self._dtype), *self._strings]
        self.data = xarray.Dataset(
            {
                "beads": (("row", "param"), np.concatenate(rows)),
                "string": ("row", np.repeat(np.arange(len(counts)), counts)),
            }
        )
        return self

    def beads(self, string: int) -> np.ndarray:
        """(bead, param) of one string, ends included."""
        return self.data["beads"].values[self.data["string"].values == string]

    def summary(self) -> dict[str, Any]:
        """How many strings there are, and parameters of a network."""
        data = self.data
        return {
            "strings": int(data["string"].max() + 1) if data.sizes["row"] else 0,
            "params": data.sizes["param"],
        }
