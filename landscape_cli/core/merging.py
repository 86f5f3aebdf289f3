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
    moved, lowest = np.array(thetas), spread(thetas)
    for sweep in range(sweeps if len(thetas) > 1 else 0):
        turn, found = jax.random.fold_in(key, sweep), np.array(moved)
        for i in np.asarray(jax.random.permutation(turn, len(thetas))):
            others = np.delete(found, i, axis=0).mean(0)
            one = jax.random.fold_in(turn, int(i))
            found[i] = align(others[None].astype(found.dtype), found[i][None], one)[0]
        if not spread(found) < lowest:
            break
        settled = lowest - spread(found) <= GAIN * lowest
        moved, lowest = found, spread(found)
        if settled:
            break
    return moved


def spread(thetas: np.ndarray) -> float:
    """Σ squared distances from the mean."""
    return float(((thetas - thetas.mean(0)) ** 2).sum())
