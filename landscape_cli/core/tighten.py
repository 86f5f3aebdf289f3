"""Shorten strings inside their level sets until they are taut: batched, all strings at once.

Every string has its own step, multipliers and history (`lagrangian`); those that are done leave
the batch. Small strings take trials and gradients in one program, several strings to a batch and
a batch to a core; of large ones as many at a time as `Tightening.history` holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.lagrangian import (
    LANES,
    Pair,
    State,
    Tightening,
    Walls,
    advance,
    begin,
    green,
    judge_trial,
    sample_points,
    turn,
)
from landscape_cli.core.string import reparametrized
from landscape_cli.core.surface import (
    Surface,
    mapped_first,
    over_devices,
    pad,
    side_by_side,
    total_gradient,
    workers,
)


@dataclass
class Tightened:
    """Result of `tighten`; arrays have a leading string axis."""

    beads: np.ndarray  # (string, bead, param)
    residual: np.ndarray
    violation: np.ndarray
    multipliers: np.ndarray
    rho: np.ndarray
    evaluations: np.ndarray

    @property
    def points(self) -> int:
        """Points of one evaluation of one string."""
        return self.multipliers.shape[1]

    def __getitem__(self, rows: Any) -> Tightened:
        return Tightened(**{name: array[rows] for name, array in vars(self).items()})


def _joined(results: list[Tightened]) -> Tightened:
    """One after another."""
    names = vars(results[0])
    return Tightened(**{n: np.concatenate([getattr(r, n) for r in results]) for n in names})


def _all_points(beads: Array, walls: Walls, samples: int) -> Array:
    """Points of all strings, one after another: (string x point, param)."""
    points = jax.vmap(partial(sample_points, samples=samples))(beads, walls)
    return points.reshape(-1, beads.shape[-1])


def _trial_points(state: State, walls: Walls, samples: int) -> Array:
    trial = state.beads + state.step[:, None, None] * state.direction
    return _all_points(trial, walls, samples)


def _by_string(count: int, energies: Array, gradients: Array) -> tuple[Array, Array]:
    """(string, point) and (string, point, param) from what was evaluated in one row."""
    return energies.reshape(count, -1), gradients.reshape(count, -1, gradients.shape[-1])


def _advance_all(state, energies, gradients, walls, metric, settings) -> State:
    each = partial(advance, settings=settings)
    here = _by_string(len(state.rho), energies, gradients)
    return jax.vmap(each, (0, 0, 0, 0, None))(state, *here, walls, metric)


def _judge_all(state, energies, gradients, walls, metric, samples) -> tuple[State, Pair]:
    each = partial(judge_trial, samples=samples)
    here = _by_string(len(state.rho), energies, gradients)
    return jax.vmap(each, (0, 0, 0, 0, None))(state, *here, walls, metric)


def _turn_all(state, pair, walls, metric, settings) -> State:
    each = partial(turn, settings=settings)
    return jax.vmap(each, (0, 0, 0, None))(state, pair, walls, metric)


@partial(jax.jit, static_argnames="settings")
def _begin_all(beads, energies, gradients, mu, rho, walls, metric, settings) -> State:
    each = partial(begin, settings=settings)
    here = _by_string(len(beads), energies, gradients)
    return jax.vmap(each, (0, 0, 0, 0, 0, 0, None))(beads, *here, mu, rho, walls, metric)


@partial(jax.jit, static_argnames=("energy", "chunk", "settings"), donate_argnames="state")
def _trials(energy, parts, metric, state, walls, real, count, chunk, settings) -> State:
    """`count` trials of every string, gradients included, as one program.

    Strings that are not `real` are padding behind all others, and cost no gradients.
    """

    def run(shared: Any, lanes: Any) -> State:
        (parts, metric, count), (state, walls, real) = shared, lanes

        def evaluated(points: Array) -> tuple[Array, Array]:
            each = len(points) // len(real)
            wanted, part = real.sum() * each, min(chunk, each)
            return mapped_first(total_gradient, energy, parts, points, wanted, part)

        def nothing(points: Array) -> tuple[Array, Array]:
            return jnp.zeros_like(points[:, 0]), jnp.zeros_like(points)

        def trial(_: Any, state: State) -> State:
            points = _trial_points(state, walls, settings.samples)
            # Always taken: a branch is compiled apart, so it rounds as it does in a host loop.
            energies, gradients = jax.lax.cond(count > 0, evaluated, nothing, points)
            return _advance_all(state, energies, gradients, walls, metric, settings)

        return jax.lax.fori_loop(0, count, trial, state)

    return over_devices(run, (parts, metric, count), (state, walls, real))


# The same for surfaces that are computed point by point, with the gradients in between.
_points_of = jax.jit(_all_points, static_argnames="samples")
_points_of_trial = jax.jit(_trial_points, static_argnames="samples")
# Two programs: one that both wrote a row of the history and multiplied by it would copy it whole.
_judged: Any = jax.jit(_judge_all, static_argnames="samples", donate_argnums=0)
_turned: Any = jax.jit(_turn_all, static_argnames="settings", donate_argnums=0)


class Batch(NamedTuple):
    """Strings that one worker advances together; lanes after `rows` are padding."""

    rows: np.ndarray  # which strings
    state: State
    walls: Walls


def _evaluate_points(surface: Surface, points: Array, strings: int, size: int):
    """Energies and gradients at the points of `size` strings, of which `strings` are real."""
    if surface.strategy == "vmap" or strings == size:
        return surface.energies_and_gradients(points)
    real = len(points) // size * strings  # a host loop pays for every point: leave out padding
    energies, gradients = surface.energies_and_gradients(points[:real])
    fill = (0, len(points) - real)
    return jnp.pad(energies, fill, mode="edge"), jnp.pad(gradients, (fill, (0, 0)), mode="edge")


def _one_program(surface: Surface, size: int, settings: Tightening) -> bool:
    """Whether trials and gradients are one program: fast, but XLA copies big histories in it."""
    return surface.strategy == "vmap" and settings.roomy(size)


def _advance_batch(surface: Surface, batch: Batch, metric, count: int, settings) -> Batch:
    """`count` trials of the strings of a batch."""
    rows, state, walls = batch
    if _one_program(surface, state.beads[0].nbytes, settings):
        real = np.arange(len(state.rho)) < len(rows)
        state = _trials(
            surface.steep, surface.parts, metric, state, walls, real, count, surface.chunk,
            settings,
        )  # fmt: skip
        return Batch(rows, state, walls)
    for _ in range(count):
        points = _points_of_trial(state, walls, settings.samples)
        energies, gradients = _evaluate_points(surface, points, len(rows), len(state.rho))
        del points  # as large as the gradients
        state, pair = _judged(state, energies, gradients, walls, metric, settings.samples)
        del gradients
        state = _turned(state, pair, walls, metric, settings)
        del pair
    return Batch(rows, state, walls)


def tighten(
    surface: Surface,
    beads: np.ndarray,
    levels: np.ndarray,
    margins: np.ndarray,
    settings: Tightening,
    warm: Tightened | None = None,
    report: Callable[[int, int], Any] = lambda done, total: None,
) -> Tightened:
    """Shorten all strings; each stops when taut and feasible, or out of evaluations.

    Args:
        surface: a smooth surface.
        beads: (string, bead, param), ends included; need not be feasible.
        levels: (string,) λ.
        margins: (string,) part of |λ| by which points are kept below λ.
        settings: see `Tightening`.
        warm: an earlier result for the same strings, whose multipliers are taken over.
        report: called with (strings done, strings) now and then.

    Returns:
        Beads of the same shape with ends untouched, KKT residuals, violations, multipliers.
    """
    count, segments = len(beads), beads.shape[1] - 1
    together, settings = settings.fitted(count, _size(beads, surface))
    if together < count:
        some = [slice(first, first + together) for first in range(0, count, together)]
        return _joined([
            tighten(
                surface, beads[rows], levels[rows], margins[rows], settings,
                None if warm is None else warm[rows],
                lambda done, _, rows=rows: report(rows.start + done, count),
            )
            for rows in some
        ])  # fmt: skip
    points = segments * settings.samples - 1
    result = Tightened(
        beads=np.array(beads, surface.dtype),
        residual=np.full(count, np.nan),
        violation=np.full(count, np.nan),
        multipliers=_spread(warm, count, points, surface.dtype),
        rho=np.full(count, settings.rho) if warm is None else np.clip(warm.rho, 1, 100),
        evaluations=np.zeros(count, int),
    )
    metric = jnp.asarray(green(segments), surface.dtype)
    batches = _load(surface, result, levels, margins, metric, settings)
    for first in range(0, settings.evaluations, settings.check):
        steps = min(settings.check, settings.evaluations - first)
        advance = lambda batch, steps=steps: _advance_batch(
            surface, batch, metric, steps, settings
        )
        batches = side_by_side(advance, batches)
        batches = [_store(surface, result, batch, first + steps, settings) for batch in batches]
        batches = _evened([batch for batch in batches if len(batch.rows)], settings)
        report(count - sum(len(batch.rows) for batch in batches), count)
        if not batches:
            break
    if _one_program(surface, _size(beads, surface), settings):
        surface.count.gradients += int(result.evaluations.sum()) * points
    return result


def bytes_of(settings: Tightening, strings: int, segments: int, params: int, item: int) -> int:
    """Bytes that `strings` take while they are tightened, points and gradients included.

    Counted in strings, of which a `State` holds beads, direction, gradient, gradients at points
    and the history; a trial brings a pair, gradients at its points, and what XLA puts between.
    """
    size = (segments - 1) * params * item
    together, settings = settings.fitted(strings, size)
    state = 3 + settings.samples + 2 * settings.memory
    trial = 11 + settings.samples
    return settings.lanes(together, size) * (state + trial) * segments * params * item


def _size(beads: np.ndarray, surface: Surface) -> int:
    """Bytes of the interior beads of one string of (string, bead, param)."""
    return (beads.shape[1] - 2) * beads.shape[2] * np.dtype(surface.dtype).itemsize


def _spread(warm: Tightened | None, count: int, points: int, dtype: Any) -> np.ndarray:
    """Multipliers at `points` per string, interpolated from those of another bead count."""
    if warm is None:
        return np.zeros((count, points), dtype)
    old, new = (np.arange(1, n + 1) / (n + 1) for n in (warm.points, points))
    return np.stack([np.interp(new, old, mu) for mu in warm.multipliers]).astype(dtype)


def _load(surface, result: Tightened, levels, margins, metric, settings) -> list[Batch]:
    """All strings, evaluated and dealt out to batches."""
    count = len(result.beads)
    scale = np.where(levels == 0, 1.0, np.abs(levels))
    size = _size(result.beads, surface)
    lanes = settings.lanes(count, size)
    take = lambda a: jnp.asarray(pad(np.asarray(a, surface.dtype), lanes))
    walls = Walls(
        take(result.beads[:, 0]), take(result.beads[:, -1]), take(levels - margins * scale),
        take(scale),
    )  # fmt: skip
    inner = take(result.beads[:, 1:-1])
    points = _points_of(inner, walls, settings.samples)
    here = _evaluate_points(surface, points, count, lanes)
    del points  # as large as the gradients
    mu, rho = take(result.multipliers), take(result.rho)
    state = _begin_all(inner, *here, mu, rho, walls, metric, settings)
    whole = Batch(np.arange(count), state, walls)
    return _dealt(whole, _batches(surface, count, settings.roomy(size)), settings)


def _dealt(batch: Batch, count: int, settings: Tightening) -> list[Batch]:
    """The strings of a batch in `count` batches; more than one only in the host's own memory."""
    if count == 1:
        return [batch]
    size = batch.state.beads[0].nbytes
    found = []
    for deal in np.array_split(np.arange(len(batch.rows)), count):
        some = pad(deal, settings.lanes(len(deal), size))
        lanes = jax.tree.map(
            lambda leaf, some=some: jnp.asarray(np.asarray(leaf)[some]), batch[1:]
        )
        found.append(Batch(batch.rows[deal], *lanes))
    return found


def _evened(batches: list[Batch], settings: Tightening) -> list[Batch]:
    """The same strings dealt anew, where some batches have lost more of them than others."""
    counts = [len(batch.rows) for batch in batches]
    if len(batches) < 2 or max(counts) - min(counts) < 2:
        return batches
    real = [
        jax.tree.map(lambda leaf, n=n: np.asarray(leaf)[:n], batch)
        for batch, n in zip(batches, counts, strict=True)
    ]
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *real)
    return _dealt(joined, _shares(sum(counts)), settings)


def _batches(surface: Surface, count: int, roomy: bool) -> int:
    """How many batches are dealt: small ones stay in a core's cache, a GPU wants one big one."""
    if (
        surface.strategy == "loop"
        or not roomy
        or jax.default_backend() != "cpu"
        or jax.local_device_count() > 1
    ):
        return 1
    return _shares(count)


def _shares(count: int) -> int:
    """Batches that keep all workers busy."""
    return max(-(-count // LANES), min(workers(), count))


@jax.jit
def _picked(lanes: Any, rows: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], lanes)


def _store(surface, result: Tightened, batch: Batch, spent: int, settings: Tightening) -> Batch:
    """Write back strings that end; drop them, so that no result depends on its company."""
    rows, state, walls = batch
    lanes = np.arange(len(rows))
    residual, violation, value = (
        np.asarray(leaf)[lanes]
        for leaf in (state.now.residual, state.now.violation, state.now.value)
    )
    taut = (residual < settings.tolerance) & (violation < settings.feasibility)
    done = taut | ~np.isfinite(value) | (spent >= settings.evaluations)
    ended = rows[done]
    result.residual[ended], result.violation[ended] = residual[done], violation[done]
    result.beads[ended, 1:-1] = np.asarray(state.beads)[lanes[done]]
    result.multipliers[ended] = np.asarray(state.now.multipliers)[lanes[done]]
    result.rho[ended] = np.asarray(state.rho)[lanes[done]]
    result.evaluations[ended] = spent
    keep = lanes[~done]
    if len(keep) in (0, len(rows)):
        return batch._replace(rows=rows[keep])
    size = settings.lanes(len(keep), _size(result.beads, surface))
    return Batch(rows[keep], *_picked((state, walls), pad(keep, size)))


def doubled(beads: np.ndarray) -> np.ndarray:
    """The same strings with twice the segments, equal arcs."""
    segments = 2 * (beads.shape[1] - 1)
    return np.stack([reparametrized(string, segments) for string in beads])
