"""Gradient descent with momentum; stochastic with mini-batches.

    g = ∇F(θ) + κ θ,   v ← μ v + g,   θ ← θ − η v             (Nesterov:  θ ← θ − η (g + μ v))

The rate η may fall along the run, see `schedule`. Weight decay κ joins the gradient before the
momentum, as the published recipes had it; it bends the descent only: levels are those of F.

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
from landscape_cli.core.energy import examples_in
from landscape_cli.core.training import check_batch, train
from landscape_cli.ranges import check_counts, check_limits, check_positive
from landscape_cli.trainers.schedule import check_schedule, schedule

if TYPE_CHECKING:
    import jax

    from landscape_cli.core.surface import Surface


@lru_cache
def _optimizer(
    learning_rate: float, momentum: float, nesterov: bool, weight_decay: float,
    kind: str, total: int, milestones: tuple[float, ...], decay: float,
):  # fmt: skip
    """The identical object for equal settings: programs compiled with it are found again."""
    rate = schedule(kind, learning_rate, total, milestones, decay)
    descent = optax.sgd(rate, momentum or None, nesterov)
    if not weight_decay:
        return descent
    return optax.chain(optax.add_decayed_weights(weight_decay), descent)


@dataclass(frozen=True)
class Sgd(Trainer):
    """Follows the gradient itself, so its path is the surface's; needs a fitting step size.

    A recipe passes `batch` to `model_surface` too, which draws the mini-batches.

    Attributes:
        learning_rate: η, positive.
        momentum: μ, in [0, 1); 0 is plain gradient descent.
        nesterov: look ahead along the momentum.
        weight_decay: κ, at least 0; of all parameters.
        schedule: constant, steps, linear or cosine, over the epochs or, without, the steps.
        milestones: fractions of the run: where the rate drops (steps), or where the straight
            line begins and ends (linear).
        decay: factor of the rate at every milestone (steps), or at the end (linear, cosine).
        steps: most steps of a network, at least 1.
        epochs: passes over the training examples, if fewer steps than `steps`; None: no limit.
        check: steps between two looks at who has arrived, at least 1; None: one epoch.
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
    weight_decay: float = 0.0
    schedule: str = "constant"
    milestones: tuple[float, ...] = ()
    decay: float = 0.1
    steps: int = 20000
    epochs: float | None = None
    check: int | None = 100
    batch: int | None = None

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")
        check_schedule(self.schedule, self.milestones, self.decay)
        if self.epochs is not None:
            check_positive(self, "epochs")
        check_counts(self, "steps")
        check_limits(self, "check", "batch")

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
        total = self._total(surface)
        optimizer = _optimizer(
            self.learning_rate, self.momentum, self.nesterov, self.weight_decay, self.schedule,
            0 if self.schedule == "constant" else total, self.milestones, self.decay,
        )  # fmt: skip
        check = self.check or max(round(_epoch(surface, self.batch)), 1)
        steps = self.most_steps(surface)
        return train(surface, optimizer, thetas, levels, steps, check, key, batch, progress)

    def most_steps(self, surface: Surface) -> int:
        """`steps`, or those of `epochs` on the surface's training examples if they are fewer."""
        return min(self.steps, self._total(surface))

    def _total(self, surface: Surface) -> int:
        """Steps that the schedule is laid over, at least 1."""
        if self.epochs is None:
            return self.steps
        return max(round(self.epochs * _epoch(surface, self.batch)), 1)


def _epoch(surface: Surface, batch: int | None) -> float:
    """Steps in which as many examples are seen as there are."""
    examples = examples_in(surface.slope_data) or 1
    return max(examples / (batch or examples), 1.0)
