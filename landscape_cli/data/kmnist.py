"""Kuzushiji-MNIST, 70,000 cursive Japanese characters like MNIST (Clanuwat et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.data.idx_images import IdxImages
from landscape_cli.data.references import CLANUWAT

CHECKSUMS = {  # MD5 of the .gz files
    "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
    "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
    "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
    "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
}


@dataclass(frozen=True)
class Kmnist(IdxImages):
    """Ten classes of 28 × 28 characters; 60,000 images for training and 10,000 for testing.

    Checksums are known of the .gz files only; others are checked for their structure.
    """

    reference: ClassVar[str] = CLANUWAT
    name: ClassVar[str] = "kmnist"
    title: ClassVar[str] = "Kuzushiji-MNIST"
    places: ClassVar[tuple[str, ...]] = ("kmnist", "KMNIST/raw")
    compressed: ClassVar[bool] = True

    mirrors: tuple[str, ...] = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist",)

    def checksums(self) -> Mapping[str, str]:
        """Of the .gz files."""
        return CHECKSUMS
