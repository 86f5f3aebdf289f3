"""What several methods share: bands of beads that forces move, and curves that are trained.

Both look for a low path whatever the level, for all pairs at once; a method's own file says how.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.band import Search, bands, check_start, relaxed
from landscape_cli.core.curve import Family
from landscape_cli.core.curve_steps import require_batches
from landscape_cli.core.curve_training import Bending, curves
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.path_costs import band_cost, curve_cost
from landscape_cli.ranges import check_counts, check_positive


@dataclass(frozen=True)
class Band(PathMethod):
    """Beads that forces move, step by step, with as many beads to the end."""

    level_free: ClassVar[bool] = True
    beads: int = 31  # of every string, ends included
    steps: int = 1000  # of every bead
    learning_rate: float = 0.01  # of the first step; falls to nothing along half a cosine
    optimizer: str = "isotropic"  # isotropic | adam: in distances of the ends | sgd: times F
    bow: float = 1e-3  # bend the chord by this part of its length: off a ridge
    dense: int = 50  # points per segment of the check

    def __post_init__(self) -> None:
        check_counts(self, "beads", least=3)
        check_counts(self, "steps", "dense")
        check_start(self.beads, self.bow)
        check_positive(self, "learning_rate")
        _ = self.settings  # checks the rest

    @property
    @abstractmethod
    def settings(self) -> Relaxing:
        """The forces and the optimizer, as the core takes them."""

    @property
    def gradients(self) -> int:
        """Spent on a string."""
        return self.steps * (self.beads - 2) + 2

    @property
    def search(self) -> Search:
        """What moves the beads of all strings."""
        return relaxed(self.settings, self.learning_rate, self.steps)

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        return band_cost(surface, self.beads, self.gradients, 0, self.dense, pairs, levels)

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
        yield from bands(
            surface, starts, ends, levels, self.search, self.beads, self.bow, self.dense,
            lambda done, total, note: progress.update(0, f"{done} of {total} {note}"), initial,
            seed,
        )  # fmt: skip


@dataclass(frozen=True)
class Curve(PathMethod):
    """A curve φ(t) of few control points, trained for low energies along it."""

    level_free: ClassVar[bool] = True
    bends: int = 3  # control points between the ends
    weighting: str = "peak"  # of the points: uniform in t | arc, by length | peak, the highest
    points: int = 8  # of the curve, where gradients are taken at every step
    random: bool = True  # their t drawn anew at every step; False: always the same
    optimizer: str = "adam"  # adam | sgd
    learning_rate: float = 0.01  # of the first half of every stage; then it falls to a hundredth
    momentum: float = 0.9  # of either optimizer; [0, 1)
    weight_decay: float = 0.0  # κ: adds κ ‖φ(t)‖² / 2 to the energy
    steps: int = 1000  # of the optimizer
    batch: bool = False  # steps on mini-batches of the trainer's size
    grow: bool = True  # stages: begin with one bend, then double them; False: one stage
    bow: float = 1e-3  # bend the chord by this part of its length: off a ridge
    lowest: bool = True  # keep the lowest curve seen; False: the last one
    beads: int = 33  # of the polyline that is judged, ends included
    dense: int = 50  # points per segment of the last check

    def __post_init__(self) -> None:
        _ = self.bending  # checks all

    @property
    @abstractmethod
    def family(self) -> Family:
        """How control points make a curve."""

    @property
    def bending(self) -> Bending:
        """These settings as the core takes them."""
        return Bending(**asdict(self))

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        require_batches(surface, self.batch)  # before any work is done
        return curve_cost(surface, self.bending, pairs, levels)

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

        def report(done: int, total: int) -> None:
            progress.update(0, f"{done} of {total} steps")

        yield from curves(
            surface, self.family, self.bending, starts, ends, levels, report, initial, seed
        )
