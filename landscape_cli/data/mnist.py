"""MNIST, 70,000 handwritten digits (LeCun et al. 1998), read from its four idx files.

The files are looked for in a folder of the user's, then in the cache, then downloaded. Nothing
stands in for them: where they cannot be had, the run ends with a line that says what to do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_cli.cache import cache_folder
from landscape_cli.contracts import Data, Dataset, Examples
from landscape_cli.data.draws import check_count, generator, subset, uniform_weights
from landscape_cli.data.fetch import Unavailable, fetch
from landscape_cli.data.idx import read_idx
from landscape_cli.data.images import check_size, prepare
from landscape_cli.data.references import LECUN
from landscape_cli.errors import UserError

if TYPE_CHECKING:
    import jax

# MD5 of the decompressed content: the gzip wrapper differs from mirror to mirror.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
PREFIXES = {"train": "train", "test": "t10k"}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)


@dataclass(frozen=True)
class Mnist(Data):
    """Ten classes of 28 × 28 images; 60,000 for training and 10,000 for testing.

    Attributes:
        dir: folder with the idx files (.gz or plain), themselves or in mnist/ or MNIST/raw/.
        train: training images to keep, a stratified subset drawn from the key; None for all.
        test: test images to keep, likewise.
        size: height and width in pixels.
        verify: compare the files with MNIST's checksums; false for other data in idx files.
        download: fetch the files where they are not found.
        mirrors: addresses of folders that hold the four .gz files, best first.
    """

    reference: ClassVar[str] = LECUN

    dir: str | None = None
    train: int | None = None
    test: int | None = None
    size: int = 28
    verify: bool = True
    download: bool = True
    mirrors: tuple[str, ...] = MIRRORS

    def __post_init__(self) -> None:
        check_count("train", self.train)
        check_count("test", self.test)
        check_size(self.size)
        for mirror in self.mirrors:
            if not mirror.startswith(("https://", "http://")):
                raise ValueError(f"mirrors must begin with https:// or http://, got {mirror!r}")

    def load(self, key: jax.Array) -> Dataset:
        """Find or download the files, check them and choose the examples.

        Raises:
            UserError: the files cannot be had, are damaged, or hold too few examples.
        """
        files = self.find() or self._download()
        train, test = (self._split(files, split, key) for split in ("train", "test"))
        return Dataset("mnist", train, test, classes=10)

    def find(self) -> dict[str, Path] | None:
        """Where each of the four files is on this machine; None if they are not here.

        Raises:
            UserError: `dir` is not a folder, or a folder holds some of the files only.
        """
        for folder in self._folders():
            found = {
                name: path
                for name in CHECKSUMS
                for path in (folder / f"{name}.gz", folder / name)
                if path.is_file()
            }
            # Only the cache may be incomplete: an interrupted download, taken up again later.
            if 0 < len(found) < len(CHECKSUMS) and folder != _cache():
                missing = ", ".join(sorted(CHECKSUMS.keys() - found.keys()))
                raise UserError(
                    f"{folder}: holds only part of MNIST; missing (.gz or not) {missing}"
                )
            if len(found) == len(CHECKSUMS):
                return found
        return None

    def _folders(self) -> list[Path]:
        """Folders that may hold the files, in the order they are looked at."""
        if not self.dir:
            return [_cache()]
        given = Path(self.dir).expanduser()
        if not given.is_dir():
            raise UserError(f"data.dir={self.dir} (or LANDSCAPE_DATA): no such folder")
        return [given, given / "mnist", given / "MNIST" / "raw", _cache()]

    def _download(self) -> dict[str, Path]:
        """Fetch the files into the cache."""
        if not self.download:
            raise self._absent("data.download=false")
        say = logging.getLogger(__name__).info
        files = {}
        for name in CHECKSUMS:
            urls = [f"{mirror.rstrip('/')}/{name}.gz" for mirror in self.mirrors]
            check = partial(_read, name, verify=True)
            try:
                files[name] = fetch(urls, _cache() / f"{name}.gz", check, say)
            except Unavailable as error:
                raise self._absent(f"it cannot be downloaded ({error})") from None
        return files

    def _absent(self, why: str) -> UserError:
        places = " or ".join(str(folder) for folder in self._folders())
        return UserError(
            f"data=mnist: no MNIST files in {places}, and {why}. Two ways out: set data.dir or "
            f"LANDSCAPE_DATA to a folder with the idx files ({', '.join(CHECKSUMS)}; .gz or not); "
            "or connect to the network once, with data.download=true. "
            "data=digits is a smaller data set that needs no download"
        )

    def _split(self, files: dict[str, Path], split: str, key: jax.Array) -> Examples:
        """Read one split and keep its subset."""
        names = [name for name in CHECKSUMS if name.startswith(PREFIXES[split])]
        pixels, labels = (_read(name, files[name], verify=self.verify) for name in names)
        where = files[names[1]]
        if len(pixels) != len(labels) or not pixels.size:
            raise UserError(
                f"{where}: {len(labels)} labels for the {len(pixels)} images of {files[names[0]]}"
            )
        if labels.max() > 9:
            raise UserError(f"{where}: label {labels.max()} found, expected 0 to 9")
        keep = subset(labels, getattr(self, split), generator(key, split), "mnist", split)
        images = prepare(pixels[keep], 255.0, self.size)
        return Examples(images, labels[keep].astype(np.int32), uniform_weights(len(keep)))


def _cache() -> Path:
    return cache_folder("data") / "mnist"


def _read(name: str, path: Path, *, verify: bool) -> np.ndarray:
    """Read one of the four files; a damaged one is refused with what can be done about it."""
    dimensions = 3 if "images" in name else 1
    try:
        return read_idx(path, dimensions, CHECKSUMS[name] if verify else None)
    except UserError as error:
        if path.parent == _cache():
            raise UserError(f"{error}; delete it to have it downloaded anew") from None
        hint = "; data.verify=false reads other data" if "MD5" in str(error) else ""
        raise UserError(f"{error}{hint}") from None
