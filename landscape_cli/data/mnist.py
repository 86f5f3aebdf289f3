"""MNIST, 70,000 handwritten digits (LeCun et al. 1998), read from its four idx files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.data.idx_images import IdxImages
from landscape_cli.data.references import LECUN

# MD5 of the decompressed content: the gzip wrapper differs from mirror to mirror.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)


@dataclass(frozen=True)
class Mnist(IdxImages):
    """Ten classes of 28 × 28 digits; 60,000 images for training and 10,000 for testing."""

    reference: ClassVar[str] = LECUN
    name: ClassVar[str] = "mnist"
    title: ClassVar[str] = "MNIST"
    places: ClassVar[tuple[str, ...]] = (".", "mnist", "MNIST/raw")

    mirrors: tuple[str, ...] = MIRRORS

    def checksums(self) -> Mapping[str, str]:
        """Of the decompressed content."""
        return CHECKSUMS
