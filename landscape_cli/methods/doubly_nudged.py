"""The doubly nudged elastic band: springs pull across the string, too, where it costs nothing.

    F_i = F_neb + F_S⊥ - (F_S⊥·ĝ⊥) ĝ⊥

F_S⊥ is the springs' pull across the string and ĝ⊥ the direction of the gradient there, along which
only the gradient counts. Directions in which the surface is flat are straightened: choose it where
a network's bands should be short as well as low.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.band import bands, check_start, relaxed
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces
from landscape_cli.estimate import band_cost
from landscape_cli.methods.references import DOUBLY_NUDGED
from landscape_cli.ranges import check_counts, check_positive


@dataclass(frozen=True)
class DoublyNudged(PathMethod):
    """Trygubenko and Wales, 2004: a second nudge keeps springs from cutting corners."""

    reference: ClassVar[str] = DOUBLY_NUDGED
    level_free: ClassVar[bool] = True
    beads: int = 31  # of every string, ends included
    steps: int = 1000  # of every bead
    learning_rate: float = 0.01  # of the first step; falls to nothing along half a cosine
    optimizer: str = "isotropic"  # isotropic | adam: in distances of the ends | sgd: times F
    tangent: str = "improved"  # improved | swapped | central
    spring: float = 1.0  # share of uneven spacing evened out by a step; (0, 1]
    bow: float = 1e-3  # bend the chord by this part of its length: off a ridge
    dense: int = 50  # points per segment of the check

    def __post_init__(self) -> None:
        check_start(self.beads, self.bow)
        check_counts(self, "steps", "dense")
        check_positive(self, "learning_rate")
        _ = self.settings  # checks the rest

    @property
    def settings(self) -> Relaxing:
        """These settings as the core takes them."""
        forces = Forces(tangent=self.tangent, spring=self.spring, doubly=True)
        return Relaxing(forces, self.optimizer)

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        gradients = self.steps * (self.beads - 2) + 2
        return band_cost(surface, self.beads, gradients, 0, self.dense, pairs, levels)

    def connect(
        self,
        surface: Surface,
        starts: np.ndarray,
        ends: np.ndarray,
        levels: np.ndarray,
        pairs: np.ndarray,
        progress: Progress,
        initial: Strings | None = None,
    ) -> Iterator[tuple[int, Found]]:
        """Join all pairs; see `PathMethod.connect`."""
        search = relaxed(self.settings, self.learning_rate, self.steps)
        yield from bands(
            surface, starts, ends, levels, search, self.beads, self.bow, self.dense,
            lambda done, total, note: progress.update(0, f"{done} of {total} {note}"), initial,
        )  # fmt: skip
