"""Does the spike of the published cubic curve sit where trivial predictors enter the level set?

Beads are descended until F <= αλ. A predictor of energy C that ignores its input (the best
constant, whose weights need no agreement between the ends) is an admissible bead once

    αλ >= C,    that is    λ >= C / α

and above that level strings should be nearly straight. The lower edge belongs to the ends, which
descend to λ itself and leave the constant below λ = C. So the upper edge has to move as C/α, the
lower one has to stay, and with α = 1 nothing is left of the spike. The same pairs are joined for
every α.

The hypothesis is about the curve of Freeman & Bruna, 2017 (arXiv 1611.01540); it is not theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from landscape_cli.experiments.geodesic import Geodesic  # pyright: ignore[reportMissingImports]

from landscape_cli.contracts import Experiment, Record
from landscape_cli.errors import UserError
from landscape_cli.estimate import Estimate, repeated
from landscape_cli.records.shifts import Shifts
from landscape_cli.records.table import Table
from landscape_cli.references import FREEMAN_BRUNA
from landscape_cli.setup import Setup


@dataclass(frozen=True)
class PlateauShift(Experiment):
    """The upper edge of the spike against α: predicted C/α, found, for several α."""

    reference: ClassVar[str] = FREEMAN_BRUNA
    unused: ClassVar[Mapping[str, str]] = {
        **Geodesic.unused, "method.alpha": "it tries those of experiment.alphas"
    }  # fmt: skip
    alphas: tuple[float, ...] = (0.9, 0.95, 1.0)  # of the method; in (0, 1]
    plateau: str = "best constant"  # the trivial predictor whose energy is C
    paired: bool = True  # one training run crosses every level
    metric: str = "weights"  # all: weights and biases count as length; weights: weights only

    def __post_init__(self) -> None:
        if not self.alphas or not all(0 < alpha <= 1 for alpha in self.alphas):
            raise ValueError(f"alphas must lie in (0, 1], got {list(self.alphas)}")

    def run(self, setup: Setup) -> Iterator[Record]:
        """The same pairs and levels once for every α, the networks trained for the first."""
        if not hasattr(setup.method, "alpha"):
            name = setup.called("method")
            raise UserError(f"method: {name} has no alpha to vary; choose method=fb2016")
        plateaux = setup.functional.plateaux(setup.dataset)
        if self.plateau not in plateaux:
            known = ", ".join(plateaux) or "none for this data"
            raise UserError(f"experiment.plateau={self.plateau}: choose from {known}")
        record = Shifts.empty(
            self.alphas, setup.pairs, setup.levels, plateaux[self.plateau],
            setup.functional.describe(), unit=setup.functional.unit, model=setup.called("model"),
            data=setup.dataset.name, method=setup.called("method"), gauge=setup.called("gauge"),
            seed=setup.seed,
        )  # fmt: skip
        for index, alpha in enumerate(self.alphas):
            setup.progress.message(f"alpha {alpha:g}")
            method: Any = setup.method  # a frozen dataclass, as every part is
            varied = replace(setup, method=replace(method, alpha=alpha))
            for part in self._geodesic.run(varied):
                if part.name == "geodesics":
                    record.put(index, part)
            yield record
        yield Table.of(record.rows(), name="predictions")

    def plan(self, setup: Setup) -> Estimate:
        """Bytes of the strings of one α, evaluations of all of them."""
        one = self._geodesic.plan(setup)
        return replace(one, joinings=tuple(repeated(one.joinings, len(self.alphas))))

    @property
    def _geodesic(self) -> Geodesic:
        return Geodesic(paired=self.paired, metric=self.metric)
