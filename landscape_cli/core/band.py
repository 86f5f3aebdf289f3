"""Look for low paths between all pairs at once, whatever the level; then judge them.

Chords, or strings to begin from, are cut into equal arcs; a search moves their beads (`relax`,
`insertion`, `saddle`); the dense check of `verdict` has the last word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from landscape_cli.core.judge import check_joined, judged
from landscape_cli.core.relax import relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import Found, bowed, reparametrized
from landscape_cli.core.surface import Surface

AT_ONCE = 1 << 33  # bytes of the strings that are moved together
COPIES = 8  # of its beads that a string takes while it is moved: gradients, moments, steps

Report = Callable[[int, int, str], Any]


@dataclass
class Outcome:
    """One string as a search leaves it.

    Attributes:
        beads: (bead, param), ends included.
        broken: a NaN or infinity has ended it.
        gradients: spent on it.
        energies: spent on it.
        saddles: beads that are saddles.
    """

    beads: np.ndarray
    broken: bool = False
    gradients: int = 0
    energies: int = 0
    saddles: tuple[int, ...] = field(default=())


Search = Callable[[Surface, list[np.ndarray], Report], list[Outcome]]


def check_start(beads: int, bow: float) -> None:
    """Refuse strings without an interior bead, and bows out of range."""
    if beads < 3:
        raise ValueError(f"beads must be at least 3, got {beads}")
    if not 0 <= bow < np.inf:
        raise ValueError(f"bow must be finite and at least 0, got {bow}")


def half_cosine(rate: float, steps: int) -> np.ndarray:
    """(step,) rates from `rate` to nearly nothing along half a cosine."""
    return rate * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2


def relaxed(settings: Relaxing, rate: float, steps: int) -> Search:
    """The search that moves beads `steps` times by rates along half a cosine."""

    def search(surface: Surface, strings: list[np.ndarray], report: Report) -> list[Outcome]:
        note = lambda done: report(done, steps, "steps")
        end = relax(surface, strings, settings, half_cosine(rate, steps), report=note)
        each = zip(end.strings, end.broken, end.gradients, strict=True)
        return [Outcome(beads, bool(broken), int(spent)) for beads, broken, spent in each]

    return search


def bands(
    surface: Surface,
    starts: np.ndarray,
    ends: np.ndarray,
    levels: np.ndarray,
    search: Search,
    beads: int,
    bow: float,
    dense: int,
    report: Report = lambda done, total, note: None,
    initial: Sequence[np.ndarray | None] | None = None,
    seed: int = 0,
) -> Iterator[tuple[int, Found]]:
    """Move a string between every pair of ends, and judge it.

    Args:
        surface: the surface.
        starts: (string, param).
        ends: (string, param).
        levels: (string,) that strings are judged against; infinite where any will do.
        search: moves the beads of all strings together.
        beads: of a string when the search begins, ends included.
        bow: a chord begins bent to a side by this part of its length, so that no symmetry
            holds it on a ridge.
        dense: points per segment of the dense check.
        report: called with (done, total, what) now and then.
        initial: strings to begin from; None for the chord.
        seed: of the sides to which chords are bent.

    Yields:
        (index, found), in order.

    Raises:
        UserError: a string to begin from joins other ends.
    """
    starts, ends = np.asarray(starts, surface.dtype), np.asarray(ends, surface.dtype)
    known = [None] * len(starts) if initial is None else initial
    check_joined(starts, ends, known)
    size = max(together(surface, beads, len(starts)), 1)
    for first in range(0, len(starts), size):
        rows = range(first, min(first + size, len(starts)))
        began = time.perf_counter()
        begun = [_begun(starts[i], ends[i], known[i], beads, bow, seed) for i in rows]
        outcomes = search(surface, begun, report)
        share = (time.perf_counter() - began) / len(rows)
        for i, outcome in zip(rows, outcomes, strict=True):
            yield i, _judged(surface, outcome, float(levels[i]), dense, share)


def together(surface: Surface, beads: int, strings: int) -> int:
    """Strings moved side by side: as many of `strings` as `AT_ONCE` holds."""
    each = COPIES * beads * max(surface.point_bytes, 1)
    return min(strings, max(AT_ONCE // each, 1))


def _begun(
    start: np.ndarray, end: np.ndarray, known: Any, beads: int, bow: float, seed: int
) -> np.ndarray:
    """Equal arcs of a string, or of the chord, bent."""
    if known is not None:
        return reparametrized(np.asarray(known, start.dtype), beads - 1)
    return bowed(reparametrized(np.stack([start, end]), beads - 1), bow, seed)


def _judged(surface, outcome: Outcome, level: float, dense: int, seconds: float) -> Found:
    """The verdict, with what was spent."""
    found = judged(surface, outcome.beads, level, dense)
    if outcome.broken:
        found = found.with_(state="diverged")
    return found.with_(
        saddles=outcome.saddles,
        gradient_evaluations=outcome.gradients,
        energy_evaluations=found.energy_evaluations + outcome.energies,
        seconds=seconds,
    )
