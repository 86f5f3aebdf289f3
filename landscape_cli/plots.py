"""House style of every figure: colors, sizes, and how a figure becomes bytes.

Figures are matplotlib `Figure` objects made without pyplot, so a sweep of a hundred jobs leaks
none and no window system is asked for. The same data give the same bytes: ids inside an SVG come
from a fixed salt, and no file holds a date.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

DECADES = 250  # up and down from 1 that a logarithmic axis shows: with margins still numbers

# Okabe & Ito's eight colors, told apart with every common color blindness; yellow is left out
# because it vanishes on white paper.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, SKY, AMBER = "#CC79A7", "#56B4E9", "#E69F00"
BLACK, GRAY, PALE = "#000000", "#6B6B6B", "#B8B8B8"

STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that figures agree across machines
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.dpi": 100,
    "savefig.dpi": 180,
    "svg.hashsalt": "landscape",
    "svg.fonttype": "path",
}


def style() -> AbstractContextManager[None]:
    """The context in which figures are drawn and rendered; nothing outside it changes."""
    settings: Any = {**matplotlib.rcParamsDefault, **STYLE, "backend": "agg"}
    return matplotlib.rc_context(settings)


def new_figure(width: float = 7.0, height: float = 4.8) -> Figure:
    """An empty figure, `width` × `height` inches, that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def render(figure: Figure, kind: str) -> bytes:
    """`figure` as the content of a file of `kind` (`png`, `svg`, `pdf`)."""
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with style():
        settle(figure)
        figure.savefig(buffer, format=kind, metadata=dates.get(kind))
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay `figure` out once, for all formats, at rounded places.

    The layout solver's last bits depend on addresses in memory, and ids in an SVG are made of
    them.
    """
    engine = figure.get_layout_engine()
    if not figure.axes or not isinstance(engine, ConstrainedLayoutEngine):
        return
    engine.execute(figure)
    figure.set_layout_engine(None)  # with the "none" of a string every file is drawn twice
    for ax in figure.axes:
        ax.set_position(np.round(ax.get_position().bounds, 6).tolist())


def log_limits(values: np.ndarray, margin: float = 0.05) -> tuple[float, float]:
    """Limits of a logarithmic axis around the positive `values`, never of zero width."""
    logs = np.log10(values[np.isfinite(values) & (values > 0)]).clip(-DECADES, DECADES)
    low, high = (logs.min(), logs.max()) if len(logs) else (-1.0, 0.0)
    pad = max((high - low) * margin, 0.1 if high - low < 0.2 else 0.02)
    return float(10 ** (low - pad)), float(10 ** (high + pad))


def number(value: float, digits: int = 4) -> str:
    """A short number for a label.

    Example:
        >>> number(0.05), number(5e-4), number(20_000), number(1234567)
        ('0.05', '5e-4', '2e4', '1.235e6')
    """
    text = f"{value:.{digits}g}"
    if value == 0 or (abs(value) >= 1e-3 and "e" not in text):
        return text
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def number_axis(ax: Axes, which: str = "x") -> None:
    """Write a logarithmic axis in plain numbers, as many as fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = ax.get_xlim() if which == "x" else ax.get_ylim()
    decades = np.log10(high) - np.log10(low)  # their ratio may overflow
    steps = (1, 2, 3, 5) if decades < 1.2 else (1, 2, 5) if decades < 2.6 else (1,)
    most = 99 if decades < 15 else 9  # numbers; every decade of more would not fit
    axis.set_major_locator(LogLocator(subs=steps, numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_locator(LogLocator(subs=range(1, 10), numticks=99))
    axis.set_minor_formatter(NullFormatter())
    if decades < 0.5:  # a short span holds too few round numbers: take evenly spaced ones
        from matplotlib.ticker import MaxNLocator

        axis.set_major_locator(MaxNLocator(5))
        axis.set_minor_locator(NullLocator())
