"""The climbing nudged elastic band: a relaxed band, then its highest beads climb to the saddles.

    F_i = -∇F + 2 (∇F·τ) τ    at every bead higher than both neighbors

Choose it where the passes themselves are wanted: they are beads of the string, its highest energy
is that of the highest of them, and `saddles` says which beads they are: those without a gradient,
where the energy curves down along the string.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.contracts import Cost
from landscape_cli.core.band import Outcome, Report, Search
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.saddle import Climbing, crossed
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces
from landscape_cli.methods.base import Band
from landscape_cli.methods.references import HENKELMAN_CLIMBING
from landscape_cli.path_costs import band_cost
from landscape_cli.ranges import check_counts, check_positive


@dataclass(frozen=True)
class Climb(Band):
    """Henkelman, Uberuaga and Jónsson, 2000; every local maximum of the band climbs."""

    reference: ClassVar[str] = HENKELMAN_CLIMBING
    tangent: str = "improved"  # improved | swapped | central
    spring: float = 1.0  # share of uneven spacing evened out by a step; (0, 1], or .inf
    climb_steps: int = 1000  # most steps of a climbing bead
    tolerance: float = 1e-6  # gradient of a saddle, of the largest at beads of the band
    rounds: int = 5  # most rounds of climbing, and of beads put beside saddles

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "climb_steps", "rounds")
        check_positive(self, "tolerance")
        if self.tolerance >= 1:
            raise ValueError(f"tolerance must be below 1, got {self.tolerance}")

    @property
    def settings(self) -> Relaxing:
        """The forces and the optimizer, as the core takes them."""
        return Relaxing(Forces(tangent=self.tangent, spring=self.spring), self.optimizer)

    @property
    def climbing(self) -> Climbing:
        """How beads climb, as the core takes it."""
        return Climbing(self.climb_steps, self.tolerance, self.rounds, self.dense)

    @property
    def search(self) -> Search:
        """A band, then its passes."""
        band = super().search

        def passes(surface: Surface, strings: list, report: Report) -> list[Outcome]:
            return crossed(surface, band(surface, strings, report), self.climbing, report)

        return passes

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        climbing = self.climbing
        return band_cost(
            surface, climbing.most_beads(self.beads),
            self.gradients + self.beads + self.climb_steps, climbing.energies(self.beads),
            self.dense, pairs, levels, most=self.gradients + climbing.gradients(self.beads),
        )  # fmt: skip
