"""Shapes: how strings turn, how their beads are spaced, their curvature, their length by metrics.

    normalized length by a metric = length of the string / length of its chord, both by the metric
    spacing variation             = standard deviation of segment lengths / their mean

Dimensions are pair, level, bead, metric and axis; strings of different bead counts share the
arrays, filled up with NaN behind the last bead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from landscape_cli.contracts import Record
from landscape_cli.core.shape import RANDOM_WALK
from landscape_cli.records.meanings import ENERGY, NONE, ONE, shared
from landscape_cli.records.rows import described
from landscape_cli.records.statistics import mean_and_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
    **{"model": "", "data": "", "functional": "", "unit": "", "method": "", "gauge": ""},
    "seed": 0,
}
OF_BEADS = {
    "position": ("part of the length before the bead", ONE),
    "energy": ("energy at the bead", ENERGY),
    "turning": ("angle between the segments of the bead", "radian"),
    "curvature": ("curvature of the circle through the bead and its neighbors", NONE),
    "hessian": ("second derivative of the energy along the unit tangent", ENERGY),
}
MEANINGS = shared("pair", "level", "connected", "bead_count") | {
    "axis": ("which principal axis of the beads", NONE),
    "metric": ("what lengths are taken in", NONE),
    "coordinates": ("position of the bead along the principal axes", NONE),
    "explained": ("part of the variance of the beads along the principal axis", ONE),
    "length": ("length of the string, by metric", NONE),
    "chord": ("length of the chord, by metric", NONE),
    **OF_BEADS,
}


class Shapes(Record):
    """One row of measurements for every string."""

    name = "path_shape"
    meanings = MEANINGS

    @classmethod
    def empty(
        cls, pairs: int, levels: Sequence[float], metrics: Sequence[str], **words: Any
    ) -> Shapes:
        """A record without a string; it widens as longer strings are put in.

        Args:
            pairs: number of pairs.
            levels: energy levels, in the order given.
            metrics: names of the metrics that lengths are taken in; "all" first.
            words: model, data, functional, unit, method, gauge (texts), seed.
        """
        shape, rows = (pairs, len(levels)), ("pair", "level")
        variables: dict[str, Any] = {
            name: ((*rows, "bead"), np.zeros((*shape, 0))) for name in OF_BEADS
        }
        variables |= {
            "coordinates": ((*rows, "bead", "axis"), np.zeros((*shape, 0, 2))),
            "explained": ((*rows, "axis"), np.full((*shape, 2), np.nan)),
            "bead_count": (rows, np.zeros(shape, np.int64)),
            "connected": (rows, np.zeros(shape, bool)),
            "length": ((*rows, "metric"), np.full((*shape, len(metrics)), np.nan)),
            "chord": ((*rows, "metric"), np.full((*shape, len(metrics)), np.nan)),
        }
        coordinates = {
            "pair": np.arange(pairs), "level": np.asarray(levels, float), "axis": np.arange(2),
            "metric": list(metrics),
        }  # fmt: skip
        return cls(xarray.Dataset(variables, coordinates, described(WORDS, words)))

    def fill(
        self,
        pair: int,
        level: int,
        connected: bool,
        coordinates: np.ndarray,
        parts: np.ndarray,
        lengths: dict[str, tuple[float, float]],
        **of_beads: np.ndarray,
    ) -> None:
        """Write one row.

        Args:
            pair: which.
            level: its index.
            connected: whether the string stays inside the level set.
            coordinates: (bead, 2) along the two principal axes.
            parts: (2,) of the variance that each explains.
            lengths: of the string and of its chord, by metric.
            of_beads: (bead,) every variable of `OF_BEADS`.
        """
        count = len(coordinates)
        missing = count - self.data.sizes["bead"]
        if missing > 0:
            self.data = self.data.pad(bead=(0, missing), constant_values=np.nan)
        for name in OF_BEADS:
            row = self.data[name].values[pair, level]
            row[:], row[:count] = np.nan, of_beads[name]
        row = self.data["coordinates"].values[pair, level]
        row[:], row[:count] = np.nan, coordinates
        self.data["explained"].values[pair, level] = parts
        self.data["bead_count"].values[pair, level] = count
        self.data["connected"].values[pair, level] = connected
        for name, (length, chord) in lengths.items():
            at = (pair, level, list(self.data["metric"].values).index(name))
            self.data["length"].values[at], self.data["chord"].values[at] = length, chord

    @property
    def normalized_lengths(self) -> np.ndarray:
        """(pair, level, metric) length over chord; NaN where not connected; 1 for equal ends."""
        length, chord = self.data["length"].values, self.data["chord"].values
        ratio = np.divide(length, chord, out=np.ones_like(length), where=chord > 0)
        return np.where(self.data["connected"].values[..., None], ratio, np.nan)

    @property
    def spacings(self) -> np.ndarray:
        """(pair, level, bead) length of the segment after a bead, over the mean of its string."""
        steps = np.diff(self.data["position"].values, axis=-1, append=np.nan)
        return steps * np.maximum(self.data["bead_count"].values - 1, 1)[..., None]

    def summary(self) -> dict[str, Any]:
        """Counts and the control of the principal axes, then means over pairs `what@level`.

        At each level: all turning of a string and its sharpest turn (degrees), the variation of
        spacing, the mean, lowest and highest Hessian along the tangent, the part of the variance
        in one and in two principal axes, and the normalized length by every metric.
        """
        data, connected = self.data, self.data["connected"].values
        found: dict[str, Any] = {
            "pairs": data.sizes["pair"],
            "levels": data.sizes["level"],
            "strings": int((data["bead_count"].values > 0).sum()),
            "connected": int(connected.sum()),
            "random_walk_in_one_axis": RANDOM_WALK[0],
            "random_walk_in_two_axes": sum(RANDOM_WALK),
        }
        columns = self._columns()
        for index, level in enumerate(data["level"].values):
            for name, values in columns.items():
                kept = np.where(connected[:, index], values[:, index], np.nan)
                found[f"{name}@{level:.12g}"] = mean_and_error(kept)[0]
        return found

    def _columns(self) -> dict[str, np.ndarray]:
        """(pair, level) numbers of single strings."""
        data = self.data
        turning = np.degrees(data["turning"].values)
        hessian = data["hessian"].values
        lengths = self.normalized_lengths
        return {
            "turning": _over_beads(np.sum, turning),
            "sharpest_turn": _over_beads(np.max, turning),
            "spacing_variation": _over_beads(np.std, self.spacings),
            "hessian_mean": _over_beads(np.mean, hessian, none=np.nan),
            "hessian_min": _over_beads(np.min, hessian, none=np.nan),
            "hessian_max": _over_beads(np.max, hessian, none=np.nan),
            "in_one_axis": data["explained"].values[..., 0],
            "in_two_axes": data["explained"].values.sum(axis=-1),
            **{
                f"length_{name}".replace(" ", "_"): lengths[..., i]
                for i, name in enumerate(data["metric"].values)
            },
        }

    def figures(self) -> dict[str, Figure]:
        """The figures `shape`, `hessian`, `metrics` and `principal_axes`."""
        from landscape_cli.records.shape_figures import figures

        return figures(self)


def _over_beads(reduce, values: np.ndarray, none: float = 0.0) -> np.ndarray:
    """(pair, level) `reduce` over the beads with a value; `none` where there are none."""
    found = np.full(values.shape[:-1], none)
    for at in np.ndindex(found.shape):
        row = values[at][np.isfinite(values[at])]
        found[at] = reduce(row) if len(row) else none
    return found
