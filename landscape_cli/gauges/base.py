"""What gauges share: copies pair by pair along symmetries of the network, checked before use."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from landscape_cli.contracts import Gauge, Move
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.factors import Multiples
from landscape_cli.errors import UserError
from landscape_cli.symmetry import Symmetry, symmetry_of

Tree = Mapping[str, Any]
TreeMove = Callable[[Tree, Tree], Tree]  # (reference, own) -> a copy of own


@dataclass(frozen=True, eq=False)
class Checked:
    """A move of vectors whose outputs are compared every time; see `Gauge.moves`."""

    symmetry: Symmetry
    move: TreeMove

    def __call__(self, reference: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """The copy of `theta`."""
        copy = self.move(self.symmetry.tree(reference), self.symmetry.tree(theta))
        return self.symmetry.checked(theta, copy)


class Symmetric(Gauge):
    """A gauge that moves a network along symmetries that are found in its program."""

    @property
    def named(self) -> str:
        """As a user types it: files of gauges are called like their options."""
        return f"gauge={type(self).__module__.rpartition('.')[2]}"

    @abstractmethod
    def refuse(self, symmetry: Symmetry, network: str) -> None:
        """Raise UserError where the network has no symmetry of this kind."""

    @abstractmethod
    def move(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree,
        generator: np.random.Generator,
    ) -> TreeMove:  # fmt: skip
        """What brings one network closest to its reference."""

    def symmetry(self, surface: Surface) -> Symmetry:
        """Hidden units of the surface's network.

        Raises:
            UserError: it has none of the kind.
        """
        symmetry = symmetry_of(surface, self.named)
        self.refuse(symmetry, type(surface.network.module).__name__)
        return symmetry

    def check(self, surface: Surface) -> None:
        """See `Gauge.check`."""
        self.symmetry(surface)

    def moves(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> list[Move]:
        """See `Gauge.moves`."""
        symmetry, found = self.symmetry(surface), []
        drawn = generators(key, references, thetas)
        for reference, theta, generator in zip(references, thetas, drawn, strict=True):
            pair = symmetry.tree(reference), symmetry.tree(theta)
            found.append(Checked(symmetry, self.move(surface, symmetry, *pair, generator)))
        return found


def generators(
    key: jax.Array, references: np.ndarray, thetas: np.ndarray
) -> list[np.random.Generator]:
    """One for every pair, drawn from its content: the same in any batch and any order."""
    found = []
    for pair in zip(references, thetas, strict=True):
        own = jax.random.fold_in(key, zlib.crc32(np.stack(pair).tobytes()))
        found.append(np.random.default_rng(np.asarray(jax.random.key_data(own))))
    return found


def refuse_unless(multiples: Multiples, named: str, network: str, what: str) -> None:
    """Raise UserError where no group of units may be multiplied."""
    if not multiples.exponents:
        raise UserError(f"{named}: no hidden unit of {network} {what}; choose another gauge")
