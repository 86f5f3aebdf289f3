"""The path of a proof: straight segments through copies of both networks with half their units.

Nothing is trained: which half of the units is spared is drawn at random, the best of some draws
(see `core.dropout`). With a convex loss no point of the path is higher than the highest of the
two networks and their halved copies, so that it is low where networks stand dropout. It costs
next to nothing, and is far from short: an upper bound, for lengths as for heights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscape_cli.contracts import Cost, PathMethod, Progress, Strings
from landscape_cli.core.dropout import Chain, Kept, Net, chain_of, halved, route
from landscape_cli.core.judge import judged
from landscape_cli.core.random import named_generator
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.units import TOLERANCE, flat, unflat
from landscape_cli.errors import UserError
from landscape_cli.path_costs import route_cost
from landscape_cli.ranges import check_counts
from landscape_cli.symmetry import Symmetry, symmetry_of

ASKED = "method=dropout_path"


@dataclass(frozen=True)
class DropoutPath(PathMethod):
    """Kuditipudi et al., 2019, theorem 1: networks that stand dropout are connected."""

    reference: ClassVar[str] = """@inproceedings{kuditipudi2019explaining,
  title = {Explaining Landscape Connectivity of Low-cost Solutions for Multilayer Nets},
  author = {Kuditipudi, Rohith and Wang, Xiang and Lee, Holden and Zhang, Yi and Li, Zhiyuan and
            Hu, Wei and Ge, Rong and Arora, Sanjeev},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2019},
  eprint = {1906.06247},
}"""
    level_free: ClassVar[bool] = True
    warms: ClassVar[bool] = False
    needs_network: ClassVar[bool] = True
    draws: int = 20  # halves of the units drawn for each network; the lowest is taken
    dense: int = 50  # points per segment of the check

    def __post_init__(self) -> None:
        check_counts(self, "draws", "dense")

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost:
        """Bytes and evaluations by the settings; see `PathMethod.cost`."""
        layers = len(_chain(symmetry_of(surface, ASKED)).layers)
        return route_cost(surface, layers, self.draws, self.dense, pairs, levels)

    def connect(
        self,
        surface: Surface,
        starts: np.ndarray,
        ends: np.ndarray,
        levels: np.ndarray,
        pairs: np.ndarray,
        progress: Progress,
        initial: Strings | None = None,
        seed: int = 0,
    ) -> Iterator[tuple[int, Found]]:
        """Join all pairs; see `PathMethod.connect`."""
        symmetry = symmetry_of(surface, ASKED)
        chain = _chain(symmetry)
        for index, (start, end, level) in enumerate(zip(starts, ends, levels, strict=True)):
            began = time.monotonic()
            string, spent = self._string(surface, symmetry, chain, start, end, seed)
            found = judged(surface, string, float(level), self.dense)
            yield (
                index,
                found.with_(
                    energy_evaluations=found.energy_evaluations + spent,
                    seconds=time.monotonic() - began,
                ),
            )
            progress.update(index + 1, "paths built")

    def _string(
        self, surface: Surface, symmetry: Symmetry, chain: Chain, start: np.ndarray,
        end: np.ndarray, seed: int,
    ) -> tuple[np.ndarray, int]:  # fmt: skip
        """(bead, param) vertices of the path, and the energies it took to choose it."""
        if np.array_equal(start, end):
            return np.stack([start, end]), 0
        nets = [flat(symmetry.tree(np.asarray(theta, surface.dtype))) for theta in (start, end)]
        kept = [self._half(surface, symmetry, chain, net, seed) for net in nets]
        path = route(chain, nets[0], nets[1], kept[0], kept[1])
        for one, other in path.still_pairs():
            if not symmetry.units.difference(unflat(one), unflat(other), symmetry.inputs) <= (
                10 * TOLERANCE
            ):
                raise UserError(
                    f"{ASKED}: hidden units see one another, as by a norm over several; it takes "
                    "layers whose units do not, such as model=mlp or model=mnist_cnn"
                )
        string = np.stack([_theta(symmetry, net) for net in path.vertices])
        string[0], string[-1] = start, end
        return string, 2 * self.draws * len(chain.layers)

    def _half(
        self, surface: Surface, symmetry: Symmetry, chain: Chain, net: Net, seed: int
    ) -> Kept:
        """The half whose copies, from one layer halved to all, are lowest at their highest."""
        generator = named_generator(seed, _theta(symmetry, net))
        lowest, best = np.inf, None
        for _ in range(self.draws):
            kept = chain.halves(generator)
            copies = [halved(chain, net, kept, first) for first in range(len(chain.layers))]
            energies = surface.energies(np.stack([_theta(symmetry, copy) for copy in copies]))
            highest = np.nan_to_num(energies.max(), nan=np.inf)
            if best is None or highest < lowest:
                lowest, best = highest, kept
        assert best is not None
        return best


def _theta(symmetry: Symmetry, net: Net) -> np.ndarray:
    """(param,) of a network's arrays."""
    return np.concatenate([net[path].ravel() for path, _ in symmetry.arrays])


def _chain(symmetry: Symmetry) -> Chain:
    """The layers of a network.

    Raises:
        UserError: it is no chain of layers.
    """
    try:
        return chain_of(symmetry.units, dict(symmetry.arrays))
    except ValueError as error:
        raise UserError(
            f"{ASKED}: the model must be a chain of layers of at least two units, such as "
            f"model=mlp or model=mnist_cnn: {error}"
        ) from error
