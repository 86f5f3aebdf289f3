"""Surfaces whose answer is known, and the table of all path methods that is run over them.

Every formula is written again in NumPy, so that a string is judged by something that shares no
line with the code that found it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from landscape_cli import methods
from landscape_cli.contracts import Dataset, Examples, PathMethod, Progress
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.functional import Functional
from landscape_cli.models.base import model_surface
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.mlp import MLP
from landscape_cli.models.quadratic_bowl import QuadraticBowl
from landscape_cli.models.ring import Ring

Formula = Callable[[np.ndarray], np.ndarray]  # (point, param) -> (point,)


def ring(points: np.ndarray) -> np.ndarray:
    return ((points**2).sum(-1) - 1) ** 2


def bowl(points: np.ndarray) -> np.ndarray:
    return 0.5 * (QuadraticBowl(3, 10.0).curvatures * points**2).sum(-1)


def double_well(points: np.ndarray) -> np.ndarray:
    return (points[..., 0] ** 2 - 1) ** 2 + 0.5 * (points[..., 1:] ** 2).sum(-1)


def fenced(theta, data):
    """A narrow wall from end to end of the plane, and ground that falls to the left of it."""
    return 0.05 + 0.1 * jax.nn.softplus(theta[0]) + jnp.exp(-(((theta[0] - 0.31) / 0.03) ** 2))


def fence(points: np.ndarray) -> np.ndarray:
    x = points[..., 0]
    return 0.05 + 0.1 * np.logaddexp(0, x) + np.exp(-(((x - 0.31) / 0.03) ** 2))


def log_sum_exp(theta, data):
    """Convex, smooth and not quadratic: log Σ exp(±θᵢ), 0 at the origin."""
    return jnp.logaddexp.reduce(jnp.concatenate([theta, -theta])) - jnp.log(2.0 * theta.size)


def dense_peak(formula: Formula, beads: np.ndarray, points: int = 1000) -> float:
    """Highest energy on an even grid of every segment, both of its ends included."""
    t = np.linspace(0, 1, points)[:, None]
    return max(float(formula((1 - t) * a + t * b).max()) for a, b in pairwise(beads))


@dataclass(frozen=True)
class Known:
    """A surface, a pair of ends, and whether they can be joined at each level.

    Attributes:
        name: for the test's name.
        surface: the surface.
        formula: the same energy in NumPy.
        start: (param,).
        end: (param,).
        level: λ.
        joined: whether the level set joins them.
        straight: whether the chord stays inside.
    """

    name: str
    surface: Surface
    formula: Formula
    start: np.ndarray
    end: np.ndarray
    level: float
    joined: bool
    straight: bool


E1 = np.array([1.0, 0.0, 0.0])
RING = Known("ring", model_surface(Ring(3)), ring, E1, -E1, 0.1, True, False)
BOWL = Known(
    "bowl", model_surface(QuadraticBowl(3, 10.0)), bowl,
    np.array([1.0, 0.2, 0.1]), np.array([-0.5, -0.3, 0.2]), 0.9, True, True,
)  # fmt: skip
WELLS = model_surface(DoubleWell(3))
BELOW = Known("below the pass", WELLS, double_well, -E1, E1, 0.8, False, False)
ABOVE = Known("above the pass", WELLS, double_well, -E1, E1, 1.1, True, True)
FENCE = Known("fence", Surface(fenced, (), 3), fence, 0 * E1, E1, 0.5, False, False)
SURFACES = [RING, BOWL, BELOW, ABOVE, FENCE]
INPUTS = np.linspace(-1, 1, 9)[:, None]


def network(points: np.ndarray) -> np.ndarray:
    """Mean squared error of x² by a network of one layer of four units, 1-4-1."""
    bias, last, kernel, row = np.split(points, [4, 5, 9], axis=-1)
    hidden = np.tanh(INPUTS * kernel[..., None, :] + bias[..., None, :])
    outputs = (hidden * row[..., None, :]).sum(-1) + last
    return ((outputs - INPUTS[:, 0] ** 2) ** 2).mean(-1)


def _net() -> Known:
    split = Examples(INPUTS, INPUTS**2, np.full(9, 1 / 9))
    data = Dataset("square", split, split)
    start, end = 0.7 * np.random.default_rng(3).normal(size=(2, 13))
    level = 1.05 * max(network(start), network(end))
    surface = model_surface(MLP((4,)), data, Functional("mse"))
    return Known("network", surface, network, start, end, float(level), True, False)


with jax.enable_x64(True):  # what is imported is imported before the switch of the tests
    NETWORK = _net()


def known_surfaces(method: type[PathMethod]) -> list[Known]:
    """Those that a method can be run on."""
    return [NETWORK] if method.needs_network else SURFACES


def path_methods() -> list[type[PathMethod]]:
    """Every method of the package: a new file is a new row of the table."""
    for module in pkgutil.iter_modules(methods.__path__):
        importlib.import_module(f"{methods.__name__}.{module.name}")
    found = (each for each in _subclasses(PathMethod) if not inspect.isabstract(each))
    return sorted(found, key=lambda each: each.__name__)


def _subclasses(base: type) -> set[type]:
    found = {c for c in base.__subclasses__() if c.__module__.startswith(methods.__name__)}
    return found.union(*map(_subclasses, found)) if found else found


def connect(method: PathMethod, surface, starts, ends, levels, pairs=None, seed=0) -> list[Found]:
    """All results, in the order of the input; of one that comes twice, the later."""
    pairs = np.arange(len(levels)) if pairs is None else np.asarray(pairs)
    job = map(np.asarray, (starts, ends, levels))
    found = dict(method.connect(surface, *job, pairs, Progress(), seed=seed))
    assert sorted(found) == list(range(len(levels))), "no pair is ever dropped"
    return [found[index] for index in range(len(levels))]


def rotation(dimension: int, seed: int) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]
