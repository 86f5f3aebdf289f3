"""The doubly nudged elastic band: springs pull across the string, too, where it costs nothing.

    F_i = F_neb + F_S⊥ - (F_S⊥·ĝ⊥) ĝ⊥

F_S⊥ is the springs' pull across the string and ĝ⊥ the direction of the gradient there, along which
only the gradient counts. Directions in which the surface is flat are straightened: choose it where
a network's bands should be short as well as low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.tangent import Forces
from landscape_cli.methods.base import Band
from landscape_cli.methods.references import DOUBLY_NUDGED


@dataclass(frozen=True)
class DoublyNudged(Band):
    """Trygubenko and Wales, 2004: a second nudge keeps springs from cutting corners."""

    reference: ClassVar[str] = DOUBLY_NUDGED
    tangent: str = "improved"  # improved | swapped | central
    spring: float = 1.0  # share of uneven spacing evened out by a step; (0, 1]

    @property
    def settings(self) -> Relaxing:
        """The forces and the optimizer, as the core takes them."""
        forces = Forces(tangent=self.tangent, spring=self.spring, doubly=True)
        return Relaxing(forces, self.optimizer)
