"""The search for the geodesics of one pair, at all of its levels, as a coroutine.

Where it needs something computed it yields what that is (`Sample`, `Look`, or a `Pull`) and goes
on with the answer. Whoever runs it (`geodesic`) answers many such searches in batches; nothing
here knows of the others.

From the highest level down, strings are pulled taut, beginning with the taut string of the level
above with its ends moved, with the sample, and with the chord: they end in different valleys. The
shortest gets twice the beads and is pulled again; the two lengths say how far discretization still
matters. Where the margin below λ costs too much of the length, as above a floor of the energy,
walls are measured in a smaller unit (`Pull.price`); where it had to be widened to keep segments
inside, a taut string gets more beads. Where a lower level found a shorter way, the higher ones
try that too, from the lowest up. The last word is the dense check.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from landscape_cli.core.batch import Pull
from landscape_cli.core.feasible import Search, Work
from landscape_cli.core.lagrangian import LEAST
from landscape_cli.core.string import Found, bowed, length, normalized_length, reparametrized
from landscape_cli.core.tighten import doubled
from landscape_cli.core.verdict import Peak

DEAR = 2e-3  # part of a length that a margin may cost
SURE = 0.3  # relative KKT residual below which multipliers say what it costs
ASIDE = 1e-3  # chords by which a string begins beside where it was found
STIFF = 1e3  # penalty of a wall that no string falls back through


@dataclass(frozen=True, eq=False)
class Sample:
    """Asks for a sampled string; the answer is in the work."""

    work: Work


@dataclass(frozen=True, eq=False)
class Look:
    """Asks for the dense check of beads; answered by a `Peak`."""

    work: Work
    beads: np.ndarray


@dataclass(frozen=True, eq=False)
class Verdict:
    """Tells that a string is concluded, or concluded anew."""

    work: Work


Steps = Generator[Sample | Look | Pull | Verdict, Any, Any]


def search_pair(works: list[Work], search: Search) -> Steps:
    """Conclude the strings of one pair, from the highest level to the lowest.

    Args:
        works: of the pair, chords tried; those that are straight only help the others.
        search: settings.

    Yields:
        What is to be computed, and the works as they are concluded.
    """
    above: np.ndarray | None = None
    works = sorted(works, key=lambda work: -work.level)
    bent = [work for work in works if not work.ended]
    for work in works:
        if not work.ended:
            yield from _search(work, above, search)
            yield Verdict(work)
        assert work.best is not None
        if work.best.connected:
            above = work.best.beads
    for work in reversed(bent if search.shorten else []):
        shorter = shorter_below(work, bent)
        if shorter is not None:
            yield from _shorten(work, [shorter], search)
            yield Verdict(work)


def _search(work: Work, above: np.ndarray | None, search: Search) -> Steps:
    """The best string of one work."""
    hint = above if work.initial is None else work.initial
    if search.shorten:
        if hint is None:
            yield Sample(work)
        yield from _shorten(work, _starts(work, hint, search), search)
        if work.sampled is None and not work.pulled:  # once more, from the sample
            yield Sample(work)
            yield from _shorten(work, [_sampled(work)], search)
    if work.best is None:
        yield from _fail(work)


def _fail(work: Work) -> Steps:
    """The verdict of a string that was not found: it keeps its beads and its worst segment."""
    assert work.sampled is not None  # only strings whose chord failed get here
    top: Peak = yield Look(work, work.sampled.beads)
    state = "not connected" if np.isfinite(top.energy) else "diverged"
    work.best = Found(state, work.sampled.beads, work.level, top.energy, top.segment)


def _starts(work: Work, hint: np.ndarray | None, search: Search) -> list[np.ndarray]:
    """Strings from which one is pulled taut: what was asked for, or all that there is."""
    if work.initial is not None:
        return [work.initial]
    starts = [] if hint is None else [hint]
    if work.sampled is not None:
        starts.append(_sampled(work))
    return [*starts, np.stack([work.start, work.end])] if search.every_start else starts


def _shorten(work: Work, starts: list[np.ndarray], search: Search) -> Steps:
    """Taut from the start that gives the shortest string, or the next that ends inside."""
    pulls: list[Pull] = yield from _first_pulls(work, starts, search)
    for pull in pulls if search.every_start else pulls[:1]:
        yield from _refine(work, pull, search)
        if work.pulled:
            return


def _refine(work: Work, pull: Pull, search: Search) -> Steps:
    """Doubled, and again where the length still changes, or a taut string's margin is dear."""
    while True:
        fine: Pull = yield from _doubled(work, pull, search)
        changes = _settled(work, search)
        dear = work.best is not None and work.best.state == "taut" and _dear(fine)
        if not (changes or dear) or 2 * fine.segments + 1 > search.max_beads:
            return
        pull = fine


def _first_pulls(work: Work, starts: list[np.ndarray], search: Search) -> Steps:
    """From all starts, or up to the first that does not leave the set; the shortest first."""
    bound = 30 * search.tightening.feasibility
    outside = lambda pull: max(np.nan_to_num(pull.violation, nan=np.inf), bound)
    pulls: list[Pull] = []
    for start in starts:
        pulls.append((yield from _first_pull(work, start, search)))
        if not search.every_start and outside(pulls[-1]) == bound:
            break
    return sorted(pulls, key=lambda pull: (outside(pull), float(length(pull.beads))))


def _first_pull(work: Work, beads: np.ndarray, search: Search) -> Steps:
    """Pull a string taut at the first bead count."""
    begun = move_ends(reparametrized(beads, search.segments), work.start, work.end)
    # Out of any mirror plane that the ends and the gradients share: there is no other way out.
    begun = bowed(begun, ASIDE, search.seed)
    pull = Pull(begun, work.level, search.margin, search.tightening.evaluations)
    stiff = replace(pull, rho=STIFF)
    pull = yield from _pull(work, pull)
    return (yield from _pull(work, stiff)) if _fallen(pull, search) else pull


def _fallen(pull: Pull, search: Search) -> bool:
    """Whether a string lies across a hill as if there were none.

    Over a low one a soft wall lets it fall back onto its chord, until rounding, in float32, leaves
    nothing of what was on one side: a wall that is stiff by then finds nothing to push.
    """
    straight = normalized_length(pull.beads) ** 2 < 1 + LEAST
    return bool(straight) and pull.violation > search.tightening.feasibility


def _pull(work: Work, pull: Pull) -> Steps:
    yield pull
    work.gradients += pull.spent * pull.points
    work.seconds += pull.seconds
    return pull


def _doubled(work: Work, coarse: Pull, search: Search) -> Steps:
    """Twice the beads; a string that peeks out between points gets a wider margin, twice."""
    evaluations, unit = search.tightening.evaluations, _unit(coarse)
    beads = doubled(coarse.beads)
    fine = Pull(beads, work.level, search.margin, 2 * evaluations, unit=unit).warmed(coarse)
    for attempt in range(3):
        fine = yield from _pull(work, fine)
        top: Peak = yield Look(work, fine.beads)
        change = abs(float(length(fine.beads) / length(coarse.beads)) - 1)
        work.take(fine.beads, top, kkt_residual=fine.residual, length_change=change)
        if top.energy <= work.level or not np.isfinite(top.energy) or attempt == 2:
            break
        margin = fine.margin + 1.5 * (top.energy - work.level) / fine.scale
        fine = Pull(fine.beads, work.level, margin, evaluations, unit=unit).warmed(fine)
    return fine


def _unit(pull: Pull) -> float:
    """The unit of energies in which the walls of a string are to be measured.

    |λ| where the set is as deep as that. Above a floor, such as the noise of labels, a margin that
    is small beside λ is not small beside what there is of the set: it shows in what it costs.
    Only a string that is nearly balanced knows what that is.
    """
    return pull.scale * DEAR / pull.price if _dear(pull) else pull.scale


def _dear(pull: Pull) -> bool:
    """Whether its margin costs a string too much of its length, as far as is known."""
    return pull.residual < SURE and pull.price > DEAR


def _settled(work: Work, search: Search) -> bool:
    """Call a string taut where both tests agree; whether it wants more beads instead."""
    best = work.best
    if best is None or best.state == "straight":
        return False
    if best.kkt_residual < search.tightening.tolerance and best.length_change < search.refinement:
        work.best = best.with_(state="taut")
    return bool(best.length_change >= search.refinement)


def _sampled(work: Work) -> np.ndarray:
    """The shortest feasible string so far, else as far as sampling got."""
    if work.best is not None:
        return work.best.beads
    return work.sampled.beads if work.sampled else np.stack([work.start, work.end])


def move_ends(beads: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The same string between other ends: the shift fades linearly along it."""
    s = np.linspace(0, 1, len(beads))[:, None].astype(beads.dtype)
    moved = beads + (1 - s) * (start - beads[0]) + s * (end - beads[-1])
    moved[0], moved[-1] = start, end
    return moved


def shorter_below(work: Work, works: list[Work]) -> np.ndarray | None:
    """The shortest string of a lower level, where it shows that of `work` to be too long."""
    lower = [w.best for w in works if w.level < work.level and w.best]
    lengths = [found.normalized_length for found in lower]
    if not any(np.isfinite(lengths)):
        return None
    shortest = lower[int(np.nanargmin(lengths))]
    short_enough = work.best is not None and (
        work.best.normalized_length <= 1.02 * shortest.normalized_length
    )
    return None if short_enough else shortest.beads
