"""What moves the beads of one string: tangents, springs, and the gradient across the string.

With τ the unit tangent at a bead, R₋ and R₊ the steps from the bead before and to the bead after,
and g the gradient, an elastic band pushes and slides its beads by

    push  -(g - (g·τ)τ)    slide  k/4 (‖R₊‖ - ‖R₋‖) τ    a climbing bead:  push  -g + 2 (g·τ)τ

A push is scaled by an optimizer; a slide is a displacement, so that no unit of energy is in k.
With k = 1 segments that alternate between long and short become equal in one step; a larger k
would overshoot. Everything here is traced and about a single string; `relax` has the batches.

References: Henkelman and Jónsson, Improved tangent estimate in the nudged elastic band method
for finding minimum energy paths and saddle points, 2000; Henkelman, Uberuaga and Jónsson, A
climbing image nudged elastic band method, 2000; Trygubenko and Wales, A doubly nudged elastic
band method for finding transition states, 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from landscape_cli.ranges import choose

TANGENTS = ("improved", "swapped", "central")


@dataclass(frozen=True)
class Forces:
    """What moves a bead; equal settings compile once.

    Attributes:
        tangent: "improved": toward the higher neighbor, at an extremum a mean of both sides with
            the larger energy difference on the higher side, so that it turns without a jump;
            "swapped": that mean with its two weights exchanged, as in the published code of
            Draxler and others, 2018; "central": the mean of both sides everywhere.
        spring: k above, in (0, 1]: the share of an alternating spacing that a step evens out;
            infinite where beads are put back at their places instead.
        project: push across the tangent only; False: down the whole gradient, as a string.
        doubly: springs push across the string, too, where the gradient has no say; as stiff as
            `spring` times the typical gradient over the mean segment.
        climb: beads higher than both neighbors go up along the tangent.
        weight_decay: times θ, added to the gradient before it is projected; at least 0.
    """

    tangent: str = "improved"
    spring: float = np.inf
    project: bool = True
    doubly: bool = False
    climb: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        choose("tangent", self.tangent, TANGENTS)
        if not (0 < self.spring <= 1 or self.spring == np.inf):
            raise ValueError(
                f"spring must lie in (0, 1], or be infinite, got {self.spring}: without springs "
                "beads slide away from the passes"
            )
        if self.doubly and self.spring == np.inf:
            raise ValueError("spring must be finite where a band is doubly nudged, got inf")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")


class Moves(NamedTuple):
    """What a step is to do with the interior beads of a string."""

    push: Array  # (bead-2, param) force; an optimizer makes a step of it
    slide: Array  # (bead-2, param) displacement along the string


class Sides(NamedTuple):
    """Steps between neighbors, seen from the interior beads."""

    back: Array  # (bead-2, param) from the bead before
    ahead: Array  # (bead-2, param) to the bead after


def sides(beads: Float[Array, "bead param"]) -> Sides:
    """Steps before and after every interior bead."""
    steps = jnp.diff(beads, axis=0)
    return Sides(steps[:-1], steps[1:])


def norms(rows: Array) -> Array:
    """(..., row, 1) lengths of rows."""
    return jnp.sqrt((rows**2).sum(-1, keepdims=True))


def unit(rows: Array) -> Array:
    """Rows of length one; rows of zeros stay."""
    length = norms(rows)
    return rows / jnp.where(length > 0, length, 1)


def dots(a: Array, b: Array) -> Array:
    """(row, 1) dot products."""
    return (a * b).sum(-1, keepdims=True)


def weights(kind: str, losses: Float[Array, " bead"]) -> tuple[Array, Array]:
    """(bead-2,) weights of the steps before and after a bead in its tangent."""
    if kind == "central":
        return jnp.ones_like(losses[1:-1]), jnp.ones_like(losses[1:-1])
    before, here, after = losses[:-2], losses[1:-1], losses[2:]
    down, up = jnp.abs(before - here), jnp.abs(after - here)
    small = jnp.minimum(down, up) / jnp.where((down > 0) | (up > 0), jnp.maximum(down, up), 1)
    rising = after > before
    between = ((after > here) & (here > before)) | ((after < here) & (here < before))
    # At an extremum the lesser side counts by the ratio of the energy differences, which is 0
    # where it stops being one and 1 where both neighbors are as high: no jump at either.
    less = jnp.where(between, 0, small)
    flat = (down == 0) & (up == 0)
    back, ahead = jnp.where(rising, less, 1), jnp.where(rising, 1, less)
    if kind == "swapped":
        back, ahead = jnp.where(between, back, ahead), jnp.where(between, ahead, back)
    return jnp.where(flat, 1, back), jnp.where(flat, 1, ahead)


def tangents(
    kind: str, beads: Float[Array, "bead param"], losses: Float[Array, " bead"]
) -> Float[Array, "inner param"]:
    """Unit tangents of the interior beads; zero where all three beads coincide."""
    back, ahead = sides(beads)
    if kind == "swapped":  # as published, where neither side counts more for being longer
        back, ahead = unit(back), unit(ahead)
    before, after = weights(kind, losses)
    return unit(before[:, None] * back + after[:, None] * ahead)


def maxima(losses: Float[Array, " bead"]) -> Bool[Array, " inner"]:
    """Interior beads higher than both neighbors."""
    return (losses[1:-1] > losses[:-2]) & (losses[1:-1] > losses[2:])


def across(rows: Array, tangent: Array) -> Array:
    """Rows less their part along the tangent."""
    return rows - dots(rows, tangent) * tangent


def moves(
    settings: Forces,
    beads: Float[Array, "bead param"],
    losses: Float[Array, " bead"],
    gradients: Float[Array, "inner param"],
    inner: Bool[Array, " inner"],
) -> Moves:
    """Where the interior beads of a string are to go.

    Args:
        settings: what moves them.
        beads: ends included; after the last bead any number of copies of it.
        losses: at the beads.
        gradients: at the interior beads, any value at copies.
        inner: False for copies of the end, which nothing moves.
    """
    real = inner[:, None]
    gradients = jnp.where(real, gradients + settings.weight_decay * beads[1:-1], 0)
    still = jnp.zeros_like(gradients)
    if not settings.project:
        return Moves(-gradients, still)
    tangent = tangents(settings.tangent, beads, losses)
    uphill = across(gradients, tangent)
    back, ahead = sides(beads)
    push, slide = -uphill, still
    if np.isfinite(settings.spring):
        slide = settings.spring / 4 * (norms(ahead) - norms(back)) * tangent
    if settings.doubly:
        push = push + _sideways(settings.spring, beads, gradients, uphill, tangent, real)
    if settings.climb:
        climbing = maxima(losses)[:, None]
        push = jnp.where(climbing, gradients - 2 * uphill, push)
        slide = jnp.where(climbing, 0, slide)
    return Moves(jnp.where(real, push, 0), jnp.where(real, slide, 0))


def _sideways(spring: float, beads, gradients, uphill, tangent, real) -> Array:
    """Springs across the string, less what lies along the gradient: they must cut no corners."""
    back, ahead = sides(beads)
    count = jnp.maximum(real.sum(), 1)
    segment = norms(jnp.diff(beads, axis=0)).sum() / (count + 1)
    typical = jnp.sqrt((gradients**2).sum() / count)
    stiffness = spring * typical / jnp.where(segment > 0, segment, 1)
    return across(across(stiffness * (ahead - back), tangent), unit(uphill))
