"""The figures of `Minima`: disconnectivity tree, components against level, bounds of all pairs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape_cli.core import trees
from landscape_cli.plots import BLACK, BLUE, ORANGE, new_figure
from landscape_cli.records.furniture import (
    counted,
    energy_axis,
    energy_words,
    heading,
    legend_below,
    nothing,
)
from landscape_cli.records.geodesic_marks import say
from landscape_cli.records.minima import STATES, UPPER, Minima

MOST_NAMES = 40  # minima whose numbers fit under a figure
MOST_ROWS = 16  # minima whose numbers fit beside half a figure


def figures(record: Minima) -> dict[str, Figure]:
    """All figures by file stem."""
    return {
        "tree": tree_figure(record),
        "components": components_figure(record),
        "bounds": bounds_figure(record),
    }


def tree_figure(record: Minima) -> Figure:
    """Disconnectivity tree: every line ends at a minimum, lines join at the height of a path."""
    figure = new_figure(max(4.6, min(0.28 * len(record.energies) + 2, 11.0)), 4.6)
    ax = figure.subplots()
    if len(record.energies) == 0:
        return _no_minimum(figure, ax, record)
    line = trees.order(record.energies, record.heights)
    place: dict[tuple[int, ...], float] = {(i,): float(x) for x, i in enumerate(line)}
    foot: dict[tuple[int, ...], float] = {(i,): float(record.energies[i]) for i in line}
    for merge in trees.merges(record.energies, record.heights):
        whole = merge.left + merge.right
        for part in (merge.left, merge.right):
            ax.plot([place[part]] * 2, [foot[part], merge.height], color=BLUE, lw=1.1)
        ends = [place[merge.left], place[merge.right]]
        ax.plot(ends, [merge.height] * 2, color=BLUE, lw=1.1)
        place[whole], foot[whole] = float(np.mean(ends)), merge.height
    ax.plot(
        range(len(line)), record.energies[line], "o", color=ORANGE, ms=4, label="minimum",
        clip_on=False, zorder=3,
    )  # fmt: skip
    ax.plot([], [], color=BLUE, lw=1.1, label=UPPER)
    shown = np.concatenate([record.energies, record.tree_heights])
    energy_axis(ax, shown, record.data.attrs)
    if len(record.tree_heights) == 0 and len(line) > 1:
        say(ax, "no two minima are joined")
    ax.set_xlim(-0.7, max(len(line) - 0.3, 0.7))
    few = len(line) <= MOST_NAMES
    ax.set_xticks(range(len(line)) if few else [], [str(i) for i in line] if few else [])
    ax.set_xlabel("minimum, numbered from the lowest")
    ax.set_ylabel(energy_words(record.data.attrs))
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="x", length=0)
    heading(figure, record.data.attrs, *_counts(record))
    legend_below(figure, [ax], columns=1)
    return figure


def components_figure(record: Minima) -> Figure:
    """How many groups of minima hang together below each level, and from where to where."""
    figure = new_figure(6.4, 5.0)
    counts, barcode = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.2])
    bars = trees.bars(record.energies, record.heights)
    finite = bars[np.isfinite(bars)]
    if len(finite) == 0:
        barcode.set_axis_off()
        return _no_minimum(figure, counts, record)
    energy_axis(barcode, finite, record.data.attrs, "x")
    low, high = barcode.get_xlim()
    levels = np.unique(np.concatenate([[low], finite, [high]]))
    components = trees.components(record.energies, record.heights, levels)
    counts.step(levels, components, where="post", color=BLACK)
    counts.set_ylabel("components\nbelow the level\n(at most)")
    counts.set_ylim(0, components.max() + 0.6)
    counts.yaxis.get_major_locator().set_params(integer=True)
    line = np.argsort(bars[:, 0] - bars[:, 1], kind="stable")
    for row, i in enumerate(line):
        birth, death = bars[i]
        ends = np.isfinite(death)
        marks = {"color": BLUE if ends else ORANGE, "lw": 2.0, "marker": "|", "ms": 3}
        barcode.plot([birth, death if ends else high], [row, row], **marks)
    barcode.plot([], [], color=BLUE, lw=2, label="until it joins a component with a lower minimum")
    barcode.plot([], [], color=ORANGE, lw=2, label="never: the lowest of its tree")
    rows = range(0, len(line), -(-len(line) // MOST_ROWS))
    barcode.set_yticks(rows, [str(line[row]) for row in rows])
    barcode.set_ylim(-0.7, len(line) - 0.3)
    barcode.set_ylabel("minimum, numbered\nfrom the lowest")
    barcode.set_xlabel(f"level: {energy_words(record.data.attrs)}")
    heading(figure, record.data.attrs, *_counts(record))
    legend_below(figure, [counts, barcode])
    return figure


def bounds_figure(record: Minima) -> Figure:
    """The bound of every pair; pairs that were joined directly are marked."""
    figure = new_figure(5.2, 4.6)
    ax = figure.subplots()
    if len(record.energies) == 0:
        return _no_minimum(figure, ax, record)
    line = trees.order(record.energies, record.heights)
    bounds = trees.bounds(record.heights)[np.ix_(line, line)]
    finite = np.isfinite(bounds)
    if not finite.any():
        why = "no two minima are joined"
        return nothing(figure, ax, record.data.attrs, why, *_counts(record))
    limits = {"vmin": bounds[finite].min(), "vmax": bounds[finite].max()}
    image = ax.imshow(np.where(finite, bounds, np.nan), cmap="viridis_r", **limits)
    figure.colorbar(image, ax=ax, label=f"bound: {energy_words(record.data.attrs)}")
    data, at = record.data, {minimum: x for x, minimum in enumerate(line)}
    for tree, mark, size, label in (
        (True, "s", 5, "joined directly: edge of the tree"),
        (False, "o", 2.5, "joined directly: not lower than the tree"),
    ):  # fmt: skip
        rows = (data["in_tree"].values == tree) & np.isfinite(data["height"].values)
        i = [at[x] for x in data["first"].values[rows]]
        j = [at[x] for x in data["second"].values[rows]]
        style = {"mfc": "white", "mec": "black", "mew": 0.7, "label": label}
        if i:
            ax.plot(i + j, j + i, mark, ms=size, **style)
    few = len(line) <= MOST_NAMES // 2
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(len(line)) if few else [], [str(i) for i in line] if few else [])
        axis.set_tick_params(length=0)
    ax.set_xlabel("minimum")
    ax.set_ylabel("minimum")
    for spine in ax.spines.values():
        spine.set_visible(False)
    heading(figure, record.data.attrs, *_counts(record))
    legend_below(figure, [ax], columns=1)
    return figure


def _no_minimum(figure: Figure, ax: Axes, record: Minima) -> Figure:
    """The figure of a run whose descents all ended elsewhere, and how they ended."""
    states = record.data["state"].values
    ended = [f"{(states == state).sum()} {state}" for state in STATES if state in states]
    why = f"no minimum was found:\n{counted(len(states), 'descent')}, {', '.join(ended)}"
    return nothing(figure, ax, record.data.attrs, why, *_counts(record))


def _counts(record: Minima) -> list[str]:
    data = record.data
    return [
        f"{counted(data.sizes['minimum'], 'minimum', 'minima')} "
        f"of {counted(data.sizes['start'], 'descent')}",
        f"{counted(data.sizes['connection'], 'pair')} tried",
    ]
