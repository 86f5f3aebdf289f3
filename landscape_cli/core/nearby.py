"""How nearly balanced a string is where its energy has kinks, as those of ReLU networks have.

At a minimum on a kink no gradient vanishes, however near one looks; but gradients from either side
of it cancel. So a string is stationary, to within ε, if some average of the gradients met within ε
of it vanishes (Goldstein's ε-subdifferential), and its residual is the least norm of all convex
combinations of those. Without kinks, and with ε towards 0, that is the norm of the gradient.

The gradients are those of the latest trials with the multipliers of today: differences of them,
and all their products, are what L-BFGS remembers anyway.

Reference: Goldstein, 1977, Optimization of Lipschitz continuous functions, Mathematical
Programming 13. L-BFGS on kinks: Lewis & Overton, 2013, Nonsmooth optimization via quasi-Newton
methods, Mathematical Programming 141.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.optimize import nnls

from landscape_cli.core.lagrangian import State, Walls, chord2, least_excess, stretch

NEAR = 1e-3  # ε in chords, in the string's H¹ metric


@jax.jit
@jax.default_matmul_precision("highest")
def _met(state: State, walls: Walls, lane: Array) -> tuple[Array, Array]:
    """Gradients met lately, the last one first: their products, and how far away they were.

    Returns:
        (memory + 1, memory + 1) relative products in the metric, (memory + 1,) H¹ distances in
        chords, infinite where there is no such gradient.
    """
    pick = lambda leaf: jax.lax.dynamic_index_in_dim(leaf, lane, keepdims=False)
    history, unit = state.history, chord2(jax.tree.map(pick, walls))
    inner, slot, memory = (
        jax.tree.map(pick, state.inner),
        pick(history.slot),
        history.dots.shape[1],
    )
    rows = (slot - 1 - jnp.arange(memory)) % memory  # the latest pair first
    # A gradient of j trials ago is the last one without the changes since.
    since = jnp.tril(jnp.ones((memory + 1, memory), inner.residual.dtype), -1)
    change = since @ pick(history.on)[1, rows]
    products = since @ pick(history.gram)[rows][:, rows] @ since.T
    now = jnp.vdot(inner.now.gradient, inner.raised)
    products = now - change[None] - change[:, None] + products

    def back(moved: Array, row: Array) -> tuple[Array, Array]:
        moved = moved + history.rows[lane, 0, row]
        return moved, jnp.vdot(moved, stretch(moved))

    _, squares = jax.lax.scan(back, jnp.zeros_like(inner.raised), rows)
    distance = jnp.sqrt(jnp.concatenate([jnp.zeros(1), squares]) / unit)
    known = jnp.arange(memory + 1) <= inner.chain
    return unit * products / least_excess(inner.now.excess), jnp.where(known, distance, jnp.inf)


def least_residual(state: State, walls: Walls, lane: int) -> float:
    """The least residual of any convex combination of the gradients met near the string.

    Args:
        state: of a batch.
        walls: of the batch.
        lane: which string.

    Returns:
        At most the residual of the last gradient alone, but for rounding.
    """
    products, distance = map(np.asarray, _met(state, walls, lane))
    near = distance <= NEAR
    return shortest(products[near][:, near])


def shortest(products: np.ndarray) -> float:
    """The least norm in the convex hull of vectors, by their Gram matrix (vector, vector).

    The least of ‖Σ w v‖² + (Σ w - 1)² over w >= 0 is a multiple of the convex combination sought.
    """
    unit = max(float(np.diag(products).max()), np.finfo(float).tiny)
    values, vectors = np.linalg.eigh(products.astype(float) / unit)
    roots = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    weights, _ = nnls(np.vstack([roots, np.ones(len(roots))]), np.append(np.zeros(len(roots)), 1))
    weights /= weights.sum()
    return float(np.linalg.norm(roots @ weights) * np.sqrt(unit))
