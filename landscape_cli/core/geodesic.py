"""Geodesics of level sets: the searches of all pairs at once.

For every string the chord is tried first: where it stays inside, it is the geodesic. The others
are sampled (`sampling`), all pairs and levels in one pool, or only those that need it. Then every
pair goes its own way (`search`) from level to level, and nobody waits for a slower one: whatever
the searches ask for at a time is computed together, strings that are pulled taut in a `Pool`. On a
CPU there is a pool for every core, and a pair that waits joins the first that has a place.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from landscape_cli.core.batch import Pull
from landscape_cli.core.feasible import (
    Report,
    Search,
    Work,
    sample_strings,
    try_chords,
    try_initial,
)
from landscape_cli.core.search import Look, Sample, Steps, Verdict, search_pair
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import interleaved
from landscape_cli.core.tighten import Pool, crew
from landscape_cli.core.verdict import peaks


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
        (index, found) for every string as it is concluded, of a pair from the highest level to
        the lowest; once more for one that a lower level has shown to be too long.
    """
    works = [
        Work(i, int(pairs[i]), np.asarray(starts[i], surface.dtype),
             np.asarray(ends[i], surface.dtype), float(levels[i]),
             None if initial is None else initial[i])
        for i in range(len(starts))
    ]  # fmt: skip
    search = replace(search, shorten=search.shorten and surface.smooth)
    try_chords(surface, works, search)
    yield from ((work.index, work.found()) for work in works if work.ended)
    bent = [work for work in works if not work.ended]
    try_initial(surface, bent, search)
    if search.every_start or not search.shorten:
        wanting = [
            w for w in bent if w.best is None and not (search.shorten and w.initial is not None)
        ]
        sample_strings(surface, wanting, search, report)
    if not bent:
        return
    waiting = deque(_by_pair(works, search))
    count, most = crew(surface, search.tightening, 2 * search.segments, len(waiting))
    pulled: set[int] = set()  # a string may be concluded anew
    spent = 0
    for news in interleaved(
        [_batched(surface, waiting, search, most, 1 / count, report) for _ in range(count)]
    ):
        if isinstance(news, int):
            spent += news
        else:
            pulled.add(news[0])
            yield news
        report(len(pulled), len(bent), f"bent strings after {spent:,} evaluations")


def _by_pair(works: list[Work], search: Search) -> list[list[Work]]:
    """Works whose strings help one another: those of a pair, or none."""
    groups: dict[int, list[Work]] = {}
    for work in works:
        groups.setdefault(work.pair if search.continuation else work.index, []).append(work)
    return [group for group in groups.values() if not all(work.ended for work in group)]


def _batched(
    surface: Surface,
    waiting: deque[list[Work]],
    search: Search,
    most: int,
    share: float,
    report: Report,
) -> Iterator[tuple[int, Found] | int]:
    """Run searches, several at a time; their verdicts, and how many evaluations lie between.

    Args:
        surface: the surface.
        waiting: works of pairs that nobody has begun; several of these runs may share it.
        search: settings.
        most: searches at a time.
        share: of the machine that is for these; see `Pool`.
        report: called with (done, total, note) while strings are sampled.
    """
    pool = Pool(surface, search.tightening, share)
    owners: dict[Pull, Steps] = {}
    ready: list[tuple[Steps, Any]] = []  # searches that can go on, and what they asked for
    while True:
        while len(owners) + len(ready) < most and waiting:
            ready += _begun(waiting, search)
        if not ready and not owners:
            return
        asked: list[tuple[Steps, Look | Sample]] = []
        for steps, answer in ready:
            for request in _until_it_waits(steps, answer):
                if isinstance(request, Verdict):
                    yield request.work.index, request.work.found()
                elif isinstance(request, Pull):
                    pool.add(request)
                    owners[request] = steps
                else:
                    asked.append((steps, request))
        ready = _answered(surface, asked, search, share, report)
        if owners and not ready:
            before = sum(pull.spent for pull in owners)
            ended = pool.advance()
            yield sum(pull.spent for pull in owners) - before
            ready = [(owners.pop(pull), pull) for pull in ended]


def _begun(waiting: deque[list[Work]], search: Search) -> list[tuple[Steps, Any]]:
    """The search of the pair that has waited longest, if another run has not just taken it."""
    try:
        return [(search_pair(waiting.popleft(), search), None)]
    except IndexError:
        return []


def _until_it_waits(steps: Steps, answer: Any) -> Iterator[Any]:
    """What a search tells once it has its answer, and at last what it asks for, if it goes on."""
    try:
        request = steps.send(answer)
        while isinstance(request, Verdict):
            yield request
            request = next(steps)
        yield request
    except StopIteration:
        return


def _answered(
    surface: Surface, asked: list[tuple[Steps, Any]], search: Search, share: float, report: Report
) -> list[tuple[Steps, Any]]:
    """Dense checks and samples, each kind in one go."""
    samples = [(steps, ask) for steps, ask in asked if isinstance(ask, Sample)]
    looks = [(steps, ask) for steps, ask in asked if isinstance(ask, Look)]
    sample_strings(surface, [ask.work for _, ask in samples], search, report)
    began = time.perf_counter()
    tops = list(peaks(surface, [ask.beads for _, ask in looks], search.dense)) if looks else []
    for _, ask in looks:
        ask.work.seconds += (time.perf_counter() - began) / len(looks) * share
    found = [(steps, top) for (steps, _), top in zip(looks, tops, strict=True)]
    return [(steps, None) for steps, _ in samples] + found
