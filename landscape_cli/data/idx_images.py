"""What MNIST and its successors share: four idx files of the same names."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from landscape_cli.data.checksum import check_file
from landscape_cli.data.files import ImageFiles, Split, check_labels
from landscape_cli.data.idx import read_idx
from landscape_cli.errors import UserError

FILES = {  # images and labels of every split
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
NAMES = tuple(name for names in FILES.values() for name in names)
DIMENSIONS = dict(zip(NAMES, (3, 1, 3, 1), strict=True))


@dataclass(frozen=True)
class IdxImages(ImageFiles):
    """Ten classes of gray images; 60,000 for training and 10,000 for testing.

    The names of the files do not say which data set they hold, so outside its `places` a data
    set is recognized by its checksums alone.
    """

    forms: ClassVar[str] = f"the idx files ({', '.join(NAMES)}; .gz or not)"
    compressed: ClassVar[bool] = False  # whether checksums are those of the .gz files

    @property
    def classes(self) -> int:
        """Ten."""
        return 10

    @abstractmethod
    def checksums(self) -> Mapping[str, str]:
        """MD5 of every file: of its content, or of the .gz file if `compressed`."""

    def archives(self) -> Iterable[str]:
        """The four .gz files."""
        return [f"{name}.gz" for name in NAMES]

    def check(self, name: str, path: Path) -> None:
        """Raise UserError unless `path` is the published .gz file `name`."""
        idx = name.removesuffix(".gz")
        if self.compressed:
            check_file(path, self.checksums()[idx])
        else:
            read_idx(path, DIMENSIONS[idx], self.checksums()[idx])

    def find(self) -> dict[str, Path] | None:
        """Where the files are; `dir` itself counts if they are the published ones."""
        return super().find() or self._recognized()

    def _recognized(self) -> dict[str, Path] | None:
        given = self.given()
        if given is None or not all((given / name).is_file() for name in self.archives()):
            return None
        try:
            for name in self.archives():
                self.check(name, given / name)
        except UserError:
            return None
        return {name: given / f"{name}.gz" for name in NAMES}

    def look(self, folder: Path) -> dict[str, Path] | None:
        """The four files in `folder`, .gz or not."""
        found = {
            name: path
            for name in NAMES
            for path in (folder / name, folder / f"{name}.gz")  # the later one is kept
            if path.is_file()
        }
        # Only the cache may be incomplete: an interrupted download, taken up again later.
        if 0 < len(found) < len(NAMES) and folder != self.cache():
            missing = ", ".join(sorted(set(NAMES) - found.keys()))
            raise UserError(
                f"{folder}: holds only part of {self.title}; missing (.gz or not) {missing}"
            )
        return found if len(found) == len(NAMES) else None

    def read(self, files: dict[str, Path]) -> dict[str, Split]:
        """Both splits, from pairs of files that fit each other."""
        return {split: self._pair(*names, files) for split, names in FILES.items()}

    def _pair(self, images: str, labels: str, files: dict[str, Path]) -> Split:
        pixels, classes = (self._array(name, files[name]) for name in (images, labels))
        where = files[labels]
        if len(pixels) != len(classes) or not pixels.size:
            raise UserError(
                f"{where}: {len(classes)} labels for the {len(pixels)} images of {files[images]}"
            )
        check_labels(where, classes, self.classes)
        return pixels[..., None], classes

    def _array(self, name: str, path: Path) -> np.ndarray:
        """Read one file, compared with its checksum if that is known for such a file."""
        expected = self.checksums()[name] if self.verify else None
        if expected and self.compressed and path.suffix == ".gz":
            check_file(path, expected)
        return read_idx(path, DIMENSIONS[name], None if self.compressed else expected)
