"""L-BFGS of one string in a metric of its own, in the compact form; all of it is traced.

Of the latest curvature pairs dx, dg (Nocedal 1980) dx is kept, and z = M dg, where M is the metric
that raises gradients. Only sums of the rows of `x` and `z` are ever formed, so one pass over the
memory gives the dot products with a gradient and one the direction; the dot products with dg are
the change of those. With R_ij = <dx_i, dg_j> where i is no later than j, else 0, a pair is
appended to the inverse of R, or dropped from it, by one row and column; so no step is a recursion
over the pairs.

Reference: Byrd, Nocedal & Schnabel, 1994, Representations of quasi-Newton matrices and their use
in limited memory methods, Mathematical Programming 63.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array


class History(NamedTuple):
    """The latest curvature pairs of one string, and the matrices that go with them."""

    x: Array  # (memory, bead-2, param) dx
    z: Array  # (memory, bead-2, param) dg raised by the metric
    inverse: Array  # (memory, memory) of R; rows and columns of zeros: no entry
    gram: Array  # (memory, memory) <z_i, dg_j>
    dots: Array  # (memory,) <dx_i, dg_i>
    on_x: Array  # (memory,) <dx_i, gradient>, the latest
    on_z: Array  # (memory,) <z_i, gradient>
    slot: Array  # the oldest entry, overwritten next


class Pair(NamedTuple):
    """A curvature pair; all zeros where there is none worth remembering."""

    dx: Array  # (bead-2, param)
    dg: Array
    dz: Array  # dg raised by the metric
    dot: Array  # <dx, dg>
    curvature: Array  # <dz, dg>
    good: Array  # whether it is one


def nothing(memory: int, beads: Array) -> History:
    """The history before the first trial of a string of such interior beads."""
    rows = jnp.zeros((memory, *beads.shape), beads.dtype)
    square = jnp.zeros((memory, memory), beads.dtype)
    none = jnp.zeros((), jnp.int32)
    return History(rows, rows, square, square, square[0], square[0], square[0], none)


def brought(dx: Array, dg: Array, dz: Array, good: Array) -> Pair:
    """The pair that a trial has brought: none where the trial failed, or is not convex."""
    dot = jnp.vdot(dx, dg)
    good = good & (dot > 1e-10 * jnp.vdot(dg, dg))
    pair = Pair(dx, dg, dz, dot, jnp.vdot(dz, dg), good)
    return jax.tree.map(lambda number: jnp.where(good, number, jnp.zeros_like(number)), pair)


def scaled(pair: Pair, scale: Array) -> Array:
    """The scale of the metric by the latest curvature, as it was where there is no pair."""
    return jnp.where(pair.good, pair.dot / jnp.where(pair.good, pair.curvature, 1), scale)


def remembered(history: History, pair: Pair, gradient: Array, always: Array) -> History:
    """The history with a new pair in place of the oldest; without the oldest where there is none.

    Args:
        history: of a string, with its dot products before the trial.
        pair: the new one.
        gradient: (bead-2, param) after the trial, whose change the pair is.
        always: true, but unknown while this is compiled. Rows are written in a branch, which is
            compiled apart: otherwise every row is copied wherever one of them is read.
    """
    i, size = history.slot, history.dots.size
    put = partial(jax.lax.dynamic_update_index_in_dim, index=i, axis=0)
    write = lambda x, z: (put(x, pair.dx), put(z, pair.dz))
    x, z = jax.lax.cond(always, write, lambda x, z: (x, z), history.x, history.z)
    on_x, on_z = _on_rows(x, gradient), _on_rows(z, gradient)
    here = jnp.arange(size) == i
    kept = jnp.where(here | here[:, None], 0, history.inverse)
    change = kept @ (on_x - history.on_x)
    last = jnp.where(here, 1, -change) / jnp.where(pair.good, pair.dot, 1)
    column = jnp.where(pair.good, last, 0)[:, None]
    change = jnp.where(here, pair.curvature, on_z - history.on_z)
    gram = jnp.where(here[:, None], change, history.gram)
    return History(
        x, z,
        jnp.where(here, column, kept),
        jnp.where(here, change[:, None], gram),
        jnp.where(here, pair.dot, history.dots),
        on_x, on_z,
        jnp.where(pair.good, (i + 1) % size, i),
    )  # fmt: skip


def turned(history: History, gradient: Array) -> tuple[Array, Array]:
    """The dot products `on_x` and `on_z`, of a gradient that changed while the beads did not."""
    return _on_rows(history.x, gradient), _on_rows(history.z, gradient)


def direction(history: History, scale: Array, raised: Array) -> Array:
    """-H∇, by coefficients of the remembered rows.

    Args:
        history: of a string, with its dot products with the gradient.
        scale: of the metric.
        raised: (bead-2, param) the gradient, raised by the metric.
    """
    a = history.inverse @ history.on_x
    rest = history.gram @ a - history.on_z
    c = (history.dots * a + scale * rest) @ history.inverse
    along = scale * (raised - jnp.tensordot(a, history.z, axes=1))
    return -(along + jnp.tensordot(c, history.x, axes=1))


def _on_rows(rows: Array, vector: Array) -> Array:
    """(memory,) dot products of all rows with a vector."""
    return jnp.tensordot(rows, vector, axes=vector.ndim)
