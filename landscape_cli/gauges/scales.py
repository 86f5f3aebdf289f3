"""Positive factors: where activations are homogeneous, units as large as the reference's.

    relu(s x) = s relu(x) for s > 0: incoming weights times s and outgoing ones over s

Reference for balancing units before they are compared: Neyshabur, Salakhutdinov and Srebro,
"Path-SGD: path-normalized optimization in deep neural networks", 2015, arXiv 1506.02617.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscape_cli.core.surface import Surface
from landscape_cli.gauges.base import Symmetric, Tree, TreeMove, refuse_unless
from landscape_cli.gauges.matched import approached
from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class Scales(Symmetric):
    """Units keep their places; the factors with the least distance of parameters.

    They begin where every unit's incoming and outgoing weights are in the same ratio as the
    reference's, and go downhill from there, unit by unit.
    """

    def refuse(self, symmetry: Symmetry, network: str) -> None:
        """See `Symmetric.refuse`."""
        what = "may be multiplied (that takes homogeneous activations, such as relu)"
        refuse_unless(symmetry.scales, self.named, network, what)

    def move(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree,
        generator: np.random.Generator,
    ) -> TreeMove:  # fmt: skip
        """The factors of each point."""
        return lambda reference, own: approached(symmetry, own, reference)
