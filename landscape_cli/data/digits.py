"""Handwritten digits that come with scikit-learn: 1,797 real 8 × 8 images, no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_cli.contracts import Data, Dataset, Examples
from landscape_cli.data.draws import (
    check_count,
    generator,
    stratified_order,
    subset,
    uniform_weights,
)
from landscape_cli.data.images import check_size, prepare
from landscape_cli.data.references import ALPAYDIN_KAYNAK
from landscape_cli.errors import UserError

if TYPE_CHECKING:
    import jax

HELD_OUT = 360  # a fifth of the images; they never appear in training, whatever `train` is


@dataclass(frozen=True)
class Digits(Data):
    """Ten classes of small images; the split and the subsets are stratified, drawn from the key.

    The split leaves 1,437 training and 360 test images, of which `train` and `test` are kept.

    Attributes:
        train: training images to keep, at most 1437; None for all.
        test: test images to keep, at most 360; None for all.
        size: height and width in pixels.
        standardize: shift and scale both splits so that training pixels have mean 0 and
            standard deviation 1; otherwise pixels are in [0, 1].
    """

    reference: ClassVar[str] = ALPAYDIN_KAYNAK

    train: int | None = None
    test: int | None = None
    size: int = 8
    standardize: bool = False

    def __post_init__(self) -> None:
        check_count("train", self.train)
        check_count("test", self.test)
        check_size(self.size)

    def load(self, key: jax.Array) -> Dataset:
        """Split and choose the images.

        Raises:
            UserError: scikit-learn is missing, or a subset is larger than its split.
        """
        pixels, labels = _bundled()
        order = stratified_order(labels, generator(key, "split"))
        pools = {"train": order[HELD_OUT:], "test": order[:HELD_OUT]}
        chosen = {}
        for split, count in (("train", self.train), ("test", self.test)):
            pool = pools[split]
            keep = subset(labels[pool], count, generator(key, split), "digits", split)
            chosen[split] = pool[keep]
        images = {split: prepare(pixels[rows], 16.0, self.size) for split, rows in chosen.items()}
        if self.standardize:
            images = _standardized(images)
        train, test = (
            Examples(images[s], labels[chosen[s]], uniform_weights(len(chosen[s])))
            for s in ("train", "test")
        )
        return Dataset("digits", train, test, classes=10)


def _standardized(images: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    mean = images["train"].mean()
    deviation = max(images["train"].std(), np.float32(1e-6))  # one image of one gray has none
    return {split: (array - mean) / deviation for split, array in images.items()}


def _bundled() -> tuple[np.ndarray, np.ndarray]:
    """(example, 8, 8) pixels from 0 to 16 and (example,) classes."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError(
            "data=digits needs scikit-learn: pip install 'landscape-cli[digits]'"
        ) from None
    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels).reshape(-1, 8, 8), np.asarray(labels).astype(np.int32)
