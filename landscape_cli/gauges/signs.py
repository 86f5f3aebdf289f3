"""Sign flips: where activations are odd, every hidden unit with the sign of the reference's.

tanh(-x) = -tanh(x): a unit's incoming and outgoing weights may change their sign together
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.assignment import in_place
from landscape_cli.core.symmetry.matching import match
from landscape_cli.gauges.base import Symmetric, Tree, TreeMove, refuse_unless
from landscape_cli.gauges.matched import reordered, weights
from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class Signs(Symmetric):
    """Units keep their places; the signs with the least distance of parameters."""

    def refuse(self, symmetry: Symmetry, network: str) -> None:
        """See `Symmetric.refuse`."""
        what = "may change its sign (that takes odd activations, such as tanh)"
        refuse_unless(symmetry.signs, self.named, network, what)

    def move(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree,
        generator: np.random.Generator,
    ) -> TreeMove:  # fmt: skip
        """Other signs."""
        pairs = weights(symmetry, reference, own, signs=True)
        order = match(symmetry.units.groups, pairs, generator, assign=in_place)
        return lambda reference, own: reordered(symmetry, own, order)
