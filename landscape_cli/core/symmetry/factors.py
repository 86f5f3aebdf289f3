"""Units that may be multiplied: signs of odd activations, positive factors of ReLU.

Where f(s x) = s f(x), a unit's incoming weights times s and its outgoing ones over s give the
same function: s = -1 for tanh, any s > 0 for ReLU. Which arrays take part is not always the
same: after a norm only its scale and bias do. So the candidates are tried, on random parameters,
and kept if no output changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from landscape_cli.core.symmetry.assignment import along
from landscape_cli.core.symmetry.groups import Group
from landscape_cli.core.symmetry.knowledge import Path
from landscape_cli.core.symmetry.units import Units, flat, unflat

CANDIDATES = (  # exponents of the factor: of kernels with their biases, of all else, of readers
    {"layer": 0, "norm": 1, "consumes": -1},  # a norm undoes what is before it
    {"layer": 1, "norm": 1, "consumes": -1},
)
SWEEPS = 1000
SETTLED = 1e-12  # relative change of factors in a sweep

Exponents = tuple[int, ...]  # for every use of a group
Factors = dict[int, np.ndarray]  # group -> (unit,) factors


@dataclass(frozen=True, eq=False)
class Multiples:
    """The groups whose units may be multiplied, and what takes part.

    Attributes:
        units: of the network.
        exponents: group -> for every use the power of the factor that the array is times by.
    """

    units: Units
    exponents: dict[int, Exponents]

    def times(self, params: Mapping[str, Any], factors: Factors) -> dict[str, Any]:
        """The network with its units multiplied; its function is the same."""
        arrays = {path: np.array(array) for path, array in flat(params).items()}
        for group, values in factors.items():
            self._multiply(arrays, group, values)
        return unflat(arrays)

    def _multiply(self, arrays: dict[Path, np.ndarray], group: int, values: np.ndarray) -> None:
        """In place."""
        for path, axis, positions, power in self._parts(group):
            view = np.moveaxis(arrays[path], axis, 0)
            view[positions] *= along(values**power, 0, view.ndim + 1).astype(view.dtype)

    def _parts(self, group: int) -> Iterator[tuple[Path, int, np.ndarray, int]]:
        uses = self.units.groups[group].uses
        for use, power in zip(uses, self.exponents[group], strict=True):
            if power:
                yield use.path, use.axis, use.positions, power

    def _squares(self, group: int, one: Mapping, other: Mapping) -> np.ndarray:
        """(2, unit) sums of products of two networks' entries, incoming and outgoing."""
        found = np.zeros((2, self.units.groups[group].size))
        for path, axis, positions, power in self._parts(group):
            first, second = (
                np.moveaxis(arrays[path], axis, 0)[positions].reshape(len(positions), -1)
                for arrays in (one, other)
            )
            found[int(power < 0)] += np.einsum("ui,ui->u", first, second)
        return found

    def balancing(self, params: Mapping[str, Any]) -> Factors:
        """Positive factors that make every unit's incoming weights as large as its outgoing.

        They give the smallest norm of all multiples, which is unique. Units without weights on
        one side keep theirs.
        """
        return self._sweeps(params, self._balanced)

    def _balanced(self, group: int, arrays: Mapping[Path, np.ndarray]) -> np.ndarray:
        incoming, outgoing = self._squares(group, arrays, arrays)
        alive = (incoming > 0) & (outgoing > 0)
        ratio = np.divide(outgoing, incoming, out=np.ones_like(incoming), where=alive)
        return ratio**0.25

    def approaching(self, params: Mapping[str, Any], reference: Mapping[str, Any]) -> Factors:
        """Positive factors that bring a network close to another one with its units in order.

        First to the ratios of incoming to outgoing weights of the reference, then downhill in
        distance, unit by unit.
        """
        own, other = self.balancing(params), self.balancing(reference)
        start = {group: own[group] / other[group] for group in own}
        goal = {path: np.asarray(array, float) for path, array in flat(reference).items()}
        closest = lambda group, arrays: self._closest(group, arrays, goal)
        found = self._sweeps(self.times(params, start), closest)
        return {group: start[group] * found[group] for group in start}

    def _closest(self, group: int, arrays: Mapping, goal: Mapping) -> np.ndarray:
        """The factors s that minimize s² a - 2 s c + b / s² - 2 d / s."""
        (a, b), (c, d) = self._squares(group, arrays, arrays), self._squares(group, arrays, goal)
        alive = (a > 0) & (b > 0)
        a, b = np.where(alive, a, 1.0), np.where(alive, b, 1.0)
        rows = np.zeros((len(a), 4, 4))  # companion matrices of a s⁴ - c s³ + d s - b
        rows[:, 0] = np.stack([c / a, 0 * a, -d / a, b / a], axis=1)
        rows[:, [1, 2, 3], [0, 1, 2]] = 1
        roots = np.linalg.eigvals(rows)
        real = (abs(roots.imag) < 1e-9 * abs(roots)) & (roots.real > 0)
        s = np.where(real, roots.real, 1.0)
        a, b, c, d = (each[:, None] for each in (a, b, c, d))
        distance = np.where(real, s**2 * a - 2 * s * c + b / s**2 - 2 * d / s, np.inf)
        best = s[np.arange(len(s)), distance.argmin(1)]
        return np.where(alive, best, 1.0)

    def _sweeps(self, params: Mapping[str, Any], step: Any) -> Factors:
        """Groups take turns until no factor moves."""
        arrays = {path: np.array(array, float) for path, array in flat(params).items()}
        total = {group: np.ones(self.units.groups[group].size) for group in self.exponents}
        for _ in range(SWEEPS):
            moved = 0.0
            for group in self.exponents:
                factors = step(group, arrays)
                total[group] *= factors
                self._multiply(arrays, group, factors)
                moved = max(moved, float(np.abs(factors - 1).max()))
            if moved < SETTLED:
                break
        return total


def multiples(units: Units, params: Mapping[str, Any], inputs: Any, signs: bool) -> Multiples:
    """The groups whose units have signs, or positive factors.

    Args:
        units: of the network.
        params: a tree of arrays or shapes.
        inputs: a few examples on which outputs are compared.
        signs: whether factors are 1 and -1, or any positive numbers.
    """
    generator = np.random.default_rng(0)
    shapes = {path: (array.shape, np.dtype(array.dtype)) for path, array in flat(params).items()}
    drawn = unflat({path: _draw(generator, *shape) for path, shape in shapes.items()})
    found: dict[int, Exponents] = {}
    for number, group in enumerate(units.groups):
        if group.parent is not None or any(other.parent == number for other in units.groups):
            continue
        size = group.size
        factors = generator.choice([1.0, -1.0], size) if signs else generator.uniform(0.5, 2, size)
        factors[0] = -1.0 if signs else 2.0
        for exponents in _candidates(units, group):
            tried = Multiples(units, {number: exponents}).times(drawn, {number: factors})
            if units.difference(drawn, tried, inputs) < tolerance(drawn):
                found[number] = exponents
                break
    return Multiples(units, found)


def _candidates(units: Units, group: Group) -> Iterator[Exponents]:
    kernels = {use.path for use in group.role("produces")}
    biases = {layer.bias for layer in units.trace.layers.values() if layer.kernel in kernels}
    kinds = {"produces": "layer", "adjusts": "norm", "consumes": "consumes"}
    for powers in CANDIDATES:
        found = tuple(
            powers["layer" if use.path in biases else kinds[use.role]] for use in group.uses
        )
        if 1 in found and -1 in found:
            yield found


def _draw(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Parameters that keep activations of one size, none of them special."""
    inputs = max(1, int(np.prod(shape[:-1])))
    return (generator.normal(size=shape) / np.sqrt(inputs)).astype(dtype)


def tolerance(params: Any) -> float:
    """Of outputs, in the arithmetic of the parameters: sums come in another order."""
    leaves = jax.tree.leaves(params)
    return 1e-9 if all(np.asarray(leaf).dtype == np.float64 for leaf in leaves) else 1e-4
