"""Classified images in files: looked for in a folder of the user's, the cache, then downloaded.

Nothing stands in for the files: where they cannot be had, the run ends with a line that says
what to do. Reading is the only thing that differs from data set to data set.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_cli.cache import cache_folder
from landscape_cli.contracts import Data, Dataset, Examples, Progress
from landscape_cli.data.checksum import WrongChecksum
from landscape_cli.data.draws import check_count, generator, subset, uniform_weights
from landscape_cli.data.fetch import Unavailable, fetch
from landscape_cli.data.images import Scale, check_size, prepare
from landscape_cli.errors import UserError

if TYPE_CHECKING:
    import jax

Split = tuple[np.ndarray, np.ndarray]  # (example, height, width, channel) bytes, (example,) labels


@dataclass(frozen=True)
class ImageFiles(Data):
    """Two splits of images in files; subsets of them at any size.

    Attributes:
        dir: folder with the files, themselves or in one of `places`.
        train: training images to keep, a stratified subset drawn from the key; None for all.
        test: test images to keep, likewise.
        size: height and width in pixels.
        standardize: shift and scale every channel so that the pixels of the whole training split
            have mean 0 and standard deviation 1; otherwise pixels are in [0, 1]. Both are taken
            from the files as they are, so `train` and `size` do not change what a color becomes.
        verify: compare the files with the published checksums; false for other data in such files.
        download: fetch the files where they are not found.
        mirrors: addresses of folders that hold the files, best first.
        progress: told of downloads; no setting.
    """

    name: ClassVar[str]  # as in data=<name>, and the folder in the cache
    title: ClassVar[str]  # as its authors write it
    forms: ClassVar[str]  # what may lie in `dir`, in words
    places: ClassVar[tuple[str, ...]]  # folders in `dir`, in the order they are looked at

    dir: str | None = None
    train: int | None = None
    test: int | None = None
    size: int = 28
    standardize: bool = False
    verify: bool = True
    download: bool = True
    mirrors: tuple[str, ...] = ()
    progress: Progress = field(
        default_factory=Progress, compare=False, repr=False, metadata={"setting": False}
    )

    def __post_init__(self) -> None:
        check_count("train", self.train)
        check_count("test", self.test)
        check_size(self.size)
        for mirror in self.mirrors:
            if not mirror.startswith(("https://", "http://")):
                raise ValueError(f"mirrors must begin with https:// or http://, got {mirror!r}")

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes; labels run from 0 to one less."""

    @abstractmethod
    def archives(self) -> Iterable[str]:
        """Names of the files on a mirror."""

    @abstractmethod
    def check(self, name: str, path: Path) -> None:
        """Raise UserError unless `path` is the published file `name` of `archives`."""

    @abstractmethod
    def look(self, folder: Path) -> dict[str, Path] | None:
        """The files in `folder`, or None if they are not all there."""

    @abstractmethod
    def read(self, files: dict[str, Path]) -> dict[str, Split]:
        """The splits "train" and "test", their labels checked."""

    def load(self, key: jax.Array) -> Dataset:
        """Find or download the files, check them and choose the examples.

        Raises:
            UserError: the files cannot be had, are damaged, or hold too few examples.
        """
        files = self.find() or self._download()
        try:
            splits = self.read(files)
        except UserError as error:
            raise UserError(f"{error}{self._way_out(error, files)}") from None
        scale = Scale.of(splits["train"][0]) if self.standardize else Scale()
        train, test = (self._choose(splits[s], s, scale, key) for s in ("train", "test"))
        return Dataset(self.name, train, test, self.classes)

    def reporting(self, progress: Progress) -> ImageFiles:
        """The same data, which say to `progress` how a download goes."""
        return replace(self, progress=progress)

    def find(self) -> dict[str, Path] | None:
        """Where the files are on this machine; None if they are not here.

        Raises:
            UserError: `dir` is not a folder, or a folder holds some of the files only, or it
                cannot be read.
        """
        try:
            return next(filter(None, map(self.look, self._folders())), None)
        except OSError as error:
            raise UserError(
                f"{error.filename}: cannot be read ({error.strerror}); data.dir or LANDSCAPE_DATA "
                "chooses another folder, LANDSCAPE_CACHE another cache"
            ) from None

    def cache(self) -> Path:
        """Where downloads go."""
        return cache_folder("data") / self.name

    def given(self) -> Path | None:
        """The user's folder, if there is one."""
        if not self.dir:
            return None
        folder = Path(self.dir).expanduser()
        if not folder.is_dir():
            why = "is not a folder" if folder.exists() else "no such folder"
            raise UserError(f"data.dir={self.dir} (or LANDSCAPE_DATA): {why}")
        return folder

    def _folders(self) -> list[Path]:
        """Folders that may hold the files, in the order they are looked at."""
        given = self.given()
        return [*(given / place for place in self.places if given), self.cache()]

    def _download(self) -> dict[str, Path]:
        """Fetch the files into the cache."""
        if not self.download:
            raise self._absent("data.download=false")
        for name in self.archives():
            urls = [f"{mirror.rstrip('/')}/{name}" for mirror in self.mirrors]
            try:
                fetch(urls, self.cache() / name, partial(self.check, name), self.progress)
            except Unavailable as error:
                raise self._absent(f"it cannot be downloaded ({error})") from None
        files = self.look(self.cache())
        assert files is not None, "what was downloaded is what is looked for"
        return files

    def _absent(self, why: str) -> UserError:
        looked = " or ".join(str(folder) for folder in self._folders())
        return UserError(
            f"data={self.name}: no {self.title} files in {looked}, and {why}. Two ways out: set "
            f"data.dir or LANDSCAPE_DATA to a folder that has, in {' or '.join(self.places)}, "
            f"{self.forms}; or connect to the network once, with data.download=true. "
            "data=digits is a smaller data set that needs no download"
        )

    def _way_out(self, error: UserError, files: dict[str, Path]) -> str:
        """What can be done about files that are refused."""
        if any(path.parent == self.cache() for path in files.values()):
            return "; delete it to have it downloaded anew"
        return "; data.verify=false reads other data" if isinstance(error, WrongChecksum) else ""

    def _choose(self, whole: Split, split: str, scale: Scale, key: jax.Array) -> Examples:
        """The stratified subset of a split, as a network takes it."""
        pixels, labels = whole
        keep = subset(labels, getattr(self, split), generator(key, split), self.name, split)
        images = scale.apply(prepare(pixels[keep], 255.0, self.size))
        return Examples(images, labels[keep].astype(np.int32), uniform_weights(len(keep)))


def check_labels(where: Path, labels: np.ndarray, classes: int) -> None:
    """Raise UserError unless there are labels, all of them of a class."""
    if not labels.size:
        raise UserError(f"{where}: holds no images")
    if labels.max() >= classes:
        raise UserError(f"{where}: label {labels.max()} found, expected 0 to {classes - 1}")
