"""One string that is being shortened: its Lagrangian, and one trial of L-BFGS.

A geodesic of Ω = {F <= λ} is straight inside and pressed against the wall by a force along the
gradient (γ'' = 0 where F < λ, γ'' = μ∇F with μ >= 0 where F = λ). With x the beads, p_k beads
and points inside segments, and c = log(F/λ) outside, (F - λ)/λ inside, each string minimizes

    L(x) = N Σ ‖x_{i+1} - x_i‖² / 2‖chord‖² + (1/K) Σ_k [max(0, μ_k + ρ c(p_k))² - μ_k²] / 2ρ

(an augmented Lagrangian: Hestenes 1969, Powell 1969, Rockafellar 1973) by L-BFGS (Nocedal 1980)
in the string's own H¹ metric: the length term's Hessian is N·tridiag(-1, 2, -1), whose inverse
is known, so it is the initial metric, scaled by the latest curvature; without that scale the
walls, a million times stiffer than the string, reject every step.

Everything here is traced and is about a single string; `tighten` has the batches.

Reference: the wall conditions are those of Freeman & Bruna, 2017, arXiv 1611.01540, level sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.surface import rung

FEWEST = 2  # pairs that L-BFGS remembers however big a string is
LANES = 8  # strings that advance together on a CPU: their memory stays in a core's cache


class Walls(NamedTuple):
    """What stays fixed of a string while it is tightened."""

    start: Array  # (param,)
    end: Array  # (param,)
    level: Array  # λ the string must obey, margin taken off
    scale: Array  # unit of c: |λ|, or 1 at λ = 0


class Evaluated(NamedTuple):
    """The Lagrangian of one string, from energies and gradients at its points."""

    value: Array
    gradient: Array  # (bead-2, param)
    multipliers: Array  # (point,) max(0, μ + ρc): what the walls push with
    violation: Array  # largest max(0, c)
    residual: Array  # relative KKT residual


class History(NamedTuple):
    """The latest curvature pairs dx, dg of one string, and the dot products L-BFGS needs.

    Only sums of the rows of `x` and `z` are ever formed, so one pass over the memory gives the
    dot products and one the direction (a vector-free two-loop recursion: Chen et al. 2014).
    """

    x: Array  # (memory, bead-2, param) dx
    z: Array  # (memory, bead-2, param) dg raised by the metric
    xg: Array  # (memory, memory) <dx_i, dg_j>
    zg: Array  # (memory, memory) <z_i, dg_j>
    inverse: Array  # (memory,) 1 / <dx_i, dg_i>; 0: no entry
    slot: Array  # the oldest entry, overwritten next


class Pair(NamedTuple):
    """A curvature pair that a trial has brought."""

    dx: Array  # (bead-2, param)
    dg: Array  # (bead-2, param)
    slot: Array  # where it was remembered
    good: Array  # whether it was


class State(NamedTuple):
    """One string on its way; every field has a leading string axis in a batch."""

    beads: Array  # (bead-2, param) interior beads
    energies: Array  # (point,) at the accepted beads
    gradients: Array  # (point, param)
    mu: Array  # (point,)
    rho: Array
    now: Evaluated
    direction: Array
    step: Array
    scale: Array  # of the initial metric
    history: History
    rejected: Array  # trials refused in a row
    since: Array  # trials since the multipliers were updated
    wanted: Array  # violation at the last update of the multipliers


@dataclass(frozen=True)
class Tightening:
    """Settings of the shortening.

    Attributes:
        samples: points per segment where F <= level is asked for, its first bead included.
        evaluations: most evaluations of a string at one bead count.
        memory: pairs remembered by L-BFGS.
        tolerance: relative KKT residual at which a string is taut.
        feasibility: largest c(p) that counts as inside, relative to the level.
        every: evaluations after which multipliers are updated at the latest.
        inner: KKT residual of the inner problem at which multipliers are updated.
        growth: factor of the penalty ρ where an update left more than half the violation.
        rho: first penalty. Small: a stiff wall costs more evaluations than a few updates.
        gross: violation above which ρ grows even before the inner problem is solved.
        check: evaluations between two looks at who is done.
        history: GiB that the pairs of all strings of a batch may take. Where they do not fit,
            fewer strings advance together, and of a single one fewer pairs are remembered, at
            least 2.
    """

    samples: int = 3
    evaluations: int = 400
    memory: int = 24
    tolerance: float = 1e-2
    feasibility: float = 1e-3
    every: int = 50
    inner: float = 0.01
    growth: float = 2.0
    rho: float = 1.0
    gross: float = 0.1
    check: int = 10
    history: float = 4.0

    def fitted(self, strings: int, size: int) -> tuple[int, Tightening]:
        """How many strings advance together, and the settings with as many pairs as fit.

        Args:
            strings: how many there are.
            size: bytes of the interior beads of one, positive.
        """
        room = self.history * 2**30 / (2 * size)  # rows of a history, of any string
        pairs = min(self.memory, max(FEWEST, int(room)))  # whatever the company of a string
        return int(np.clip(room // pairs, 1, strings)), replace(self, memory=pairs)

    def roomy(self, size: int) -> bool:
        """Whether a few strings fit, so that lanes to spare and whole programs cost little."""
        return LANES * self.memory * 2 * size <= self.history * 2**30

    def lanes(self, strings: int, size: int) -> int:
        """Lanes of a batch: few sizes, few compilations; none to spare where it hardly fits."""
        return rung(strings) if self.roomy(size) else strings


def green(segments: int) -> np.ndarray:
    """Inverse of N·tridiag(-1, 2, -1) for fixed ends: min(s, t)(1 - max(s, t))."""
    s = np.arange(1, segments) / segments
    return np.minimum(s[:, None], s) * (1 - np.maximum(s[:, None], s))


def sample_points(beads: Array, walls: Walls, samples: int) -> Array:
    """(point, param): every interior bead and `samples - 1` points inside every segment."""
    whole = jnp.concatenate([walls.start[None], beads, walls.end[None]])
    f = (jnp.arange(samples) / samples).astype(beads.dtype)[:, None]
    points = whole[:-1, None] * (1 - f) + whole[1:, None] * f
    return points.reshape(-1, beads.shape[1])[1:]


def hats(segments: int, samples: int, dtype: Any) -> Array:
    """(bead, point): the transpose of `sample_points`, what a bead has of each point."""
    place = jnp.arange(1, segments * samples) / samples  # of points, in segments
    bead = jnp.arange(1, segments)[:, None]
    return jnp.maximum(0, 1 - jnp.abs(place - bead)).astype(dtype)


def constraint(energies: Array, walls: Walls) -> tuple[Array, Array]:
    """The constraint c, and dc/dF: linear inside, logarithmic outside, C¹ at the wall."""
    excess = (energies - walls.level) / walls.scale
    outside = jnp.maximum(excess, 0)
    c = jnp.where(excess > 0, jnp.log1p(outside), excess)
    return c, 1 / ((1 + outside) * walls.scale)


def _evaluate(beads, energies, gradients, mu, rho, walls, metric, samples) -> Evaluated:
    c, slope = constraint(energies, walls)
    push = jnp.maximum(0, mu + rho * c)
    segments = beads.shape[0] + 1
    t = (jnp.arange(1, segments) / segments).astype(beads.dtype)[:, None]
    off = beads - (walls.start + t * (walls.end - walls.start))
    chord2 = ((walls.end - walls.start) ** 2).sum()
    pull = _stretch(off) / chord2
    excess = (off * pull).sum()  # ℓ² - 1 when the beads are equally spaced
    value = excess / 2 + ((push**2 - mu**2) / (2 * rho)).mean()
    # A product with a matrix of zeros, mostly: sums of slices would copy all gradients thrice.
    forces = push * slope / push.size
    gradient = pull + (hats(segments, samples, beads.dtype) * forces) @ gradients
    unbalanced = chord2 * (gradient * (metric @ gradient)).sum()
    # Below an excess of 1e-4 the length is known to five digits anyway: no relative test there.
    residual = jnp.sqrt(jnp.maximum(unbalanced, 0) / jnp.maximum(excess, 1e-4))
    return Evaluated(value, gradient, push, jnp.maximum(c, 0).max(), residual)


def _rows_dot(rows: Array, vector: Array) -> Array:
    return jnp.tensordot(rows, vector, axes=vector.ndim)


def _direction(state: State, metric: Array) -> Array:
    """-H∇L by the two-loop recursion, on coefficients of the remembered rows."""
    memory, gradient = state.history, state.now.gradient
    size = memory.inverse.size
    order = (memory.slot + jnp.arange(size)) % size  # oldest first
    on_x, on_z = _rows_dot(memory.x, gradient), _rows_dot(memory.z, gradient)

    def backward(a, i):
        return a.at[i].set(memory.inverse[i] * (on_x[i] - memory.xg[i] @ a)), None

    def forward(c, i):
        d = state.scale * (on_z[i] - memory.zg[i] @ a) + memory.xg[:, i] @ c
        return c.at[i].set(a[i] - memory.inverse[i] * d), None

    zero = jnp.zeros_like(memory.inverse)
    a, _ = jax.lax.scan(backward, zero, order, reverse=True)
    c, _ = jax.lax.scan(forward, zero, order)
    raised = metric @ gradient - jnp.tensordot(a, memory.z, axes=1)
    return -(state.scale * raised + jnp.tensordot(c, memory.x, axes=1))


def _stretch(beads: Array) -> Array:
    """N·tridiag(-1, 2, -1) of interior beads with fixed ends: the inverse of the metric."""
    steps = jnp.diff(jnp.pad(beads, ((1, 1), (0, 0))), axis=0)
    return (beads.shape[0] + 1) * (steps[:-1] - steps[1:])


def _learn(state: State, trial: Array, new: Evaluated, good, metric) -> tuple[State, Pair]:
    """Overwrite the oldest curvature pair and rescale the metric, where the pair is convex."""
    old, i = state.history, state.history.slot
    dx, dg = trial - state.beads, new.gradient - state.now.gradient
    dz = metric @ dg
    dot, curvature = (dx * dg).sum(), (dg * dz).sum()
    good = good & (dot > 1e-10 * (dg * dg).sum())
    row = lambda array, value: array.at[i].set(jnp.where(good, value, array[i]))
    history = old._replace(
        x=row(old.x, dx),
        z=row(old.z, dz),
        inverse=row(old.inverse, 1 / jnp.where(good, dot, 1)),
        slot=jnp.where(good, (i + 1) % old.inverse.size, i),
    )
    scale = jnp.where(good, dot / jnp.where(good, curvature, 1), state.scale)
    return state._replace(history=history, scale=scale), Pair(dx, dg, i, good)


def _multiply(history: History, pair: Pair) -> History:
    """The dot products of a pair that is among the rows now."""
    _, dg, i, good = pair
    row = lambda array, value: array.at[i].set(jnp.where(good, value, array[i]))
    column = lambda array, value: array.at[:, i].set(jnp.where(good, value, array[:, i]))
    zg = _rows_dot(history.z, dg)  # symmetric, as the metric is
    xg = row(history.xg, _rows_dot(history.z, _stretch(pair.dx)))
    return history._replace(
        xg=column(xg, _rows_dot(history.x, dg)),
        zg=column(row(history.zg, zg), zg),
    )


def judge_trial(state: State, energies, gradients, walls, metric, samples) -> tuple[State, Pair]:
    """Accept or refuse the trial beads (Armijo); a refusal shortens the step."""
    trial = state.beads + state.step * state.direction
    new = _evaluate(trial, energies, gradients, state.mu, state.rho, walls, metric, samples)
    slope = (state.now.gradient * state.direction).sum()
    # Rounding decides nothing: near the end values differ by less than they are known to.
    noise = 8 * jnp.finfo(new.value.dtype).eps * jnp.abs(state.now.value)
    enough = new.value <= state.now.value + 1e-4 * state.step * slope + noise
    good = enough & jnp.isfinite(new.value)
    state, pair = _learn(state, trial, new, good, metric)
    choose = lambda a, b: jnp.where(good, a, b)
    judged = state._replace(
        beads=choose(trial, state.beads),
        energies=choose(energies, state.energies),
        gradients=choose(gradients, state.gradients),
        now=jax.tree.map(choose, new, state.now),
        rejected=choose(0, state.rejected + 1),
        step=choose(1.0, state.step / 4),
        since=state.since + 1,
    )
    return judged, pair


def _update_multipliers(state: State, walls, metric, samples, settings: Tightening) -> State:
    """First-order update when the inner problem is solved well enough, or is out of time."""
    settled = (state.now.residual < settings.inner) & (state.since > 4)
    due = settled | (state.since >= settings.every)
    # A stiffer wall costs many evaluations: only where the violation is not coming down, and in
    # an inner problem that is not solved yet only where it is gross.
    least = jnp.where(settled, settings.feasibility, settings.gross)
    slow = state.now.violation > jnp.maximum(state.wanted / 2, least)
    mu = jnp.where(due, state.now.multipliers, state.mu)
    rho = jnp.where(due & slow, jnp.minimum(state.rho * settings.growth, 1e3), state.rho)
    now = _evaluate(state.beads, state.energies, state.gradients, mu, rho, walls, metric, samples)
    return state._replace(
        mu=mu,
        rho=rho,
        now=jax.tree.map(lambda a, b: jnp.where(due, a, b), now, state.now),
        since=jnp.where(due, 0, state.since),
        wanted=jnp.where(due, state.now.violation, state.wanted),
        rejected=jnp.where(due, 0, state.rejected),
        step=jnp.where(due, 1.0, state.step),
    )


def _next_direction(state: State, metric: Array) -> State:
    """A new direction after a change; after ten refusals forget the history and shrink."""
    stuck = state.rejected > 10
    state = state._replace(
        scale=jnp.where(stuck, state.scale * 1e-3, state.scale),
        history=state.history._replace(inverse=jnp.where(stuck, 0.0, state.history.inverse)),
        step=jnp.where(stuck, 1.0, state.step),
        rejected=jnp.where(stuck, 0, state.rejected),
    )
    newton = _direction(state, metric)
    downhill = (newton * state.now.gradient).sum() < 0
    steepest = -state.scale * (metric @ state.now.gradient)
    fresh = jnp.where(downhill, newton, steepest)
    return state._replace(direction=jnp.where(state.rejected == 0, fresh, state.direction))


def advance(state: State, energies, gradients, walls, metric, settings: Tightening) -> State:
    """One trial of one string."""
    judged = judge_trial(state, energies, gradients, walls, metric, settings.samples)
    return turn(*judged, walls, metric, settings)


def turn(state: State, pair: Pair, walls, metric, settings: Tightening) -> State:
    """What follows a verdict: multipliers and the next direction."""
    state = state._replace(history=_multiply(state.history, pair))
    state = _update_multipliers(state, walls, metric, settings.samples, settings)
    return _next_direction(state, metric)


def begin(beads, energies, gradients, mu, rho, walls, metric, settings: Tightening) -> State:
    """The state before the first trial: evaluated, with nothing learnt."""
    now = _evaluate(beads, energies, gradients, mu, rho, walls, metric, settings.samples)
    rows = jnp.zeros((settings.memory, *beads.shape), beads.dtype)
    square = jnp.zeros((settings.memory, settings.memory), beads.dtype)
    zero, count = jnp.zeros((), beads.dtype), jnp.zeros((), jnp.int32)
    state = State(
        beads, energies, gradients, mu, rho, now, jnp.zeros_like(beads), zero + 1,
        ((walls.end - walls.start) ** 2).sum() * 1e-3,
        History(rows, rows, square, square, square[0], count),
        count, count, zero + jnp.inf,
    )  # fmt: skip
    return _next_direction(state, metric)
