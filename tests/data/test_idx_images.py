"""Fashion-MNIST and Kuzushiji-MNIST: found where they belong, never mistaken for MNIST."""

import gzip
import hashlib
import struct

import jax
import numpy as np
import pytest

from landscape_cli.data import fashion_mnist, kmnist
from landscape_cli.data.fashion_mnist import FashionMnist
from landscape_cli.data.kmnist import Kmnist
from landscape_cli.data.mnist import Mnist
from landscape_cli.errors import UserError

KEY = jax.random.key(0)
PARTS = [FashionMnist, Kmnist]
PLACES = [(part, place) for part in PARTS for place in part.places]


def encode(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def contents(factor):
    """Four .gz files: images filled with `factor` times their class; half as bright to test."""
    labels = (np.arange(60) % 10).astype(np.uint8)
    files = {}
    for split, bright in (("train", factor), ("t10k", factor // 2)):
        images = np.broadcast_to(bright * labels[:, None, None], (60, 28, 28)).astype(np.uint8)
        files[f"{split}-images-idx3-ubyte"] = gzip.compress(encode(images), mtime=0)
        files[f"{split}-labels-idx1-ubyte"] = gzip.compress(encode(labels), mtime=0)
    return files


FILES = {FashionMnist: contents(20), Kmnist: contents(25)}
SOMETHING_ELSE = contents(10)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch, tmp_path):
    """Checksums of the stand-ins, and an empty cache."""
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path / "cache"))
    for module, files in ((fashion_mnist, FILES[FashionMnist]), (kmnist, FILES[Kmnist])):
        sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
        monkeypatch.setattr(module, "CHECKSUMS", sums)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    return path


def save(folder, files, compressed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(content if compressed else gzip.decompress(content))


def factor(dataset):
    """What the pixels are, in units of the class: tells the stand-ins apart."""
    pixels = dataset.train.inputs[:, 9, 9, 0] * 255
    return (pixels / np.maximum(dataset.train.targets, 1)).max()


def refusal(part):
    with pytest.raises(UserError) as caught:
        part.load(KEY)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(("part", "place"), PLACES)
def test_found_in_folders_of_their_own(folder, part, place, compressed):
    save(folder / place, FILES[part], compressed)
    data = part(str(folder), download=False).load(KEY)
    assert data.name == part.name and data.classes == 10
    assert data.train.inputs.shape == (60, 28, 28, 1) and len(data.test) == 60
    assert factor(data) == pytest.approx({FashionMnist: 20, Kmnist: 25}[part])


def test_all_of_them_in_one_folder(folder):
    save(folder, SOMETHING_ELSE)
    save(folder / "fashion_mnist", FILES[FashionMnist])
    save(folder / "KMNIST" / "raw", FILES[Kmnist])
    loaded = [
        part(str(folder), verify=part is not Mnist, download=False).load(KEY)
        for part in (Mnist, FashionMnist, Kmnist)
    ]
    assert [factor(data) for data in loaded] == pytest.approx([10, 20, 25])


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("part", PARTS)
def test_in_the_folder_itself_only_checksums_count(folder, part, verify):
    others = [FILES[other] for other in PARTS if other is not part] + [SOMETHING_ELSE]
    for files in others:
        save(folder, files)
        text = refusal(part(str(folder), verify=verify, download=False))
        assert f"no {part.title} files in {folder / part.places[0]}" in text
    save(folder, FILES[part])
    assert part(str(folder), verify=verify, download=False).load(KEY).name == part.name
    one = next(iter(FILES[part]))
    save(folder, {one: SOMETHING_ELSE[one]})
    assert "files in" in refusal(part(str(folder), verify=verify, download=False))
    for path in folder.iterdir():
        path.unlink()
    save(folder, FILES[part], compressed=False)  # nothing says what these are
    assert "files in" in refusal(part(str(folder), verify=verify, download=False))


def test_other_data_in_its_place(folder):
    save(folder / "kmnist", SOMETHING_ELSE)
    text = refusal(Kmnist(str(folder)))
    assert "train-images-idx3-ubyte.gz: MD5 of the file is" in text
    assert text.endswith("data.verify=false reads other data")
    assert factor(Kmnist(str(folder), verify=False).load(KEY)) == pytest.approx(10)
    (folder / "kmnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    text = refusal(Kmnist(str(folder)))
    assert "only part of Kuzushiji-MNIST; missing (.gz or not) t10k-labels-idx1-ubyte" in text


@pytest.mark.parametrize("part", PARTS)
def test_download(folder, mirrors, part):
    mirrors[0].files = {f"/{name}.gz": content for name, content in SOMETHING_ELSE.items()}
    mirrors[1].files = {f"/{name}.gz": content for name, content in FILES[part].items()}
    save(folder, SOMETHING_ELSE)
    both = part(str(folder), mirrors=(mirrors[0].url, mirrors[1].url))
    for _ in range(2):
        assert both.load(KEY).name == part.name
    # The labels of all stand-ins are alike, so only images have to come from the second mirror.
    assert len(mirrors[1].requests) == 2
    assert factor(both.load(KEY)) == pytest.approx({FashionMnist: 20, Kmnist: 25}[part])


def test_standardized_by_the_whole_training_split(folder):
    save(folder / "kmnist", FILES[Kmnist])
    data = Kmnist(str(folder), train=10, size=14, standardize=True).load(KEY)
    expected = (data.train.targets - 4.5) / np.std(np.arange(10))
    np.testing.assert_allclose(data.train.inputs[:, 3, 3, 0], expected, atol=1e-5)  # float32
