"""The level functional: which number of which split is the energy F, and what gradients follow.

    F(θ) = Σ weight · loss(network(input; θ), target)      over the examples of one split

The metric that levels are stated in and the loss that is descended may differ: the published
experiments state levels in the test error and follow the gradient of the training loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.errors import UserError
from landscape_cli.ranges import choose

if TYPE_CHECKING:
    from jax import Array

SPLITS = ("train", "test")
CLASSIFY = ("cross_entropy", "error")
REGRESS = ("mse", "mae")
FAMILIES = {  # metric -> losses that may be descended for it
    **dict.fromkeys(REGRESS, REGRESS),
    **dict.fromkeys(CLASSIFY, ("cross_entropy",)),
    "energy": (),
}
WORDS = {
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "cross_entropy": "cross-entropy",
    "error": "0-1 error",
    "energy": "energy",
}
UNITS = {"mse": "", "mae": "", "cross_entropy": "nats", "error": "fraction", "energy": ""}
EXACT = 1e-9  # a trivial predictor this good solves the task: no plateau


def squared_error(outputs: Array, targets: Array) -> Array:
    """(example,) squared error, mean over outputs."""
    return ((outputs - targets) ** 2).mean(axis=-1)


def absolute_error(outputs: Array, targets: Array) -> Array:
    """(example,) absolute error, mean over outputs."""
    return abs(outputs - targets).mean(axis=-1)


def cross_entropy(outputs: Array, targets: Array) -> Array:
    """(example,) -log of the probability of the right class, in nats; outputs are logits."""
    import optax

    return optax.softmax_cross_entropy_with_integer_labels(outputs, targets)


def wrong(outputs: Array, targets: Array) -> Array:
    """(example,) 1 where the largest output is not the right class, else 0."""
    return (outputs.argmax(axis=-1) != targets).astype(outputs.dtype)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": squared_error,
    "mae": absolute_error,
    "cross_entropy": cross_entropy,
    "error": wrong,
}


@dataclass(frozen=True)
class Functional:
    """Metric and split of the energy, and the loss that gradients are taken of.

    Attributes:
        metric: "mse", "mae", "cross_entropy" (nats), "error" (fraction of wrong classes), or
            "energy", the value of a closed-form surface.
        split: "train" or "test".
        loss: what descent follows, on the training split; None for the metric itself on its own
            split. Needed where the metric is "error", which has no gradient.
    """

    metric: str = "mse"
    split: str = "train"
    loss: str | None = None

    def __post_init__(self) -> None:
        choose("metric", self.metric, tuple(WORDS))
        choose("split", self.split, SPLITS)
        if self.loss is not None:
            choose("loss", self.loss, ("mse", "mae", "cross_entropy"))
        if self.metric == "error" and self.loss is None:
            raise ValueError("loss is needed with metric=error: choose loss=cross_entropy")
        if self.loss is not None and self.loss not in FAMILIES[self.metric]:
            raise ValueError(f"loss={self.loss} does not fit metric={self.metric}")

    @property
    def smooth(self) -> bool:
        """Whether the energy has a useful gradient."""
        return self.metric != "error"

    @property
    def unit(self) -> str:
        """Unit of the energy; empty where it is that of the data."""
        return UNITS[self.metric]

    def describe(self) -> str:
        """The energy in words, such as "train mean squared error"."""
        return WORDS["energy"] if self.metric == "energy" else f"{self.split} {WORDS[self.metric]}"

    def examples(self, dataset: Dataset) -> Examples:
        """The split that the energy is computed on."""
        return dataset.train if self.split == "train" else dataset.test

    def check(self, dataset: Dataset) -> None:
        """Refuse data that the metric cannot be computed on.

        Raises:
            UserError: classes where numbers are needed, or the other way round.
        """
        where = f"functional.metric={self.metric}"
        if self.metric == "energy":
            raise UserError(f"{where}: only closed-form models have it; choose another functional")
        if not len(self.examples(dataset)):
            raise UserError(f"{where}: data={dataset.name} has no {self.split} examples")
        if dataset.classes is None and self.metric in CLASSIFY:
            raise UserError(
                f"{where}: data={dataset.name} has no classes; choose functional=mse or mae"
            )
        if dataset.classes is not None and self.metric in REGRESS:
            raise UserError(
                f"{where}: data={dataset.name} has {dataset.classes} classes; "
                "choose functional=cross_entropy or error"
            )

    def plateaux(self, dataset: Dataset) -> dict[str, float]:
        """Energies of trivial predictors, the best of their kind on the split of the energy.

        Regression: the best constant, line and parabola, or the best linear map of several
        inputs. Classes: their frequencies. Predictors that solve the task are left out.

        Returns:
            energy by name, in descending order; empty where there are no examples.
        """
        split = self.examples(dataset)
        if self.metric == "energy" or not len(split):
            return {}
        if dataset.classes is not None:
            return self._of_classes(split, dataset.classes)
        found = {name: self._of_fit(split, f) for name, f in _features(split.inputs).items()}
        return {name: energy for name, energy in found.items() if energy > EXACT}

    def _of_classes(self, split: Examples, classes: int) -> dict[str, float]:
        shares = np.bincount(split.targets, split.weights, classes)
        if self.metric == "error":
            return {"majority class": float(1.0 - shares.max())}
        shares = shares[shares > 0]
        return {"class frequencies": float(-(shares * np.log(shares)).sum())}

    def _of_fit(self, split: Examples, features: np.ndarray) -> float:
        fit = _least_squares if self.metric == "mse" else _least_absolute
        return float(np.mean([fit(features, y, split.weights) for y in split.targets.T]))


def _features(inputs: np.ndarray) -> dict[str, np.ndarray]:
    """(example, feature) matrix of every trivial predictor: powers of one input, or all inputs."""
    flat = inputs.reshape(len(inputs), -1)
    ones = np.ones((len(flat), 1))
    features = {"best constant": ones}
    if flat.shape[1] == 1:
        features["best line"] = np.concatenate([ones, flat], axis=1)
        features["best parabola"] = np.concatenate([ones, flat, flat**2], axis=1)
    else:
        features["best linear map"] = np.concatenate([ones, flat], axis=1)
    return features


def _least_squares(features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Smallest Σ w (y - Xβ)² over β."""
    root = np.sqrt(weights)
    beta = np.linalg.lstsq(features * root[:, None], targets * root, rcond=None)[0]
    return float(weights @ (targets - features @ beta) ** 2)


def _least_absolute(features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Smallest Σ w |y - Xβ| over β, as the value of the dual: max d·y, Xᵀd = 0, |d| ≤ w."""
    from scipy.optimize import linprog

    bounds = np.stack([-weights, weights], axis=1)
    solved = linprog(-targets, A_eq=features.T, b_eq=np.zeros(features.shape[1]), bounds=bounds)
    return float(-solved.fun)
