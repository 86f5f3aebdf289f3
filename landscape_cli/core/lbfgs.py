"""L-BFGS of one string in a metric of its own, in the compact form; all of it is traced.

Of the latest curvature pairs dx, dg (Nocedal 1980) dx is kept, and z = M dg, where M is the metric
that raises gradients. Only sums of the rows of `x` and `z` are ever formed, so one pass over the
memory gives the dot products with a gradient and one the direction; the dot products with dg are
the change of those. With R_ij = <dx_i, dg_j> where i is no later than j, else 0, a pair is
appended to the inverse of R, or dropped from it, by one row and column; so no step is a recursion
over the pairs.

Rows are kept in single precision, whatever a string is computed in: they only steer, and how fast
they come from memory is what limits a trial. Gradients, values and small matrices are not rounded.

Reference: Byrd, Nocedal & Schnabel, 1994, Representations of quasi-Newton matrices and their use
in limited memory methods, Mathematical Programming 63.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

ROW = jnp.float32  # in which dx and z are kept


class History(NamedTuple):
    """The latest curvature pairs of one string, and the matrices that go with them."""

    rows: Array  # (2, memory, bead-2, param) of ROW: dx, and z = dg raised by the metric
    inverse: Array  # (memory, memory) of R; what is not `valid` has no meaning
    gram: Array  # (memory, memory) <z_i, dg_j>
    dots: Array  # (memory,) <dx_i, dg_i>
    on: Array  # (2, memory) <dx_i, gradient> and <z_i, gradient>, of the latest
    valid: Array  # (memory,) 1 where there is an entry, else 0
    slot: Array  # the oldest entry, overwritten next


class Pair(NamedTuple):
    """A curvature pair; all zeros where there is none worth remembering."""

    dx: Array  # (bead-2, param)
    dg: Array
    dz: Array  # dg raised by the metric
    dot: Array  # <dx, dg>
    curvature: Array  # <dz, dg>
    good: Array  # whether it is one


def row_bytes(segments: int, params: int) -> int:
    """Bytes of a remembered row, dx or z, of a string of so many segments."""
    return (segments - 1) * params * np.dtype(ROW).itemsize


def nothing(memory: int, beads: Array) -> History:
    """The history before the first trial of a string of such interior beads."""
    zeros = lambda *shape: jnp.zeros(shape, beads.dtype)
    square, none = zeros(memory, memory), jnp.zeros((), jnp.int32)
    rows, on = jnp.zeros((2, memory, *beads.shape), ROW), zeros(2, memory)
    return History(rows, square, square, square[0], on, square[0], none)


def brought(dx: Array, dg: Array, dz: Array, good: Array) -> Pair:
    """The pair that a trial has brought: none where the trial failed, or is not convex."""
    dot = jnp.vdot(dx, dg)
    # By the angle, which has no unit: lengths of dx and dg have that of theta, and its inverse.
    good = good & (dot > 1e-10 * jnp.linalg.norm(dx) * jnp.linalg.norm(dg))
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
        always: true, but unknown while this is compiled. What is written in a branch, which is
            compiled apart, is written in place: otherwise all is copied wherever it is read.
    """
    i, here = history.slot, jnp.arange(history.dots.size) == history.slot
    put = jax.lax.dynamic_update_index_in_dim
    new = jnp.stack([pair.dx, pair.dz]).astype(ROW)
    rows = jax.lax.cond(always, lambda rows: put(rows, new, i, 1), lambda rows: rows, history.rows)
    on = _on_rows(rows, gradient)
    on_x, on_z = on - history.on
    older = jnp.where(here, 0, history.valid) * on_x
    column = jnp.where(here, 1, -(history.inverse @ older)) / jnp.where(pair.good, pair.dot, 1)
    products = jnp.where(here, pair.curvature, on_z)

    def written(inverse: Array, gram: Array) -> tuple[Array, Array]:
        inverse = put(put(inverse, jnp.zeros_like(column), i, 0), column, i, 1)
        return inverse, put(put(gram, products, i, 0), products, i, 1)

    inverse, gram = jax.lax.cond(
        always, written, lambda *both: both, history.inverse, history.gram
    )
    return History(
        rows, inverse, gram,
        jnp.where(here, pair.dot, history.dots),
        on,
        jnp.where(here, pair.good, history.valid),
        jnp.where(pair.good, (i + 1) % here.size, i),
    )  # fmt: skip


def turned(history: History, gradient: Array) -> Array:
    """The dot products `on`, of a gradient that changed while the beads did not."""
    return _on_rows(history.rows, gradient)


def direction(history: History, scale: Array, raised: Array) -> Array:
    """-H∇, by coefficients of the remembered rows.

    Args:
        history: of a string, with its dot products with the gradient.
        scale: of the metric.
        raised: (bead-2, param) the gradient, raised by the metric.
    """
    valid, (on_x, on_z) = history.valid, history.valid[None] * history.on
    a = valid * (history.inverse @ on_x)
    rest = valid * (history.gram @ a) - on_z
    c = (history.dots * a + scale * rest) @ history.inverse
    shares = jnp.stack([valid * c, -scale * a]).astype(ROW)
    return -(scale * raised + jnp.tensordot(shares, history.rows, axes=2))


def _on_rows(rows: Array, vector: Array) -> Array:
    """(2, memory) dot products of all rows with a vector."""
    return jnp.tensordot(rows, vector.astype(ROW), axes=vector.ndim).astype(vector.dtype)
