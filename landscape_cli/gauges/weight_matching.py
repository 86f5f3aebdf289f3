"""Weight matching: hidden units in the order that brings parameters closest.

    least ‖θ_reference - π(θ)‖² over permutations π of hidden units

Reference: Ainsworth, Hayase and Srinivasa, "Git Re-Basin: merging models modulo permutation
symmetries", 2023, arXiv 2209.04836, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from landscape_cli.core.assignment import Pair
from landscape_cli.core.surface import Surface
from landscape_cli.gauges.matched import Matched, weights
from landscape_cli.gauges.references import AINSWORTH
from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class WeightMatching(Matched):
    """Needs no data; seconds for a network of a million parameters.

    The problem is NP-hard beyond two layers: what is found is a local optimum, in which no group
    of units can be improved alone. More `restarts` find better ones.
    """

    reference: ClassVar[str] = AINSWORTH

    def pairs(self, surface: Surface, symmetry: Symmetry, reference: Any, own: Any) -> list[Pair]:
        """All parameters."""
        return weights(self, symmetry, reference, own)
