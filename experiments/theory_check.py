"""Do strings connect what the theorems say is connected, and fail where no path can exist?

Freeman & Bruna, 2017 (arXiv 1611.01540):

* deep linear networks with hidden widths above min(inputs, outputs) have connected level sets
  (proposition 2.2);
* a 2-3-2 ReLU network on three points and its copy with two hidden units exchanged do not
  connect below 1/12 (the proof is in `landscape_cli/data/three_points.py`), and connect at 1/2,
  the energy of the zero network;
* (u·v - 1)² with scalars falls apart below 1, with vectors it never does.

A search that fails proves nothing. Where the theorems promise a path, a pair is tried again with
beads at other depths; where they exclude one, a string called connected would be a bug, and so
would one that stays below the proven wall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from landscape_cli.contracts import Dataset, Experiment, Record
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.data.three_points import ThreePoints
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.base import fitted, initial_thetas, model_surface, network_layout
from landscape_cli.models.factorization import Factorization
from landscape_cli.models.linear_net import LinearNet
from landscape_cli.models.mlp import MLP
from landscape_cli.ranges import check_counts
from landscape_cli.records.table import Row, Table
from landscape_cli.references import FREEMAN_BRUNA
from landscape_cli.setup import Setup

WALL = 1 / 12  # energy that every path between the exchanged ReLU networks has to pass
ZERO = 1 / 2  # energy of the zero network: at and above it all networks connect
DRAWS = 16  # ReLU networks trained for one pair; three of four get stuck above the wall
SEEN = 1e-3  # part of a peak that may hide between two samples of the dense check


@dataclass(frozen=True)
class TheoryCheck(Experiment):
    """Three statements with proofs, put to the search (Freeman & Bruna, 2017)."""

    reference: ClassVar[str] = FREEMAN_BRUNA
    unused: ClassVar[Mapping[str, str]] = {
        "model": "its statements are about networks of their own",
        "functional": "its statements are about squared errors",
        "levels": "each statement has its own, such as experiment.relu_levels",
        **dict.fromkeys(("bn", "bn_examples"), "none of its networks is normalized"),
        **dict.fromkeys(("gauge", "gauges"), "its ends stay where they are"),
        "methods": "it has one method",
        "method.alpha": "it tries those of experiment.alphas",
        "warm_start": "its strings begin as the method begins them",
    }
    depths: tuple[int, ...] = (2, 3, 4)  # matrices of the linear networks, at least 2
    width: int = 4  # of their hidden layers; the proposition wants above min(inputs, outputs)
    linear_levels: tuple[float, ...] = (0.1, 0.01, 0.001)
    relu_levels: tuple[float, ...] = (0.08, 0.05, 0.02)  # below 1/12
    factor_levels: tuple[float, ...] = (0.99, 0.5, 0.1, 0.01)  # below 1
    factor_width: int = 2  # of the vectors, at least 2
    alphas: tuple[float, ...] = (0.7, 0.9, 0.5)  # of the method, tried in turn; (0, 1]

    def __post_init__(self) -> None:
        check_counts(self, "width")
        if min(self.depths, default=0) < 2:
            raise ValueError(f"depths must be at least 2 each, got {list(self.depths)}")
        if self.factor_width < 2:
            raise ValueError(f"factor_width must be at least 2, got {self.factor_width}")
        tops = {"linear_levels": math.inf, "relu_levels": WALL, "factor_levels": 1.0}
        for name, top in tops.items():
            levels = getattr(self, name)
            falls = list(levels) == sorted(set(levels), reverse=True)
            if not (levels and falls and levels[-1] > 0 and levels[0] < top):
                below = f" below {top:.4g}" if math.isfinite(top) else ""
                raise ValueError(f"{name} must be positive{below} and fall, got {list(levels)}")

    def run(self, setup: Setup) -> Iterator[Record]:
        """Every statement in turn; the table grows as they are settled."""
        if not hasattr(setup.method, "alpha"):
            name = setup.called("method")
            raise UserError(f"method: {name} has no alpha; theory_check tries several of them")
        rows: list[Row] = []
        for statement in (self._linear, self._relu, self._factorization):
            for row in statement(setup):
                rows.append(row)
                verdict = "passed" if row.passed else "FAILED"
                setup.progress.message(f"{verdict}: {row.statement}: {row.found}")
                yield Table.of(rows, name="theory_check")
        passed = sum(row.passed for row in rows)
        setup.progress.message(f"{passed} of {len(rows)} statements passed")

    def _linear(self, setup: Setup) -> Iterator[Row]:
        dataset = self._linear_data(setup)
        for depth in self.depths:
            network = LinearNet(widths=(self.width,) * (depth - 1))
            surface = model_surface(
                network, dataset, Functional("mse"), setup.precision, engine=setup.engine
            )
            key = setup.key("linear", depth)
            thetas = initial_thetas(network, dataset, key, 2 * setup.pairs, setup.precision)
            found = _descended(setup, surface, thetas, self.linear_levels, key)
            for index, level in enumerate(self.linear_levels):
                strings = self._join(setup, surface, found[::2, index], found[1::2, index], level)
                what = f"{depth} matrices, hidden width {self.width}, λ = {level:g}"
                yield _all_connect(f"linear network: {what}", strings, setup.pairs)

    def _linear_data(self, setup: Setup) -> Dataset:
        dataset = setup.dataset
        if dataset.classes is not None:
            raise UserError(f"data={dataset.name}: theory_check wants regression: linear_map")
        narrow = min(dataset.train.inputs[0].size, dataset.outputs)
        if self.width <= narrow:
            raise UserError(
                f"experiment.width={self.width}: the proposition is about widths above {narrow}, "
                f"the smaller of inputs and outputs of data={dataset.name}"
            )
        return dataset

    def _relu(self, setup: Setup) -> Iterator[Row]:
        network, dataset = MLP(widths=(3,), activation="relu", bias=False), _three_points(setup)
        surface = model_surface(
            network, dataset, Functional("mse"), setup.precision, engine=setup.engine
        )
        key = setup.key("relu")
        thetas = initial_thetas(network, dataset, key, DRAWS * setup.pairs, setup.precision)
        found = _descended(setup, surface, thetas, self.relu_levels, key)
        for index, level in enumerate(self.relu_levels):
            starts = found[:, index]
            starts = starts[np.isfinite(starts).all(axis=1)][: setup.pairs]
            ends = exchanged(network, dataset, starts)
            strings = self._join(setup, surface, starts, ends, level)
            what = "ReLU 2-3-2, two hidden units exchanged"
            yield _none_connects(f"{what}, λ = {level:g}", strings, setup.pairs)
            yield _peaks_above(f"{what}, λ = {level:g}: highest energy on the way", strings, WALL)
            if index == 0:
                above = self._join(setup, surface, starts, ends, ZERO)
                yield _all_connect(f"{what}, λ = {ZERO:g}", above, setup.pairs)

    def _factorization(self, setup: Setup) -> Iterator[Row]:
        for width in (1, self.factor_width):
            model = Factorization(width)
            surface = model_surface(model, precision=setup.precision)
            starts, ends = model.ends(setup.pairs, setup.key("factorization", width))
            what = "(uv - 1)², u and v " + ("scalars" if width == 1 else f"in {width} dimensions")
            for level in (1.0, *self.factor_levels):
                strings = self._join(setup, surface, starts, ends, level)
                statement = f"{what}, λ = {level:g}"
                if width > 1 or level == 1.0:
                    yield _all_connect(statement, strings, setup.pairs)
                    continue
                yield _none_connects(statement, strings, setup.pairs)
                yield _peaks_above(f"{statement}: highest energy on the way", strings, 1.0)

    def _join(self, setup: Setup, surface: Surface, starts, ends, level: float) -> list[Found]:
        """One string for every pair whose two ends are there: connected, or the lowest found."""
        there = np.flatnonzero(np.isfinite(starts).all(axis=1) & np.isfinite(ends).all(axis=1))
        best: dict[Any, Found] = {}
        base: Any = setup.method  # a frozen dataclass, as every part is
        for method in [replace(base, alpha=alpha) for alpha in self.alphas]:
            left = np.array([i for i in there if i not in best or not best[i].connected], int)
            if len(left) == 0:
                break
            setup.progress.phase("strings", total=len(left), unit="strings")
            levels = np.full(len(left), level)
            for row, string in method.connect(
                surface, starts[left], ends[left], levels, left, setup.progress, seed=setup.seed
            ):
                i = int(left[row])
                if i not in best or string.connected or string.peak < best[i].peak:
                    best[i] = string
        return list(best.values())


def exchanged(network: MLP, dataset: Dataset, thetas: np.ndarray) -> np.ndarray:
    """(network, param) copies with the first two hidden units exchanged: the same functions."""
    layout = network_layout(fitted(network, dataset), dataset)
    order = np.r_[1, 0, 2 : network.widths[0]]
    copies = []
    for theta in thetas:
        tree = dict(layout.unravel(theta))
        tree["kernel_0"], tree["kernel_1"] = tree["kernel_0"][:, order], tree["kernel_1"][order]
        copies.append(np.asarray(layout.ravel(tree)))
    return np.array(copies).reshape(thetas.shape)


def _three_points(setup: Setup) -> Dataset:
    return ThreePoints().load(setup.key("three points"))


def _descended(setup: Setup, surface: Surface, thetas, levels, key) -> np.ndarray:
    """(network, level, param) first crossings; NaN where a network did not get there."""
    return setup.trainer.descend(surface, thetas, levels, key, setup.progress).thetas


def _all_connect(statement: str, strings: list[Found], pairs: int) -> Row:
    return _counted(statement, strings, pairs, "connected", pairs)


def _none_connects(statement: str, strings: list[Found], pairs: int) -> Row:
    return _counted(statement, strings, pairs, "not connected", 0)


def _counted(statement: str, strings: list[Found], pairs: int, expected: str, wanted: int) -> Row:
    connected = sum(string.connected for string in strings)
    found = f"{connected} of {len(strings)} pairs connected"
    if len(strings) < pairs:
        found += f"; level not reached by an end of {pairs - len(strings)} of {pairs} pairs"
    passed = connected == wanted and len(strings) == pairs
    return Row(statement, f"{expected}", found, passed, connected / max(len(strings), 1))


def _peaks_above(statement: str, strings: list[Found], wall: float) -> Row:
    lowest = min((string.peak for string in strings), default=math.nan)
    passed = lowest >= (1 - SEEN) * wall
    return Row(statement, f"at least {wall:.4g}", f"at least {lowest:.4g}", passed, lowest)
