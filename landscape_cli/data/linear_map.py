"""Linear regression data y = A x + noise with Gaussian x and a random A.

On this data a linear network W_K … W_1 x has a surface about which theorems are known: with
every hidden width above min(inputs, outputs) all level sets are connected (Freeman and Bruna
2017, proposition 2.2), and the lowest energy is that of ordinary least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_cli.contracts import Data, Dataset, Examples
from landscape_cli.data.draws import generator, uniform_weights
from landscape_cli.ranges import check_counts
from landscape_cli.references import FREEMAN_BRUNA

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class LinearMap(Data):
    """Examples of one random linear map, the same in both splits.

    The entries of A are N(0, 1/inputs), so every output has variance near one.

    Attributes:
        inputs: length of x.
        outputs: length of y.
        examples: number of examples in each split.
        noise: standard deviation of the Gaussian noise on every output.
    """

    reference: ClassVar[str] = FREEMAN_BRUNA

    inputs: int = 3
    outputs: int = 2
    examples: int = 64
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_counts(self, "inputs", "outputs", "examples")
        if not 0.0 <= self.noise < np.inf:
            raise ValueError(f"noise must be zero or a positive number, got {self.noise}")

    def load(self, key: jax.Array) -> Dataset:
        """Draw the map, then both splits, all from `key`."""
        shape = (self.inputs, self.outputs)
        matrix = generator(key, "map").normal(size=shape) / np.sqrt(self.inputs)
        train, test = (self._draw(matrix, generator(key, split)) for split in ("train", "test"))
        return Dataset("linear_map", train, test)

    def _draw(self, matrix: np.ndarray, draws: np.random.Generator) -> Examples:
        x = draws.normal(size=(self.examples, self.inputs))
        noise = self.noise * draws.normal(size=(self.examples, self.outputs))
        return Examples(x, x @ matrix + noise, uniform_weights(self.examples))
