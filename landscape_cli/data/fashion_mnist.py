"""Fashion-MNIST, 70,000 pictures of clothes in the format of MNIST (Xiao et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.data.idx_images import IdxImages
from landscape_cli.data.references import XIAO

CHECKSUMS = {  # MD5 of the .gz files
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
)


@dataclass(frozen=True)
class FashionMnist(IdxImages):
    """Ten classes of 28 × 28 clothes; 60,000 images for training and 10,000 for testing.

    Checksums are known of the .gz files only; others are checked for their structure.
    """

    reference: ClassVar[str] = XIAO
    name: ClassVar[str] = "fashion_mnist"
    title: ClassVar[str] = "Fashion-MNIST"
    places: ClassVar[tuple[str, ...]] = ("fashion_mnist", "FashionMNIST/raw")
    compressed: ClassVar[bool] = True

    mirrors: tuple[str, ...] = MIRRORS

    def checksums(self) -> Mapping[str, str]:
        """Of the .gz files."""
        return CHECKSUMS
