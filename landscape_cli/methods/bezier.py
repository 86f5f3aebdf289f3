"""A Bezier curve between two points, its control points trained for low energies along it.

    φ(t) = Σ_k binom(n, k) t^k (1 - t)^(n - k) c_k,   n = bends + 1

Smooth and cheap: a step costs the gradients at a few points, however long the curve. Choose it
for a first look at whether two networks are joined, or as a `warm_start` of another method.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.curve import BEZIER
from landscape_cli.core.curve_steps import check_batch
from landscape_cli.core.curve_training import Bending, curves
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.path_costs import curve_cost
from landscape_cli.references import GARIPOV


@dataclass(frozen=True)
class Bezier(PathMethod):
    """Garipov et al., 2018, section 3: a curve of few bends; one bend makes it quadratic."""

    reference: ClassVar[str] = GARIPOV
    level_free: ClassVar[bool] = True
    bends: int = 3  # control points between the ends
    weighting: str = "peak"  # of the points: uniform in t | arc, by length | peak, the highest
    points: int = 8  # of the curve, where gradients are taken at every step
    random: bool = True  # their t drawn anew at every step; False: always the same
    optimizer: str = "adam"  # adam | sgd
    learning_rate: float = 0.01  # of the first half of steps; then it falls to a hundredth
    momentum: float = 0.9  # of either optimizer; [0, 1)
    weight_decay: float = 0.0  # κ: adds κ ‖φ(t)‖² / 2 to the energy
    steps: int = 1000  # of the optimizer
    batch: bool = False  # steps on mini-batches of the trainer's size
    grow: bool = True  # begin with one bend, then double them
    bow: float = 1e-3  # bend the chord by this part of its length: off a ridge
    lowest: bool = True  # keep the lowest curve seen; False: the last one
    beads: int = 33  # of the polyline that is judged, ends included
    dense: int = 50  # points per segment of the last check

    def __post_init__(self) -> None:
        _ = self.bending  # checks all

    @property
    def bending(self) -> Bending:
        """These settings as the core takes them."""
        return Bending(**asdict(self))

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        check_batch(surface, self.batch)  # before any work is done
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
    ) -> Iterator[tuple[int, Found]]:
        """Join all pairs; see `PathMethod.connect`."""

        def report(done: int, total: int) -> None:
            progress.update(0, f"{done} of {total} steps")

        yield from curves(surface, BEZIER, self.bending, starts, ends, levels, report, initial)
