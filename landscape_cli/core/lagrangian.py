"""One string that is being shortened: its Lagrangian, and one trial of L-BFGS.

A geodesic of Ω = {F <= λ} is straight inside and pressed against the wall by a force along the
gradient (γ'' = 0 where F < λ, γ'' = μ∇F with μ >= 0 where F = λ). With x the beads, p_k beads
and points inside segments, λ the level less its margin, u the unit of energies (`batch.Pull`), and
c = (F - λ)/u inside, log(1 + (F - λ)/u) outside, each string minimizes

    L(x) = N Σ ‖x_{i+1} - x_i‖² / 2‖chord‖² + (1/K) Σ_k [max(0, μ_k + ρ c(p_k))² - μ_k²] / 2ρ

(an augmented Lagrangian: Hestenes 1969, Powell 1969, Rockafellar 1973) by L-BFGS (`lbfgs`) in
the string's own H¹ metric: the length term's Hessian is N·tridiag(-1, 2, -1), whose inverse is
known, so it is the initial metric, scaled by the latest curvature; without that scale the walls,
a million times stiffer than the string, reject every step.

Everything here is traced and is about a single string; `trials` has the programs for many.

Reference: the wall conditions are those of Freeman & Bruna, 2017, arXiv 1611.01540, level sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from landscape_cli.core.lanes import rung
from landscape_cli.core.lbfgs import (
    History,
    brought,
    direction,
    nothing,
    remembered,
    scaled,
    turned,
)
from landscape_cli.core.threads import one_cpu

FEWEST = 2  # pairs that L-BFGS remembers however big a string is
ENOUGH = 24  # of strings whose pairs leave the cache, where each costs time
LEAST = 1e-4  # excess below which the length is known to five digits anyway
CACHE = 2 * 2**20  # bytes of pairs that cost hardly any
FEW = 8  # strings that have room together where one of them counts as small


class Walls(NamedTuple):
    """What stays fixed of a string while it is tightened."""

    start: Array  # (param,)
    end: Array  # (param,)
    level: Array  # λ the string must obey, margin taken off
    scale: Array  # u, the unit of c


class Evaluated(NamedTuple):
    """The Lagrangian of one string, from energies and gradients at its points."""

    value: Array
    gradient: Array  # (bead-2, param)
    multipliers: Array  # (point,) max(0, μ + ρc): what the walls push with
    violation: Array  # largest max(0, c)
    excess: Array  # ℓ² - 1, with ℓ the normalized length of equal segments
    gap: Array  # part of the excess that walls push for which the string does not touch


class Inner(NamedTuple):
    """The inner problem, with multipliers held: what changes when they are updated."""

    mu: Array  # (point,)
    rho: Array
    now: Evaluated
    raised: Array  # (bead-2, param) the gradient, raised by the metric
    residual: Array  # relative, of the gradient alone
    step: Array
    rejected: Array  # trials refused in a row
    since: Array  # trials since the multipliers were updated
    chain: Array  # pairs since then, none of them missing in the history
    wanted: Array  # violation at the last update of the multipliers


class State(NamedTuple):
    """One string on its way; every field has a leading string axis in a batch."""

    beads: Array  # (bead-2, param) interior beads
    inner: Inner
    direction: Array
    scale: Array  # of the initial metric
    history: History


@dataclass(frozen=True)
class Tightening:
    """Settings of the shortening.

    Attributes:
        samples: points per segment where F <= level is asked for, its first bead included.
        evaluations: most evaluations of a string at one bead count.
        memory: most pairs remembered by L-BFGS; of strings whose pairs do not stay in the cache
            of a core at most 24.
        tolerance: relative KKT residual at which a string is taut (`kkt`).
        feasibility: largest c(p) that counts as inside.
        every: evaluations after which multipliers are updated at the latest.
        inner: KKT residual of the inner problem at which multipliers are updated.
        ahead: times the violation or gap, a residual at which they are updated too: to solve
            the inner problem better is wasted, since the update makes it another one.
        growth: factor of the penalty ρ where an update left more than half the violation.
        rho: first penalty. Small: a stiff wall costs more evaluations than a few updates.
        stiffest: largest penalty. At a sharp bend of the wall it has to be a few thousand: below,
            the string goes from one side of the bend to the other with every update.
        gross: violation above which ρ grows even before the inner problem is solved.
        check: evaluations between two looks at who is done.
        history: GiB that the pairs of all strings of a batch may take. Where they do not fit,
            fewer strings advance together, and of a single one fewer pairs are remembered, at
            least 2.
    """

    samples: int = 3
    evaluations: int = 500
    memory: int = 64
    tolerance: float = 1e-2
    feasibility: float = 1e-3
    every: int = 50
    inner: float = 0.005
    ahead: float = 1.0
    growth: float = 2.0
    rho: float = 1.0
    stiffest: float = 1e5
    gross: float = 0.1
    check: int = 10
    history: float = 4.0

    def fitted(self, size: int) -> Tightening:
        """The settings with as many pairs as there is room for, whatever is beside a string.

        Args:
            size: bytes of a row that is remembered of a string (`lbfgs.row_bytes`), positive.
        """
        enough = max(ENOUGH, CACHE // (2 * size))
        return replace(self, memory=min(self.memory, enough, max(FEWEST, int(self._rows(size)))))

    def together(self, size: int) -> int:
        """How many strings of that size have room, at least one."""
        return max(1, int(self._rows(size) // self.fitted(size).memory))

    def _rows(self, size: int) -> float:
        """Rows of a history, of any string, that there is room for."""
        return self.history * 2**30 / (2 * size)

    def roomy(self, size: int) -> bool:
        """Whether a few strings fit, so that lanes to spare and whole programs cost little."""
        return FEW * min(self.memory, ENOUGH) * 2 * size <= self.history * 2**30

    def lanes(self, strings: int, size: int) -> int:
        """Lanes of a batch: few sizes, few compilations; none to spare where they cost much."""
        return rung(strings) if self.roomy(size) and not one_cpu() else strings


def green(segments: int) -> np.ndarray:
    """Inverse of N·tridiag(-1, 2, -1) for fixed ends: min(s, t)(1 - max(s, t))."""
    s = np.arange(1, segments) / segments
    return np.minimum(s[:, None], s) * (1 - np.maximum(s[:, None], s))


def sample_points(beads: Array, walls: Walls, samples: int) -> Array:
    """(point, param): every interior bead and `samples - 1` points inside every segment."""
    whole = jnp.concatenate([walls.start[None], beads, walls.end[None]])
    f = (jnp.arange(samples) / samples).astype(beads.dtype)[None, :, None]
    points = whole[:-1, None] * (1 - f) + whole[1:, None] * f
    return points.reshape(-1, beads.shape[1])[1:]


def hats(segments: int, samples: int, dtype: Any) -> Array:
    """(bead, point): the transpose of `sample_points`, what a bead has of each point."""
    place = jnp.arange(1, segments * samples)[None] / samples  # of points, in segments
    bead = jnp.arange(1, segments)[:, None]
    return jnp.maximum(0, 1 - jnp.abs(place - bead)).astype(dtype)


def constraint(energies: Array, walls: Walls) -> tuple[Array, Array]:
    """The constraint c, and dc/dF: linear inside, logarithmic outside, C¹ at the wall."""
    excess = (energies - walls.level) / walls.scale
    outside = jnp.maximum(excess, 0)
    c = jnp.where(excess > 0, jnp.log1p(outside), excess)
    return c, 1 / ((1 + outside) * walls.scale)


def _evaluate(beads, energies, gradients, mu, rho, walls, samples) -> Evaluated:
    c, slope = constraint(energies, walls)
    push = jnp.maximum(0, mu + rho * c)
    segments = beads.shape[0] + 1
    t = (jnp.arange(1, segments) / segments).astype(beads.dtype)[:, None]
    off = beads - (walls.start[None] + t * (walls.end - walls.start)[None])
    pull = stretch(off) / chord2(walls)
    excess = jnp.vdot(off, pull)
    value = excess / 2 + ((push**2 - mu**2) / (2 * rho)).mean()
    # A product with a matrix of zeros, mostly: sums of slices are slower, and copy all gradients.
    forces = push * slope / push.size
    gradient = pull + (hats(segments, samples, beads.dtype) * forces[None]) @ gradients
    gap = 2 * (push * jnp.maximum(-c, 0)).mean() / least_excess(excess)
    return Evaluated(value, gradient, push, jnp.maximum(c, 0).max(), excess, gap)


def chord2(walls: Walls) -> Array:
    """The square of the distance of the ends."""
    chord = walls.end - walls.start
    return jnp.vdot(chord, chord)


def least_excess(excess: Array) -> Array:
    """What residuals and gaps are relative to."""
    return jnp.maximum(excess, LEAST)


def _residual(now: Evaluated, raised: Array, walls: Walls) -> Array:
    """The part of the string's pull that no wall carries, in the metric."""
    unbalanced = chord2(walls) * jnp.vdot(now.gradient, raised)
    return jnp.sqrt(jnp.maximum(unbalanced, 0) / least_excess(now.excess))


def stretch(beads: Array) -> Array:
    """N·tridiag(-1, 2, -1) of interior beads with fixed ends: the inverse of the metric."""
    steps = jnp.diff(jnp.pad(beads, ((1, 1), (0, 0))), axis=0)
    return (beads.shape[0] + 1) * (steps[:-1] - steps[1:])


def judged(state: State, energies, gradients, walls, metric, always, samples) -> State:
    """Accept or refuse the trial beads (Armijo), and learn from it; a refusal shortens the step.

    `always`: see `lbfgs.remembered`.
    """
    inner = state.inner
    trial = state.beads + inner.step * state.direction
    new = _evaluate(trial, energies, gradients, inner.mu, inner.rho, walls, samples)
    slope = jnp.vdot(inner.now.gradient, state.direction)
    # Rounding decides nothing: near the end values differ by less than they are known to.
    noise = 8 * jnp.finfo(new.value.dtype).eps * jnp.abs(inner.now.value)
    enough = new.value <= inner.now.value + 1e-4 * inner.step * slope + noise
    good = enough & jnp.isfinite(new.value)
    raised = metric @ new.gradient
    pair = brought(
        trial - state.beads, new.gradient - inner.now.gradient, raised - inner.raised, good
    )
    choose = lambda a, b: jnp.where(good, a, b)
    now, raised = jax.tree.map(choose, (new, raised), (inner.now, inner.raised))
    inner = inner._replace(
        now=now,
        raised=raised,
        residual=_residual(now, raised, walls),
        rejected=choose(0, inner.rejected + 1),
        step=choose(1.0, inner.step / 4),
        since=inner.since + 1,
        chain=jnp.where(good, jnp.where(pair.good, inner.chain + 1, 0), inner.chain),
    )
    return state._replace(
        beads=choose(trial, state.beads),
        inner=inner,
        scale=scaled(pair, state.scale),
        history=remembered(state.history, pair, now.gradient, always),
    )


def kkt(inner: Inner) -> Array:
    """The relative KKT residual: what no wall carries, or what walls carry from afar."""
    return jnp.maximum(inner.residual, inner.now.gap)


def _solved(inner: Inner, settings: Tightening) -> Array:
    """Whether the inner problem is solved well enough."""
    amiss = jnp.maximum(inner.now.violation, inner.now.gap)
    enough = jnp.maximum(settings.inner, settings.ahead * amiss)
    return (inner.residual < enough) & (inner.since > 4)


def due(inner: Inner, settings: Tightening) -> Array:
    """Whether multipliers are to be updated: the inner problem is solved, or out of time.

    Where there is nothing amiss with the walls they stay, and what is left is the inner problem.
    Only right after a trial that was accepted, whose energies and gradients are at hand.
    """
    amiss = (inner.now.violation >= settings.feasibility) | (inner.now.gap >= settings.tolerance)
    late = _solved(inner, settings) | (inner.since >= settings.every)
    return amiss & late & (inner.rejected == 0)


def updated(
    state: State, energies, gradients, walls, metric, settings: Tightening
) -> tuple[Inner, Array]:
    """A first-order update of the multipliers; the gradient, and what it is on rows, change."""
    inner, now = state.inner, state.inner.now
    # A stiffer wall costs many evaluations: only where the violation is not coming down, and in
    # an inner problem that is not solved yet only where it is gross.
    least = jnp.where(_solved(inner, settings), settings.feasibility, settings.gross)
    slow = now.violation > jnp.maximum(inner.wanted / 2, least)
    rho = jnp.where(slow, jnp.minimum(inner.rho * settings.growth, settings.stiffest), inner.rho)
    mu, wanted = now.multipliers, now.violation
    now = _evaluate(state.beads, energies, gradients, mu, rho, walls, settings.samples)
    inner = _posed(mu, rho, now, wanted, walls, metric)
    return inner, turned(state.history, now.gradient)


def _posed(mu, rho, now: Evaluated, wanted: Array, walls: Walls, metric: Array) -> Inner:
    """An inner problem before its first trial."""
    raised = metric @ now.gradient
    none = jnp.zeros((), jnp.int32)
    step, residual = jnp.ones_like(rho), _residual(now, raised, walls)
    return Inner(mu, rho, now, raised, residual, step, none, none, none, wanted)


def redirected(state: State) -> State:
    """A new direction after a change; after ten refusals forget the history and shrink."""
    history, inner = state.history, state.inner
    stuck = inner.rejected > 10
    inner = inner._replace(
        step=jnp.where(stuck, 1.0, inner.step), rejected=jnp.where(stuck, 0, inner.rejected)
    )
    scale = jnp.where(stuck, state.scale * 1e-3, state.scale)
    history = history._replace(valid=jnp.where(stuck, 0.0, history.valid))
    newton = direction(history, scale, inner.raised)
    downhill = jnp.vdot(newton, inner.now.gradient) < 0
    fresh = jnp.where(downhill, newton, -scale * inner.raised)
    chosen = jnp.where(inner.rejected == 0, fresh, state.direction)
    return state._replace(inner=inner, direction=chosen, scale=scale, history=history)


def ended(inner: Inner, settings: Tightening) -> Array:
    """Whether a string is taut and feasible, or lost to values that are no numbers."""
    now = inner.now
    taut = (kkt(inner) < settings.tolerance) & (now.violation < settings.feasibility)
    return taut | ~jnp.isfinite(now.value)


def begin(beads, energies, gradients, mu, rho, walls, metric, settings: Tightening) -> State:
    """The state before the first trial: evaluated, with nothing learnt."""
    now = _evaluate(beads, energies, gradients, mu, rho, walls, settings.samples)
    inner = _posed(mu, rho, now, jnp.full_like(rho, jnp.inf), walls, metric)
    scale = chord2(walls) * 1e-3
    down = -scale * inner.raised
    return State(beads, inner, down, scale, nothing(settings.memory, beads))
