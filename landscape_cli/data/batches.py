"""Reader of CIFAR's batches (Krizhevsky 2009), in both published forms.

    binary   a record per image: one byte per label, then 3072 bytes of 3 × 32 × 32 pixels
    Python   a pickled dictionary: b"data" (example, 3072) bytes, and a list for every label

Files of any whole number of images are read. An archive is read where it is, never unpacked;
a pickle is taken apart without running anything it names. Neither may ask for memory out of
proportion to what it holds.
"""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import tarfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from landscape_cli.errors import UserError

PIXELS = 3 * 32 * 32  # bytes of an image
LARGEST = 1 << 28  # bytes of a batch; the largest published one has 154 MB
CHUNK = 1 << 16  # bytes that are read at once
MEMBERS = 1000  # of an archive; published ones have about ten
SPARE = 1000  # operations of a pickle, besides one for every so many bytes:
EACH = 100  # published ones have five for an image of 3072

# All that the published pickles name; NumPy's own module has moved since.
NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


def read_files(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Content of the files `names` in a folder or tar archive.

    Raises:
        UserError: something is missing, damaged, too large, or not what belongs in an archive.
    """
    try:
        found = (_from_folder if path.is_dir() else _from_archive)(path, names)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, RecursionError) as error:
        raise UserError(f"{path}: truncated or damaged archive ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if missing := [name for name in names if name not in found]:
        raise UserError(f"{path}: holds only part of the data set; missing {', '.join(missing)}")
    return found


def _from_folder(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    present = [path / name for name in names if (path / name).is_file()]
    for file in present:
        _check_size(file, file.stat().st_size)
    return {file.name: file.read_bytes() for file in present}


class _Sips(gzip.GzipFile):
    """Hands out little at once: a tar header says itself how much is to be read of it."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= CHUNK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _from_archive(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    found = {}
    with _Sips(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for count, member in enumerate(archive):
            if count == MEMBERS:
                raise UserError(f"{path}: refused: holds more than {MEMBERS} files")
            place = PurePosixPath(member.name)
            inside = not place.is_absolute() and ".." not in place.parts
            if not inside or not (member.isfile() or member.isdir()):
                raise UserError(
                    f"{path}: refused: {member.name!r} is not a plain file inside the archive"
                )
            if place.name in names and (content := archive.extractfile(member)):
                _check_size(path / place.name, member.size)
                if place.name in found:
                    raise UserError(f"{path}: refused: holds {place.name} twice")
                found[place.name] = b"".join(iter(partial(content.read, CHUNK), b""))
        while file.read(CHUNK):  # gzip compares its own checksum at the very end
            pass
    return found


def _check_size(where: Path, size: int) -> None:
    if size > LARGEST:
        raise UserError(f"{where}: {size} bytes, more than any batch of CIFAR has")


def decode_binary(
    content: bytes, columns: Sequence[str], label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a binary batch.

    Args:
        content: of the file.
        columns: names of the labels at the beginning of every record, in order.
        label: the one of them that is wanted.

    Returns:
        (example, 3072) pixels and (example,) labels, both uint8.

    Raises:
        ValueError: the content is not a whole number of records.
    """
    width = len(columns) + PIXELS
    if len(content) % width:
        raise ValueError(
            f"truncated, or not a binary batch: {len(content)} bytes are not a whole number of "
            f"records of {width}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, width)
    return records[:, len(columns) :], records[:, columns.index(label)]


def decode_python(
    content: bytes, columns: Sequence[str], label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a Python batch; takes and gives what `decode_binary` does.

    Raises:
        ValueError: the content is not a pickle of such a batch, or names anything but arrays.
    """
    try:
        _check_operations(content)
        batch = _Reader(io.BytesIO(content), fix_imports=False, encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise anything
        why = str(error) or type(error).__name__  # MemoryError has no words
        raise ValueError(f"not a Python batch of CIFAR ({why})") from None
    if not isinstance(batch, dict):
        raise ValueError("not a Python batch of CIFAR (no dictionary)")
    pixels, labels = _pixels(batch.get(b"data")), batch.get(label.encode())
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise ValueError(f"its {label} are not a list of {len(pixels)} numbers, one per image")
    if not all(type(number) is int and 0 <= number < 256 for number in labels):
        raise ValueError(f"its {label} are not all small whole numbers")
    return pixels, np.array(labels, np.uint8)


def _check_operations(content: bytes) -> None:
    """Raise UnpicklingError where a pickle would take far more memory than its bytes.

    An empty list is one byte; and what an unpickler remembers takes as many places as the largest
    number that something is remembered by, whatever came before.
    """
    most = SPARE + len(content) // EACH
    for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if count > most:
            raise pickle.UnpicklingError(f"refused: more than {most} operations")
        if operation.name.endswith("PUT") and (argument or 0) > count:
            raise pickle.UnpicklingError(
                f"refused: remembers {count} things at most as {argument}"
            )


def _pixels(value: object) -> np.ndarray:
    match value:
        case _Noted(
            name="_reconstruct",
            state=(_, (int(), int()) as shape, _Noted(arguments=(kind, *_)), order, bytes(raw)),
        ) if kind in (b"u1", "u1") and shape[1] == PIXELS and len(raw) == shape[0] * PIXELS:
            return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if order else "C")
    raise ValueError(f"its data are not an array of bytes with {PIXELS} per image")


class _Noted:
    """Stands for a name in a pickle: notes what it is called with and does nothing else."""

    def __init__(self, name: str) -> None:
        self.name, self.arguments, self.state = name, (), None

    def __call__(self, *arguments: Any) -> _Noted:
        made = _Noted(self.name)
        made.arguments = arguments
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Unpickler for which no name of a pickle is ever the real thing."""

    def find_class(self, module: str, name: str, /) -> _Noted:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(
                f"refused: it names {f'{module}.{name}'!r}, which no batch does; nothing was run"
            )
        return _Noted(name)
