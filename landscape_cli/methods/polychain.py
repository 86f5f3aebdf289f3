"""A polygonal chain between two points, its corners trained for low energies along it.

    φ(t) = c_k + (n t - k) (c_{k+1} - c_k)   for k <= n t <= k + 1,   n = bends + 1

Every corner is felt by its two segments only, so that chains take many bends; a Bezier curve of
as many is smoother and mostly shorter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.core.curve import POLYCHAIN, Family
from landscape_cli.methods.base import Curve
from landscape_cli.references import GARIPOV


@dataclass(frozen=True)
class Polychain(Curve):
    """Garipov et al., 2018, section 3: a chain of segments; one bend as published, or many."""

    reference: ClassVar[str] = GARIPOV
    bends: int = 7  # control points between the ends

    @property
    def family(self) -> Family:
        """How control points make a curve."""
        return POLYCHAIN
