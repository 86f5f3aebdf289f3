"""REPAIR: the chord, with the activations of every network on it put right.

    θ_t = (1 - t) θ_start + t θ_end,  then every hidden unit's pre-activations are rescaled and
    shifted to (1 - t) times the start's mean and deviation plus t times the end's, layer by layer

Averaging makes activations vary less, and more so with every layer; that is most of the barrier
between networks whose units are in the same order, so choose a gauge with it. The beads are
ordinary networks, whose kernels and biases were changed, and are joined by straight segments like
those of any string. Batch norm is computed anew at every point in any case (unless bn says
otherwise), which does nearly the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.judge import judged
from landscape_cli.core.string import Found, reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.rescaling import between, layers, rescaled, statistics
from landscape_cli.core.threads import side_by_side
from landscape_cli.errors import UserError
from landscape_cli.path_costs import band_cost
from landscape_cli.ranges import check_counts
from landscape_cli.symmetry import Symmetry, examples, symmetry_of


@dataclass(frozen=True)
class Repair(PathMethod):
    """Jordan et al., 2023: renormalizing permuted activations for interpolation repair.

    Layers without a bias are only rescaled; weights that several layers share stay as they are.
    """

    reference: ClassVar[str] = """@inproceedings{jordan2023repair,
  title = {REPAIR: REnormalizing Permuted Activations for Interpolation Repair},
  author = {Jordan, Keller and Sedghi, Hanie and Saukh, Olga and Entezari, Rahim
    and Neyshabur, Behnam},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  eprint = {2211.08403},
}"""
    level_free: ClassVar[bool] = True
    warms: ClassVar[bool] = False
    needs_network: ClassVar[bool] = True
    beads: int = 25  # of every string, ends included
    # Training inputs for means and deviations, at most; where they have weights so many.
    examples: int = 2048
    dense: int = 10  # points per segment of the check; segments are short

    def __post_init__(self) -> None:
        check_counts(self, "beads", least=3)
        check_counts(self, "examples", "dense")

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        _ = self._symmetry(surface)
        return band_cost(surface, self.beads, 0, self.beads, self.dense, pairs, levels)

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
        """Repair every chord; see `PathMethod.connect`."""
        symmetry = self._symmetry(surface)
        inputs = jnp.asarray(examples(surface, self.examples))
        for i, level in enumerate(levels):
            began = time.monotonic()
            chord = np.stack([starts[i], ends[i]]).astype(surface.dtype)
            beads = self.repaired(symmetry, chord, inputs)
            found = judged(surface, beads, float(level), self.dense)
            spent = found.energy_evaluations + self.beads
            yield i, found.with_(energy_evaluations=spent, seconds=time.monotonic() - began)
            progress.update(i + 1, "chords repaired")

    def _symmetry(self, surface: Surface) -> Symmetry:
        """The hidden units of the network; some can be rescaled.

        Raises:
            UserError: there are none.
        """
        symmetry = symmetry_of(surface, "method=repair")
        if not layers(symmetry.with_examples(len(examples(surface, self.examples)))):
            name = type(surface.network.module).__name__
            raise UserError(
                f"method=repair: {name} has no hidden layer whose units can be rescaled"
            )
        return symmetry

    def repaired(self, symmetry: Symmetry, chord: np.ndarray, inputs: jnp.ndarray) -> np.ndarray:
        """(bead, param) points of a chord, all but the ends repaired."""
        units = symmetry.with_examples(len(inputs))
        start, end = (statistics(units, symmetry.tree(theta), inputs) for theta in chord)
        beads = reparametrized(chord, self.beads - 1)
        steps = np.linspace(0.0, 1.0, self.beads)

        def one(bead: int) -> np.ndarray:
            wanted = between(start, end, steps[bead])
            return symmetry.theta(rescaled(units, symmetry.tree(beads[bead]), wanted, inputs))

        beads[1:-1] = side_by_side(one, range(1, self.beads - 1))
        return beads
