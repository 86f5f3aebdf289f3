"""What figures of several records share: headings, one legend, energy axes, marks of their own."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape_cli.plots import (
    AMBER,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    log_limits,
    number_axis,
)

# Colors with marks of their own, so that they can be told apart without colors, too.
SERIES = (
    *((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "D", "-.")),
    *((PURPLE, "^", ":"), (AMBER, "v", "--"), (SKY, "P", "-.")),
)


def heading(figure: Figure, attributes: dict[str, Any], *more: str) -> None:
    """Model, data, method, gauge and seed of a run on top, in as many lines as they need.

    With the sizes of network and data, since a name stands for more than one; and with the budget
    unless it is the usual one.
    """
    keys = {"model": "parameters", "data": "examples", "method": "", "gauge": ""}
    words = []
    for key, size in keys.items():
        if (name := str(attributes.get(key, ""))) not in ("", "NoGauge", "none"):
            count = int(attributes.get(size, 0))
            words.append(f"{name} ({count:,} {size})" if count else name)
    words += [f"seed {int(attributes['seed'])}"] if "seed" in attributes else []
    if (budget := attributes.get("budget", "")) not in ("", "desk"):
        words += [f"budget {budget}"]
    words += more
    # Lines break after the dots.
    text = "\u00a0· ".join(word.replace(" ", "\u00a0") for word in words)
    text = fill(text, int(15 * figure.get_figwidth()))
    figure.suptitle(text, x=0.01, ha="left", fontsize=9)


def unfinished(pending: int, rows: int) -> list[str]:
    """What a heading says of rows that are still pending; nothing where none is."""
    return [f"UNFINISHED: {pending} of {rows} rows pending"] if pending else []


def nothing(figure: Figure, ax: Axes, attributes: dict[str, Any], why: str, *more: str) -> Figure:
    """The figure when there is nothing to draw: its heading with `more`, and why."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=GRAY)
    heading(figure, attributes, *more)
    return figure


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int | None = None) -> None:
    """One legend for all `axes`, under the figure, every label once."""
    found = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        columns = columns or min(len(found), max(int(figure.get_figwidth() / 2.2), 2))
        words = [fill(label, 40) if columns > 1 else label for label in found]
        figure.legend(found.values(), words, loc="outside lower center", ncols=columns)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 pair`, `2 pairs`; `1 minimum`, `2 minima` where the plural is given."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def energy_words(attributes: dict[str, Any], split: str = "") -> str:
    """`train mean squared error`, with the unit if there is one, of another split if given."""
    words = str(attributes.get("functional") or "energy")
    if split and words.startswith(("train ", "test ")):
        words = f"{split} {words.split(' ', 1)[1]}"
    unit = str(attributes.get("unit") or "")
    return f"{words} ({unit})" if unit else words


def energy_axis(ax: Axes, values: np.ndarray, attributes: dict[str, Any], which="y") -> None:
    """Limits around `values`, logarithmic where they are losses that differ twentyfold.

    The zero of a closed form's energy means nothing, so that its ratios do not, either.
    """
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return
    low, high = float(values.min()), float(values.max())
    limits = ax.set_xlim if which == "x" else ax.set_ylim
    if 0 < 20 * low < high and attributes.get("functional") != "energy":
        (ax.set_xscale if which == "x" else ax.set_yscale)("log")
        limits(*log_limits(values))
        number_axis(ax, which)
    else:
        pad = 0.05 * ((high - low) or abs(low) or 1.0)
        limits(low - pad, high + pad)


def median(values: np.ndarray) -> float:
    """Median of what is finite; NaN where nothing is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan
