"""Straight-through matching: the order of units with the lowest energy halfway.

    least F(½ θ_reference + ½ π(θ)),   π the best order for a network φ that descends:
    φ ← φ - optimizer(∇F at the midpoint),  as if π(θ) were φ itself

φ begins at the reference, so that the first π is that of weight matching; the best π met is kept.
Reference: Ainsworth, Hayase and Srinivasa, "Git Re-Basin: merging models modulo permutation
symmetries", 2023, arXiv 2209.04836, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.assignment import Order, Pair
from landscape_cli.core.symmetry.matching import match
from landscape_cli.gauges.base import Tree, generators
from landscape_cli.gauges.matched import Matched, reordered, weights
from landscape_cli.gauges.references import AINSWORTH
from landscape_cli.ranges import check_counts, check_positive
from landscape_cli.symmetry import Symmetry

OPTIMIZERS = {"adam": optax.adam, "sgd": partial(optax.sgd, momentum=0.9)}


@lru_cache
def _optimizer(name: str, learning_rate: float) -> Any:
    """The identical object for equal settings: compiled updates are found again."""
    return OPTIMIZERS[name](learning_rate)


@dataclass(frozen=True)
class StraightThrough(Matched):
    """Follows the loss on the training data; a gradient and a matching per pair and step.

    Attributes:
        steps: of φ, at least 1.
        learning_rate: positive.
        optimizer: "adam" or "sgd" (with momentum 0.9).
    """

    reference: ClassVar[str] = AINSWORTH

    steps: int = 100
    learning_rate: float = 0.01
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "steps")
        check_positive(self, "learning_rate")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be adam or sgd, got {self.optimizer!r}")

    def pairs(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree
    ) -> list[Pair]:
        """All parameters."""
        return weights(symmetry, reference, own, self.signs)

    def align(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> np.ndarray:
        """The copies with the lowest loss halfway that were met; see `Gauge.align`."""
        moved = super().align(surface, references, thetas, key)
        symmetry = self.symmetry(surface)
        good = np.flatnonzero(np.isfinite(references).all(1) & np.isfinite(moved).all(1))
        if len(good):
            search = _Search(self, surface, symmetry, references[good], moved[good])
            drawn = generators(key, len(thetas))
            moved[good] = search.run([drawn[row] for row in good])
        for row in good:
            symmetry.checked(thetas[row], symmetry.tree(moved[row]))
        return moved


@dataclass(frozen=True, eq=False)
class _Search:
    """One run over all pairs.

    Attributes:
        gauge: the settings.
        surface: of the networks.
        symmetry: of the networks.
        references: (pair, param).
        thetas: (pair, param) networks in the order of weight matching, and with their factors.
    """

    gauge: StraightThrough
    surface: Surface
    symmetry: Symmetry
    references: np.ndarray
    thetas: np.ndarray

    def run(self, drawn: list[np.random.Generator]) -> np.ndarray:
        """(pair, param) the best copies met."""
        best, lowest = np.array(self.thetas), np.full(len(self.thetas), np.inf)
        optimizer = _optimizer(self.gauge.optimizer, self.gauge.learning_rate)
        latent = jnp.asarray(self.references, self.surface.dtype)
        state, copies = optimizer.init(latent), np.array(self.thetas)
        orders: list[Order | None] = [None] * len(copies)
        for step in range(self.gauge.steps + 1):
            middles = jnp.asarray((self.references + copies) / 2, self.surface.dtype)
            losses, gradients = self.surface.losses_and_gradients(middles)
            better = np.asarray(losses) < lowest
            best[better], lowest[better] = copies[better], np.asarray(losses)[better]
            if step < self.gauge.steps:
                latent, state = _moved(optimizer, latent, state, gradients)
                goals = np.asarray(latent)
                for row, generator in enumerate(drawn):
                    orders[row], copies[row] = self.nearest(
                        row, goals[row], orders[row], generator
                    )
        return best

    def nearest(
        self, row: int, goal: np.ndarray, start: Order | None, generator: np.random.Generator
    ) -> tuple[Order | None, np.ndarray]:
        """The copy of one network that is closest to `goal`, from the last order on."""
        if not np.isfinite(goal).all():
            return start, self.thetas[row]
        own = self.symmetry.tree(self.thetas[row])
        pairs = weights(self.symmetry, self.symmetry.tree(goal), own, self.gauge.signs)
        order = match(self.symmetry.units.groups, pairs, generator, start)
        return order, self.symmetry.theta(reordered(self.symmetry, own, order))


@partial(jax.jit, static_argnames="optimizer")
def _moved(optimizer: Any, latent: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
    updates, state = optimizer.update(gradients / 2, state, latent)
    return optax.apply_updates(latent, updates), state
