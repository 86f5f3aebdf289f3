"""What CIFAR-10 and CIFAR-100 share: where the files are, and how splits are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_cli.contracts import Dataset
from landscape_cli.data.augment import Augmentation
from landscape_cli.data.batches import read_files
from landscape_cli.data.checksum import check_file
from landscape_cli.data.files import ImageFiles, Split, check_labels
from landscape_cli.data.references import KRIZHEVSKY
from landscape_cli.errors import UserError

if TYPE_CHECKING:
    import jax

TORONTO = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True)
class Form:
    """One of the forms in which a data set is published.

    Attributes:
        folder: that the archive unpacks to.
        md5: of the archive.
        train: files with the training images.
        test: files with the test images.
        decode: makes images and labels of a file's content (`batches`).
    """

    folder: str
    md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    decode: Callable[[bytes, Sequence[str], str], tuple[np.ndarray, np.ndarray]]

    def whole(self, folder: Path) -> bool:
        """Whether all files are in `folder`."""
        return all((folder / name).is_file() for name in self.train + self.test)


@dataclass(frozen=True)
class Cifar(ImageFiles):
    """Color images of 32 × 32 pixels; the archives are read as they are, never unpacked.

    Archives are compared with the published checksums. Unpacked folders have none: their files
    may hold any whole number of images, and it is their structure that is checked.

    Attributes:
        size: pixels of a side; images are resized to it.
        augment: let training shift and flip its images at random; never while a string is judged.
    """

    reference: ClassVar[str] = KRIZHEVSKY
    forms: ClassVar[str] = "one of its archives (binary or Python), packed or unpacked"
    published: ClassVar[dict[str, Form]]  # by name of the archive; the first is downloaded
    columns: ClassVar[tuple[str, ...]]  # the labels of an image

    size: int = 32
    augment: bool = False

    @property
    def column(self) -> str:
        """The one of `columns` that the classes are made of."""
        return self.columns[0]

    def load(self, key: jax.Array) -> Dataset:
        """As for all image files; with `augment` the data set carries how to vary its images."""
        dataset = super().load(key)
        # Customary are 4 of 32 pixels; smaller images are shifted by as much of their width.
        how = Augmentation(crop=round(self.size / 8), flip=True) if self.augment else None
        return replace(dataset, augmentation=how)

    def archives(self) -> Iterable[str]:
        """The first of the published archives."""
        return list(self.published)[:1]

    def check(self, name: str, path: Path) -> None:
        """Raise UserError unless `path` is the published archive `name`."""
        check_file(path, self.published[name].md5)

    def look(self, folder: Path) -> dict[str, Path] | None:
        """A folder or archive, by the name of the archive; `folder` may be the one unpacked.

        A folder that lacks files comes last: it may be what is left of unpacking an archive.
        """
        unpacked = [(name, folder / form.folder) for name, form in self.published.items()]
        itself = [(name, folder) for name in self.published]
        whole = [(name, at) for name, at in unpacked + itself if self.published[name].whole(at)]
        packed = [(name, folder / name) for name in self.published]
        return next(({name: at} for name, at in whole + packed + unpacked if at.exists()), None)

    def read(self, files: dict[str, Path]) -> dict[str, Split]:
        """All images of both splits."""
        [(archive, path)] = files.items()
        if self.verify and path.is_file():
            self.check(archive, path)
        form = self.published[archive]
        contents = read_files(path, form.train + form.test)
        return {
            split: self._join([self._decode(form, path / n, contents.pop(n)) for n in names])
            for split, names in (("train", form.train), ("test", form.test))
        }

    def _decode(self, form: Form, where: Path, content: bytes) -> Split:
        """Images and labels of one file."""
        try:
            pixels, labels = form.decode(content, self.columns, self.column)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        check_labels(where, labels, self.classes)
        return pixels, labels

    def _join(self, parts: list[Split]) -> Split:
        """The files of a split behind one another, as images."""
        pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return np.moveaxis(pixels.reshape(-1, 3, 32, 32), 1, -1), labels
