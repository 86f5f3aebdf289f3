"""Reader of idx files, the format of MNIST, plain or gzipped.

    bytes 0-1   zero
    byte  2     type of the numbers; 8 is unsigned bytes, the only one read here
    byte  3     number of dimensions d
    then        d sizes, big-endian 32-bit, and after them the numbers, last axis fastest

The header is never trusted: what it promises is compared with the size of the file before any
memory is set aside, and the content with a checksum where one is known.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from landscape_cli.data.checksum import check_content
from landscape_cli.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
BEST_RATIO = 1032  # gzip cannot shrink anything further than this
LARGEST = 1 << 30  # bytes


def read_idx(path: Path, dimensions: int, md5: str | None = None) -> np.ndarray:
    """Read an idx file of unsigned bytes.

    Args:
        path: the file; whether it is gzipped is seen from its first bytes, not its name.
        dimensions: number of dimensions it must have (3: images, 1: labels).
        md5: checksum the decompressed content must have, or None to skip the check.

    Returns:
        A read-only array of uint8 over the file's content.

    Raises:
        UserError: the file cannot be read or is not what it should be; says what was found.
    """
    try:
        with path.open("rb") as file:
            content, shape = _content(file, path, dimensions)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: damaged gzip file ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if md5 is not None:
        check_content(path, content, md5)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _content(file: BinaryIO, path: Path, dimensions: int) -> tuple[bytes, tuple[int, ...]]:
    """Header and numbers as they were before compression, and the shape the header gives."""
    most = path.stat().st_size
    if file.read(2) == GZIP_MAGIC:
        stream, most = cast(BinaryIO, gzip.GzipFile(fileobj=file)), most * BEST_RATIO
    else:
        stream = file
    file.seek(0)
    header = stream.read(4 + 4 * dimensions)
    shape = _shape(header, path, dimensions)
    size = math.prod(shape)
    promise = f"its header promises {' x '.join(map(str, shape))} = {size} bytes"
    if size > min(most, LARGEST):
        raise UserError(f"{path}: truncated or damaged: {promise}, more than the file can hold")
    # One byte too many is asked for: it shows trailing bytes and makes gzip check its own sum.
    body = stream.read(size + 1)
    if len(body) != size:
        found = "more" if len(body) > size else f"only {len(body)}"
        raise UserError(f"{path}: truncated or damaged: {promise}, found {found}")
    return header + body, shape


def _shape(header: bytes, path: Path, dimensions: int) -> tuple[int, ...]:
    expected = bytes([0, 0, 8, dimensions])
    if header[:4] != expected:
        raise UserError(
            f"{path}: not an idx file of {dimensions}-dimensional unsigned bytes: it begins with "
            f"{header[:4].hex(' ') or 'nothing'}, expected {expected.hex(' ')}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise UserError(
            f"{path}: truncated: header of {len(header)} bytes, expected {4 + 4 * dimensions}"
        )
    return struct.unpack(f">{dimensions}I", header[4:])
