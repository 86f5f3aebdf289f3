"""The simplified string method: beads go downhill, then back to equal distances along the string.

    φ_i ← φ_i - η ∇F(φ_i),    φ_i ← the interpolant of all beads at arclength i / N

No tangents and no springs: whatever way a bead has slid along the string is taken back, and what
remains is its way across. Choose it as the plainest of its kind; cubic interpolation cuts no
corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.tangent import Forces
from landscape_cli.methods.base import Band
from landscape_cli.methods.references import STRING_METHOD


@dataclass(frozen=True)
class StringMethod(Band):
    """E, Ren and Vanden-Eijnden, 2007: a step of every bead, then equal arcs."""

    reference: ClassVar[str] = STRING_METHOD
    interpolation: str = "cubic"  # cubic | linear

    @property
    def settings(self) -> Relaxing:
        """The forces and the optimizer, as the core takes them."""
        whole = Forces(project=False)
        return Relaxing(whole, self.optimizer, interpolation=self.interpolation)
