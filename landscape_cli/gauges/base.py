"""What gauges share: copies pair by pair along symmetries of the network, checked before use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from landscape_cli.contracts import Gauge
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.factors import Multiples
from landscape_cli.errors import UserError
from landscape_cli.symmetry import Symmetry, symmetry_of

Tree = Mapping[str, Any]


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
    def copy(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree,
        generator: np.random.Generator,
    ) -> Tree:  # fmt: skip
        """The copy of one network that is closest to its reference."""

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

    def align(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> np.ndarray:
        """The copy of every network that lies closest to its reference; see `Gauge.align`.

        Networks that are not finite, or whose references are not, stay as they are.
        """
        symmetry, moved = self.symmetry(surface), np.array(thetas)
        for row, generator in enumerate(generators(key, len(thetas))):
            if np.isfinite(references[row]).all() and np.isfinite(thetas[row]).all():
                pair = symmetry.tree(references[row]), symmetry.tree(thetas[row])
                copy = self.copy(surface, symmetry, *pair, generator)
                moved[row] = symmetry.checked(thetas[row], copy)
        return moved


def generators(key: jax.Array, count: int) -> list[np.random.Generator]:
    """One for every pair, the same however many there are."""
    keys = [jax.random.fold_in(key, pair) for pair in range(count)]
    return [np.random.default_rng(np.asarray(jax.random.key_data(each))) for each in keys]


def refuse_unless(multiples: Multiples, named: str, network: str, what: str) -> None:
    """Raise UserError where no group of units may be multiplied."""
    if not multiples.exponents:
        raise UserError(f"{named}: no hidden unit of {network} {what}; choose another gauge")
