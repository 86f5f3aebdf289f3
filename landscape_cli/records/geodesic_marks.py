"""Marks over the level axis: every `draw_*` puts one kind of mark of `Geodesics` on given axes.

Blue is ours, vermilion is published, gray is single pairs; marks differ in shape too.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from landscape_cli.plots import (
    AMBER,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PALE,
    PURPLE,
    log_limits,
    number,
    number_axis,
)
from landscape_cli.records.geodesic import CONNECTED_STATES, Geodesics

FAILURES = {  # state: marker, color
    "not connected": ("x", ORANGE),
    "diverged": ("*", PURPLE),
    "end not reached": ("v", GRAY),
    "end diverged": ("^", PURPLE),
}
FEWEST = 5  # lengths below which a bootstrap interval says little
NEAR = 3.0  # a plateau further than this factor from every level would only squeeze the curve


def draw_lengths(ax: Axes, record: Geodesics) -> None:
    """Single pairs, mean ± standard error, bootstrap band, published points."""
    data, order = record.statistics(bootstrap=True), np.argsort(record.levels)
    levels, lengths = record.levels[order], record.connected_lengths[:, order]
    ax.axhline(1.0, color=PALE, lw=0.8, zorder=0)
    draw_pairs(ax, levels, lengths, record.paired)
    states = record.data["state"].values[:, order]
    loose = np.where(states == "loose", lengths, np.nan)
    # Of strings that were only sampled none is taut: circles there would say nothing.
    loose[~np.isfinite(record.data["kkt_residual"].values[:, order])] = np.nan
    if np.isfinite(loose).any():
        marks = {"ls": "", "marker": "o", "ms": 6, "mfc": "none", "mec": AMBER, "mew": 1.2}
        lines = ax.plot(levels, loose.T, zorder=5, **marks)
        lines[0].set_label("loose string: an upper bound")
    enough = np.isfinite(lengths).sum(axis=0) >= FEWEST
    low, high = (np.where(enough, data[side][order], np.nan) for side in ("low", "high"))
    if np.isfinite(low).any():
        band = {"color": BLUE, "alpha": 0.18, "lw": 0}
        ax.fill_between(levels, low, high, label="95 % bootstrap interval", **band)
    draw_mean(ax, levels, data["mean"][order], data["error"][order])
    draw_published(ax, record, "length")
    if not np.isfinite(lengths).any():
        say(ax, "no pair is connected", above=record.published is not None)
    length_axis(ax, shown_lengths(record))


def shown_lengths(record: Geodesics) -> np.ndarray:
    """Every length that a curve or point of the record reaches up to."""
    shown = [record.connected_lengths.ravel(), np.array([1.0])]
    if record.published:
        shown.append(record.published["length"] + np.nan_to_num(record.published["length_error"]))
    return np.concatenate(shown)


def length_axis(ax: Axes, shown: np.ndarray) -> None:
    """Limits just below 1 and above the longest; logarithmic where lengths differ fourfold."""
    top = np.nanmax(shown)
    top = 1.01 if top < 1.001 else top
    if top > 4:
        ax.set_yscale("log")
        ax.set_ylim(top**-0.04, top**1.06)
        number_axis(ax, "y")
    else:
        ax.set_ylim(1 - 0.04 * (top - 1), top + 0.06 * (top - 1))
        ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_ylabel("normalized length")


def draw_beads(ax: Axes, record: Geodesics) -> None:
    """Bead counts of single pairs, mean ± standard error, published points."""
    data, order = record.statistics(), np.argsort(record.levels)
    levels, beads = record.levels[order], record.connected_beads[:, order]
    draw_pairs(ax, levels, beads, record.paired)
    draw_mean(ax, levels, data["beads"][order], data["beads_error"][order])
    draw_published(ax, record, "beads")
    ax.set_ylabel("beads of a string, ends included")
    ax.set_yscale("log")
    shown = [beads.ravel()] + ([record.published["beads"]] if record.published else [])
    ax.set_ylim(*log_limits(np.append(np.concatenate(shown), 3)))  # a bent string has 3 beads
    number_axis(ax, "y")
    if not np.isfinite(beads).any():
        say(ax, "no pair is connected", above=record.published is not None)


def draw_pairs(ax: Axes, levels: np.ndarray, values: np.ndarray, paired: bool) -> None:
    """One faint line for each pair, broken where it is not connected.

    Dots alone where not `paired`: a line would join networks that have nothing in common.
    """
    if np.isfinite(values).any():
        faint = {"color": GRAY, "alpha": 0.4, "lw": 0.6, "marker": "o", "ms": 1.8, "mew": 0}
        faint |= {} if paired else {"ls": "", "ms": 2.4}
        lines = ax.plot(levels, values.T, zorder=1, **faint)
        lines[0].set_label("one pair" if paired else "one pair, trained for a level")


def draw_mean(ax: Axes, levels: np.ndarray, mean: np.ndarray, error: np.ndarray) -> None:
    """Mean ± standard error, at levels where anything is connected."""
    some = np.isfinite(mean)
    if some.any():
        marks = {"color": BLUE, "marker": "o", "ms": 4, "capsize": 2.5, "zorder": 3}
        label = "mean ± standard error" if np.isfinite(error).any() else "mean"
        ax.errorbar(levels[some], mean[some], error[some], label=label, **marks)


def draw_published(ax: Axes, record: Geodesics, what: str) -> None:
    """The published curve, where there is one."""
    published = record.published
    if published is None or not np.isfinite(published[what]).any():
        return
    order = np.argsort(published["level"])
    marks = {
        "color": ORANGE,
        "marker": "s",
        "ms": 4,
        "mfc": "none",
        "ls": "--",
        "lw": 1.0,
        "capsize": 2,
    }
    if not published["joined"]:
        marks["ls"] = ""
    columns = (published[key][order] for key in ("level", what, f"{what}_error"))
    ax.errorbar(*columns, label=published["label"], zorder=4, **marks)


def draw_failures(ax: Axes, record: Geodesics) -> None:
    """A rail with one mark for each pair that failed at each level."""
    states = record.data["state"].values
    for state, (marker, color) in FAILURES.items():
        pairs, levels = np.nonzero(states == state)
        if len(pairs):
            heights = (pairs + 0.5) / len(states)
            ax.plot(
                *(record.levels[levels], heights, marker),
                **{"color": color, "ms": 3.5, "mew": 0.8, "label": state, "clip_on": False},
            )
    ax.set_ylim(-0.05, 1.05)
    ax.set_yticks([])
    ax.set_ylabel("failed", rotation=0, ha="right", va="center")
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_color(PALE)


def draw_counts(ax: Axes, record: Geodesics) -> None:
    """Fraction connected at every level, with the numbers where there is room."""
    order = np.argsort(record.levels)
    levels, tried = record.levels[order], record.tried[order]
    connected = record.count(*CONNECTED_STATES)[order]
    fraction = np.where(tried > 0, connected / np.maximum(tried, 1), np.nan)
    marks = {"color": GREEN, "marker": "D", "ms": 3, "lw": 1.0, "clip_on": False}
    if tried.any():
        ax.plot(levels, fraction, label="fraction connected", **marks)
    elif record.count("pending").any():
        say(ax, "no pair was tried yet")
    else:
        say(ax, "at no level were there two ends to connect")
    fraction_axis(ax)
    some = np.flatnonzero(tried > 0)
    upright = len(apart(ax, record, levels[some], 26)) < len(some)
    for i in some[apart(ax, record, levels[some], 9 if upright else 26)]:
        below = fraction[i] > 0.5
        ax.annotate(
            f"{connected[i]}/{tried[i]}",
            (levels[i], fraction[i]),
            xytext=(0, -5 if below else 5),
            textcoords="offset points",
            fontsize=7,
            color=GRAY,
            rotation=90 if upright else 0,
            ha="center",
            va="top" if below else "bottom",
        )


def fraction_axis(ax: Axes) -> None:
    """Fractions connected, from 0 to 1."""
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 1])
    ax.set_ylabel("fraction\nconnected", fontsize=8)


def apart(ax: Axes, record: Geodesics, levels: np.ndarray, least: float) -> np.ndarray:
    """Indices of rising `levels`, from the highest down, at least so many points apart."""
    low, high = level_limits(record)
    width = 1.1 * 72 * ax.get_window_extent().width / ax.figure.dpi  # the layout widens axes
    points = width * np.log10(levels / low) / np.log10(high / low)
    kept: list[int] = []
    for i in range(len(levels))[::-1]:
        if not kept or points[kept[-1]] - points[i] >= least:
            kept.append(i)
    return np.array(kept, int)


def draw_plateaux(axes: list[Axes], record: Geodesics, labels: bool = True) -> None:
    """The energies of trivial predictors as vertical lines through `axes`, labelled on top.

    So are published energies, in their color. Each label has a line of its own, the rightmost the
    highest: none crosses another's leader. Without `labels` the legend says what kind they are.
    """
    low, high = level_limits(record)
    lines = [(value, label, GRAY) for label, value in record.plateaux.items()]
    lines += [(value, f"published {label}", ORANGE) for label, value in marks_of(record).items()]
    shown = sorted(line for line in lines if low < line[0] < high)
    kinds = {} if labels else {GRAY: "trivial predictors", ORANGE: "published energies"}
    for ax in axes:
        for value, _, color in shown:
            line = ax.axvline(value, color=color, lw=0.8, ls=(0, (4, 2)), zorder=0)
            line.set_label(kinds.get(color, ""))
    for row, (value, label, color) in enumerate(shown if labels else ()):
        left = np.log(value / low) < 0.3 * np.log(high / low)  # no room for words to the left
        axes[0].annotate(
            f" {label} {number(value)} ",
            xy=(value, 1.0),
            xycoords=axes[0].get_xaxis_transform(),
            xytext=(0, 5 + 10 * (row if not left else len(shown) - 1 - row)),
            textcoords="offset points",
            ha="left" if left else "right",
            va="bottom",
            fontsize=7.5,
            color=color,
            arrowprops={
                **{"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkA": 0, "shrinkB": 0},
                **{"relpos": (0.0 if left else 1.0, 0.0), "connectionstyle": "arc3"},
            },
        )


def marks_of(record: Geodesics) -> dict[str, float]:
    """Published energies by label; empty without any."""
    return record.published["marks"] if record.published else {}


def level_limits(record: Geodesics) -> tuple[float, float]:
    """Limits of the level axis: levels, published levels, lines that are not far away."""
    levels = record.levels
    if record.published:
        levels = np.concatenate([levels, record.published["level"]])
    low, high = log_limits(levels)
    lines = [*record.plateaux.values(), *marks_of(record).values()]
    near = [v for v in lines if low / NEAR < v < high * NEAR]
    return log_limits(np.array([*levels, *near]))


def level_axis(ax: Axes, record: Geodesics) -> None:
    """The logarithmic level axis with its label; the levels as ticks where they are crowded."""
    ax.set_xscale("log")
    low, high = level_limits(record)
    ax.set_xlim(low, high)
    number_axis(ax, "x")
    if len([tick for tick in ax.get_xticks() if low <= tick <= high]) < 3 or high < 3 * low:
        levels = np.unique(record.levels)
        ax.set_xticks(levels[apart(ax, record, levels, 32)])
        ax.set_xticks(levels, minor=True)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(f"level λ: {energy_label(record)}")


def energy_label(record: Geodesics) -> str:
    """`train cross-entropy (nats)`."""
    name, unit = (str(record.data.attrs[key]) for key in ("functional", "unit"))
    return f"{name or 'energy'} ({unit})" if unit else name or "energy"


def say(ax: Axes, text: str, above: bool = False) -> None:
    """Words in the middle of empty axes, or `above` what else is on them."""
    if above:
        ax.set_title(text, loc="right", color=GRAY)
    else:
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GRAY)
