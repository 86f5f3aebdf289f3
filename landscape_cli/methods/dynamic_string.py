"""Dynamic String Sampling alone: beads inserted where a segment leaves the level set.

Its polyline is feasible and longer than the geodesic. With alpha 0.95, tau 1.1, midpoints and
three beads to begin with it is the greedy algorithm behind every published figure.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.curve_steps import require_batches
from landscape_cli.core.descent import adam
from landscape_cli.core.sampling import Sampled, Sampling, sample
from landscape_cli.core.string import Found, normalized_length
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peak
from landscape_cli.path_costs import sampled_cost
from landscape_cli.ranges import check_counts, check_positive
from landscape_cli.references import FREEMAN_BRUNA


@dataclass(frozen=True)
class DynamicString(PathMethod):
    """Freeman & Bruna, 2017, section 3: sampling without shortening."""

    reference: ClassVar[str] = FREEMAN_BRUNA
    alpha: float = 0.7  # beads descend until F <= alpha level, or level at last; (0, 1]
    tau: float = 1.0  # segments are accepted up to tau level; at least 1
    insertion: str = "worst"  # worst | midpoint
    depth: int = 10  # rounds of insertion
    deeper: float = 0.9  # alpha shrinks by this in every round from the fifth on; (0, 1]
    points: int = 24  # energies looked at inside a segment
    learning_rate: float = 0.01  # of the Adam that moves beads
    bead_steps: int = 4000  # most optimizer steps of a bead
    batch: bool = False  # steps on mini-batches of the trainer's size
    check: int = 10  # steps on mini-batches between two looks at the energy
    max_beads: int = 129  # ends included
    kick: bool = True  # move beads that stay or slide back off their segment, once
    three_beads: bool = False  # begin with three beads even where the chord stays inside
    dense: int = 50  # points per segment of the last check; with tau 1 its peaks get beads, too

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate")
        check_counts(self, "dense", "check")
        _ = self.sampling  # checks the rest

    @property
    def sampling(self) -> Sampling:
        """These settings as the core takes them."""
        names = set(Sampling.__dataclass_fields__) - {"every"}
        every = self.check if self.batch else None
        return Sampling(every=every, **{name: getattr(self, name) for name in names})

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        require_batches(surface, self.batch)  # before any work is done
        return sampled_cost(surface, self.sampling, self.dense, pairs, levels)

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
        require_batches(surface, self.batch)
        began = time.perf_counter()
        strings = sample(
            surface, adam(self.learning_rate), starts, ends, levels, self.sampling,
            lambda done, total: progress.update(done, f"of {total} strings sampled"),
            # A published slack looks at its own grid; without slack the dense check decides.
            dense=self.dense if self.tau == 1 else 0,
            initial=initial,
            seed=seed,
        )  # fmt: skip
        seconds = (time.perf_counter() - began) / max(len(strings), 1)
        for index, string in enumerate(strings):
            began = time.perf_counter()
            found = self._judge(surface, string)
            yield index, found.with_(seconds=seconds + time.perf_counter() - began)

    def _judge(self, surface: Surface, string: Sampled) -> Found:
        top = string.checked or peak(surface, string.beads, self.dense)
        inside = string.inside and (self.tau > 1 or top.energy <= string.level)
        state = "loose" if inside else "not connected"
        if inside and len(string.beads) == 2:
            state = "straight"
        return Found(
            state=state if np.isfinite(top.energy) else "diverged",
            beads=string.beads,
            level=string.level,
            peak=top.energy,
            worst_segment=-1 if inside else top.segment,
            sampled_length=float(normalized_length(string.beads)) if inside else np.nan,
            gradient_evaluations=string.gradients,
            energy_evaluations=string.energies + top.energies,
        )
