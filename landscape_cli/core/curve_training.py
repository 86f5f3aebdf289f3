"""Train a curve between every pair of ends, all together, and judge the polylines through them.

The host looks now and then and keeps the lowest curve seen: an average over t may fall while the
highest point rises, since a curve that lingers in a valley lowers its average too. A curve as low
as its ends has come to its end; with few bends to begin with, few curves need many.

Reference: Garipov and others, 2018, arXiv 1802.10026; see `core/curve.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from landscape_cli.core.curve import WEIGHTINGS, Family
from landscape_cli.core.curve_steps import (
    Curves,
    Program,
    advance,
    check_descent,
    drawn_steps,
    published_schedule,
    require_batches,
    stepper_of,
)
from landscape_cli.core.descent import initial_states
from landscape_cli.core.devices import sent
from landscape_cli.core.judge import check_joined, judged
from landscape_cli.core.lanes import LADDER, pad
from landscape_cli.core.string import Found, bowed, inside, length
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import energies_inside
from landscape_cli.ranges import check_counts, choose

LOOKS = 20  # times that the host looks at a curve in every stage
SEEN = 4  # energies of a segment in a look
AT_ONCE = 1 << 33  # bytes of the curves that advance together
LOOK = 1 << 28  # bytes of the polylines that are looked at together
SIZES = (1, 2, 3, *LADDER)  # of batches of curves: a curve in one is many points already


@dataclass(frozen=True)
class Bending:
    """How curves are trained and judged.

    Attributes:
        bends: control points between the ends, at least 1.
        weighting: "uniform", "arc" or "peak", see `core.curve.objective`.
        points: of a curve at every step, at least 1.
        random: draw one t in each of `points` equal parts of [0, 1] anew at every step; False:
            always the middle of each part.
        optimizer: "adam", or "sgd" with momentum.
        learning_rate: η of the first half of a stage (see `grow`); then it falls to a hundredth at
            nine tenths. Every stage begins with η again.
        momentum: of either optimizer, in [0, 1).
        weight_decay: κ, at least 0; adds κ ‖φ(t)‖² / 2 to F(φ(t)).
        steps: of the optimizer, at least 1.
        batch: take steps on mini-batches of the trainer's size, not on the full data.
        grow: begin with one bend and double bends, the steps divided evenly, each time from the
            curve before; False, or from a string that is bent already: all bends at once.
        bow: a chord begins bent to a side by this part of its length, so that no symmetry holds
            it on a ridge; at least 0.
        lowest: keep the lowest curve seen, by its highest point, and stop where that is an end;
            False: all steps, and the last.
        beads: of the polyline that is judged, ends included.
        dense: points per segment of the last check, at least 1.
    """

    bends: int
    weighting: str
    points: int
    random: bool
    optimizer: str
    learning_rate: float
    momentum: float
    weight_decay: float
    steps: int
    batch: bool
    grow: bool
    bow: float
    lowest: bool
    beads: int
    dense: int

    def __post_init__(self) -> None:
        check_counts(self, "bends", "points", "beads", "dense")
        check_descent(self)
        choose("weighting", self.weighting, WEIGHTINGS)
        for name in ("weight_decay", "bow"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.beads < self.bends + 2:
            raise ValueError(
                f"beads must be at least bends + 2 = {self.bends + 2}, got {self.beads}"
            )

    @property
    def stages(self) -> list[tuple[int, int]]:
        """(bends, steps) of every stage of growth."""
        bends = [self.bends]
        while self.grow and bends[0] > 1:
            bends.insert(0, bends[0] // 2)
        bends = bends[-self.steps :]  # of a budget of two steps no third stage
        steps = np.array_split(np.arange(self.steps), len(bends))
        return [(n, len(part)) for n, part in zip(bends, steps, strict=True)]

    @property
    def looks(self) -> int:
        """Most looks at a curve in training; the first is before all steps."""
        return 1 + sum(-(-n // self.every(n)) for _, n in self.stages) if self.lowest else 0

    def every(self, steps: int) -> int:
        """Steps between two looks in a stage; a look costs no more than the gradients since."""
        return min(steps, max(-(-steps // LOOKS), -(-self.seen // (3 * self.points))))

    @property
    def seen(self) -> int:
        """Energies of a look, each a third of a gradient."""
        return SEEN * (self.beads - 1) + 1

    @property
    def held(self) -> int:
        """Points that a curve in training takes memory for: controls, moments, gradients."""
        return 8 * (self.bends + 2) + 4 * self.points


@dataclass
class Kept:
    """The best curve so far of every pair.

    Attributes:
        control: (control, param) of each.
        mark: (highest energy, length) of each, as it would be judged; infinite before a look.
        ended: it is as low as its ends, or has diverged.
        gradients: spent on each.
        energies: spent on each.
    """

    control: list[np.ndarray]
    mark: list[tuple[float, float]]
    ended: np.ndarray
    gradients: np.ndarray
    energies: np.ndarray

    @classmethod
    def of(cls, control: list[np.ndarray]) -> Kept:
        """Curves to begin with."""
        count = len(control)
        zeros = np.zeros(count, int)
        return cls(
            list(control), [(np.inf, np.inf)] * count, zeros > 0, zeros.copy(), zeros.copy()
        )

    @property
    def left(self) -> np.ndarray:
        """Curves still in training."""
        return np.flatnonzero(~self.ended)

    def look(self, surface: Surface, family: Family, beads: int, rows, control) -> None:
        """Keep those of the curves `rows` that are lower, or shorter and as low."""
        each = beads * max(surface.dimension, 1) * 8
        some = max(LOOK // each, 1)
        for first in range(0, len(rows), some):
            part = slice(first, first + some)
            self._look(surface, family, beads, rows[part], control[part])

    def _look(self, surface: Surface, family: Family, beads: int, rows, control) -> None:
        strings = [family.polyline(one, beads) for one in control]
        starts = np.concatenate([string[:-1] for string in strings])
        ends = np.concatenate([string[1:] for string in strings])
        energies = energies_inside(surface, starts, ends, np.arange(SEEN) / SEEN)
        last = surface.energies(np.stack([string[-1] for string in strings]))
        energies = np.column_stack([energies.reshape(len(strings), -1), last])
        self.energies[rows] += energies.shape[1]
        for i, one, string, seen in zip(rows, control, strings, energies, strict=True):
            mark = float(seen.max()), float(length(string))
            if np.isfinite(mark[0]) and mark < self.mark[i]:
                self.mark[i], self.control[i] = mark, one
            self.ended[i] = mark[0] <= seen[[0, -1]].max() or not np.isfinite(one).all()


def _trained(
    surface: Surface, family: Family, settings: Bending, kept: Kept, chords: np.ndarray,
    report: Callable[[int, int], Any], seed: int,
) -> None:  # fmt: skip
    """All stages of the curves `kept`; those that begin as `chords` are bent first."""
    done = 0
    if settings.lowest:
        kept.look(surface, family, settings.beads, kept.left, kept.control)
    for bends, total in settings.stages:
        rows = kept.left
        if len(rows) == 0:
            return
        control = [family.grown(kept.control[i], bends) for i in rows]
        if done == 0:
            bows = settings.bow * chords[rows]
            control = [bowed(one, far, seed) for one, far in zip(control, bows, strict=True)]
        _stage(surface, family, settings, kept, np.stack(control), (done, total), report, seed)
        done += total


def _stage(
    surface: Surface, family: Family, settings: Bending, kept: Kept, control: np.ndarray,
    span: tuple[int, int], report: Callable[[int, int], Any], seed: int,
) -> None:  # fmt: skip
    """Steps span[0] to span[0] + span[1] of the curves that are left, from `control`."""
    optimizer = stepper_of(settings.optimizer, settings.momentum)
    draw = surface.batch if settings.batch else None
    program = Program(optimizer, surface.slope, draw, settings.weighting, surface.chunk)
    (start, total), rows, bends = span, kept.left, control.shape[1] - 2
    begun = sent(pad(control, _size(surface, len(rows))))
    curves = Curves(begun, initial_states(optimizer, begun[:, 1:-1]))
    every = settings.every(total)
    for first in range(0, total, every):
        fractions = np.arange(first, first + every) / total
        rates = settings.learning_rate * published_schedule(fractions)
        steps = drawn_steps(
            family, bends, start + first, rates, settings.points, settings.random,
            surface.dtype, seed,
        )  # fmt: skip
        count = min(every, total - first)
        curves = advance(surface, program, settings.weight_decay, steps, count, curves, seed)
        kept.gradients[rows] += count * settings.points
        control = np.asarray(curves.control)[: len(rows)]
        if settings.lowest:
            kept.look(surface, family, settings.beads, rows, control)
        report(start + first + count, settings.steps)
        going = np.flatnonzero(~kept.ended[rows])
        if len(going) == 0:
            return
        rows, curves = rows[going], _packed(surface, curves, going)
    if not settings.lowest:
        for i, one in zip(rows, control, strict=True):
            kept.control[i] = one


def _size(surface: Surface, count: int) -> int:
    """Curves of a batch: a host loop pays for every one, a program for every new number."""
    return count if surface.strategy == "loop" else next(size for size in SIZES if size >= count)


def _packed(surface: Surface, curves: Curves, going: np.ndarray) -> Curves:
    """The curves that go on, where their batch is smaller."""
    size = _size(surface, len(going))
    if size == len(curves.control) and (going == np.arange(len(going))).all():
        return curves
    rows = pad(going, size)
    return jax.tree.map(lambda leaf: sent(np.asarray(leaf)[rows]), curves)


def _begun(family: Family, bends: int, start: np.ndarray, end: np.ndarray, string: Any):
    """(control, param) on the chord, or nearest to a string."""
    if string is None:
        return np.array(inside(start, end, np.linspace(0, 1, bends + 2)), start.dtype)
    return family.fitted(np.asarray(string, start.dtype), bends)


def curves(
    surface: Surface,
    family: Family,
    settings: Bending,
    starts: np.ndarray,
    ends: np.ndarray,
    levels: np.ndarray,
    report: Callable[[int, int], Any] = lambda done, total: None,
    initial: Sequence[np.ndarray | None] | None = None,
    seed: int = 0,
) -> Iterator[tuple[int, Found]]:
    """Train a curve between every pair of ends, and judge the polyline through it.

    Args:
        surface: the surface; gradients are those of `surface.slope`.
        family: `BEZIER` or `POLYCHAIN`.
        settings: see `Bending`.
        starts: (string, param).
        ends: (string, param).
        levels: (string,) that curves are judged against; infinite where any will do.
        report: called with (steps taken, steps) now and then.
        initial: strings that curves are fitted to; None for the chord.
        seed: of mini-batches, of t and of the sides to which chords are bent.

    Yields:
        (index, found) in order, after all curves are trained.

    Raises:
        UserError: no mini-batches to take steps on; a string that does not join its ends.
    """
    require_batches(surface, settings.batch)
    starts, ends = np.asarray(starts, surface.dtype), np.asarray(ends, surface.dtype)
    strings = [None] * len(starts) if initial is None else initial
    check_joined(starts, ends, strings)
    bent = np.array([one is not None and len(one) > 2 for one in strings])
    if bent.any():  # one bend would forget what the string knows
        settings = replace(settings, grow=False)
    size = max(together(surface, settings, len(starts)), 1)
    for first in range(0, len(starts), size):
        began = time.monotonic()
        rows = range(first, min(first + size, len(starts)))
        bends = settings.stages[0][0]
        kept = Kept.of([_begun(family, bends, starts[i], ends[i], strings[i]) for i in rows])
        _trained(surface, family, settings, kept, ~bent[first : rows.stop], report, seed)
        seconds = (time.monotonic() - began) / len(rows)
        for i, control, gradients, energies in zip(
            rows, kept.control, kept.gradients, kept.energies, strict=True
        ):
            beads = family.polyline(control, settings.beads)
            beads[0], beads[-1] = starts[i], ends[i]
            found = judged(surface, beads, float(levels[i]), settings.dense)
            yield (
                i,
                found.with_(
                    gradient_evaluations=int(gradients),
                    energy_evaluations=found.energy_evaluations + int(energies),
                    seconds=seconds,
                ),
            )


def together(surface: Surface, settings: Bending, strings: int) -> int:
    """Curves trained side by side: as many of `strings` as `AT_ONCE` holds."""
    each = settings.held * max(surface.point_bytes, 1)
    return min(strings, max(AT_ONCE // each, 1))
