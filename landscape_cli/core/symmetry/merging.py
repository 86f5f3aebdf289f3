"""Many networks in one order: each in turn is aligned with the mean of the others.

Ainsworth and others (2023), algorithm 4. With weight matching every turn brings the networks
closer together, Σ ‖θ_i - mean‖² falls, and there are finitely many orders.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

Align = Callable[[np.ndarray, np.ndarray, jax.Array], np.ndarray]  # references, thetas, key
GAIN = 1e-9  # relative fall of the spread in a sweep, below which it has settled


def merged(align: Align, thetas: np.ndarray, key: jax.Array, sweeps: int = 100) -> np.ndarray:
    """Copies of all networks that lie close together.

    Args:
        align: copies of networks (1, param) that lie close to references (1, param).
        thetas: (network, param).
        key: draws the order of turns.
        sweeps: most turns of every network.

    Returns:
        (network, param) copies with the least spread that was met.
    """
    moved = np.array(thetas)
    good = np.flatnonzero(np.isfinite(moved).all(axis=1))  # the others stay as they are
    if len(good) > 1:
        moved[good] = _merged(align, moved[good], key, sweeps)
    return moved


def _merged(align: Align, thetas: np.ndarray, key: jax.Array, sweeps: int) -> np.ndarray:
    moved, lowest = thetas, spread(thetas)
    for sweep in range(sweeps):
        turn, found = jax.random.fold_in(key, sweep), np.array(moved)
        for i in np.asarray(jax.random.permutation(turn, len(thetas))):
            others = np.delete(found, i, axis=0).mean(0).astype(found.dtype)
            one = jax.random.fold_in(turn, int(i))
            found[i] = align(others[None], found[i][None], one)[0]
        gained = lowest - spread(found)
        if gained > 0:
            moved, lowest = found, spread(found)
        if not gained > GAIN * lowest:
            break
    return moved


def spread(thetas: np.ndarray) -> float:
    """Σ squared distances from the mean."""
    return float(((thetas - thetas.mean(0)) ** 2).sum())
