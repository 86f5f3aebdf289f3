"""Shorten many strings inside their level sets until they are taut.

A `Pool` schedules them. Strings of the same number of beads advance together (`Batch`), each with
steps of its own; one that is done leaves, and makes room for one that waits. Small strings take
trials and gradients in one program, on a CPU a string at a time for every core; of large ones
there are as many at a time as `Tightening.history` holds.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace

import numpy as np

from landscape_cli.core.batch import Batch, Pull, in_one_program
from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.lbfgs import ROW, row_bytes
from landscape_cli.core.string import reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import hands, one_cpu, side_by_side


class Pool:
    """Strings on their way to being taut; who is done makes room for who waits.

    Args:
        surface: a smooth surface.
        settings: see `Tightening`; its `evaluations` do not matter, those of a `Pull` do.
        share: part of `Tightening.history`, and of the machine, that is for this pool.
    """

    def __init__(self, surface: Surface, settings: Tightening, share: float = 1.0) -> None:
        self.surface, self.share = surface, share
        self.settings = replace(settings, evaluations=0)  # no part of any program
        self.batches: dict[tuple[int, int], Batch] = {}
        self.waiting: dict[Batch, deque[Pull]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.waiting.values())) + len(self.running)

    @property
    def running(self) -> list[Pull]:
        """Strings that have their room."""
        return [pull for batch in self.batches.values() for pull in batch.pulls]

    def add(self, pull: Pull) -> None:
        """Let a string wait for its turn."""
        self.waiting.setdefault(self._batch(pull), deque()).append(pull)

    def advance(self) -> list[Pull]:
        """Let strings in, advance all up to the next look; return those that have ended."""
        began = time.perf_counter()
        for batch, pulls in self._admitted().items():
            batch.add(pulls)
        here, busy = self.running, [batch for batch in self.batches.values() if batch.pulls]
        for batch in busy:
            batch.advance()
        ended = [pull for batch in busy for pull in batch.ended()]
        for pull in here:
            pull.seconds += (time.perf_counter() - began) / len(here) * self.share
        return ended

    def _admitted(self) -> dict[Batch, list[Pull]]:
        """Those who wait, where there is a lane and room; nobody overtakes one who lacks room."""
        used = sum(map(self._room, self.running))
        joins = used > 0 and not one_cpu()
        found: dict[Batch, list[Pull]] = {}
        for batch, queue in self.waiting.items():
            there = len(batch.pulls)
            while queue and there + len(found.get(batch, [])) < batch.most:
                need = self._room(queue[0])
                crowded = used > 0 and used + need > self.share
                if crowded or (joins and not self.settings.roomy(batch.size)):
                    return found  # big strings begin together: joining others copies them
                used += need
                found.setdefault(batch, []).append(queue.popleft())
        return found

    def _room(self, pull: Pull) -> float:
        """The part of the history that a string takes."""
        size = row_bytes(pull.segments, self.surface.dimension)
        return (1 - 1e-9) / self.settings.together(size)

    def _batch(self, pull: Pull) -> Batch:
        """Where a string belongs."""
        check = min(self.settings.check, pull.evaluations)
        key = pull.segments, check
        if key not in self.batches:
            self.batches[key] = Batch(self.surface, self.settings, *key)
        return self.batches[key]


def crew(surface: Surface, settings: Tightening, segments: int, strings: int) -> tuple[int, int]:
    """How many pools go on side by side, and how many strings each is best at.

    A CPU takes a small string after another, whose memory stays in the cache of a core.
    """
    if one_cpu() and in_one_program(surface, settings, row_bytes(segments, surface.dimension)):
        return max(1, min(hands(), strings)), 1
    return 1, strings


def tighten(surface: Surface, pulls: list[Pull], settings: Tightening) -> None:
    """Shorten strings, in place; each stops when taut and feasible, or out of evaluations.

    Args:
        surface: a smooth surface.
        pulls: strings, of any numbers of beads.
        settings: see `Tightening`; its `evaluations` do not matter, those of a `Pull` do.
    """
    count, _ = crew(surface, settings, max(pull.segments for pull in pulls), len(pulls))

    def work(some: list[Pull]) -> None:
        pool = Pool(surface, settings, 1 / count)
        for pull in some:
            pool.add(pull)
        while len(pool):
            pool.advance()

    side_by_side(work, [pulls[i::count] for i in range(count)])


def bytes_of(settings: Tightening, strings: int, segments: int, params: int, item: int) -> int:
    """Bytes that `strings` take while they are tightened, points and gradients included.

    Counted in strings, of which a `State` holds beads, direction, gradient, raised gradient and
    the history; a trial brings a pair, gradients at its points, and what XLA puts between.
    """
    size = row_bytes(segments, params)
    together, settings = min(strings, settings.together(size)), settings.fitted(size)
    state, trial = 4 * item, (8 + settings.samples) * item
    history = 2 * settings.memory * np.dtype(ROW).itemsize
    return settings.lanes(together, size) * (state + history + trial) * segments * params


def doubled(beads: np.ndarray) -> np.ndarray:
    """The same string, (bead, param), with twice the segments, equal arcs."""
    return reparametrized(beads, 2 * (len(beads) - 1))
