"""Feasible strings to begin with: the chord, a string that is given, or a sampled one.

`Work` is one string on its way through the search of `core/geodesic.py`: it keeps the shortest
feasible string so far, and what was spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.sampling import Sampled, Sampling, sample, shortcut
from landscape_cli.core.string import Found, length, normalized_length
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import Peak, peaks

Report = Callable[[int, int, str], Any]


@dataclass(frozen=True)
class Search:
    """Settings of the whole search.

    Attributes:
        optimizer: Optax transformation that moves a sampled bead; hashable.
        sampling: settings of Dynamic String Sampling.
        tightening: settings of the shortening; doubled strings get twice the evaluations.
        segments: segments of the first taut string; doubled at least once.
        max_beads: no string gets more beads than this, ends included.
        margin: part of |λ| by which the points of a string are first kept below λ.
        refinement: relative change of length under doubling below which a string is taut.
        dense: points per segment of the dense check.
        continuation: start from the level above, too; the levels of a pair then follow one
            another. False: every string on its own.
        shorten: False keeps the sampled strings as they are.
        every_start: pull a string from the level above, from its sample and from the chord, and go
            on with the shortest. False: from the first of them that does not leave the level set,
            and only strings that cannot start from the level above are sampled.
        seed: of kicks, and of the sides to which strings are bent.
    """

    optimizer: Any
    sampling: Sampling = field(default_factory=Sampling)
    tightening: Tightening = field(default_factory=Tightening)
    segments: int = 16
    max_beads: int = 129
    margin: float = 3e-3
    refinement: float = 1e-2
    dense: int = 50
    continuation: bool = True
    shorten: bool = True
    every_start: bool = True
    seed: int = 0


@dataclass(eq=False)
class Work:
    """One string on its way through the search."""

    index: int
    pair: int
    start: np.ndarray
    end: np.ndarray
    level: float
    initial: np.ndarray | None = None  # a string to begin from
    sampled: Sampled | None = None
    best: Found | None = None  # shortest feasible string so far
    ended: bool = False  # the chord will do
    gradients: int = 0
    energies: int = 0
    seconds: float = 0.0

    @property
    def pulled(self) -> bool:
        """Whether the best string so far came out of the shortening."""
        return self.best is not None and bool(np.isfinite(self.best.kkt_residual))

    def take(self, beads: np.ndarray, top: Peak, **known: Any) -> Peak:
        """A feasible string shorter than the best, or than a failure, replaces it."""
        self.energies += top.energies
        if top.energy <= self.level and (
            self.best is None or not length(beads) > self.best.length * (1 + 1e-9)
        ):
            self.best = Found("loose", beads, self.level, top.energy, **known)
        return top

    def found(self) -> Found:
        """The verdict, with what was spent."""
        spent = dict(
            gradient_evaluations=self.gradients + (self.sampled.gradients if self.sampled else 0),
            energy_evaluations=self.energies + (self.sampled.energies if self.sampled else 0),
            seconds=self.seconds,
        )
        if self.sampled is not None and self.sampled.inside:
            spent["sampled_length"] = float(normalized_length(self.sampled.beads))
        assert self.best is not None
        return self.best.with_(**spent)


def try_chords(surface: Surface, works: list[Work], search: Search) -> None:
    """Where the chord stays inside, it is the geodesic."""
    chords = [np.stack([work.start, work.end]) for work in works]
    tops = peaks(surface, chords, search.dense)
    for work, chord, top in zip(works, chords, tops, strict=True):
        work.take(chord, top, kkt_residual=0.0, length_change=0.0)
        if work.best is not None:
            work.best = work.best.with_(state="straight")
        work.ended = work.best is not None


def try_initial(surface: Surface, works: list[Work], search: Search) -> None:
    """A string to begin from that is inside already is the first feasible one."""
    given = [(work, work.initial) for work in works if work.initial is not None]
    _judge(surface, given, search)


def sample_strings(surface: Surface, works: list[Work], search: Search, report: Report) -> None:
    """Sample the strings whose chord leaves the level set, all in one pool."""
    works = [work for work in works if work.sampled is None]
    if not works:
        return
    began = time.perf_counter()
    settings = replace(search.sampling, max_beads=min(search.sampling.max_beads, search.max_beads))
    strings = sample(
        surface,
        search.optimizer,
        np.stack([work.start for work in works]),
        np.stack([work.end for work in works]),
        np.array([work.level for work in works]),
        settings,
        lambda done, total: report(done, total, "sampled"),
        seed=search.seed,
    )
    for work, string in zip(works, strings, strict=True):
        work.sampled = string
    for work in works:
        work.seconds += (time.perf_counter() - began) / len(works)
    _judge_sampled(surface, works, search)


def _judge_sampled(surface: Surface, works: list[Work], search: Search) -> None:
    """Keep sampled strings, straightened by shortcuts, as the first feasible ones."""
    good = [(work, work.sampled) for work in works if work.sampled and work.sampled.inside]
    kept = [replace(string, bad=[]) for _, string in good]
    shortcut(surface, kept)
    straightened = [(work, x.beads) for (work, _), x in zip(good, kept, strict=True)]
    tops = _judge(surface, straightened, search)
    failed = [
        (work, string.beads)
        for (work, string), top in zip(good, tops, strict=True)
        if not top.energy <= work.level
    ]
    _judge(surface, failed, search)


def _judge(surface: Surface, strings: list[tuple[Work, np.ndarray]], search: Search) -> list[Peak]:
    """Dense checks of strings, which their works take where they are good."""
    tops = list(peaks(surface, [beads for _, beads in strings], search.dense))
    return [work.take(beads, top) for (work, beads), top in zip(strings, tops, strict=True)]
