"""The chord: the straight segment between two points, judged. For barriers at a glance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peaks
from landscape_cli.path_costs import chord_cost
from landscape_cli.ranges import check_counts
from landscape_cli.references import GOODFELLOW


@dataclass(frozen=True)
class Straight(PathMethod):
    """Linear interpolation (Goodfellow, Vinyals & Saxe, 2015)."""

    reference: ClassVar[str] = GOODFELLOW
    level_free: ClassVar[bool] = True
    warms: ClassVar[bool] = False
    straight: ClassVar[bool] = True
    dense: int = 100  # points of the check, for every sixth of the chord

    def __post_init__(self) -> None:
        check_counts(self, "dense")

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        return chord_cost(surface, self.dense, pairs, levels)

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
        """Judge every chord; see `PathMethod.connect`."""
        chords = np.stack([starts, ends], axis=1)
        tops = peaks(surface, chords, self.dense)
        began = time.perf_counter()
        for index, (beads, level, top) in enumerate(zip(chords, levels, tops, strict=True)):
            inside = top.energy <= level
            state = "straight" if inside else "not connected"
            yield (
                index,
                Found(
                    state=state if np.isfinite(top.energy) else "diverged",
                    beads=beads,
                    level=float(level),
                    peak=top.energy,
                    worst_segment=-1 if inside else top.segment,
                    energy_evaluations=top.energies,
                    seconds=time.perf_counter() - began,
                ),
            )
            progress.update(index + 1, "chords judged")
            began = time.perf_counter()
