"""Geodesics of level sets: sample a string inside, pull it taut, double its beads, judge it.

For every string the chord is tried first: where it stays inside, it is the geodesic. The others
are sampled (`sampling`), all pairs and levels in one pool, or only those that need it. From the
highest level down, strings are pulled taut (`tighten`), each starting from the taut string of its
pair at the level above with its ends moved, or from its sample where that fails. Each then gets
twice the beads and is pulled again; the two lengths say how far discretization still matters.
Where a lower level found a shorter way, the higher one tries that too. The last word is the dense
check (`verdict`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from landscape_cli.core.feasible import (
    Report,
    Search,
    Work,
    sample_strings,
    try_chords,
    try_initial,
)
from landscape_cli.core.string import Found, length, reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.tighten import Tightened, doubled, tighten
from landscape_cli.core.verdict import peak, peaks


def _move_ends(beads: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The same string between other ends: the shift fades linearly along it."""
    s = np.linspace(0, 1, len(beads))[:, None]
    moved = beads + (1 - s) * (start - beads[0]) + s * (end - beads[-1])
    moved[0], moved[-1] = start, end
    return moved


def _sampled_start(work: Work) -> np.ndarray:
    """The shortest feasible string so far, else as far as sampling got."""
    if work.best is not None:
        return work.best.beads
    return work.sampled.beads if work.sampled else np.stack([work.start, work.end])


def _put(result: Tightened, rows: Any, other: Tightened) -> None:
    for name, array in vars(result).items():
        array[rows] = vars(other)[name]


def _first_pull(surface, works: list[Work], starts, search: Search, report: Report) -> Tightened:
    """Pull the strings of one wave taut at the first bead count."""
    begun = [
        _move_ends(reparametrized(beads, search.segments), work.start, work.end)
        for work, beads in zip(works, starts, strict=True)
    ]
    result = tighten(
        surface, np.stack(begun), np.array([work.level for work in works]),
        np.full(len(works), search.margin), search.tightening,
        report=lambda done, total: report(done, total, "taut"),
    )  # fmt: skip
    for row, work in enumerate(works):
        work.gradients += int(result.evaluations[row]) * result.points
    return result


def _hint(work: Work, above: dict[int, np.ndarray]) -> np.ndarray | None:
    """A string that may save the sampling: the one given, or that of the level above."""
    return above.get(work.pair) if work.initial is None else work.initial


def _pull(surface, works: list[Work], above: dict, search: Search, report: Report) -> Tightened:
    """From the hint where there is one; if that leaves the set, from the sample."""
    hints = [_hint(work, above) for work in works]
    starts = [
        _sampled_start(work) if hint is None else hint
        for work, hint in zip(works, hints, strict=True)
    ]
    result = _first_pull(surface, works, starts, search, report)
    outside = ~(result.violation <= 30 * search.tightening.feasibility)  # NaN is outside
    known = [
        hint is not None and work.sampled is not None
        for work, hint in zip(works, hints, strict=True)
    ]
    again = [row for row in np.flatnonzero(outside) if known[row]]
    if again:
        rest = [works[row] for row in again]
        other = _first_pull(surface, rest, list(map(_sampled_start, rest)), search, report)
        better = ~(other.violation >= result.violation[again])
        _put(result, np.array(again)[better], other[np.flatnonzero(better)])
    return result


def _double(surface: Surface, works: list[Work], result: Tightened, search: Search, report):
    """Twice the beads; strings that peek out between points get a wider margin, twice."""
    margins = np.full(len(works), search.margin)
    begun = doubled(result.beads)
    twice = replace(search.tightening, evaluations=2 * search.tightening.evaluations)
    fine = tighten(
        surface, begun, np.array([w.level for w in works]), margins, twice, result,
        report=lambda done, total: report(done, total, "taut, doubled"),
    )  # fmt: skip
    coarse = length(result.beads)
    left = np.arange(len(works))
    for attempt in range(3):
        left = _keep_feasible(surface, works, fine, left, margins, coarse, search)
        if len(left) == 0 or attempt == 2:
            break
        again = tighten(
            surface, fine.beads[left], np.array([works[i].level for i in left]), margins[left],
            search.tightening, fine[left],
        )  # fmt: skip
        again.evaluations += fine.evaluations[left]
        _put(fine, left, again)
    for row, work in enumerate(works):
        work.gradients += int(fine.evaluations[row]) * fine.points
    return fine


def _keep_feasible(surface, works, fine: Tightened, left, margins, coarse, search) -> np.ndarray:
    """Judge the rows `left`; return those that peek out, their margins widened."""
    out = []
    tops = peaks(surface, [fine.beads[row] for row in left], search.dense)
    for row, top in zip(left, tops, strict=True):
        work = works[row]
        change = abs(float(length(fine.beads[row]) / coarse[row]) - 1)  # of the string judged
        known = dict(kkt_residual=float(fine.residual[row]), length_change=change)
        work.take(fine.beads[row], top, **known)
        if not top.energy <= work.level and np.isfinite(top.energy):
            margins[row] += 1.5 * (top.energy - work.level) / (abs(work.level) or 1.0)
            out.append(row)
    return np.array(out, int)


def _settle(works: list[Work], search: Search) -> list[int]:
    """Call strings taut where both tests agree; return the rows that want more beads."""
    more = []
    for row, work in enumerate(works):
        best = work.best
        if best is None or best.state == "straight":
            continue
        taut = best.kkt_residual < search.tightening.tolerance
        if taut and best.length_change < search.refinement:
            work.best = best.with_(state="taut")
        elif best.length_change >= search.refinement:
            more.append(row)
    return more


def _shorten(surface: Surface, works: list[Work], above, search: Search, report: Report) -> None:
    """All of one wave: taut, doubled, and doubled again where the length still changes."""
    if not works:
        return
    began = time.perf_counter()
    result = _pull(surface, works, above, search, report)
    left = works
    while left:
        fine = _double(surface, left, result, search, report)
        more = _settle(left, search)
        if not more or 4 * (result.beads.shape[1] - 1) + 1 > search.max_beads:
            break
        result, left = fine[more], [left[row] for row in more]
    for work in works:
        work.seconds += (time.perf_counter() - began) / len(works)


def _longer_than_below(works: list[Work]) -> tuple[list[Work], dict[int, np.ndarray]]:
    """Strings that a string of their pair at a lower level shows to be too long, with that one."""
    late: list[Work] = []
    starts: dict[int, np.ndarray] = {}
    for work in works:
        lower = [w.best for w in works if w.pair == work.pair and w.level < work.level and w.best]
        lengths = [found.normalized_length for found in lower]
        if not any(np.isfinite(lengths)):
            continue
        shortest = lower[int(np.nanargmin(lengths))]
        longer = work.best is None or not (
            work.best.normalized_length <= 1.02 * shortest.normalized_length
        )
        if longer and work.pair not in starts:  # the highest such level of a pair
            late.append(work)
            starts[work.pair] = shortest.beads
    return late, starts


def _conclude(surface: Surface, work: Work, search: Search) -> Found:
    """The verdict of a string; a failure keeps its beads and its worst segment."""
    if work.best is None:
        assert work.sampled is not None  # only strings whose chord failed get here
        beads = work.sampled.beads
        top = peak(surface, beads, search.dense)
        state = "not connected" if np.isfinite(top.energy) else "diverged"
        work.best = Found(state, beads, work.level, top.energy, top.segment)
    return work.found()


def geodesics(
    surface: Surface,
    starts: np.ndarray,
    ends: np.ndarray,
    levels: np.ndarray,
    pairs: np.ndarray,
    search: Search,
    report: Report = lambda done, total, note: None,
    initial: Sequence[np.ndarray | None] | None = None,
) -> Iterator[tuple[int, Found]]:
    """Find a geodesic of {F <= level} for every pair of points.

    Args:
        surface: the surface.
        starts: (string, param) with F <= level.
        ends: (string, param) with F <= level.
        levels: (string,) λ.
        pairs: (string,) which pair a string belongs to.
        search: settings.
        report: called with (done, total, note) while it works.
        initial: strings to begin from, between the same ends; None for a sampled one.

    Yields:
        (index, found) for every string, from the highest level to the lowest.
    """
    works = [
        Work(i, int(pairs[i]), np.asarray(starts[i], surface.dtype),
             np.asarray(ends[i], surface.dtype), float(levels[i]),
             None if initial is None else initial[i])
        for i in range(len(starts))
    ]  # fmt: skip
    try_chords(surface, works, search)
    bent = [work for work in works if work.best is None]
    for work in works:
        if work.best is not None:
            yield work.index, work.found()
    try_initial(surface, bent, search)
    shorten = search.shorten and surface.smooth
    if search.sample_all or not shorten:
        wanting = [w for w in bent if w.best is None and (not shorten or w.initial is None)]
        sample_strings(surface, wanting, search, report)
    above: dict[int, np.ndarray] = {}
    for wave in _waves(works, search):
        members = [work for work in wave if work in bent]
        if shorten:
            sample_strings(
                surface, [w for w in members if _hint(w, above) is None], search, report
            )
            _shorten(surface, members, above, search, report)
            hinted = [work for work in members if _hint(work, above) is not None]
            missed = [work for work in hinted if not work.pulled]
            for work in missed:
                work.initial = None
            sample_strings(surface, missed, search, report)
            _shorten(surface, missed, {}, search, report)  # once more, from the sample
        for work in wave:
            if search.continuation and work.best is not None and work.best.connected:
                above[work.pair] = work.best.beads
        for work in members:
            yield work.index, _conclude(surface, work, search)
    late, shorter = _longer_than_below(bent) if shorten and search.continuation else ([], {})
    _shorten(surface, late, shorter, search, report)
    for work in late:
        yield work.index, work.found()


def _waves(works: list[Work], search: Search) -> list[list[Work]]:
    """Strings that are pulled together: level by level from the highest, or all at once."""
    if not search.continuation:
        return [works]
    levels = sorted({work.level for work in works}, reverse=True)
    return [[work for work in works if work.level == level] for level in levels]
