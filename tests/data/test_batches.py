"""The readers of CIFAR's batches: both forms, every kind of damage, and files that mean harm."""

import gzip
import os
import pickle
import tarfile

import numpy as np
import pytest
from cifar_files import binary, pack, python, write

from landscape_cli.data import batches
from landscape_cli.data.batches import decode_binary, decode_python, read_files
from landscape_cli.errors import UserError

LABELS = np.array([3, 0, 9, 255], np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
ONE = {"labels": LABELS}
TWO = {"coarse_labels": LABELS // 5, "fine_labels": LABELS}


@pytest.mark.parametrize("columns", [ONE, TWO])
@pytest.mark.parametrize(("encode", "decode"), [(binary, decode_binary), (python, decode_python)])
def test_round_trip(encode, decode, columns):
    for label, expected in columns.items():
        images, labels = decode(encode(columns, IMAGES), tuple(columns), label)
        np.testing.assert_array_equal(images, IMAGES)
        np.testing.assert_array_equal(labels, expected)
        assert images.dtype == labels.dtype == np.uint8


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_written_by_newer_pythons(protocol, order):
    batch = {b"data": np.asarray(IMAGES, order=order), b"labels": LABELS.tolist()}
    images, labels = decode_python(pickle.dumps(batch, protocol), ("labels",), "labels")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_binary_batches_hold_a_whole_number_of_records():
    content = binary(ONE, IMAGES)
    for size in (1, 3072, 3074, len(content) - 1):
        with pytest.raises(ValueError, match=f"{size} bytes are not a whole number of records"):
            decode_binary(content[:size], ("labels",), "labels")
    assert len(decode_binary(content[:3073], ("labels",), "labels")[0]) == 1


class Harm:
    """Pickles as a call, which an ordinary unpickler would run."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [(os.system, "touch {}", ".system'"), (eval, "open({!r}, 'w').close()", "builtin")],
)
def test_pickles_run_nothing(tmp_path, protocol, function, argument, name):
    mark = tmp_path / "mark"
    harm = Harm(function, argument.format(str(mark)))
    content = pickle.dumps({b"data": IMAGES[:0], b"labels": harm}, protocol)
    if protocol == 0:  # the attack works where nobody looks
        pickle.loads(content)
        assert mark.exists()
        mark.unlink()
    with pytest.raises(ValueError, match="refused: it names") as caught:
        decode_python(content, ("labels",), "labels")
    assert not mark.exists() and "\n" not in str(caught.value)
    alone = pickle.dumps(harm, protocol)
    with pytest.raises(ValueError, match=f"{name}.*nothing was run"):
        decode_python(alone, ("labels",), "labels")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["frombuffer", "load", "core.multiarray.scalar", "memmap"])
def test_other_names_of_numpy_are_refused_too(name):
    module, _, last = f"numpy.{name}".rpartition(".")
    content = f"c{module}\n{last}\n.".encode()
    with pytest.raises(ValueError, match=f"refused: it names 'numpy.{name}'"):
        decode_python(content, ("labels",), "labels")


def test_names_of_a_pickle_leave_no_trace():
    """A pickle may set attributes of what it is given: of a note, never of anything of ours."""
    changed = b"cnumpy\nndarray\n(N}(S'name'\nS'harm'\nS'find_class'\nS'harm'\nutb."  # slot state
    with pytest.raises(ValueError, match="no dictionary"):
        decode_python(changed, ("labels",), "labels")
    images, _ = decode_python(python(ONE, IMAGES), ("labels",), "labels")
    np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ([1, 2], "no dictionary"),
        ({b"labels": [1] * 4}, "its data are not an array of bytes with 3072"),
        ({b"data": IMAGES[:, :9], b"labels": [1] * 4}, "its data are not an array of bytes"),
        ({b"data": IMAGES.astype(float), b"labels": [1] * 4}, "its data are not an array"),
        ({b"data": IMAGES.astype(">u2"), b"labels": [1] * 4}, "its data are not an array"),
        ({b"data": IMAGES}, "its labels are not a list of 4 numbers"),
        ({b"data": IMAGES, b"labels": [1] * 3}, "its labels are not a list of 4 numbers"),
        ({b"data": IMAGES, b"labels": [1, 2, 3, 256]}, "not all small whole numbers"),
        ({b"data": IMAGES, b"labels": [1, 2, 3, -1]}, "not all small whole numbers"),
        ({b"data": IMAGES, b"labels": [1, 2, 3, "4"]}, "not all small whole numbers"),
        ({b"data": IMAGES, b"labels": [1, 2, 3, True]}, "not all small whole numbers"),
    ],
)
def test_python_batches_of_another_kind(batch, words):
    with pytest.raises(ValueError, match=words):
        decode_python(pickle.dumps(batch, 4), ("labels",), "labels")


def test_damaged_pickles_are_refused_or_still_batches():
    content = python({"labels": LABELS[:2]}, IMAGES[:2])
    start = content.index(IMAGES[:2].tobytes())
    places = [*range(start), *range(start + 2 * 3072, len(content))]  # all but the pixels
    refused = 0
    for place in places:
        with pytest.raises(ValueError, match="batch"):
            decode_python(content[:place], ("labels",), "labels")
        flipped = bytearray(content)
        flipped[place] ^= 1
        try:
            images, labels = decode_python(bytes(flipped), ("labels",), "labels")
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert images.shape == (2, 3072) and labels.shape == (2,)
    assert refused > len(places) / 2  # the rest are names of files and the like


@pytest.mark.parametrize("number", ["1", str(1 << 20)])
def test_what_is_remembered_cannot_take_more_memory_than_it_could_fill(number):
    """An unpickler sets aside as many places as the largest number: once 4 GB for 10 bytes."""
    for put in (f"p{number}\n".encode(), b"r" + int(number).to_bytes(4, "little")):
        words = (
            "no dictionary" if number == "1" else "refused: remembers 2 things at most as 1048576"
        )
        with pytest.raises(ValueError, match=words):
            decode_python(b"\x80\x02]" + put + b".", ("labels",), "labels")


def test_a_pickle_of_many_small_things_is_refused():
    """A list is one byte there and eighty here."""
    with pytest.raises(ValueError, match="refused: more than 1050 operations"):
        decode_python(b"\x80\x02(" + b"]" * 4995 + b"l.", ("labels",), "labels")


def refusal(path, names=("a", "b")):
    """What the reader says of a bad folder or archive: one line that names it."""
    with pytest.raises(UserError) as caught:
        read_files(path, names)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
    return str(caught.value)


FILES = {"a": b"first" * 999, "b": b"", "c": b"not asked for"}


def test_folders_and_archives(tmp_path):
    folder = write(tmp_path / "folder", FILES)
    archive = pack(tmp_path / "x.tar.gz", {f"deep/{name}": c for name, c in FILES.items()})
    for path in (folder, archive):
        assert read_files(path, ("a", "b")) == {"a": FILES["a"], "b": b""}
        assert "only part of the data set; missing d, e" in refusal(path, ("a", "d", "e"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x.tar.gz"]


def test_truncated_or_damaged_archives(tmp_path):
    whole = pack(tmp_path / "x.tar.gz", {"a": IMAGES.tobytes(), "b": b""}).read_bytes()
    path = tmp_path / "y.tar.gz"
    for size in (*range(0, len(whole), 500), len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "truncated or damaged archive" in refusal(path)
    path.write_bytes(b"<html>not found</html>")
    assert "truncated or damaged archive" in refusal(path)
    for place in (len(whole) // 2, len(whole) - 8):  # the pixels, and gzip's checksum
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        assert "truncated or damaged archive" in refusal(path)
    assert "cannot be read" in refusal(tmp_path / "absent")


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "odd",
    [
        member("/etc/a"),
        member("../a"),
        member("data/../../a"),
        member("a", tarfile.SYMTYPE, "/etc/passwd"),
        member("a", tarfile.LNKTYPE, "../secret"),
        member("a", tarfile.CHRTYPE),
        member("a", tarfile.BLKTYPE),
        member("a", tarfile.FIFOTYPE),
        member("line\nbreak", tarfile.SYMTYPE, "/"),
    ],
    ids=lambda info: f"{info.name!r} {info.type}",
)
def test_members_that_do_not_belong_are_refused(tmp_path, odd):
    path = pack(tmp_path / "x.tar.gz", {"data/b": b""}, odd)
    assert "refused: " in refusal(path) and "not a plain file inside" in refusal(path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.gz"]


@pytest.mark.parametrize("size", [1 << 32, -1024])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_ask_for_much_are_refused(tmp_path, kind, size):
    """They were read whole, whatever they said of themselves."""
    info = member("a", kind)
    info.size = size
    raw = info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(raw))
    assert f"a header of {size} bytes" in refusal(tmp_path / "x.tar.gz")


def test_archives_of_many_members_are_refused(tmp_path):
    for kind, words in ((tarfile.REGTYPE, "more than 1000 files"), (tarfile.XGLTYPE, "damaged")):
        raw = member("x", kind).tobuf() * 2000 + bytes(1024)
        (tmp_path / "x.tar.gz").write_bytes(gzip.compress(raw))
        assert words in refusal(tmp_path / "x.tar.gz")


def test_one_file_in_two_places_is_refused(tmp_path):
    path = pack(tmp_path / "x.tar.gz", {"data/a": b"1", "other/a": b"2", "b": b""})
    assert "holds a twice" in refusal(path)


def test_sizes_are_looked_at_before_memory_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "LARGEST", 1000)
    for path in (write(tmp_path / "f", FILES), pack(tmp_path / "x.tar.gz", FILES)):
        assert f"{path / 'a'}: 4995 bytes, more than any batch" in refusal(path)
