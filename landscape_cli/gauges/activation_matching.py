"""Activation matching: hidden units in the order in which they do the same on examples.

    least Σ_examples ‖z_reference - π(z)‖²  for every layer by itself, z its units' activations

One linear assignment per layer. Reference: Ainsworth, Hayase and Srinivasa, "Git Re-Basin:
merging models modulo permutation symmetries", 2023, arXiv 2209.04836, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.activations import grouped, products
from landscape_cli.core.symmetry.assignment import Pair
from landscape_cli.core.symmetry.groups import Block
from landscape_cli.gauges.base import Tree
from landscape_cli.gauges.matched import Matched, weights
from landscape_cli.ranges import check_counts
from landscape_cli.references import AINSWORTH
from landscape_cli.symmetry import Symmetry, examples

BATCH = 256  # examples at a time
SILENT = 1e-6  # weights count this much: units that say nothing on all examples are alike, else


@dataclass(frozen=True)
class ActivationMatching(Matched):
    """Units that several layers read, as in a residual stream, are compared wherever they are.

    Where activations do not tell units apart, as those of relu units that are never above zero,
    their weights do.

    Attributes:
        examples: training inputs that activations are computed on, at most, or where they have
            weights so many, heavy ones several times; at least 1.
    """

    reference: ClassVar[str] = AINSWORTH

    examples: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "examples")

    def pairs(
        self, surface: Surface, symmetry: Symmetry, reference: Tree, own: Tree
    ) -> list[Pair]:
        """Products of activations, as pairs of arrays that have them."""
        inputs = np.asarray(examples(surface, self.examples))
        batches = -(-len(inputs) // BATCH)
        size = len(inputs) // batches  # equal batches; a few examples may be left over
        inputs = inputs[: batches * size].reshape(batches, size, *inputs.shape[1:])
        found = products(symmetry.with_examples(size), reference, own, inputs)
        watched = [self._pair(symmetry, block, matrix) for block, matrix in found]
        known = weights(symmetry, reference, own, self.signs)
        share = SILENT * _size(watched) / (_size(known) or 1.0)
        return watched + [replace(pair, own=share * pair.own) for pair in known]

    def _pair(self, symmetry: Symmetry, block: Block, matrix: np.ndarray) -> Pair:
        """Two arrays with these products: the identity and the matrix itself, transposed."""
        places = grouped(block)
        shape = [*(block.shape[place] for place in places), len(matrix)]
        groups = [block.groups[place] for place in places]
        signs = symmetry.signs.exponents if self.signs else {}
        return Pair(
            np.eye(len(matrix)).reshape(shape),
            matrix.T.reshape(shape),
            (*groups, None),
            (*(group in signs for group in groups), False),
        )


def _size(pairs: list[Pair]) -> float:
    """The most that all pairs could be worth."""
    return sum(float(np.linalg.norm(p.reference) * np.linalg.norm(p.own)) for p in pairs)
