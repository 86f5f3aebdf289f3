"""Cycles of relaxation, with beads inserted in between where a string is too coarse.

A band of few beads is cheap, and blind between them. After a cycle every segment is looked at: a
point whose energy lies above the straight line between those of the segment's ends, by more than
a threshold of the range of energies at beads, becomes a bead. It keeps its place: beads crowd
where the surface is rough.

Reference: Draxler, Veschgini, Salmhofer and Hamprecht, 2018, arXiv 1803.00885, section 3.2 and
algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from landscape_cli.core.band import Outcome, Report
from landscape_cli.core.random import named_key
from landscape_cli.core.relax import relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import energies_inside
from landscape_cli.ranges import check_counts

Cycle = tuple[int, float, int]  # steps, learning rate, beads inserted before


@dataclass(frozen=True)
class Cycles:
    """How a band grows.

    Attributes:
        schedule: (steps, learning rate, most beads inserted before) of every cycle; those of the
            first lie at equal distances on the chord.
        threshold: a point this part of the range of energies above its segment's line becomes a
            bead; at least 0.
        samples: points looked at inside every segment, evenly spaced.
        batch: mini-batches for gradients, one for every bead and step, where the surface has any.
    """

    schedule: tuple[Cycle, ...]
    threshold: float
    samples: int
    batch: bool

    def __post_init__(self) -> None:
        for steps, rate, inserted in self.schedule:
            if not (steps >= 1 and 0 < rate < np.inf and inserted >= 0):
                raise ValueError(
                    "schedule must hold steps of at least 1, positive rates and numbers of beads, "
                    f"got {[steps, rate, inserted]}"
                )
        if not (self.schedule and self.schedule[0][2] >= 1):
            raise ValueError("schedule must begin with a cycle that inserts a bead")
        if not 0 <= self.threshold < np.inf:
            raise ValueError(f"threshold must be at least 0, got {self.threshold}")
        check_counts(self, "samples")

    @property
    def beads(self) -> list[int]:
        """Most beads of a string in every cycle, ends included."""
        return [2 + int(n) for n in np.cumsum([inserted for *_, inserted in self.schedule])]

    @property
    def gradients(self) -> int:
        """Most gradients of a string."""
        cycles = zip(self.schedule, self.beads, strict=True)
        return sum(steps * (beads - 2) + 2 for (steps, *_), beads in cycles)

    @property
    def energies(self) -> int:
        """Most energies of a string, without the check at the end."""
        return sum((self.samples + 1) * (beads - 1) + 1 for beads in self.beads[:-1])


def cycled(
    surface: Surface,
    strings: list[np.ndarray],
    report: Report,
    *,
    settings: Relaxing,
    cycles: Cycles,
    seed: int = 0,
) -> list[Outcome]:
    """Relax, insert, and relax again: a search for `band.bands`; `seed` draws mini-batches."""
    outcomes = [Outcome(beads) for beads in strings]
    places = [np.linspace(0, 1, len(beads)) for beads in strings]
    key, done = named_key(seed, "band"), 0
    total = sum(steps for steps, *_ in cycles.schedule)
    for number, (steps, rate, inserted) in enumerate(cycles.schedule):
        if number:
            for i, outcome in enumerate(outcomes):
                places[i] = _filled(surface, outcome, places[i], inserted, cycles)
        end = relax(
            surface, [outcome.beads for outcome in outcomes], settings, np.full(steps, rate),
            places=places, draw=surface.batch if cycles.batch else None,
            key=jax.random.fold_in(key, number),
            report=lambda now, done=done: report(done + now, total, "steps"),
        )  # fmt: skip
        for i, outcome in enumerate(outcomes):
            outcome.beads = end.strings[i]
            outcome.gradients += int(end.gradients[i])
            outcome.broken |= bool(end.broken[i])
        done += steps
    return outcomes


def _filled(
    surface: Surface, outcome: Outcome, places: np.ndarray, most: int, cycles: Cycles
) -> np.ndarray:
    """Insert beads into a string; the places of all of them."""
    if most == 0 or outcome.broken:
        return places
    beads, t = outcome.beads, np.arange(1, cycles.samples + 1) / (cycles.samples + 1)
    at_beads = surface.energies(beads)
    between = energies_inside(surface, beads[:-1], beads[1:], t)
    outcome.energies += at_beads.size + between.size
    line = at_beads[:-1, None] * (1 - t) + at_beads[1:, None] * t
    above = (between - line) / max(float(np.ptp(at_beads)), np.finfo(float).tiny)
    highest = np.nan_to_num(above.max(1), nan=-np.inf)
    chosen = np.argsort(-highest, kind="stable")[:most]
    chosen = np.sort(chosen[highest[chosen] > cycles.threshold])
    where = t[above[chosen].argmax(1)]
    new = beads[chosen] + where[:, None] * (beads[chosen + 1] - beads[chosen])
    outcome.beads = np.insert(beads, chosen + 1, new.astype(beads.dtype), axis=0)
    return np.insert(places, chosen + 1, places[chosen] + where * np.diff(places)[chosen])
