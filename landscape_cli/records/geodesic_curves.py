"""Curves of single strings and networks: energies along strings, energies along training."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from landscape_cli.plots import (
    AMBER,
    BLUE,
    DECADES,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    log_limits,
    number,
    number_axis,
)
from landscape_cli.records.furniture import SERIES, counted
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.geodesic_marks import energy_label, say

MARGIN = "margin below λ, 1 − F/λ"
NEAR = 1e-3  # margins below are drawn on a linear scale, which goes on above the level


def draw_profiles(ax: Axes, record: Geodesics, level: int) -> None:
    """Margin along the shortest, the median and the longest string of one level."""
    names, styles = ("shortest", "median", "longest"), ("-", "--", ":")
    colors = (BLUE, GREEN, ORANGE)
    pairs = chosen_pairs(record, level)
    for pair, k in pairs:
        label = f"{names[k]} string" if len(pairs) > 1 else "the only string"
        marks = {"ls": styles[k], "color": colors[k], "lw": 1.1, "label": label}
        ax.plot(record.data["t"], margins(record, pair, level), **marks)
    lengths = ", ".join(f"{record.connected_lengths[pair, level]:.3f}" for pair, _ in pairs)
    ax.set_title(f"λ = {number(record.levels[level], 3)} ({lengths})", fontsize=8)
    ax.set_xlim(0, 1)
    margin_axis(ax, record)


def draw_median_profiles(ax: Axes, record: Geodesics) -> None:
    """Margin along the string of median length of up to four levels."""
    levels = chosen_levels(record, 4)
    for level, (color, _, dashes) in zip(levels, SERIES, strict=False):
        pair = chosen_pairs(record, level, (1,))[0][0]
        label = f"λ = {number(record.levels[level], 3)}"
        marks = {"color": color, "ls": dashes, "lw": 1.0, "label": label}
        ax.plot(record.data["t"], margins(record, pair, level), **marks)
    ax.set_xlim(0, 1)
    words = f"{len(levels)} of {counted(len(record.levels), 'level')}"
    ax.set_xlabel(f"position t along the string of median length ({words})")
    ax.set_ylabel(MARGIN)
    if levels:
        margin_axis(ax, record)
        beside = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
        ax.legend(ncols=4, fontsize=7, columnspacing=1.2, **beside)
    else:
        say(ax, "no string is connected")


def margins(record: Geodesics, pair: int, level: int) -> np.ndarray:
    """(t,) 1 - F/λ along one string; negative where published slack let it leave the set."""
    return 1 - record.data["profile"].values[pair, level] / record.levels[level]


def margin_axis(ax: Axes, record: Geodesics) -> None:
    """The level near the top, and what lies above it: logarithmic but close to the level."""
    profiles = record.data["profile"].values / record.levels[:, None]
    lowest = 1 - np.nanmax(profiles[np.isfinite(record.connected_lengths)])
    ticks = np.array([1, 0.1, 0.01, NEAR, 0, -NEAR, -0.01, -0.1, -1])
    ax.set_yscale("symlog", linthresh=NEAR, linscale=0.5)
    ax.axhline(0.0, color=GRAY, lw=0.8, zorder=0)
    ax.set_ylim(1.0, min(2 * lowest, -0.3 * NEAR))
    shown = ticks[ticks >= ax.get_ylim()[1]]
    ax.set_yticks(shown, [number(tick) for tick in shown])
    ax.set_yticks([], minor=True)


def draw_training(ax: Axes, record: Geodesics) -> None:
    """Energy of every network along training, with the levels as lines and who arrived marked."""
    steps, curves = record.data["training_step"].values, record.data["training_curve"].values
    diverged = record.data["diverged"].values
    curves = np.where(np.isfinite(curves) & (curves > 0), curves, np.nan).clip(max=10.0**DECADES)
    beyond = curves >= 10.0**DECADES
    curves[:, 1:][beyond[:, :-1]] = np.nan  # a line ends where it leaves what can be drawn
    ax.set_xlabel("training step")
    ax.set_ylabel(energy_label(record))
    if not np.isfinite(curves).any():
        say(ax, "no energy above 0 was recorded")
        return
    kinds = ((~diverged, "one network", BLUE, 0.7), (diverged, "diverged network", PURPLE, 1.4))
    for chosen, label, color, width in kinds:
        if np.isfinite(curves[chosen]).any():
            lines = ax.plot(steps, curves[chosen].T, color=color, alpha=0.7, lw=width)
            lines[0].set_label(label)
    ends = arrivals(record)
    for before, after, above, energy in ends:
        ax.plot([before, after], [above, energy], color=BLUE, alpha=0.7, lw=0.7)
    if len(ends):
        marks = {"ls": "", "marker": "o", "ms": 3, "mfc": AMBER, "mec": "black", "mew": 0.4}
        label = f"lowest level crossed, up to {steps[1] - steps[0]} steps earlier"
        ax.plot(ends[:, 1], ends[:, 3], **marks, label=label, zorder=3, clip_on=False)
    for i, level in enumerate(record.levels):
        ax.axhline(level, color=GRAY, lw=0.5, ls=":", zorder=0, label="" if i else "level λ")
    step_axis(ax, steps, max(steps.max(), *ends[:, 1]) if len(ends) else steps.max())
    ax.set_yscale("log")
    # Networks that diverge leave through the top, unless there are no others to look at.
    calm = curves if diverged.all() else curves[~diverged]
    shown = [calm.ravel(), curves[:, :1].ravel(), record.levels]
    ax.set_ylim(*log_limits(np.concatenate(shown)))
    number_axis(ax, "y")


def arrivals(record: Geodesics) -> np.ndarray:
    """(network, 4) last recorded step, the next one, energy at the first, and of the crossing.

    Of networks that crossed the lowest level. Curves are recorded at some steps only, crossings
    are seen at every step: what is known is between which two records one was.
    """
    data, lowest = record.data, int(np.argmin(record.levels))
    steps, curves = data["training_step"].values, data["training_curve"].values
    if len(steps) < 2:
        return np.zeros((0, 4))
    found = []
    for side in ("start", "end"):
        energies = data[f"{side}_energy"].values[:, lowest]
        for network, energy in zip(data[f"{side}_network"].values, energies, strict=True):
            known = np.flatnonzero(np.isfinite(curves[network]))
            if network >= 0 and np.isfinite(energy) and len(known):
                last = known[-1]
                there = curves[network, last] <= energy  # the record is the crossing
                after = steps[last] + (0 if there else steps[1] - steps[0])
                found.append((steps[last], after, curves[network, last], energy))
    return np.array(found).reshape(-1, 4)


def step_axis(ax: Axes, steps: np.ndarray, last: float) -> None:
    """Training steps from the beginning on: linear up to the first record, logarithmic beyond."""
    first = steps[steps > 0].min(initial=last)
    if not 0 < first < last:
        return
    ax.set_xscale("symlog", linthresh=first, linscale=0.3)
    ax.set_xlim(0, last)
    decades = 10.0 ** np.arange(np.floor(np.log10(first)), np.log10(last) + 1)
    parts = (1, 2, 5) if last < 400 * first else (1,)
    ticks = [d * k for d in decades for k in parts if 1.2 * first <= d * k <= last]
    ax.set_xticks([0.0, *ticks], [f"{tick:,.0f}" for tick in (0.0, *ticks)])
    minor = [d * k for d in decades for k in range(1, 10) if first <= d * k <= last]
    ax.set_xticks(minor, minor=True)


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
