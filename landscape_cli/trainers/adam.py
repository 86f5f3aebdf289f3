"""Adam: gradient descent with a step size per parameter.

    m ← β₁ m + (1 − β₁) ∇F,   v ← β₂ v + (1 − β₂) ∇F²,   θ ← θ − η m̂ / (√v̂ + ε)

m̂ and v̂ are m and v freed of their start at zero.

Reference: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, arXiv 1412.6980.
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
from landscape_cli.ranges import check_counts, check_limits, check_positive

if TYPE_CHECKING:
    import jax

    from landscape_cli.core.surface import Surface


@lru_cache
def _optimizer(learning_rate: float, b1: float, b2: float, eps: float):
    """The identical object for equal settings: programs compiled with it are found again."""
    return optax.adam(learning_rate, b1, b2, eps)


@dataclass(frozen=True)
class Adam(Trainer):
    """Robust where scales differ between layers; the default.

    A recipe passes `batch` to `model_surface` too, which draws the mini-batches.

    Attributes:
        learning_rate: η, positive.
        b1: β₁, memory of the gradient, in [0, 1).
        b2: β₂, memory of its square, in [0, 1).
        eps: ε, positive.
        steps: most steps of a network, at least 1.
        check: steps between two looks at who has arrived, at least 1.
        batch: examples of a mini-batch; None: all of them. Crossings of levels are then found
            on the full data, every `check` steps.
    """

    reference: ClassVar[str] = """@inproceedings{kingma2015adam,
  author = {Kingma, Diederik P. and Ba, Jimmy},
  title = {Adam: A Method for Stochastic Optimization},
  booktitle = {International Conference on Learning Representations},
  year = {2015},
  eprint = {1412.6980},
  archivePrefix = {arXiv}
}"""

    learning_rate: float = 0.01
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    steps: int = 20000
    check: int = 100
    batch: int | None = None

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate", "eps")
        for name in ("b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        check_counts(self, "steps", "check")
        check_limits(self, "batch")

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
        optimizer = _optimizer(self.learning_rate, self.b1, self.b2, self.eps)
        return train(
            surface, optimizer, thetas, levels, self.steps, self.check, key, batch, progress
        )

    def most_steps(self, surface: Surface) -> int:
        """`steps`, on any surface."""
        return self.steps
