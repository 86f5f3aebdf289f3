"""A Bezier curve between two points, its control points trained for low energies along it.

    φ(t) = Σ_k binom(n, k) t^k (1 - t)^(n - k) c_k,   n = bends + 1

Smooth and cheap: a step costs the gradients at a few points, however long the curve. Choose it
for a first look at whether two networks are joined, or as a `warm_start` of another method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.core.curve import BEZIER, Family
from landscape_cli.methods.base import Curve
from landscape_cli.references import GARIPOV


@dataclass(frozen=True)
class Bezier(Curve):
    """Garipov et al., 2018, section 3: a curve of few bends; one bend makes it quadratic."""

    reference: ClassVar[str] = GARIPOV

    @property
    def family(self) -> Family:
        """How control points make a curve."""
        return BEZIER
