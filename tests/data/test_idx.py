"""The idx reader: what it accepts, and what it says of every kind of damage."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from landscape_cli.data import idx
from landscape_cli.data.idx import read_idx
from landscape_cli.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def encode(array, magic=None, shape=None):
    """An idx file; `magic` and `shape` let the header lie."""
    shape = array.shape if shape is None else shape
    magic = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return magic + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def message(path, dimensions=3, md5=None):
    """What the reader says about a bad file, which must be one line that names it."""
    with pytest.raises(UserError) as caught:
        read_idx(path, dimensions, md5)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(f"{path}: ")
    return text


@pytest.fixture(params=["plain", "gzip"])
def save(request, tmp_path):
    """A function that writes bytes to a file, plain and gzipped, whatever its name."""

    def write(content):
        path = tmp_path / "images"
        path.write_bytes(content if request.param == "plain" else gzip.compress(content))
        return path

    return write


def test_round_trip(save):
    content = encode(IMAGES)
    md5 = hashlib.md5(content).hexdigest()
    np.testing.assert_array_equal(read_idx(save(content), 3, md5), IMAGES)
    np.testing.assert_array_equal(read_idx(save(encode(IMAGES[:, 0, 0])), 1), IMAGES[:, 0, 0])
    assert read_idx(save(encode(IMAGES[:0])), 3).shape == (0, 4, 3)


def test_truncated(save):
    promise = r"promises 5 x 4 x 3 = 60 bytes"
    text = message(save(encode(IMAGES)[:-7]))
    assert "truncated" in text and promise in text and "only 53" in text
    assert "header of 10 bytes, expected 16" in message(save(encode(IMAGES)[:10]))
    assert "begins with nothing" in message(save(b""))


def test_trailing_bytes(save):
    assert "= 60 bytes, found more" in message(save(encode(IMAGES) + b"x"))


def test_wrong_magic(save):
    assert "begins with 3c 68 74 6d, expected 00 00 08 03" in message(save(b"<html>not here"))
    assert "begins with 00 00 0d 03" in message(save(encode(IMAGES, b"\0\0\x0d\x03")))
    assert "1-dimensional" in message(save(encode(IMAGES)), dimensions=1)


def test_header_that_asks_for_a_lot_of_memory(save):
    for shape in ((2**32 - 1,) * 3, (60_000, 28, 28)):
        assert "more than the file can hold" in message(save(encode(IMAGES, shape=shape)))


def test_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "LARGEST", 1000)
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(encode(np.zeros((50, 50, 50), np.uint8))))
    assert "more than the file can hold" in message(path)


def test_wrong_checksum(save):
    flipped = bytearray(encode(IMAGES))
    expected = hashlib.md5(flipped).hexdigest()
    flipped[40] ^= 1
    found = hashlib.md5(flipped).hexdigest()
    text = message(save(bytes(flipped)), md5=expected)
    assert f"MD5 of its content is {found}, expected {expected}" in text


def test_damaged_gzip(tmp_path):
    path = tmp_path / "images.gz"
    whole = gzip.compress(encode(IMAGES))
    for where in range(2, len(whole)):
        flipped = bytearray(whole)
        flipped[where] ^= 1
        path.write_bytes(flipped)
        if 3 <= where < 10:  # "is text", time stamp, system: not content
            np.testing.assert_array_equal(read_idx(path, 3), IMAGES)
        else:
            message(path)
    path.write_bytes(whole[:-20])
    assert "damaged gzip file" in message(path)


def test_unreadable(tmp_path):
    assert "cannot be read (No such file" in message(tmp_path / "absent")
    assert "cannot be read (Is a directory" in message(tmp_path)
