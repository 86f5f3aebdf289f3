"""Gradient descent with momentum; stochastic with mini-batches.

    v ← μ v + ∇F(θ),   θ ← θ − η v                  (Nesterov:  θ ← θ − η (∇F(θ) + μ v))

Reference: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum
in deep learning", 2013, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import optax

from landscape_cli.contracts import Progress, Trainer, Trajectories
from landscape_cli.core.training import check_batch, train

if TYPE_CHECKING:
    import jax

    from landscape_cli.core.surface import Surface


@lru_cache
def _optimizer(learning_rate: float, momentum: float, nesterov: bool):
    """The identical object for equal settings: programs compiled with it are found again."""
    return optax.sgd(learning_rate, momentum or None, nesterov)


@dataclass(frozen=True)
class Sgd(Trainer):
    """Follows the gradient itself, so its path is the surface's; needs a fitting step size.

    A recipe passes `batch` to `model_surface` too, which draws the mini-batches.

    Attributes:
        learning_rate: η, positive.
        momentum: μ, in [0, 1); 0 is plain gradient descent.
        nesterov: look ahead along the momentum.
        steps: most steps of a network, at least 1.
        check: steps between two looks at who has arrived, at least 1.
        batch: examples of a mini-batch; None: all of them. Crossings of levels are then found
            on the full data, every `check` steps.
    """

    reference: ClassVar[str] = """@inproceedings{sutskever2013importance,
  author = {Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey},
  title = {On the importance of initialization and momentum in deep learning},
  booktitle = {International Conference on Machine Learning},
  year = {2013}
}"""

    learning_rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    steps: int = 20000
    check: int = 100
    batch: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        for name in ("steps", "check", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    def descend(
        self,
        surface: Surface,
        thetas: np.ndarray,
        levels: Sequence[float],
        key: jax.Array,
        progress: Progress,
    ) -> Trajectories:
        """Train all networks (network, param) until the lowest level or the budget."""
        batch = check_batch(surface, self.batch)
        optimizer = _optimizer(self.learning_rate, self.momentum, self.nesterov)
        return train(
            surface, optimizer, thetas, levels, self.steps, self.check, key, batch, progress
        )
