"""Shifts: lengths against level for several α, and where the spike ends in each.

The upper edge is the lowest level above the spike at which a trivial predictor of energy C is an
admissible bead: predicted at λ = C / α, found where the excess length has fallen away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from landscape_cli.contracts import Record
from landscape_cli.plots import BLUE, GRAY, GREEN, ORANGE, PALE, PURPLE, new_figure
from landscape_cli.records.furniture import counted, heading
from landscape_cli.records.meanings import ONE, shared
from landscape_cli.records.statistics import mean_and_error
from landscape_cli.records.table import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOOT = 0.05  # the edge: where the excess length has fallen to this part of the spike's
ERRORS = 3.0  # bootstrap errors within which an edge has to be found
RESAMPLES = 1000
COLORS = (BLUE, ORANGE, GREEN, PURPLE, GRAY)
MARKERS = ("o", "s", "D", "^", "v")


class Shifts(Record):
    """Normalized lengths for every α, pair and level, and the edges read off them."""

    name = "plateau_shift"
    meanings = shared("pair", "level", "normalized_length") | {
        "alpha": ("part of λ that the method descends beads to", ONE)
    }

    @classmethod
    def empty(
        cls,
        alphas: Sequence[float],
        pairs: int,
        levels: Sequence[float],
        plateau: float,
        functional: str,
        **words: Any,
    ) -> Shifts:
        """A record of nothing but NaN.

        Args:
            alphas: α of the method, one after the other.
            pairs: number of pairs.
            levels: energy levels, in the order given.
            plateau: C, the energy of the trivial predictor.
            functional: the energy in words.
            words: model, data, method, gauge, unit (texts), seed.
        """
        shape = (len(alphas), pairs, len(levels))
        coordinates = {
            "alpha": np.asarray(alphas, float),
            "pair": np.arange(pairs),
            "level": np.asarray(levels, float),
        }
        lengths = (tuple(coordinates), np.full(shape, np.nan))
        words |= {"functional": functional, "plateau": plateau}
        return cls(xarray.Dataset({"normalized_length": lengths}, coordinates, words))

    def put(self, index: int, part: Any) -> None:
        """Take the lengths of one α, NaN where a pair is not connected."""
        self.data["normalized_length"].values[index] = part.connected_lengths

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """(alpha, level) means over connected pairs, and their standard errors."""
        lengths = np.moveaxis(self.data["normalized_length"].values, 1, -1)
        both = np.array([[mean_and_error(row) for row in level] for level in lengths])
        return both[..., 0], both[..., 1]

    @property
    def predicted(self) -> np.ndarray:
        """(alpha,) C / α."""
        return self.data.attrs["plateau"] / self.data["alpha"].values

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """(alpha,) edges found, and their bootstrap errors over pairs; NaN where there is none."""
        levels, found = self.data["level"].values, []
        draws = np.random.default_rng(0)  # fixed: a redrawn figure equals the first one
        for lengths in self.data["normalized_length"].values:
            picks = draws.integers(len(lengths), size=(RESAMPLES, len(lengths)))
            again = [edge(levels, _mean(lengths[rows])) for rows in picks]
            finite = [value for value in again if np.isfinite(value)]
            spread = float(np.std(finite)) if len(finite) > RESAMPLES / 2 else np.nan
            found.append((edge(levels, _mean(lengths)), spread))
        return np.array(found)[:, 0], np.array(found)[:, 1]

    def rows(self) -> list[Row]:
        """One statement for every α.

        An edge counts as found within three bootstrap errors or one step of the level grid there;
        where the excess is down to `FOOT` and not to nothing, the reading is a little low.
        """
        alphas, (found, errors) = self.data["alpha"].values, self.edges()
        levels, rows = self.data["level"].values, []
        for alpha, wanted, value, error in zip(alphas, self.predicted, found, errors, strict=True):
            near = np.nanmax([ERRORS * error, gap(levels, value)])  # no error where few resample
            passed = bool(abs(value - wanted) <= near)
            text = f"{value:.4f} ± {error:.4f}" if np.isfinite(value) else "no spike"
            rows.append(
                Row(f"upper edge at alpha {alpha:g}", f"{wanted:.4f}", text, passed, value)
            )
        return rows

    def summary(self) -> dict[str, Any]:
        """For every α the predicted and the found edge, its error, and the height of the spike."""
        columns = (self.data["alpha"].values, self.predicted, *self.edges(), self.means[0])
        numbers: dict[str, Any] = {"plateau": float(self.data.attrs["plateau"])}
        for alpha, wanted, value, error, mean in zip(*columns, strict=True):
            highest = float(np.nanmax(mean)) if np.isfinite(mean).any() else np.nan
            numbers |= {
                f"edge_predicted, alpha {alpha:g}": float(wanted),
                f"edge_found, alpha {alpha:g}": float(value),
                f"edge_error, alpha {alpha:g}": float(error),
                f"highest_mean_length, alpha {alpha:g}": highest,
            }
        return numbers

    def figures(self) -> dict[str, Figure]:
        """Length against λ with the predicted edges, and against αλ, where upper edges agree.

        Below, the part of all pairs that is connected, of which lengths are the means.
        """
        figure = new_figure(8.4, 4.8)
        shared = {"sharex": "col", "sharey": "row", "height_ratios": [5, 1]}
        (left, right), strips = figure.subplots(2, 2, **shared)
        connected = np.isfinite(self.data["normalized_length"].values).mean(axis=1)
        levels, (means, errors) = self.data["level"].values, self.means
        for i, alpha in enumerate(self.data["alpha"].values):
            marks = {"color": COLORS[i % 5], "marker": MARKERS[i % 5], "ms": 3, "capsize": 1.5}
            for ax, x in ((left, levels), (right, alpha * levels)):
                ax.errorbar(x, means[i], errors[i], lw=1.0, label=f"α = {alpha:g}", **marks)
            del marks["capsize"]
            for ax, x in zip(strips, (levels, alpha * levels), strict=True):
                ax.plot(x, connected[i], lw=1.0, clip_on=False, **marks)
            left.axvline(self.predicted[i], color=COLORS[i % 5], lw=0.9, ls=(0, (4, 2)), zorder=0)
        right.axvline(self.data.attrs["plateau"], color=GRAY, lw=0.9, ls=(0, (4, 2)), zorder=0)
        words = self.data.attrs["functional"]
        strips[0].set_xlabel(f"level λ: {words}\n(dashed: predicted edge C / α)")
        strips[1].set_xlabel(
            "αλ, the level beads are descended to\n(dashed: C, the best constant)"
        )
        left.set_ylabel("normalized length, mean ± standard error")
        strips[0].set_ylabel("fraction\nconnected", fontsize=8)
        strips[0].set(ylim=(0, 1), yticks=[0, 1])
        for ax in (left, right):
            ax.axhline(1.0, color=PALE, lw=0.8, zorder=0)
        left.legend()
        heading(figure, self.data.attrs, counted(self.data.sizes["pair"], "pair"))
        return {"plateau_shift": figure}


def edge(levels: np.ndarray, means: np.ndarray) -> float:
    """Lowest level above the spike where the excess length has fallen to `FOOT` of the spike's.

    Args:
        levels: (level,) in any order.
        means: (level,) mean normalized lengths; NaN where unknown.

    Returns:
        The level, interpolated; NaN where the mean does not fall that far.
    """
    order = np.argsort(levels)
    known = order[np.isfinite(means[order])]
    if len(known) == 0:
        return np.nan
    x, excess = levels[known], means[known] - 1.0
    top = int(np.argmax(excess))
    below = np.flatnonzero(excess[top:] <= FOOT * excess[top])
    if len(below) == 0 or below[0] == 0:
        return np.nan
    right = top + int(below[0])
    part = (excess[right - 1] - FOOT * excess[top]) / (excess[right - 1] - excess[right])
    return float(x[right - 1] + part * (x[right] - x[right - 1]))


def gap(levels: np.ndarray, value: float) -> float:
    """Distance of the two neighboring levels that a value lies between; 0 for a single level."""
    ordered = np.sort(levels)
    right = np.clip(np.searchsorted(ordered, value), 1, max(len(ordered) - 1, 1))
    return float(np.diff(ordered[right - 1 : right + 1]).sum())


def _mean(lengths: np.ndarray) -> np.ndarray:
    """(level,) means of what is finite; NaN where nothing is."""
    finite = np.isfinite(lengths)
    total = np.where(finite, lengths, 0.0).sum(axis=0)
    return np.where(finite.any(axis=0), total / np.maximum(finite.sum(axis=0), 1), np.nan)
