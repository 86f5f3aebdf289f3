"""Strings: the beads of every pair at every level, so that a string can be looked at again.

Dimensions are pair, level, bead and param; strings of different bead counts share the array,
filled up with NaN behind the last bead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import xarray

from landscape_cli.contracts import Record
from landscape_cli.records import layout
from landscape_cli.records.meanings import NONE, shared


class Strings(Record):
    """Beads of all strings, ends included.

    Example:
        >>> strings = Strings.empty(pairs=1, levels=[0.1], params=2)
        >>> strings.put(0, 0, np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
        >>> strings.beads(0, 0).shape
        (3, 2)
    """

    name = "strings"
    meanings: ClassVar = {
        **shared("pair", "level", "bead_count"),
        **layout.MEANINGS,
        "beads": ("parameters at every bead, NaN behind the last one", NONE),
    }

    @classmethod
    def empty(
        cls,
        pairs: int,
        levels: Sequence[float],
        params: int,
        dtype: Any = np.float64,
        arrays: Mapping[str, tuple[int, ...]] | None = None,
        **attributes: Any,
    ) -> Strings:
        """A record without a string; it widens as longer strings are put in.

        Args:
            pairs: number of pairs.
            levels: energy levels, in the order given.
            params: of a network.
            dtype: of the beads.
            arrays: names and shapes of the arrays that parameters belong to, in their order.
            attributes: model, data, functional, unit (texts).
        """
        shape = (pairs, len(levels))
        variables = {
            "beads": (("pair", "level", "bead", "param"), np.zeros((*shape, 0, params), dtype)),
            "bead_count": (("pair", "level"), np.zeros(shape, np.int64)),
            **layout.described(arrays, params),
        }
        coordinates = {"pair": np.arange(pairs), "level": np.asarray(levels, float)}
        return cls(xarray.Dataset(variables, coordinates, attributes))

    def put(self, pair: int, level: int, beads: np.ndarray) -> None:
        """Keep the string `beads` (bead, param); `level` is an index."""
        missing = len(beads) - self.data.sizes["bead"]
        if missing > 0:  # by half at least: one copy for several longer strings
            room = max(missing, self.data.sizes["bead"] // 2)
            self.data = self.data.pad(bead=(0, room), constant_values=np.nan)
        row = self.data["beads"].values[pair, level]
        row[:] = np.nan
        row[: len(beads)] = beads
        self.data["bead_count"].values[pair, level] = len(beads)

    def beads(self, pair: int, level: int) -> np.ndarray:
        """(bead, param) the string of a pair at a level (an index); no beads if there is none."""
        count = int(self.data["bead_count"].values[pair, level])
        return self.data["beads"].values[pair, level, :count]

    def summary(self) -> dict[str, Any]:
        """How many strings there are, the longest's beads, parameters of a network."""
        counts = self.data["bead_count"].values
        return {
            "strings": int((counts > 0).sum()),
            "most_beads": int(counts.max(initial=0)),
            "params": self.data.sizes["param"],
        }
