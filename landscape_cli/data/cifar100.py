"""CIFAR-100, 60,000 color images of a hundred kinds in twenty groups (Krizhevsky 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_cli.data.batches import decode_binary, decode_python
from landscape_cli.data.cifar import TORONTO, Cifar, Form
from landscape_cli.ranges import choose

CLASSES = {"fine": 100, "coarse": 20}
PUBLISHED = {
    "cifar-100-binary.tar.gz": Form(
        "cifar-100-binary",
        "03b5dce01913d631647c71ecec9e9cb8",
        ("train.bin",),
        ("test.bin",),
        decode_binary,
    ),
    "cifar-100-python.tar.gz": Form(
        "cifar-100-python",
        "eb9058c3a382ffc7106e4002c42a8d85",
        ("train",),
        ("test",),
        decode_python,
    ),
}


@dataclass(frozen=True)
class Cifar100(Cifar):
    """A hundred classes in twenty groups; 50,000 images for training and 10,000 for testing.

    Attributes:
        labels: "fine" for the hundred classes, "coarse" for the twenty groups.
    """

    name: ClassVar[str] = "cifar100"
    title: ClassVar[str] = "CIFAR-100"
    places: ClassVar[tuple[str, ...]] = (".", "cifar100")
    published: ClassVar[dict[str, Form]] = PUBLISHED
    columns: ClassVar[tuple[str, ...]] = ("coarse_labels", "fine_labels")

    mirrors: tuple[str, ...] = (TORONTO,)
    labels: str = "fine"

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("labels", self.labels, CLASSES)

    @property
    def column(self) -> str:
        """The column of `labels`."""
        return f"{self.labels}_labels"

    @property
    def classes(self) -> int:
        """A hundred, or twenty groups."""
        return CLASSES[self.labels]
