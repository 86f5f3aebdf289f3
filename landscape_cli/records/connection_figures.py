"""Figures of `Connections`: all methods side by side, one panel for every gauge."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from landscape_cli.plots import (
    AMBER,
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    new_figure,
    number,
    style,
)
from landscape_cli.records.connections import Connections
from landscape_cli.records.furniture import counted, energy_axis, heading, unfinished
from landscape_cli.records.geodesic_marks import say

COLORS = (BLACK, BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER, GRAY)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))  # the next eight methods are told apart by these
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
SIZES = {"median over pairs": 8, "one pair": 3}  # of marks, in points
CLOSE = 1e-3  # excess lengths below are drawn on a linear scale
SPARSE = 17  # points of a curve from one mark to the next


def figures(record: Connections) -> dict[str, Figure]:
    """Both figures."""
    with style():
        return {"profiles": profiles(record), "heights": heights(record)}


def profiles(record: Connections) -> Figure:
    """Median energy over pairs along the paths of every method."""
    figure, panels = _panels(record)
    for gauge, method, part in record.rows():
        level = record.shown(part)
        curves = part["profile"].isel(level=level, split=0).values
        curves = curves[np.isfinite(curves).all(axis=1)]
        if len(curves) == 0:
            continue
        ax, marks = panels[gauge], _line(record, method)
        ax.plot(
            record.data["t"], np.median(curves, axis=0), label=_label(record, part, level), **marks
        )
    for ax in panels.values():
        ax.set_xlabel("arclength position t")
        ax.set_xlim(0, 1)
    _finish(figure, panels, record, "energy along the path (median over pairs)")
    return figure


def heights(record: Connections) -> Figure:
    """Highest energy against normalized length: pairs small, their median large."""
    figure, panels = _panels(record)
    for gauge, method, part in record.rows():
        here = part.isel(level=record.shown(part))
        y, length = here["height"].isel(split=0).values, here["length"] / here["chord"]
        x = length.values - 1
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            continue
        color, marker = _line(record, method)["color"], _marker(record, method)
        ax = panels[gauge]
        ax.plot(
            x[known], y[known], ls="", marker=marker, ms=SIZES["one pair"], color=color, alpha=0.35
        )
        middle = np.median(x[known]), np.median(y[known])
        large = {"ms": SIZES["median over pairs"], "mec": "white", "label": method}
        ax.plot(*middle, ls="", marker=marker, color=color, **large)
    for ax in panels.values():
        ax.set_xlabel("length / |end - start|\n(spread by what exceeds 1)")
    shown = [np.ravel(line.get_xdata()) for ax in panels.values() for line in ax.lines]
    _length_axis(next(iter(panels.values())), np.concatenate([[0.0], *shown]))
    _finish(figure, panels, record, "highest energy of the dense check", SIZES)
    return figure


def _length_axis(ax: Axes, excess: np.ndarray) -> None:
    """Lengths spread by their excess over the chord: logarithmic but close to 1."""
    bent = excess[excess > CLOSE]
    least = 10.0 ** np.floor(np.log10(np.quantile(bent, 0.05))) if len(bent) else CLOSE
    top = 1.2 * max(excess.max(), 10 * least)
    decades = np.arange(np.log10(least).round(), np.log10(top))
    parts = (1, 2, 5) if len(decades) < 4 else (1,)
    ticks = [tick for d in decades for part in parts if (tick := part * 10.0**d) < top]
    ax.set_xscale("symlog", linthresh=least, linscale=0.4)
    ax.set_xlim(-0.15 * least, top)
    ax.set_xticks([0.0, *ticks], [number(1 + tick) for tick in (0.0, *ticks)])
    ax.set_xticks([], minor=True)


def _panels(record: Connections) -> tuple[Figure, dict[str, Axes]]:
    gauges = [str(name) for name in record.data["gauge"].values]
    figure = new_figure(max(6.4, 4.2 * len(gauges)), 4.6)
    axes = figure.subplots(1, len(gauges), sharex=True, sharey=True, squeeze=False)[0]
    return figure, dict(zip(gauges, axes, strict=True))


def _index(record: Connections, method: str) -> int:
    return list(record.data["path_method"].values).index(method)


def _line(record: Connections, method: str) -> dict:
    index = _index(record, method)
    return {
        "color": COLORS[index % 8],
        "ls": DASHES[index // 8 % 3],
        "lw": 1.0,
        "marker": _marker(record, method),
        "ms": 5,
        "mec": "white",
        "mew": 0.4,
        "markevery": (5 * index % SPARSE, SPARSE),  # no two curves have marks at the same places
    }


def _marker(record: Connections, method: str) -> str:
    index = _index(record, method)
    return MARKERS[(index + index // 8) % 8]


def _label(record: Connections, part: xarray.Dataset, level: int) -> str:
    """The method; with the level its path was looked for at, if it has one and one only."""
    name, strings = str(part["path_method"].values), part["string"].values
    same = (strings == strings[:, :1]).all() or record.data.sizes["gauge"] > 1
    return name if same else f"{name} at {number(float(part['level'][level]))}"


def _finish(
    figure: Figure,
    panels: dict[str, Axes],
    record: Connections,
    label: str,
    sizes: dict[str, int] | None = None,
) -> None:
    """Axes, a legend in the order of what it names, from the highest down, the heading.

    `sizes` explains, below the methods, marks that differ in size.
    """
    first, attributes = next(iter(panels.values())), record.data.attrs
    unit = attributes.get("unit", "")
    first.set_ylabel(f"{label}\n{attributes['functional']}{f' [{unit}]' if unit else ''}")
    shown = [np.ravel(line.get_ydata()) for ax in panels.values() for line in ax.lines]
    found, tops = {}, {}
    for gauge, ax in panels.items():
        ax.set_title(f"gauge: {gauge}" if len(panels) > 1 else "")
        if ax.lines:
            energy_axis(ax, np.concatenate(shown), attributes)
        else:
            say(ax, "no path to draw")
        for line in ax.lines:
            name = str(line.get_label())
            if not name.startswith("_"):  # matplotlib's mark of what has no label
                found[name] = line
                tops[name] = max(tops.get(name, -np.inf), np.max(line.get_ydata()))
    names = sorted(found, key=lambda name: -tops[name])
    if names:
        mark = partial(Line2D, [], [], color=GRAY, marker="o", ls="")
        found |= {name: mark(ms=size) for name, size in (sizes or {}).items()}
        names += sizes or {}
        figure.legend([found[name] for name in names], names, loc="outside right center")
    pairs, states = record.data.sizes["pair"], record.data["state"].values
    pending = int((states == "pending").sum())
    heading(figure, attributes, counted(pairs, "pair"), *unfinished(pending, states.size))
