"""Relax strings of beads, all strings of a run at once, whatever their numbers of beads.

On a CPU the strings are dealt out to its cores; elsewhere they are one batch, whose beads are
shared out over the devices (`relax_steps`). The host looks now and then and stops where every
string has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from landscape_cli.core.devices import sent
from landscape_cli.core.lanes import pad, rung
from landscape_cli.core.relax_steps import Band, Pool, Program, Relaxing, advance
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import side_by_side, workers

CHECK = 50  # steps between two looks from the host


@dataclass
class Relaxed:
    """What `relax` returns.

    Attributes:
        strings: (bead, param) each; ends untouched.
        pull: (string,) largest push on a bead at its last step.
        broken: (string,) whether a NaN or infinity has ended it; it is where it was before.
        gradients: (string,) gradients spent.
    """

    strings: list[np.ndarray]
    pull: np.ndarray
    broken: np.ndarray
    gradients: np.ndarray


class Batch(NamedTuple):
    """Strings that one worker relaxes together.

    Attributes:
        members: which strings; those of the band after them are padding.
        band: the strings.
        pool: their beads.
        real: how many of the pool are no padding.
    """

    members: np.ndarray
    band: Band
    pool: Pool
    real: int

    def ended(self) -> bool:
        """Whether no string moves any more."""
        pull, tolerance, broken = (
            np.asarray(leaf)[: len(self.members)]
            for leaf in (self.band.pull, self.band.tolerance, self.band.broken)
        )
        return bool((broken | (pull < tolerance)).all())


def relax(
    surface: Surface,
    strings: Sequence[np.ndarray],
    settings: Relaxing,
    rates: np.ndarray,
    *,
    places: Sequence[np.ndarray] | None = None,
    tolerance: np.ndarray | None = None,
    draw: Any = None,
    key: jax.Array | None = None,
    report: Callable[[int], Any] = lambda done: None,
) -> Relaxed:
    """Move the interior beads of all strings, one step for every rate.

    Args:
        surface: gradients are those of `surface.slope`.
        strings: (bead, param) each, at least three beads, ends included.
        settings: see `Relaxing`.
        rates: (step,) learning rates.
        places: (bead,) each: where beads belong by arclength, in [0, 1]; None: at equal arcs.
        tolerance: (string,) a string whose largest push is below this has arrived; None: 0.
        draw: makes a mini-batch of the loss's data for a bead; None: full batches.
        key: for mini-batches.
        report: called with the steps done now and then.

    Returns:
        Strings of the same shapes.
    """
    count, done = len(strings), 0
    result = Relaxed(list(strings), np.zeros(count), np.zeros(count, bool), np.zeros(count, int))
    if count == 0:
        return result
    program = Program(settings, surface.slope, draw, surface.chunk)
    key = jax.random.key(0) if key is None else key
    rates = np.asarray(rates, surface.dtype)
    places = places or [np.linspace(0, 1, len(beads)) for beads in strings]
    tolerance = np.zeros(count) if tolerance is None else tolerance
    batches = _dealt(surface, settings, strings, places, tolerance)
    for first in range(0, len(rates), CHECK):
        some = rates[first : first + CHECK]
        padded, steps = sent(np.resize(some, CHECK)), len(some)

        def go(batch: Batch, first=first, steps=steps, rates=padded) -> Batch:
            job = (program, batch.band, batch.pool, rates, key, first, steps)
            return batch._replace(band=advance(surface, *job))

        batches = side_by_side(go, batches)
        if surface.strategy == "vmap":
            surface.count.add(gradients=steps * sum(batch.real for batch in batches))
        done = first + steps
        report(done)
        if all(batch.ended() for batch in batches):
            break
    for batch in batches:
        _collect(result, batch, done)
    return result


def _collect(result: Relaxed, batch: Batch, steps: int) -> None:
    """Bring the strings of a batch to the host."""
    count, members = len(batch.members), batch.members
    for member, beads in zip(members, np.asarray(batch.band.beads), strict=False):
        size = len(result.strings[member])
        result.strings[member] = beads[:size].copy()
        result.gradients[member] = steps * (size - 2) + 2
    result.pull[members] = np.asarray(batch.band.pull)[:count]
    result.broken[members] = np.asarray(batch.band.broken)[:count]


def _dealt(surface: Surface, settings: Relaxing, strings, places, tolerance) -> list[Batch]:
    """A batch for every worker, all of one shape, so that they share a program."""
    ends = np.stack([beads[[0, -1]] for beads in strings]).astype(surface.dtype)
    losses, _ = surface.losses_and_gradients(sent(ends.reshape(-1, ends.shape[-1])))
    losses = np.asarray(losses).reshape(-1, 2)
    inner = np.array([len(beads) - 2 for beads in strings])
    loop = surface.strategy == "loop"
    deal = np.array_split(np.arange(len(strings)), 1 if loop else min(workers(), len(strings)))
    lanes = max(map(len, deal))
    size = 0 if loop else _pool_size(max(int(inner[rows].sum()) for rows in deal))
    take = lambda array: sent(np.asarray(array, surface.dtype))
    batches = []
    for members in deal:
        rows = pad(members, lanes)  # strings to spare have beads that nothing moves
        beads = _even([strings[i] for i in rows], rung(int(inner.max())) + 2)
        spots = _even([places[i] for i in rows], beads.shape[1])
        mask = np.arange(beads.shape[1] - 2) < inner[rows][:, None]
        mask[len(members) :] = False
        band = Band(
            beads=take(beads),
            places=take(spots),
            inner=sent(mask),
            ends=take(losses[rows]),
            unit=take(settings.units(beads)),
            tolerance=take(tolerance[rows]),
            pull=take(np.full(lanes, np.inf)),
            broken=sent(np.zeros(lanes, bool)),
            state=settings.stepper.init(take(beads[:, 1:-1])),
        )
        batches.append(Batch(members, band, _pool(mask, rows, size), int(mask.sum())))
    return batches


def _even(rows: list[np.ndarray], size: int) -> np.ndarray:
    """(string, bead, ...) with the last bead of every string repeated."""
    return np.stack([np.concatenate([r, np.repeat(r[-1:], size - len(r), axis=0)]) for r in rows])


def _pool(mask: np.ndarray, strings: np.ndarray, size: int) -> Pool:
    """The beads in `mask`, and padding up to `size` that is computed and dropped."""
    rows = np.flatnonzero(mask)
    size = max(size, len(rows))
    owners = pad(np.stack([strings[rows // mask.shape[1]], rows % mask.shape[1]], 1), size)
    spare = np.full(size - len(rows), mask.size)
    return Pool(*map(sent, (np.append(rows, spare), *owners.T)))


def _pool_size(count: int) -> int:
    """Few sizes, and at most an eighth of the gradients for nothing."""
    step = max(1, 2 ** (count.bit_length() - 4))
    return -(-count // step) * step
