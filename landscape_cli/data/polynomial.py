"""Values of a polynomial on an interval.

    y = c0 + c1 x + c2 x² + … + cn xⁿ

Small networks that fit a polynomial have surfaces cheap enough to study exhaustively. With
quadrature points in place of random draws (Freeman and Bruna 2017) the energy is the integral
∫ loss(f(x), y(x)) dx, and the same in every run: of smooth losses on the Gauss points of the
training split up to rounding; of the absolute error on the 64 midpoints of the test split to
about 1e-4. The best constant for the cubic has 0.15809 there, its integral is 0.15820.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import roots_legendre

from landscape_cli.contracts import Data, Dataset, Examples
from landscape_cli.data.draws import generator, uniform_weights
from landscape_cli.ranges import choose
from landscape_cli.references import FREEMAN_BRUNA

if TYPE_CHECKING:
    import jax

RULES = ("gauss", "grid", "random")
MOST_NODES = 10_000  # of a Gauss rule, which are found in seconds; ten times as many take minutes
NAMES = ("constant", "linear", "quadratic", "cubic", "quartic", "quintic")


@dataclass(frozen=True)
class Polynomial(Data):
    """Regression on one variable, x in [low, high].

    `rule` places the points. "gauss": the training split is the Gauss-Legendre rule, exact for
    polynomials of degree 2 * train - 1. "grid": evenly spaced, both ends included (trapezoid
    rule). With both, the test split is the midpoint rule: different points, equal weights.
    "random": both splits are uniform draws.

    Attributes:
        coefficients: in ascending powers, c0 first.
        low: left end of the interval.
        high: right end of the interval.
        train: number of training points, at most 10,000 of rule "gauss".
        test: number of test points.
        rule: "gauss", "grid" or "random".
    """

    reference: ClassVar[str] = FREEMAN_BRUNA

    coefficients: tuple[float, ...]
    low: float = 0.0
    high: float = 1.0
    train: int = 64
    test: int = 64
    rule: str = "gauss"

    def __post_init__(self) -> None:
        if not self.coefficients or not np.all(np.isfinite(self.coefficients)):
            raise ValueError(
                f"coefficients must be one or more finite numbers, got {list(self.coefficients)}"
            )
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(
                f"low must be less than high, both finite, got {self.low} and {self.high}"
            )
        choose("rule", self.rule, RULES)
        for name, least in (("train", 2 if self.rule == "grid" else 1), ("test", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.rule == "gauss" and self.train > MOST_NODES:
            raise ValueError(
                f"train must be at most {MOST_NODES} with rule=gauss, got {self.train}; choose "
                "rule=grid or rule=random for more"
            )

    @property
    def name(self) -> str:
        """The word for the degree, such as "cubic"."""
        degree = len(self.coefficients) - 1
        return NAMES[degree] if degree < len(NAMES) else f"degree-{degree} polynomial"

    def load(self, key: jax.Array) -> Dataset:
        """Place the points; `key` matters for rule "random" only."""
        if self.rule == "random":
            train = _random(self.train, generator(key, "train"))
            test = _random(self.test, generator(key, "test"))
        else:
            train = (_gauss if self.rule == "gauss" else _trapezoid)(self.train)
            test = _midpoint(self.test)
        return Dataset(self.name, self._examples(*train), self._examples(*test))

    def _examples(self, unit: np.ndarray, weights: np.ndarray) -> Examples:
        """Move points from [0, 1] to the interval and attach the targets, as columns."""
        x = self.low + (self.high - self.low) * unit[:, None]
        y = np.polynomial.polynomial.polyval(x, np.asarray(self.coefficients, dtype=np.float64))
        return Examples(x, y, weights)


def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = roots_legendre(count)  # on [-1, 1], where the weights sum to 2
    return (nodes + 1.0) / 2.0, weights / weights.sum()


def _trapezoid(count: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.ones(count)
    weights[[0, -1]] = 0.5
    return np.linspace(0.0, 1.0, count), weights / weights.sum()


def _midpoint(count: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(count) + 0.5) / count, uniform_weights(count)


def _random(count: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return draws.random(count), uniform_weights(count)
