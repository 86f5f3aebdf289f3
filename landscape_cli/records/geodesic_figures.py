"""The figures of `Geodesics`: lengths, beads, energies along strings, training curves."""

from __future__ import annotations

from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape_cli.plots import new_figure
from landscape_cli.records.furniture import counted, heading, unfinished
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.geodesic_curves import (
    MARGIN,
    chosen_levels,
    draw_median_profiles,
    draw_profiles,
    draw_training,
)
from landscape_cli.records.geodesic_marks import (
    FAILURES,
    draw_beads,
    draw_counts,
    draw_failures,
    draw_lengths,
    draw_plateaux,
    level_axis,
    say,
)


def figures(record: Geodesics) -> dict[str, Figure]:
    """All figures by file stem; known minima of a formula were not trained."""
    drawn = {
        "length": length_figure,
        "beads": beads_figure,
        "profiles": profiles_figure,
        "training": training_figure,
        "overview": overview_figure,
    }
    if not record.trained:
        del drawn["training"]
    return {stem: draw(record) for stem, draw in drawn.items()}


def length_figure(record: Geodesics) -> Figure:
    """Normalized length against level, failures above it, fractions connected below it."""
    figure = new_figure(7.0, 5.2)
    failed = bool(record.count(*FAILURES).any())
    ratios = [0.7, 6.0, 1.0] if failed else [6.0, 1.0]
    axes = list(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios))
    main, strip = axes[-2:]
    draw_lengths(main, record)
    draw_counts(strip, record)
    if failed:
        draw_failures(axes[0], record)
    for ax in axes[:-1]:
        ax.tick_params(labelbottom=False)
    draw_plateaux(axes[:-1], record)
    level_axis(strip, record)
    title(figure, record)
    legend(figure, axes)
    return figure


def beads_figure(record: Geodesics) -> Figure:
    """Bead count against level, both logarithmic."""
    figure = new_figure(5.6, 4.2)
    ax = figure.subplots()
    draw_beads(ax, record)
    draw_plateaux([ax], record)
    level_axis(ax, record)
    title(figure, record)
    legend(figure, [ax])
    return figure


def profiles_figure(record: Geodesics) -> Figure:
    """Margins along the shortest, the median and the longest string of up to six levels."""
    levels = chosen_levels(record, 6)
    rows = 1 if len(levels) <= 3 else 2
    columns = -(-max(len(levels), 1) // rows)
    figure = new_figure(max(2.5 * columns, 4.0), 2.2 * rows + 0.8)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, level in zip(grid.flat, levels, strict=False):
        draw_profiles(ax, record, level)
    for ax in list(grid.flat)[len(levels) :]:
        ax.set_axis_off()
    if not levels:
        grid[0, 0].set_axis_off()
        say(grid[0, 0], "no string is connected")
    words = f"{len(levels)} of {counted(len(record.levels), 'level')}"
    title(figure, record, words, "in brackets: normalized lengths")
    for ax in grid[-1]:
        ax.set_xlabel("position t along the string")
    figure.supylabel(MARGIN, fontsize=9)
    legend(figure, list(grid.flat))
    return figure


def training_figure(record: Geodesics) -> Figure:
    """Training curves of all networks, with the levels as lines."""
    figure = new_figure(5.6, 4.0)
    ax = figure.subplots()
    draw_training(ax, record)
    diverged = record.data["diverged"].values
    words = f"training diverged in {diverged.sum()} of {counted(len(diverged), 'network')}"
    title(figure, record, *[words] * bool(diverged.any()))
    legend(figure, [ax])
    return figure


def overview_figure(record: Geodesics) -> Figure:
    """Four panels: lengths, beads, energies along median strings, training if there was any."""
    figure = new_figure(9.6, 7.2)
    if record.trained:
        panels = dict(zip("abcd", figure.subplots(2, 2).flat, strict=True))
    else:
        panels = figure.subplot_mosaic("ab;cc")
    lengths, beads, profiles, *training = panels.values()
    draw_lengths(lengths, record)
    draw_beads(beads, record)
    for ax in (lengths, beads):
        draw_plateaux([ax], record, labels=False)
        level_axis(ax, record)
    draw_median_profiles(profiles, record)
    for ax in training:
        draw_training(ax, record)
    for letter, ax in panels.items():
        ax.set_title(letter, fontweight="bold")
    title(figure, record)
    legend(figure, [lengths, *training])
    return figure


def legend(figure: Figure, axes: list[Axes]) -> None:
    """One legend for all `axes`, under the figure."""
    found = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        columns = min(len(found), max(int(figure.get_figwidth() / 2.2), 2))
        words = [fill(label, 30) for label in found]
        figure.legend(found.values(), words, loc="outside lower center", ncols=columns)


def title(figure: Figure, record: Geodesics, *more: str) -> None:
    """What was run on top, and `more`; says so when rows are still pending."""
    pairs, pending = record.data.sizes["pair"], int(record.count("pending").sum())
    words = [counted(pairs, "pair"), *more, *unfinished(pending, record.data["state"].size)]
    heading(figure, record.data.attrs, *words)
