"""The figure of a multirun of `Geodesics`: lengths of its jobs on one level axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from landscape_cli.plots import PALE, log_limits, new_figure, number_axis
from landscape_cli.records.furniture import SERIES, counted, heading, legend_below, unfinished
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.geodesic_marks import energy_label, fraction_axis, length_axis, say
from landscape_cli.records.statistics import mean_and_error


def length_comparison(groups: Mapping[str, Sequence[Geodesics]]) -> Figure:
    """Mean normalized length ± standard error against level, and the fraction connected.

    Args:
        groups: records by name; those of one group, of several seeds, count as one: the mean is
            that of all their pairs, and each has a thin line.
    """
    figure = new_figure(7.0, 5.2)
    main, strip = figure.subplots(2, 1, sharex=True, height_ratios=[6.0, 1.0])
    records = [record for group in groups.values() for record in group]
    main.axhline(1.0, color=PALE, lw=0.8, zorder=0)
    tops = [
        draw_group(main, strip, name, group, marks)
        for (name, group), marks in zip(groups.items(), styles(len(groups)), strict=True)
    ]
    if not np.isfinite(tops).any():
        say(main, "no pair is connected")
    length_axis(main, np.array([1.0, *tops]))
    main.tick_params(labelbottom=False)
    fraction_axis(strip)
    common_level_axis(strip, records)
    pending = sum(int(record.count("pending").sum()) for record in records)
    rows = sum(record.data["state"].size for record in records)
    words = [counted(len(records), "job"), "mean ± standard error over pairs"]
    kinds = sorted({repetition(group) for group in groups.values() if len(group) > 1})
    words += [f"thin: one {' or '.join(kinds)}"] if kinds else []
    heading(figure, common(records), *words, *unfinished(pending, rows))
    legend_below(figure, [main])
    return figure


def draw_group(
    main: Axes, strip: Axes, name: str, group: Sequence[Geodesics], marks: dict
) -> float:
    """Curves of one group, lengths on `main` and fractions on `strip`; how high they reach."""
    levels, mean, error, fraction = np.array(list(pooled(group))).T
    some, several, kind = np.isfinite(mean), len(group) > 1, repetition(group)
    label = ", ".join([name] * bool(name) + [counted(len(group), kind)] * several)
    large = {"label": label, "ms": 4, "capsize": 2.5, "zorder": 3}
    main.errorbar(levels[some], mean[some], error[some], **large, **marks)
    strip.plot(levels, fraction, ms=3, lw=1.0, clip_on=False, **marks)
    tops = [mean + np.nan_to_num(error)]
    for record in group if several else ():
        order = np.argsort(record.levels)
        tops.append(record.statistics()["mean"][order])
        main.plot(record.levels[order], tops[-1], color=marks["color"], lw=0.6, alpha=0.5)
    reached = np.concatenate(tops)
    return float(reached[np.isfinite(reached)].max(initial=-np.inf))


def repetition(group: Sequence[Geodesics]) -> str:
    """What a record of a group is one of: a run where the same seed was run twice."""
    seeds = {str(record.data.attrs.get("seed")) for record in group}
    return "seed" if len(seeds) == len(group) else "run"


def pooled(group: Sequence[Geodesics]) -> Iterator[tuple[float, float, float, float]]:
    """Level, mean length, its standard error and fraction connected, over the pairs of a group."""
    for level in np.unique(np.concatenate([record.levels for record in group])):
        here = [(record, record.levels == level) for record in group]
        lengths = np.concatenate([record.connected_lengths[:, at].ravel() for record, at in here])
        tried = sum(int(record.tried[at].sum()) for record, at in here)
        fraction = np.isfinite(lengths).sum() / tried if tried else np.nan
        yield level, *mean_and_error(lengths), fraction


def styles(count: int) -> list[dict]:
    """Color, mark and dashes of every curve; beyond what can be told apart, from dark to light."""
    if count <= len(SERIES):
        keys = ("color", "marker", "ls")
        return [dict(zip(keys, each, strict=True)) for each in SERIES[:count]]
    colors = colormaps["viridis"](np.linspace(0, 0.92, count))
    marks = [mark for _, mark, _ in SERIES]
    return [
        {"color": tuple(color), "marker": marks[i % len(marks)], "ls": "-"}
        for i, color in enumerate(colors)
    ]


def common(records: Sequence[Geodesics]) -> dict:
    """The attributes that all records share."""
    first, *others = [record.data.attrs for record in records]
    same = lambda key: all(str(other.get(key)) == str(first[key]) for other in others)
    return {key: value for key, value in first.items() if same(key)}


def common_level_axis(ax: Axes, records: Sequence[Geodesics]) -> None:
    """The logarithmic axis of all levels, with the name of the energy if it is the same one."""
    ax.set_xscale("log")
    ax.set_xlim(*log_limits(np.concatenate([record.levels for record in records])))
    number_axis(ax, "x")
    ax.xaxis.set_minor_formatter(NullFormatter())
    labels = {energy_label(record) for record in records}
    ax.set_xlabel(f"level λ: {labels.pop()}" if len(labels) == 1 else "level λ")
