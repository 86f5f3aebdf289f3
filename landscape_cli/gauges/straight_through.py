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

from landscape_cli.contracts import Move
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.assignment import Order, Pair
from landscape_cli.core.symmetry.matching import identity, match
from landscape_cli.gauges.base import Tree, generators
from landscape_cli.gauges.matched import Matched, reordered, weights
from landscape_cli.ranges import check_counts, check_positive, choose
from landscape_cli.references import AINSWORTH
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
        choose("optimizer", self.optimizer, OPTIMIZERS)

    def pairs(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree
    ) -> list[Pair]:
        """All parameters."""
        return weights(symmetry, reference, own, self.signs)

    def moves(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> list[Move]:
        """To the copies with the lowest loss halfway that were met; see `Gauge.moves`."""
        begun = super().moves(surface, references, thetas, key)
        if not begun:
            return begun
        symmetry = self.symmetry(surface)
        rows = zip(begun, references, thetas, strict=True)
        copies = np.stack([move(reference, theta) for move, reference, theta in rows])
        search = _Search(self, surface, symmetry, references, copies)
        # The first moves have drawn with the key itself.
        orders = search.run(generators(jax.random.fold_in(key, 1), references, thetas))
        return [_Then(move, symmetry, order) for move, order in zip(begun, orders, strict=True)]


@dataclass(frozen=True, eq=False)
class _Then:
    """A move, and units put in another order after it."""

    first: Move
    symmetry: Symmetry
    order: Order

    def __call__(self, reference: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """The copy of `theta`."""
        own = self.symmetry.tree(self.first(reference, theta))
        return self.symmetry.checked(theta, reordered(self.symmetry, own, self.order))


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

    def run(self, drawn: list[np.random.Generator]) -> list[Order]:
        """For every pair the order of the best copy met."""
        lowest = np.full(len(self.thetas), np.inf)
        optimizer = _optimizer(self.gauge.optimizer, self.gauge.learning_rate)
        latent = jnp.asarray(self.references, self.surface.dtype)
        state, copies = optimizer.init(latent), np.array(self.thetas)
        best = orders = [identity(self.symmetry.units.groups)] * len(copies)
        for step in range(self.gauge.steps + 1):
            middles = jnp.asarray((self.references + copies) / 2, self.surface.dtype)
            losses, gradients = self.surface.losses_and_gradients(middles)
            better = np.asarray(losses) < lowest
            best = [new if b else old for b, new, old in zip(better, orders, best, strict=True)]
            lowest = np.where(better, losses, lowest)
            if step < self.gauge.steps:
                latent, state = _moved(optimizer, latent, state, gradients)
                goals = np.asarray(latent)
                orders = [
                    self.nearest(row, goals[row], orders[row], generator)
                    for row, generator in enumerate(drawn)
                ]
                copies = np.stack([self.copy(row, order) for row, order in enumerate(orders)])
        return best

    def copy(self, row: int, order: Order) -> np.ndarray:
        """(param,) one network in another order."""
        own = self.symmetry.tree(self.thetas[row])
        return self.symmetry.theta(reordered(self.symmetry, own, order))

    def nearest(
        self, row: int, goal: np.ndarray, start: Order, generator: np.random.Generator
    ) -> Order:
        """The order of one network that is closest to `goal`, from the last order on."""
        if not np.isfinite(goal).all():
            return start
        own = self.symmetry.tree(self.thetas[row])
        pairs = weights(self.symmetry, self.symmetry.tree(goal), own, self.gauge.signs)
        return match(self.symmetry.units.groups, pairs, generator, start)


@partial(jax.jit, static_argnames="optimizer")
def _moved(optimizer: Any, latent: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
    updates, state = optimizer.update(gradients / 2, state, latent)
    return optax.apply_updates(latent, updates), state
