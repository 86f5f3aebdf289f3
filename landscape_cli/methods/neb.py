"""The nudged elastic band: beads pushed across the string by the gradient, held apart by springs.

    push  -(∇F - (∇F·τ)τ)    slide  k/4 (‖R₊‖ - ‖R₋‖) τ

The optimizer steps along the push; the slide is added as it is (see core/tangent.py). At rest the
gradient across the string is zero: a minimum-energy path, whose highest point is a pass. Choose it
for low paths of even spacing; choose `climb` where the pass itself is wanted, and `auto_neb` where
gradients cost much and few beads should do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.tangent import Forces
from landscape_cli.methods.base import Band
from landscape_cli.methods.references import HENKELMAN_TANGENT


@dataclass(frozen=True)
class NEB(Band):
    """Henkelman and Jónsson, 2000: tangents toward the higher neighbor, continuous at extrema."""

    reference: ClassVar[str] = HENKELMAN_TANGENT
    tangent: str = "improved"  # improved | swapped | central
    spring: float = 1.0  # share of an alternating spacing evened out by a step; (0, 1], or .inf

    @property
    def settings(self) -> Relaxing:
        """The forces and the optimizer, as the core takes them."""
        return Relaxing(Forces(tangent=self.tangent, spring=self.spring), self.optimizer)
