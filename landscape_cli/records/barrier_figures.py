"""The figures of `Barriers`: against width, against depth, against the level of training."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from landscape_cli.plots import log_limits, new_figure, number, number_axis
from landscape_cli.records.barriers import Barriers
from landscape_cli.records.furniture import (
    counted,
    energy_words,
    heading,
    legend_below,
    nothing,
)
from landscape_cli.records.geodesic_marks import say

MARKERS = "osD^vPX*"
MOST_TICKS = 8  # sizes whose numbers fit below a panel


def figures(record: Barriers) -> dict[str, Figure]:
    """All figures by file stem."""
    found = {}
    for name, other in (("width", "depth"), ("depth", "width")):
        if record.data.sizes[name] > 1:
            found[f"barrier_{name}"] = size_figure(record, name, other)
    found["barrier_training"] = training_figure(record)
    return found


def size_figure(record: Barriers, size: str, other: str) -> Figure:
    """Barrier against one size: a panel for every way and every other size, a line per level."""
    data = record.data
    order = np.argsort(data[size].values)
    levels = data["level"].values
    lines = [(f"λ = {number(level, 3)}", {"level": k}) for k, level in enumerate(levels)]
    figure, axes = _grid(record, data[size].values[order], lines, other, (size, order))
    for ax in axes[-1]:
        ax.set_xlabel({"width": "width of a layer", "depth": "depth in layers"}[size])
    return figure


def training_figure(record: Barriers) -> Figure:
    """Barrier against the level down to which networks were trained, a line for every width."""
    data = record.data
    order = np.argsort(data["level"].values)
    lines = [(f"width {w}", {"width": i}) for i, w in enumerate(data["width"].values)]
    figure, axes = _grid(record, data["level"].values[order], lines, "depth", ("level", order))
    for ax in axes[-1]:
        ax.set_xlabel(f"level λ: {energy_words(data.attrs)}")
    axes[0, 0].invert_xaxis()  # training goes to the right, in all panels
    return figure


def _grid(
    record: Barriers, x: np.ndarray, lines: list[tuple[str, dict[str, int]]], rows: str, axis
) -> tuple[Figure, Any]:
    """A panel for every way to join (across) and every value of `rows` (down)."""
    data, (name, order) = record.data, axis
    means, errors = record.statistics()
    joined = record.joined()
    if not np.isfinite(means).any():
        figure = new_figure()
        axes = figure.subplots(squeeze=False)
        pairs = counted(data.sizes["pair"], "pair")
        why = f"no barrier to draw:\n{record.headline()}"
        return nothing(figure, axes[0, 0], data.attrs, why, pairs), axes
    count = data.sizes[rows]
    figure = new_figure(3.0 * max(data.sizes["path"], 2) + 0.8, 2.7 * count + 1.1)
    axes = figure.subplots(count, data.sizes["path"], squeeze=False, sharex=True, sharey=True)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.85, 0.0, len(lines)))
    shown = means[..., 0]
    for down, column in np.ndindex(axes.shape):
        ax: Any = axes[down, column]
        for k, (label, where) in enumerate(lines):
            at = _pick(data, {rows: down, **where}, name)
            mean, error = (v[(*at, column, 0)][order] for v in (means, errors))
            few = joined[at][order] < data.sizes["pair"]
            marks = {"color": colors[k], "marker": MARKERS[k % len(MARKERS)], "ms": 3.5}
            some = np.isfinite(mean)
            ax.errorbar(x[some], mean[some], error[some], lw=1.0, capsize=2, label=label, **marks)
            missing = some & few  # some pairs did not get to the level
            ax.plot(x[missing], mean[missing], "o", ms=8, mfc="none", mec=colors[k], mew=0.7)
        words = [str(data["path"].values[column])]
        words += [f"{rows} {data[rows].values[down]}"] * (count > 1)
        ax.set_title(" · ".join(words))
        if not np.isfinite(
            shown[_pick(data, {rows: down}, name, several=True)][..., column]
        ).any():
            say(ax, "no pair is joined")
    _scales(axes, x, np.concatenate([shown, shown + np.nan_to_num(errors[..., 0])]))
    if name != "level" and len(x) <= MOST_TICKS:
        for ax in axes.flat:
            ax.set_xticks(x, [str(size) for size in x])
            ax.set_xticks([], minor=True)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"barrier above the mean of the ends:\n{energy_words(data.attrs)}")
    if ((joined > 0) & (joined < data.sizes["pair"])).any():
        ring = {"ms": 8, "mfc": "none", "mec": "0.4", "mew": 0.7}
        axes[0, 0].errorbar([], [], fmt="o", label="not all pairs got to the level", **ring)
    heading(
        figure, data.attrs, f"mean ± standard error over {counted(data.sizes['pair'], 'pair')}"
    )
    legend_below(figure, [axes[0, 0]])
    return figure, axes


def _pick(data, where: dict[str, int], free: str, several: bool = False) -> tuple:
    """Indices of (width, depth, level): `free` is a slice, so is what is not said if `several`."""
    default: Any = slice(None) if several else 0
    found = {name: default for name in ("width", "depth", "level")} | where | {free: slice(None)}
    return tuple(found.values())


def _scales(axes: Any, x: np.ndarray, values: np.ndarray) -> None:
    """A logarithmic axis of sizes, and of barriers where all are positive and differ much."""
    finite = values[np.isfinite(values)]
    for ax in axes.flat:
        ax.set_xscale("log")
        ax.set_xlim(*log_limits(x))
        number_axis(ax, "x")
        if len(finite) and finite.min() > 0 and finite.max() > 20 * finite.min():
            ax.set_yscale("log")
            ax.set_ylim(*log_limits(finite))
            number_axis(ax, "y")
        elif len(finite):
            top = finite.max() or 1.0
            ax.set_ylim(min(finite.min(), 0) - 0.05 * abs(top), top + 0.12 * abs(top))
