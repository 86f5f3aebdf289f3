"""AutoNEB: cycles of a nudged elastic band that begins with few beads and inserts more.

    few beads → relax → beads where a segment rises above the line between its ends → relax → …

Springs are infinite: after every step beads are put back at their places along the band. Choose it
where gradients cost much: a band gets the beads that its surface needs. `auto_neb_draxler2018` is
the published schedule, `auto_neb_fast` the published short one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.band import bands, check_start
from landscape_cli.core.insertion import Cycles, cycled
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces
from landscape_cli.path_costs import band_cost
from landscape_cli.ranges import check_counts
from landscape_cli.references import DRAXLER

SHORT = ((100, 0.01, 3), *[(100, 0.01, 2)] * 5, *[(100, 0.003, 2)] * 4, *[(100, 0.001, 2)] * 4)


@dataclass(frozen=True)
class AutoNEB(PathMethod):
    """Draxler et al., 2018: beads inserted between cycles of a band with infinite springs."""

    reference: ClassVar[str] = DRAXLER
    level_free: ClassVar[bool] = True
    schedule: tuple[tuple[int, float, int], ...] = SHORT  # steps, learning rate, beads inserted
    threshold: float = 0.05  # rise above a segment's line, of the range at beads
    samples: int = 9  # points looked at inside every segment
    optimizer: str = "isotropic"  # isotropic | adam: in distances of the ends | sgd: times F
    momentum: float = 0.0  # of sgd; [0, 1)
    weight_decay: float = 0.0  # times θ, added to gradients before they are projected
    tangent: str = "improved"  # improved | swapped | central
    batch: bool = False  # every step of a bead on a mini-batch of the trainer's size
    bow: float = 1e-3  # bend the chord by this part of its length: off a ridge
    dense: int = 50  # points per segment of the check

    def __post_init__(self) -> None:
        _ = self.cycles, self.settings  # check most
        check_start(self.cycles.beads[0], self.bow)
        check_counts(self, "dense")

    @property
    def settings(self) -> Relaxing:
        """These settings as the core takes them."""
        forces = Forces(tangent=self.tangent, weight_decay=self.weight_decay)
        return Relaxing(forces, self.optimizer, self.momentum)

    @property
    def cycles(self) -> Cycles:
        """These settings as the core takes them."""
        return Cycles(self.schedule, self.threshold, self.samples, self.batch)

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        cycles = self.cycles
        work = cycles.gradients, cycles.energies
        cost = band_cost(surface, cycles.beads[-1], *work, self.dense, pairs, levels)
        of = "batch" if self.batch else "loss"
        return replace(cost, change="method.schedule or pairs", of=of)

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
        search = partial(cycled, settings=self.settings, cycles=self.cycles, seed=seed)
        yield from bands(
            surface, starts, ends, levels, search, self.cycles.beads[0], self.bow, self.dense,
            lambda done, total, note: progress.update(0, f"{done} of {total} {note}"), initial,
            seed,
        )  # fmt: skip
