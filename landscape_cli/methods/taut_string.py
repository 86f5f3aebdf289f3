"""The geodesic of a level set: Dynamic String Sampling, then shortening until the string is taut.

Sampling alone overstates the excess length, in the default run three to four times: its beads
carry the noise of their descents. Choose this method for lengths; choose `dynamic_string` to
repeat the published one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.descent import adam
from landscape_cli.core.feasible import Search
from landscape_cli.core.geodesic import geodesics
from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.sampling import Sampling
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.path_costs import taut_cost
from landscape_cli.ranges import check_counts, check_positive
from landscape_cli.references import FREEMAN_BRUNA


@dataclass(frozen=True)
class TautString(PathMethod):
    """Shortest string inside {F <= level}, with a stated stopping rule (core/geodesic.py)."""

    reference: ClassVar[str] = FREEMAN_BRUNA
    alpha: float = 0.7  # sampled beads descend to alpha level, or level at last; (0, 1]
    depth: int = 10  # rounds of insertion
    points: int = 24  # energies looked at inside a segment while sampling
    learning_rate: float = 0.01  # of the Adam that moves sampled beads
    bead_steps: int = 4000  # most optimizer steps of a sampled bead
    segments: int = 16  # of the first taut string; doubled at least once
    max_beads: int = 129  # ends included
    samples: int = 3  # points per segment where F <= level is asked for
    evaluations: int = 500  # most evaluations of a string; twice that after doubling
    tolerance: float = 1e-2  # relative KKT residual of a taut string
    refinement: float = 1e-2  # its relative change of length when beads double
    margin: float = 3e-3  # part of the level kept free while pulling; less where it is dear
    dense: int = 50  # points per segment of the last check
    continuation: bool = True  # start from the level above, too
    every_start: bool = True  # level above, sample and chord; False: the first of them
    history: float = 4.0  # GiB for what is remembered of the strings that advance together

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate", "tolerance", "refinement", "history")
        check_counts(self, "samples", "evaluations", "dense")
        check_counts(self, "segments", least=2)
        if self.max_beads < 2 * self.segments + 1:
            raise ValueError(
                f"max_beads must be at least 2 segments + 1 = {2 * self.segments + 1}, so that "
                f"beads can be doubled once, got {self.max_beads}"
            )
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin must lie in [0, 1), got {self.margin}")
        _ = self.search  # checks the rest

    @property
    def search(self) -> Search:
        """These settings as the core takes them."""
        return Search(
            optimizer=adam(self.learning_rate),
            sampling=Sampling(
                alpha=self.alpha, depth=self.depth, points=self.points,
                bead_steps=self.bead_steps, max_beads=self.max_beads,
            ),
            tightening=Tightening(
                samples=self.samples, evaluations=self.evaluations, tolerance=self.tolerance,
                history=self.history,
            ),
            segments=self.segments,
            max_beads=self.max_beads,
            margin=self.margin,
            refinement=self.refinement,
            dense=self.dense,
            continuation=self.continuation,
            every_start=self.every_start,
        )  # fmt: skip

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        return taut_cost(surface, self.search, pairs, levels)

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
        search = replace(self.search, seed=seed)
        known: set[int] = set()  # a string may be concluded anew

        def report(done: int, total: int, note: str) -> None:
            progress.update(len(known), f"{done} of {total} {note}")

        for index, found in geodesics(
            surface, starts, ends, levels, pairs, search, report, initial
        ):
            known.add(index)
            yield index, found
