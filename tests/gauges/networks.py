"""Small networks with random parameters, and copies of them that are the same function."""

from __future__ import annotations

from functools import cache

import jax
import numpy as np

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.surface import Surface
from landscape_cli.functional import Functional
from landscape_cli.models.base import model_surface
from landscape_cli.symmetry import symmetry_of


def toy(shape: tuple[int, ...], count: int = 24) -> Dataset:
    """Random inputs of three classes."""
    generator = np.random.default_rng(11)
    inputs = generator.normal(size=(count, *shape))
    classes = generator.integers(0, 3, count).astype(np.int32)
    examples = Examples(inputs, classes, np.full(count, 1 / count))
    return Dataset("toy", examples, examples, classes=3)


@cache
def surface_of(module, shape: tuple[int, ...]) -> Surface:
    """One per network: it is compiled once."""
    return model_surface(module, toy(shape), Functional("cross_entropy"))


def drawn(surface: Surface, count: int, seed: int = 0) -> np.ndarray:
    """(network, param) parameters, those of every array about as large as its inputs ask for."""
    generator = np.random.default_rng(seed)
    parts = []
    for shape in surface.network.layout.shapes:
        deviation = 1 / np.sqrt(max(1, np.prod(shape[:-1])))
        parts.append(deviation * generator.normal(size=(count, int(np.prod(shape)))))
    return np.concatenate(parts, axis=1)


def copy_of(
    surface: Surface, theta: np.ndarray, seed: int = 1, signs: bool = False, scales: bool = False
) -> np.ndarray:
    """The network with its hidden units in a random order, and with random signs and factors."""
    symmetry = symmetry_of(surface, "copy")
    generator = np.random.default_rng(seed)
    tree = symmetry.units.permuted(symmetry.tree(theta), symmetry.units.random(generator))
    size = lambda group: symmetry.units.groups[group].size
    if signs:
        flips = {g: generator.choice([-1.0, 1.0], size(g)) for g in symmetry.signs.exponents}
        tree = symmetry.signs.times(tree, flips)
    if scales:
        factors = {g: generator.uniform(0.3, 3.0, size(g)) for g in symmetry.scales.exponents}
        tree = symmetry.scales.times(tree, factors)
    return symmetry.theta(tree)


def chord(surface: Surface, start: np.ndarray, end: np.ndarray, points: int = 41) -> np.ndarray:
    """Energies from end to end; of as many points every time they are one program."""
    t = np.linspace(0, 1, points)[:, None]
    return surface.energies((1 - t) * start + t * end)


def barrier(surface: Surface, start: np.ndarray, end: np.ndarray, points: int = 41) -> float:
    """Highest energy of the chord over that of its higher end."""
    energies = chord(surface, start, end, points)
    return float(energies.max() - energies[[0, -1]].max())


KEY = jax.random.key(7)
