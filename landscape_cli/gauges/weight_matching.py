"""Weight matching: hidden units in the order that brings parameters closest.

    least ‖θ_reference - π(θ)‖² over permutations π of hidden units

Reference: Ainsworth, Hayase and Srinivasa, "Git Re-Basin: merging models modulo permutation
symmetries", 2023, arXiv 2209.04836, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.assignment import Pair
from landscape_cli.gauges.base import Tree
from landscape_cli.gauges.matched import Matched, weights
from landscape_cli.references import AINSWORTH
from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class WeightMatching(Matched):
    """Needs no data; a second for a network of a million parameters.

    Beyond two layers the problem is NP-hard: what is found is a local optimum, in which no group
    of units can be improved alone. More `restarts` find better ones.
    """

    reference: ClassVar[str] = AINSWORTH

    def pairs(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree
    ) -> list[Pair]:
        """All parameters."""
        return weights(symmetry, reference, own, self.signs)
