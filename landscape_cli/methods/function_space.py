"""A string that is short in the space of outputs: the network changes its answers evenly.

    minimize Σ_i D(f(θ_i), f(θ_{i+1}))

with D the Jensen-Shannon divergence of predicted classes, or the squared distance of outputs in
regression, over the training examples. Not a geodesic of a level set, nor short in parameters: it
goes where answers change least on the way. `output_length` is its length there, Σ √D.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.curve_steps import check_descent, require_batches
from landscape_cli.core.judge import check_joined, judged
from landscape_cli.core.output_path import Shortening, divergences, shortened, together
from landscape_cli.core.string import Found, reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.path_costs import output_cost
from landscape_cli.ranges import check_counts


@dataclass(frozen=True)
class FunctionSpace(PathMethod):
    """Tan et al., 2023: geodesics of the space of a network's answers."""

    reference: ClassVar[str] = """@inproceedings{tan2023geodesic,
  title = {Geodesic Mode Connectivity},
  author = {Tan, Charlie and Long, Theodore and Zhao, Sarah and Laine, Rudolf},
  booktitle = {Tiny Papers at the International Conference on Learning Representations},
  year = {2023},
  eprint = {2308.12666},
}"""
    level_free: ClassVar[bool] = True
    needs_network: ClassVar[bool] = True
    beads: int = 25  # of every string, ends included
    optimizer: str = "adam"  # adam | sgd
    learning_rate: float = 0.01  # of the first half of steps; then it falls to a hundredth
    momentum: float = 0.9  # of either optimizer; [0, 1)
    steps: int = 1000  # of every bead
    batch: bool = False  # steps on mini-batches of the trainer's size
    smooth: bool = True  # gradients move neighbors along, by the metric of strings; False: no
    dense: int = 50  # points per segment of the check

    def __post_init__(self) -> None:
        check_counts(self, "beads", least=3)
        check_counts(self, "dense")
        check_descent(self)

    @property
    def shortening(self) -> Shortening:
        """These settings as the core takes them."""
        return Shortening(
            self.optimizer, self.learning_rate, self.momentum, self.steps, self.batch, self.smooth
        )

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        self._check(surface)
        cost = output_cost(surface, self.beads, self.steps, self.dense, pairs, levels)
        return replace(cost, of="batch" if self.batch else "loss")

    def connect(
        self,
        surface: Surface,
        starts: np.ndarray,
        ends: np.ndarray,
        levels: np.ndarray,
        pairs: np.ndarray,
        progress: Progress,
        initial: Strings | None = None,
        seed: int = 0,
    ) -> Iterator[tuple[int, Found]]:
        """Join all pairs; see `PathMethod.connect`."""
        self._check(surface)
        starts, ends = np.asarray(starts, surface.dtype), np.asarray(ends, surface.dtype)
        known = [None] * len(starts) if initial is None else initial
        check_joined(starts, ends, known)
        size = max(together(surface, self.beads, len(starts)), 1)
        for first in range(0, len(starts), size):
            rows = range(first, min(first + size, len(starts)))
            began = time.monotonic()
            begun = [self._begun(starts[i], ends[i], known[i]) for i in rows]
            strings = shortened(
                surface, np.stack(begun), self.shortening,
                lambda done, total: progress.update(0, f"{done} of {total} steps"), seed=seed,
            )  # fmt: skip
            seconds = (time.monotonic() - began) / len(rows)
            for i, beads in zip(rows, strings, strict=True):
                yield i, self._judged(surface, beads, float(levels[i]), seconds)

    def _begun(self, start: np.ndarray, end: np.ndarray, known: np.ndarray | None) -> np.ndarray:
        """Beads at equal arcs of the chord or of a string."""
        string = np.stack([start, end]) if known is None else np.asarray(known, start.dtype)
        return reparametrized(string, self.beads - 1)

    def _judged(self, surface: Surface, beads: np.ndarray, level: float, seconds: float) -> Found:
        found = judged(surface, beads, level, self.dense)
        return found.with_(
            output_length=float(np.sqrt(np.maximum(divergences(surface, beads), 0)).sum()),
            gradient_evaluations=self.steps * (self.beads - 2),
            # Outputs of all beads are computed before their gradients, and once more for length.
            energy_evaluations=found.energy_evaluations + (self.steps + 1) * self.beads,
            seconds=seconds,
        )

    def _check(self, surface: Surface) -> None:
        if surface.network is None:
            raise UserError("method=function_space: the model must be a network, with outputs")
        require_batches(surface, self.batch)
