"""The figures of `Interpolations`: lines from beginnings, between solutions, training off them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from landscape_cli.plots import BLUE, GRAY, ORANGE, PALE, new_figure, number
from landscape_cli.records.furniture import (
    SERIES,
    counted,
    energy_axis,
    energy_words,
    heading,
    legend_below,
    median,
    nothing,
)
from landscape_cli.records.geodesic_marks import say
from landscape_cli.records.interpolations import Interpolations
from landscape_cli.records.statistics import mean_and_error


def figures(record: Interpolations) -> dict[str, Figure]:
    """All figures by file stem."""
    return {
        "from_beginning": beginnings_figure(record),
        "between_solutions": solutions_figure(record),
        "off_line": off_line_figure(record),
    }


def beginnings_figure(record: Interpolations) -> Figure:
    """Energies from before the beginning to beyond the solution, a panel for every split."""
    figure, panels = _panels(record)
    energies, alphas = record.data["energy"].values, record.data["alpha"].values
    for index, ax in enumerate(panels):
        _lines(ax, record, energies[:, index], "one network")
        if np.isfinite(energies[:, index]).any():
            middle = _median(energies[:, index])
            ax.plot(alphas, middle, color=BLUE, lw=1.8, label="median over networks")
        marks = ((0.0, "beginning"), (1.0, "solution"))
        _finish(ax, record, energies[:, index], index, marks)
        ax.set_xlabel("position α on the line")
    states = record.data["state"].values
    arrived, lost = (int((states == state).sum()) for state in ("trained", "diverged"))
    words = [f"{arrived} of {counted(len(energies), 'network')} at the lowest level"]
    heading(figure, record.data.attrs, *words, *[f"{lost} diverged"] * (lost > 0))
    legend_below(figure, panels)
    return figure


def solutions_figure(record: Interpolations) -> Figure:
    """Energies through pairs of solutions, as they are and as gauges copy them."""
    figure, panels = _panels(record)
    energies, alphas = record.data["pair_energy"].values, record.data["alpha"].values
    for index, ax in enumerate(panels):
        for row, gauge in enumerate(record.data["gauge"].values):
            color, _, dashes = SERIES[row % len(SERIES)]
            shown = energies[row, :, index]
            if not np.isfinite(shown).any():
                continue
            ax.plot(alphas, shown.T, color=color, ls=dashes, lw=0.5, alpha=0.35, zorder=1)
            ax.plot(
                *(alphas, _median(shown)),
                **{"color": color, "ls": dashes, "lw": 1.8, "label": _words(record, row, gauge)},
            )
        marks = ((0.0, "solution A"), (1.0, "solution B"))
        _finish(ax, record, energies[:, :, index], index, marks)
        ax.set_xlabel("position α on the line")
    known = int(np.isfinite(energies).any(axis=(0, 2, 3)).sum())
    heading(figure, record.data.attrs, f"{known} of {counted(energies.shape[1], 'pair')}")
    legend_below(figure, panels, columns=1)
    return figure


def _words(record: Interpolations, row: int, gauge: str) -> str:
    """What the lines of a gauge are, and their mean barriers."""
    copies = "networks as they are" if gauge == "none" else f"second network moved by {gauge}"
    means = [
        f"{split} {number(mean_and_error(heights)[0], 3)}"
        for split, heights in zip(
            record.data["split"].values, record.data["barrier"].values[row].T, strict=True
        )
    ]
    return f"{copies}: median over pairs; mean barrier {', '.join(means)}"


def off_line_figure(record: Interpolations) -> Figure:
    """Distance of training from the line, where it crossed the levels."""
    figure = new_figure(5.6, 4.0)
    ax = figure.subplots()
    along, aside = (record.data[name].values for name in ("along", "aside"))
    known = np.flatnonzero(np.isfinite(aside).any(axis=1))
    for order, network in enumerate(known):
        x, y = (np.append(0.0, row[network]) for row in (along, aside))
        label = "one network, from beginning to solution" if order == 0 else None
        ax.plot(x, y, color=GRAY, alpha=0.6, lw=0.7, marker="o", ms=2.5, mew=0, label=label)
    if not len(known):
        why = record.untrained or "no line was looked along"
        return nothing(figure, ax, record.data.attrs, why)
    levels = record.data["level"].values
    middle = [np.array([median(column) for column in rows.T]) for rows in (along, aside)]
    ax.plot(
        *(np.append(0.0, row) for row in middle),
        **{"color": BLUE, "marker": "D", "ms": 4, "label": "median at every level λ"},
        clip_on=False,
    )
    ax.margins(x=0.1)  # room for the names
    _name_levels(ax, levels, *middle)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("position along the line (0: beginning, 1: solution)")
    ax.set_ylabel("distance from the line / its length")
    heading(figure, record.data.attrs)
    legend_below(figure, [ax])
    return figure


def _name_levels(ax: Axes, levels: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """The level at the median points, to the right or else to the left, where there is room."""
    span, taken = np.nanmax(y), []
    outline = [withStroke(linewidth=2, foreground="white")]
    for level, at, height in zip(levels, x, y, strict=True):
        for offset, side in ((4, "left"), (-4, "right")):  # points, side of the words at the mark
            middle = at + 0.01 * offset
            near = [abs(middle - a) < 0.08 and abs(height - b) < 0.08 * span for a, b in taken]
            if np.isfinite(at) and not any(near):
                taken.append((middle, height))
                ax.annotate(
                    number(level, 3), (at, height), xytext=(offset, 4), ha=side,
                    textcoords="offset points", fontsize=7.5, color=BLUE, path_effects=outline,
                )  # fmt: skip
                break


def _panels(record: Interpolations) -> tuple[Figure, list[Axes]]:
    """A panel for every split, with the same energies on their axes."""
    splits = record.data.sizes["split"]
    figure = new_figure(4.0 * splits + 0.6, 3.9)
    return figure, list(figure.subplots(1, splits, squeeze=False)[0])


def _lines(ax: Axes, record: Interpolations, energies: np.ndarray, label: str) -> None:
    """A faint line for each network; those that did not reach the lowest level stand out."""
    good = record.data["state"].values == "trained"
    words = "one network that stopped above the lowest level"
    faint = {"color": GRAY, "lw": 0.5, "alpha": 0.6}
    loud = {"color": ORANGE, "lw": 1.0, "ls": (0, (4, 1.5)), "alpha": 0.8}
    for rows, text, marks in ((good, label, faint), (~good, words, loud)):
        some = rows & np.isfinite(energies).any(axis=1)
        if some.any():
            x = record.data["alpha"].values
            lines = ax.plot(x, energies[some].T, zorder=1, **marks)
            lines[0].set_label(text)


def _finish(ax: Axes, record, energies: np.ndarray, index: int, marks) -> None:
    """Axes, their labels, and lines at both ends; the span between them is shaded."""
    finite = energies[np.isfinite(energies)]
    if not len(finite):
        ax.set_axis_off()
        say(ax, record.untrained or "no line was looked along")
        return
    energy_axis(ax, finite, record.data.attrs)
    ax.axvspan(0, 1, color=PALE, alpha=0.25, lw=0, zorder=0)
    for x, word in marks:
        ax.axvline(x, color=GRAY, lw=0.8, ls=(0, (4, 2)), zorder=0)
        ax.annotate(
            word, (x, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=7.5, color=GRAY,
        )  # fmt: skip
    alphas = record.data["alpha"].values
    ax.set_xlim(alphas[0], alphas[-1])
    ax.set_ylabel(energy_words(record.data.attrs, str(record.data["split"].values[index])))


def _median(rows: np.ndarray) -> np.ndarray:
    """Median over the rows that are there."""
    return np.median(rows[np.isfinite(rows).any(axis=1)], axis=0)
