"""Curves of single strings and networks: energies along strings, energies along training."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from landscape_cli.plots import BLUE, GRAY, GREEN, ORANGE, PURPLE, log_limits, number, number_axis
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.geodesic_marks import energy_label, say


def draw_profiles(ax: Axes, record: Geodesics, level: int) -> None:
    """Energy over level along the shortest, the median and the longest string of one level."""
    names, styles = ("shortest", "median", "longest"), ("-", "--", ":")
    colors = (BLUE, GREEN, ORANGE)
    value = record.levels[level]
    pairs = chosen_pairs(record, level)
    for pair, k in pairs:
        length = record.connected_lengths[pair, level]
        label = f"{names[k] if len(pairs) > 1 else 'length'} {length:.3f}"
        energies = record.data["profile"].values[pair, level] / value
        ax.plot(record.data["t"], energies, ls=styles[k], color=colors[k], lw=1.1, label=label)
    ax.axhline(1.0, color=GRAY, lw=0.8, zorder=0)
    ax.set_title(f"λ = {number(value, 3)}")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(1.05, ax.get_ylim()[1]))
    ax.legend(loc="lower center", fontsize=7, handlelength=2.2)


def draw_median_profiles(ax: Axes, record: Geodesics) -> None:
    """Energy over level along the string of median length of up to six levels."""
    levels = chosen_levels(record, 6)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.85, 0.0, max(len(levels), 1)))
    for level, color in zip(levels, colors, strict=False):
        pair = chosen_pairs(record, level, (1,))[0][0]
        energies = record.data["profile"].values[pair, level] / record.levels[level]
        label = f"λ = {number(record.levels[level], 3)}"
        ax.plot(record.data["t"], energies, color=color, lw=1.1, label=label)
    ax.axhline(1.0, color=GRAY, lw=0.8, zorder=0)
    ax.set_xlim(0, 1)
    ax.set_xlabel("position t along the string of median length")
    ax.set_ylabel("energy / level λ")
    if levels:
        ax.set_ylim(0, max(1.05, ax.get_ylim()[1]))
        ax.legend(loc="lower center", ncols=2, fontsize=7)
    else:
        say(ax, "no string is connected")


def draw_training(ax: Axes, record: Geodesics) -> None:
    """Energy of every network along training, with the levels as horizontal lines."""
    steps, curves = record.data["training_step"].values, record.data["training_curve"].values
    diverged = record.data["diverged"].values
    curves = np.where(np.isfinite(curves) & (curves > 0), curves, np.nan)
    ax.set_xlabel("training step")
    ax.set_ylabel(energy_label(record))
    if not np.isfinite(curves).any():
        say(ax, "no training curve")
        return
    kinds = ((~diverged, "one network", BLUE, 0.7), (diverged, "diverged network", PURPLE, 1.4))
    for chosen, label, color, width in kinds:
        if np.isfinite(curves[chosen]).any():
            lines = ax.plot(steps, curves[chosen].T, color=color, alpha=0.7, lw=width)
            lines[0].set_label(label)
    for i, level in enumerate(record.levels):
        ax.axhline(level, color=GRAY, lw=0.5, ls=":", zorder=0, label="" if i else "level λ")
    if (steps > 0).sum() > 1:
        ax.set_xscale("log")
        ax.set_xlim(steps[steps > 0].min(), steps.max())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_yscale("log")
    ax.set_ylim(*log_limits(np.concatenate([curves.ravel(), record.levels])))
    number_axis(ax, "y")


def chosen_levels(record: Geodesics, most: int) -> list[int]:
    """Indices of up to `most` levels where a string is connected, evenly spread, high to low."""
    some = np.flatnonzero(np.isfinite(record.connected_lengths).any(axis=0))
    some = some[np.argsort(-record.levels[some], kind="stable")]
    picks = np.unique(np.linspace(0, len(some) - 1, min(most, len(some))).round().astype(int))
    return [int(i) for i in some[picks]]


def chosen_pairs(
    record: Geodesics, level: int, which: tuple[int, ...] = (0, 1, 2)
) -> list[tuple[int, int]]:
    """(pair, k) of the shortest (k = 0), median (1), longest (2) string of a level, each once."""
    lengths = record.connected_lengths[:, level]
    ranked = np.argsort(lengths, kind="stable")[: int(np.isfinite(lengths).sum())]
    ranks = (0, (len(ranked) - 1) // 2, len(ranked) - 1)
    pairs = {int(ranked[ranks[k]]): k for k in reversed(which)}
    return sorted(pairs.items(), key=lambda item: item[1])
