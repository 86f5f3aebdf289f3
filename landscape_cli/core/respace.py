"""Put the beads of one string back at their places along it; ends never move.

After a step beads have slid along the string. With s_i the arclength at bead i and t_j the place
where bead j belongs, both in [0, 1], bead j moves to the interpolant at t_j of the beads over s:
a polyline (whose corners are cut a little every time) or a natural cubic spline, of fourth order.

Traced, and about a single string. Reference: E, Ren and Vanden-Eijnden, Simplified and improved
string method for computing the minimum energy paths in barrier-crossing events, 2007, section 3.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

INTERPOLATIONS = ("linear", "cubic")


def respaced(
    beads: Float[Array, "bead param"],
    places: Float[Array, " bead"],
    inner: Bool[Array, " inner"],
    interpolation: str,
) -> Float[Array, "bead param"]:
    """The string with its interior beads at `places`; a string of no length stays as it is.

    Args:
        beads: ends included; after the last bead any number of copies of it.
        places: (bead,) where each belongs, in [0, 1].
        inner: False for copies of the end.
        interpolation: "linear" or "cubic".
    """
    lengths = jnp.sqrt((jnp.diff(beads, axis=0) ** 2).sum(-1))
    total = lengths.sum()
    s = jnp.concatenate([jnp.zeros_like(lengths[:1]), jnp.cumsum(lengths)])
    s = s / jnp.where(total > 0, total, 1)
    inside = places[1:-1]
    left = (s[None, 1:-1] <= inside[:, None]).sum(1)  # the segment a place lies in
    width = (s[1:] - s[:-1])[left]
    f = ((inside - s[left]) / jnp.where(width > 0, width, 1))[:, None]
    new = beads[left] * (1 - f) + beads[left + 1] * f
    if interpolation == "cubic":
        bend = _bends(s, beads, inner)
        h2 = (width**2)[:, None] / 6
        new = new + h2 * (((1 - f) ** 3 - (1 - f)) * bend[left] + (f**3 - f) * bend[left + 1])
    moved = jnp.where(inner[:, None] & (total > 0), new, beads[1:-1])
    return beads.at[1:-1].set(moved)


def _bends(s: Array, beads: Array, inner: Array) -> Array:
    """(bead, param) second derivatives of the natural cubic spline of the beads over s.

    Thomas' algorithm on the matrix of beads by beads, whatever the number of parameters.
    """
    h = s[1:] - s[:-1]
    h = jnp.where(h > 0, h, jnp.finfo(s.dtype).eps)
    back, ahead = h[:-1], h[1:]
    one, zero = jnp.ones_like(back), jnp.zeros_like(back)
    lower, diagonal, upper = (
        jnp.where(inner, row, other)
        for row, other in ((back, zero), (2 * (back + ahead), one), (ahead, zero))
    )
    # Rows of 6 × second differences; rows of copies are zero, as the natural ends are.
    count = len(beads)
    eye = jnp.eye(count, dtype=s.dtype)
    second = (eye[2:] - eye[1:-1]) / ahead[:, None] - (eye[1:-1] - eye[:-2]) / back[:, None]
    right = jnp.where(inner[:, None], 6 * second, 0)

    def eliminate(carry, row):
        ratio, above = carry
        low, middle, high, known = row
        pivot = middle - low * ratio
        new = high / pivot, (known - low * above) / pivot
        return new, new

    def substitute(below, row):
        ratio, known = row
        solved = known - ratio * below
        return solved, solved

    start = jnp.zeros_like(s[0]), jnp.zeros_like(s)
    _, rows = jax.lax.scan(eliminate, start, (lower, diagonal, upper, right))
    _, inverse = jax.lax.scan(substitute, jnp.zeros_like(s), rows, reverse=True)
    bends = jnp.dot(inverse, beads, precision=jax.lax.Precision.HIGHEST)
    return jnp.pad(bends, ((1, 1), (0, 0)))
