"""The figures of `Shapes`: turning and spacing, Hessian along strings, metrics, principal axes.

Where single strings are drawn, they are those of median length, of up to six levels.
"""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from landscape_cli.core.shape import RANDOM_WALK
from landscape_cli.plots import GRAY, PALE, log_limits, new_figure, number, number_axis
from landscape_cli.records.furniture import SERIES, energy_words, heading, legend_below, nothing
from landscape_cli.records.geodesic_marks import say
from landscape_cli.records.shapes import Shapes
from landscape_cli.records.statistics import mean_and_error

MOST = 6  # levels of which a string is drawn
DODGE = 0.012  # part of the axis between two metrics at a level: none hides another


def figures(record: Shapes) -> dict[str, Figure]:
    """All figures by file stem."""
    return {
        "shape": shape_figure(record),
        "hessian": hessian_figure(record),
        "metrics": metrics_figure(record),
        "principal_axes": axes_figure(record),
    }


def shape_figure(record: Shapes) -> Figure:
    """Turning angles, curvatures and segment lengths along strings."""
    figure = new_figure(9.6, 3.5)
    panels = list(figure.subplots(1, 3))
    chord = record.data["chord"].values[..., 0]
    curves = (
        (np.degrees(record.data["turning"].values), "turning angle at a bead (degrees)"),
        (record.data["curvature"].values * chord[..., None], "curvature × chord"),
        (record.spacings, "segment length / mean of the string"),
    )
    for ax, (values, label) in zip(panels, curves, strict=True):
        _along(ax, record, values, label)
        if ax.lines and ax is not panels[-1]:
            ax.set_ylim(bottom=0)
        elif ax.lines:
            low, high = ax.get_ylim()
            ax.set_ylim(min(low, 0.9), max(high, 1.1))
    heading(figure, record.data.attrs, "strings of median length")
    legend_below(figure, panels[:1], columns=MOST)
    return figure


def hessian_figure(record: Shapes) -> Figure:
    """Second derivative of the energy along the tangent, over the energy of the level."""
    figure = new_figure(6.0, 4.0)
    ax = figure.subplots()
    levels, chord = record.data["level"].values, record.data["chord"].values[..., 0]
    scaled = record.data["hessian"].values * (chord**2 / levels)[..., None]
    _along(ax, record, scaled, "τᵀHτ × chord² / level λ")
    finite = np.abs(scaled[np.isfinite(scaled) & (scaled != 0)])
    if ax.lines:
        ax.axhline(0, color=GRAY, lw=0.8, zorder=0)
    if ax.lines and len(finite) and finite.max() > 20 * np.median(finite):
        ax.set_yscale("symlog", linthresh=float(np.median(finite)))
    heading(figure, record.data.attrs, "strings of median length")
    legend_below(figure, [ax], columns=3)
    return figure


def metrics_figure(record: Shapes) -> Figure:
    """Normalized length against level, by every metric."""
    figure = new_figure(6.0, 4.2)
    ax = figure.subplots()
    levels = record.data["level"].values
    order = np.argsort(levels)
    lengths = record.normalized_lengths
    shown = []
    metrics = record.data["metric"].values
    low, high = log_limits(levels)
    for row, metric in enumerate(metrics):
        means = np.array([mean_and_error(column) for column in lengths[..., row].T])
        some = order[np.isfinite(means[order, 0])]
        if len(some) == 0:
            continue
        color, marker, dashes = SERIES[row % len(SERIES)]
        marks = {"color": color, "marker": marker, "ls": dashes, "ms": 4, "capsize": 2}
        beside = levels[some] * (high / low) ** (DODGE * (row - (len(metrics) - 1) / 2))
        ax.errorbar(beside, means[some, 0], means[some, 1], label=_metric(metric), **marks)
        shown.append(means[some, 0])
    if not shown:
        return nothing(figure, ax, record.data.attrs, "no string is connected")
    ax.axhline(1.0, color=PALE, lw=0.8, zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    number_axis(ax, "x")
    ax.set_xlabel(f"level λ: {energy_words(record.data.attrs)} (marks side by side)")
    ax.set_ylabel("length of the string / of its chord")
    heading(figure, record.data.attrs, "mean ± standard error over connected pairs")
    legend_below(figure, [ax])
    return figure


def axes_figure(record: Shapes) -> Figure:
    """Strings in the plane of their two leading principal axes, colored by energy."""
    chosen = chosen_strings(record)
    rows = 1 if len(chosen) <= 3 else 2
    columns = -(-max(len(chosen), 1) // rows)
    figure = new_figure(max(3.0 * columns + 0.8, 4.6), 2.1 * rows + 1.0)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in list(grid.flat)[len(chosen) :]:
        ax.set_axis_off()
    if not chosen:
        return nothing(figure, grid[0, 0], record.data.attrs, "no string is connected")
    ratios = [
        record.data["energy"].values[at] / record.data["level"].values[at[1]] for at in chosen
    ]
    lowest = min(0.9, np.floor(10 * np.nanmin(ratios)) / 10)
    scale = Normalize(lowest, max(1.0, float(np.nanmax(ratios))))
    for ax, (pair, level) in zip(grid.flat, chosen, strict=False):
        _plane(ax, record, pair, level, scale)
    shades = ScalarMappable(scale, "viridis")
    figure.colorbar(shades, ax=list(grid.flat), label="energy / level λ", shrink=0.8, pad=0.02)
    figure.supxlabel("first principal axis (length)", fontsize=9)
    figure.supylabel("second principal axis (length)", fontsize=9)
    walk = " + ".join(f"{100 * part:.0f} %" for part in RANDOM_WALK)
    control = f"variance along both axes in percent: a long random walk has {walk}"
    heading(figure, record.data.attrs, "strings of median length", control)
    return figure


def _plane(ax: Axes, record: Shapes, pair: int, level: int, scale) -> None:
    """One string, its ends marked and its explained variance told."""
    count = int(record.data["bead_count"].values[pair, level])
    x, y = record.data["coordinates"].values[pair, level, :count].T
    energies = record.data["energy"].values[pair, level, :count]
    value = record.data["level"].values[level]
    ax.plot(x, y, color=PALE, lw=1.0, zorder=1)
    shown = {"c": energies / value, "cmap": "viridis", "norm": scale, "s": 14, "zorder": 2}
    ax.scatter(x, y, **shown)
    ends = {"ls": "", "marker": "s", "ms": 6, "mfc": "none", "mec": "black", "mew": 0.8}
    ax.plot(x[[0, -1]], y[[0, -1]], **ends, zorder=3)
    first, second = record.data["explained"].values[pair, level]
    ax.set_title(f"λ = {number(value, 3)}: {100 * first:.0f} % + {100 * second:.0f} %")
    ax.margins(0.06)
    ax.set_aspect("equal", adjustable="datalim")  # both are lengths: a bend looks as it is


def _along(ax: Axes, record: Shapes, values: np.ndarray, label: str) -> None:
    """`values` (pair, level, bead) along the chosen strings, a color for every level."""
    chosen = chosen_strings(record)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.85, 0.0, max(len(chosen), 1)))
    for (pair, level), color in zip(chosen, colors, strict=False):
        t = record.data["position"].values[pair, level]
        text = f"λ = {number(record.data['level'].values[level], 3)}"
        marks = {"marker": "o", "ms": 2.2, "mew": 0, "lw": 0.9, "color": color}
        ax.plot(t, values[pair, level], label=text, **marks)
    ax.set_xlim(0, 1)
    ax.set_xlabel("position t along the string")
    ax.set_ylabel(label)
    if not chosen:
        say(ax, "no string is connected")


def chosen_strings(record: Shapes) -> list[tuple[int, int]]:
    """(pair, level) of the string of median length, of up to `MOST` levels, high to low.

    Levels where the median is a chord, which has no shape, are left out if others have one.
    """
    lengths, levels = record.normalized_lengths[..., 0], record.data["level"].values
    found = []
    for level in np.argsort(-levels, kind="stable"):
        ranked = np.argsort(lengths[:, level], kind="stable")
        ranked = ranked[: int(np.isfinite(lengths[:, level]).sum())]
        if len(ranked):
            found.append((int(ranked[len(ranked) // 2]), int(level)))
    counts = record.data["bead_count"].values
    bent = [at for at in found if counts[at] > 2]
    some = bent or found
    picks = np.unique(np.linspace(0, len(some) - 1, min(MOST, len(some))).round().astype(int))
    return [some[i] for i in picks]


def _metric(name: str) -> str:
    """A metric in words."""
    words = {
        "all": "all parameters", "weights": "weights only",
        "filters": "filters, relative to their norms", "outputs": "outputs of the network",
    }  # fmt: skip
    return words.get(name, name)
