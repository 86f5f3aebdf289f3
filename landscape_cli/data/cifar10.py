"""CIFAR-10, 60,000 color images of ten kinds of animals and vehicles (Krizhevsky 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.data.batches import decode_binary, decode_python
from landscape_cli.data.cifar import TORONTO, Cifar, Form

BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
PUBLISHED = {
    "cifar-10-binary.tar.gz": Form(
        "cifar-10-batches-bin",
        "c32a1d4ab5d03f1284b67883e8d87530",
        tuple(f"{name}.bin" for name in BATCHES),
        ("test_batch.bin",),
        decode_binary,
    ),
    "cifar-10-python.tar.gz": Form(
        "cifar-10-batches-py",
        "c58f30108f718f92721af3b95e74349a",
        BATCHES,
        ("test_batch",),
        decode_python,
    ),
}


@dataclass(frozen=True)
class Cifar10(Cifar):
    """Ten classes; 50,000 images for training and 10,000 for testing."""

    name: ClassVar[str] = "cifar10"
    title: ClassVar[str] = "CIFAR-10"
    places: ClassVar[tuple[str, ...]] = (".", "cifar10")
    published: ClassVar[dict[str, Form]] = PUBLISHED
    columns: ClassVar[tuple[str, ...]] = ("labels",)

    mirrors: tuple[str, ...] = (TORONTO,)

    @property
    def classes(self) -> int:
        """Ten."""
        return 10
