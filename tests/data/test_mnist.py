"""MNIST: a small stand-in with checksums of its own, and the real files where there are any."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import jax
import numpy as np
import pytest
from commands import landscape

from landscape_cli.data import mnist
from landscape_cli.data.mnist import CHECKSUMS, Mnist
from landscape_cli.errors import UserError

KEY = jax.random.key(0)


def encode(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def small():
    """Contents of four idx files: 120 and 40 images, each filled with ten times its class."""
    files = {}
    for prefix, count in (("train", 120), ("t10k", 40)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.broadcast_to(10 * labels[:, None, None], (count, 28, 28))
        files[f"{prefix}-images-idx3-ubyte"] = encode(images)
        files[f"{prefix}-labels-idx1-ubyte"] = encode(labels)
    return files


@pytest.fixture
def files(monkeypatch, tmp_path):
    """The stand-in, its checksums in place of MNIST's, and an empty cache."""
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path / "cache"))
    files = small()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(mnist, "CHECKSUMS", sums)
    return files


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    return path


def save(folder, files, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content, 1) if compress else content)


def refusal(part):
    """What a failing load says: one line."""
    with pytest.raises(UserError) as caught:
        part.load(KEY)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("compress", [False, True])
def test_files_are_found_plain_or_gzipped(files, folder, place, compress):
    save(folder / place, files, compress)
    data = Mnist(str(folder)).load(KEY)
    assert data.train.inputs.shape == (120, 28, 28, 1) and len(data.test) == 40
    assert data.classes == 10 and data.name == "mnist"
    assert data.train.inputs.dtype == np.float32 and data.train.targets.dtype == np.int32
    for split in (data.train, data.test):  # images still belong to their labels
        np.testing.assert_allclose(split.inputs[:, 5, 5, 0] * 25.5, split.targets, rtol=1e-6)
        assert split.weights.sum() == pytest.approx(1, abs=1e-12)


def test_subsets(files, folder):
    save(folder, files)
    part = Mnist(str(folder), train=30, test=20, size=14)
    data, again = part.load(KEY), part.load(KEY)
    assert data.train.inputs.shape == (30, 14, 14, 1)
    np.testing.assert_array_equal(np.bincount(data.train.targets), 3)
    np.testing.assert_array_equal(np.bincount(data.test.targets), 2)
    np.testing.assert_array_equal(data.train.inputs, again.train.inputs)
    assert "data.test=41: mnist has 40 test examples" in refusal(Mnist(str(folder), test=41))


def test_damage_is_named(files, folder):
    name = "train-images-idx3-ubyte"
    flipped = bytearray(files[name])
    flipped[1000] ^= 4
    save(folder, files | {name: bytes(flipped)})
    text = refusal(Mnist(str(folder)))
    assert text.startswith(f"{folder / name}: MD5 ") and "data.verify=false" in text
    assert len(Mnist(str(folder), verify=False).load(KEY).train) == 120

    save(folder, files | {name: files[name][:-1]})
    assert "truncated" in refusal(Mnist(str(folder), verify=False))


def test_files_that_do_not_fit_each_other(files, folder):
    labels = "t10k-labels-idx1-ubyte"
    save(folder, files | {labels: files["train-labels-idx1-ubyte"]})
    text = refusal(Mnist(str(folder), verify=False))
    assert labels in text and "120 labels for the 40 images" in text
    save(folder, files | {labels: encode(np.full(40, 77, np.uint8))})
    assert "label 77 found, expected 0 to 9" in refusal(Mnist(str(folder), verify=False))
    empty = {n: encode(np.zeros((0, 28, 28) if "images" in n else 0, np.uint8)) for n in files}
    save(folder, empty)
    assert "0 labels for the 0 images" in refusal(Mnist(str(folder), verify=False))


def test_folder_that_is_not_there_or_incomplete(files, folder):
    assert "no such folder" in refusal(Mnist(str(folder / "tpyo")))
    files.pop("t10k-labels-idx1-ubyte")
    save(folder, files)
    text = refusal(Mnist(str(folder)))
    assert "only part of MNIST; missing (.gz or not) t10k-labels-idx1-ubyte" in text


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    """As root reads everything, others' trouble is made up."""

    def is_file(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", is_file)
    text = refusal(Mnist(str(folder)))
    assert text.startswith(f"{folder}/{next(iter(CHECKSUMS))}: cannot be read (Permission denied)")
    assert "data.dir or LANDSCAPE_DATA chooses another folder" in text


def test_download_into_the_cache_and_no_second_time(files, folder, mirrors, dead_url, tmp_path):
    mirrors[0].files = {f"/m/{n}.gz": gzip.compress(c) for n, c in files.items()}
    part = Mnist(str(folder), mirrors=(dead_url, f"{mirrors[0].url}/m/"))
    assert part.find() is None
    first, second = part.load(KEY), part.load(KEY)
    np.testing.assert_array_equal(first.train.inputs, second.train.inputs)
    assert len(mirrors[0].requests) == 4
    assert part.find()["t10k-labels-idx1-ubyte"].parent == tmp_path / "cache" / "data" / "mnist"

    damaged = part.find()["train-images-idx3-ubyte"]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    text = refusal(part)
    assert str(damaged) in text and "delete it to have it downloaded anew" in text
    damaged.unlink()
    assert len(part.load(KEY).train) == 120 and len(mirrors[0].requests) == 5


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["run", "dry-run"])
def test_the_command_says_what_it_downloads(files, mirrors, tmp_path, more):
    mirrors[0].files = {f"/{n}.gz": gzip.compress(c) for n, c in files.items()}
    words = [
        "model=mlp",
        "model.widths=[2]",
        "data.size=4",
        "data=mnist",
        f"data.mirrors=[{mirrors[0].url}]",
        "budget=smoke",
    ]
    words += [
        "method=straight",
        "pairs=1",
        "levels=[2]",
        "data.train=20",
        "data.test=10",
        "figures=[]",
    ]
    result = landscape("run", "geodesic", *words, *more, cwd=tmp_path, LANDSCAPE_DATA="")
    assert result.returncode == 0, result.stderr
    for name in files:
        assert f"downloading {name}.gz: 1 MB\n" in result.stderr
    logs = [path.read_text() for path in tmp_path.glob("outputs/*/*/run.log")]
    assert len(logs) == (not more) and all("downloading " in log for log in logs)


def test_wrong_download_leaves_nothing_even_unverified(files, mirrors, tmp_path):
    other = {n: encode(np.zeros((9, 28, 28) if "images" in n else 9, np.uint8)) for n in files}
    mirrors[0].files = {f"/{n}.gz": gzip.compress(c) for n, c in other.items()}
    assert "MD5 of its content" in refusal(Mnist(verify=False, mirrors=(mirrors[0].url,)))
    left = (tmp_path / "cache").rglob("*")
    assert not [p for p in left if p.is_file() and p.suffix != ".lock"]


def test_offline_names_both_ways_out(files, folder, dead_url):
    text = refusal(Mnist(str(folder), mirrors=(dead_url,)))
    for words in ("data.dir", "LANDSCAPE_DATA", str(folder), *files):
        assert words in text
    for words in ("Connection refused", "connect to the network", "data=digits"):
        assert words in text
    assert "data.download=false" in refusal(Mnist(download=False))
    assert "no mirrors are set" in refusal(Mnist(mirrors=()))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": 0}, "train must be at least 1, or null"),
        ({"test": -5}, "test must be at least 1, or null"),
        ({"size": 1000}, "size must be between 1 and 256"),
        ({"mirrors": ("file:///etc",)}, "mirrors must begin with https"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        Mnist(**settings)


@pytest.mark.skipif("LANDSCAPE_DATA" not in os.environ, reason="set LANDSCAPE_DATA to a folder")
@pytest.mark.slow  # seconds for all images; made-up ones take the same way
def test_real_mnist():
    part = Mnist(os.environ["LANDSCAPE_DATA"], download=False)
    if part.find() is None:
        pytest.skip("no MNIST in LANDSCAPE_DATA")
    data = part.load(KEY)
    assert data.train.inputs.shape == (60_000, 28, 28, 1) and len(data.test) == 10_000
    # Published class counts and mean brightness of the training images.
    assert np.bincount(data.train.targets).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert data.train.inputs.mean(dtype=np.float64) == pytest.approx(0.1307, abs=1e-4)
    assert len(CHECKSUMS) == 4
