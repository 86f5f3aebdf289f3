"""The climbing nudged elastic band: a relaxed band, then its highest beads climb to the saddles.

    F_i = -∇F + 2 (∇F·τ) τ    at every bead higher than both neighbors

Choose it where the passes themselves are wanted: they are beads of the string, its highest energy
is that of the highest of them, and `saddles` says which beads they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.band import Outcome, Report, bands, check_start, relaxed
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.saddle import Climbing, crossed
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces
from landscape_cli.estimate import band_cost
from landscape_cli.methods.references import HENKELMAN_CLIMBING
from landscape_cli.ranges import check_counts, check_positive


@dataclass(frozen=True)
class Climb(PathMethod):
    """Henkelman, Uberuaga and Jónsson, 2000; every local maximum of the band climbs."""

    reference: ClassVar[str] = HENKELMAN_CLIMBING
    level_free: ClassVar[bool] = True
    beads: int = 31  # of the band, ends included; beads beside saddles come on top
    steps: int = 1000  # of every bead of the band
    learning_rate: float = 0.01  # of the first step; falls to nothing along half a cosine
    optimizer: str = "isotropic"  # isotropic | adam: in distances of the ends | sgd: times F
    tangent: str = "improved"  # improved | swapped | central
    spring: float = 1.0  # share of uneven spacing evened out by a step; (0, 1], or .inf
    climb_steps: int = 1000  # most steps of a climbing bead
    tolerance: float = 1e-6  # gradient of a saddle, of the largest at beads of the band
    rounds: int = 5  # most rounds of climbing, and of beads put beside saddles
    bow: float = 1e-3  # bend the chord by this part of its length: off a ridge
    dense: int = 50  # points per segment of the check

    def __post_init__(self) -> None:
        check_start(self.beads, self.bow)
        check_counts(self, "steps", "climb_steps", "rounds", "dense")
        check_positive(self, "learning_rate", "tolerance")
        if self.tolerance >= 1:
            raise ValueError(f"tolerance must be below 1, got {self.tolerance}")
        _ = self.settings  # checks the rest

    @property
    def settings(self) -> Relaxing:
        """These settings as the core takes them."""
        return Relaxing(Forces(tangent=self.tangent, spring=self.spring), self.optimizer)

    @property
    def climbing(self) -> Climbing:
        """These settings as the core takes them."""
        return Climbing(self.climb_steps, self.tolerance, self.rounds, self.dense)

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        band, climbing = self.steps * (self.beads - 2) + 2, self.climbing
        return band_cost(
            surface, climbing.most_beads(self.beads), band + self.beads + self.climb_steps,
            climbing.energies(self.beads), self.dense, pairs, levels,
            most=band + climbing.gradients(self.beads),
        )  # fmt: skip

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
        yield from bands(
            surface, starts, ends, levels, self._search, self.beads, self.bow, self.dense,
            lambda done, total, note: progress.update(0, f"{done} of {total} {note}"), initial,
        )  # fmt: skip

    def _search(self, surface: Surface, strings: list, report: Report) -> list[Outcome]:
        """A band, then its passes."""
        band = relaxed(self.settings, self.learning_rate, self.steps)
        return crossed(surface, band(surface, strings, report), self.climbing, report)
