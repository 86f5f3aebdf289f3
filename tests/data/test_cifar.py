"""CIFAR-10 and CIFAR-100: small stand-ins in every published form, and the real sample."""

import hashlib
import os
from dataclasses import replace

import jax
import numpy as np
import pytest
from cifar_files import binary, pack, pixels, python, write

from landscape_cli.data.augment import Augmentation
from landscape_cli.data.batches import decode_binary
from landscape_cli.data.cifar10 import Cifar10
from landscape_cli.data.cifar100 import Cifar100
from landscape_cli.errors import UserError

KEY = jax.random.key(0)
BINARY, PYTHON = Cifar10.published
FORMS = [(part, archive) for part in (Cifar10, Cifar100) for archive in part.published]


def files(part, archive):
    """Contents by name: 100 or more training and test images with labels in turn."""
    form = part.published[archive]
    encode = binary if form.decode is decode_binary else python
    fine = np.arange(100)
    all_columns = {"labels": fine % 10, "fine_labels": fine, "coarse_labels": fine // 5}
    columns = {name: all_columns[name] for name in part.columns}
    content = encode(columns, pixels(columns[part.columns[-1]]))
    return dict.fromkeys(form.train + form.test, content)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder; the cache is another."""
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def publish(monkeypatch):
    """A function that packs the stand-in of an archive and makes its checksum the right one."""

    def pack_and_register(part, archive, path):
        inside = part.published[archive].folder
        pack(path, {f"{inside}/{n}": c for n, c in files(part, archive).items()})
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        form = replace(part.published[archive], md5=md5)
        monkeypatch.setattr(part, "published", part.published | {archive: form})
        return path

    return pack_and_register


def unpacked(part, archive, folder):
    return write(folder / part.published[archive].folder, files(part, archive))


def refusal(part):
    """What a failing load says: one line."""
    with pytest.raises(UserError) as caught:
        part.load(KEY)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check_whole(dataset, part):
    """All images are there, the right way up, and belong to their labels."""
    count = 500 if part is Cifar10 else 100
    assert dataset.name == part.name and dataset.augmentation is None
    assert dataset.train.inputs.shape == (count, 32, 32, 3) and len(dataset.test) == 100
    assert dataset.train.inputs.dtype == np.float32 and dataset.train.targets.dtype == np.int32
    for split in (dataset.train, dataset.test):
        red, green, blue = np.moveaxis(split.inputs * 255, -1, 0)
        np.testing.assert_allclose(red, np.tile(7.0 * np.arange(32)[:, None], 32)[None] + 0 * red)
        np.testing.assert_allclose(green, np.tile(7.0 * np.arange(32), (32, 1)) + 0 * green)
        np.testing.assert_allclose(blue[:, 5, 5], split.targets, rtol=1e-6)
        assert split.weights.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("place", [".", "NAME", "itself"])
@pytest.mark.parametrize(("part", "archive"), FORMS)
def test_unpacked_folders_are_found(folder, part, archive, place):
    found = unpacked(part, archive, folder / part.name if place == "NAME" else folder)
    given = found if place == "itself" else folder
    check_whole(part(str(given), download=False).load(KEY), part)


@pytest.mark.parametrize("place", [".", "NAME"])
@pytest.mark.parametrize(("part", "archive"), FORMS)
def test_archives_are_found_and_stay_packed(folder, publish, part, archive, place):
    path = publish(part, archive, folder / place.replace("NAME", part.name) / archive)
    check_whole(part(str(folder), download=False).load(KEY), part)
    assert [p for p in folder.parent.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("left", [0, 3])
@pytest.mark.parametrize(("part", "archive"), FORMS)
def test_a_folder_that_lacks_files_gives_way_to_an_archive(folder, publish, part, archive, left):
    """What is left of unpacking one had blocked it."""
    path = publish(part, archive, folder / archive)
    for name, form in part.published.items():
        some = dict(list(files(part, name).items())[: min(left, len(form.train))])
        write(folder / form.folder, some)
    given = part(str(folder), download=False)
    assert given.find() == {archive: path}
    check_whole(given.load(KEY), part)
    (other,) = part.published.keys() - {archive}
    whole = unpacked(part, other, folder)
    assert given.find() == {other: whole}, "no archive has to be read"


def test_the_two_are_not_taken_for_one_another(folder):
    unpacked(Cifar100, "cifar-100-binary.tar.gz", folder)
    assert "no CIFAR-10 files in" in refusal(Cifar10(str(folder), download=False))
    wrong = folder / "cifar-10-batches-bin"
    write(wrong, dict.fromkeys(files(Cifar10, BINARY), b"\x05" * 3074 * 3))
    assert "not a whole number of records of 3073" in refusal(Cifar10(str(folder)))


@pytest.mark.parametrize("archive", Cifar100.published)
def test_coarse_labels(folder, archive):
    unpacked(Cifar100, archive, folder)
    dataset = Cifar100(str(folder), labels="coarse").load(KEY)
    assert dataset.classes == dataset.outputs == 20
    np.testing.assert_array_equal(np.bincount(dataset.train.targets), 5)
    blue = np.rint(dataset.train.inputs[:, 0, 0, 2] * 255)
    np.testing.assert_array_equal(dataset.train.targets, blue // 5)
    assert Cifar100(str(folder)).load(KEY).classes == 100


def test_subsets_are_stratified_and_repeat_themselves(folder):
    unpacked(Cifar10, BINARY, folder)
    part = Cifar10(str(folder), train=40, test=20, size=16)
    data, again = part.load(KEY), part.load(KEY)
    assert data.train.inputs.shape == (40, 16, 16, 3)
    np.testing.assert_array_equal(np.bincount(data.train.targets), 4)
    np.testing.assert_array_equal(np.bincount(data.test.targets), 2)
    np.testing.assert_array_equal(data.train.inputs, again.train.inputs)
    larger = replace(part, train=80).load(KEY)
    np.testing.assert_array_equal(larger.train.inputs[:40], data.train.inputs)
    other = part.load(jax.random.key(1))
    assert (other.train.targets != data.train.targets).any()
    text = refusal(replace(part, test=101))
    assert "data.test=101: cifar10 has 100 test examples" in text


def test_standardized_by_the_whole_training_split(folder):
    unpacked(Cifar10, BINARY, folder)
    whole = Cifar10(str(folder), standardize=True)
    images = whole.load(KEY).train.inputs.astype(np.float64)
    np.testing.assert_allclose(images.mean((0, 1, 2)), 0, atol=1e-6)  # float32 pixels
    np.testing.assert_allclose(images.std((0, 1, 2)), 1, atol=1e-6)
    few, plain = (replace(whole, train=7, standardize=s).load(KEY).train for s in (True, False))
    red, green = 7 * np.arange(32), 7 * np.arange(32)
    mean = [red.mean() / 255, green.mean() / 255, 4.5 / 255]
    deviation = [red.std() / 255, green.std() / 255, np.std(np.arange(10)) / 255]
    expected = (plain.inputs - mean) / deviation
    np.testing.assert_allclose(few.inputs, expected, atol=1e-5)  # float32 near 1


def test_files_with_other_numbers_of_images(folder):
    some = binary({"labels": [1, 2]}, pixels([1, 2]))
    write(folder / "cifar-10-batches-bin", files(Cifar10, BINARY) | {"data_batch_3.bin": some})
    assert len(Cifar10(str(folder)).load(KEY).train) == 402


@pytest.mark.parametrize("archive", [BINARY, PYTHON])
def test_damage_is_named(folder, archive):
    whole = files(Cifar10, archive)
    inside = folder / Cifar10.published[archive].folder
    name = list(whole)[2]

    def refused(content):
        write(inside, whole | {name: content})
        text = refusal(Cifar10(str(folder)))
        assert text.startswith(str(inside / name))
        return text

    encode = binary if archive == BINARY else python
    assert "label 10 found, expected 0 to 9" in refused(
        encode({"labels": [1, 10]}, pixels([1, 10]))
    )
    assert "holds no images" in refused(encode({"labels": []}, pixels([])))
    assert "batch" in refused(whole[name][:-1])
    (inside / name).unlink()
    assert f"only part of the data set; missing {name}" in refusal(Cifar10(str(folder)))


def test_a_pickle_that_means_harm_is_not_run(folder):
    mark = folder / "mark"
    harm = f"cos\nsystem\n(S'touch {mark}'\ntR.".encode()
    whole = files(Cifar10, PYTHON) | {"test_batch": harm}
    inside = write(folder / "cifar-10-batches-py", whole)
    text = refusal(Cifar10(str(folder)))
    assert text.startswith(f"{inside / 'test_batch'}: ") and "names 'os.system'" in text
    assert not mark.exists()


def test_checksums_of_archives(folder):
    path = pack(folder / BINARY, files(Cifar10, BINARY))
    text = refusal(Cifar10(str(folder)))
    assert text.startswith(f"{path}: MD5 of the file is ") and "data.verify=false" in text
    assert Cifar10.published[BINARY].md5 in text
    check_whole(Cifar10(str(folder), verify=False).load(KEY), Cifar10)
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated or damaged archive" in refusal(Cifar10(str(folder), verify=False))
    assert [p.name for p in folder.iterdir()] == [BINARY]


def test_an_archive_that_reaches_outside_is_refused(folder):
    pack(folder / BINARY, {f"../{n}": c for n, c in files(Cifar10, BINARY).items()})
    assert "refused: '../data_batch_1.bin'" in refusal(Cifar10(str(folder), verify=False))
    assert [p.name for p in folder.parent.iterdir()] == ["data"]


def test_download_into_the_cache_and_no_second_time(folder, publish, mirrors, dead_url, tmp_path):
    content = publish(Cifar10, BINARY, tmp_path / "there" / BINARY).read_bytes()
    mirrors[0].files = {f"/c/{BINARY}": content}
    mirrors[0].cuts = [1000]  # the first answer ends early, and is taken up again
    part = Cifar10(str(folder), mirrors=(dead_url, f"{mirrors[0].url}/c/"))
    assert part.find() is None
    check_whole(part.load(KEY), Cifar10)
    check_whole(part.load(KEY), Cifar10)
    assert [wanted for _, wanted in mirrors[0].requests] == [None, "bytes=1000-"]
    cached = part.find()[BINARY]
    assert cached == tmp_path / "cache" / "data" / "cifar10" / BINARY

    cached.write_bytes(content[:-9])
    text = refusal(part)
    assert str(cached) in text and "delete it to have it downloaded anew" in text


def test_wrong_download_leaves_nothing_even_unverified(folder, mirrors, tmp_path):
    mirrors[0].files = {f"/{BINARY}": pack(folder / "x", files(Cifar10, BINARY)).read_bytes()}
    assert "MD5 of the file" in refusal(Cifar10(verify=False, mirrors=(mirrors[0].url,)))
    left = (tmp_path / "cache").rglob("*")
    assert not [p for p in left if p.is_file() and p.suffix != ".lock"]


def test_offline_names_both_ways_out(folder, dead_url):
    text = refusal(Cifar100(str(folder), mirrors=(dead_url,)))
    for words in ("data=cifar100: no CIFAR-100 files in", str(folder), "data.dir"):
        assert words in text
    for words in ("LANDSCAPE_DATA", "Connection refused", "data.download=true", *Cifar100.places):
        assert words in text


def test_augmentation_is_carried_not_applied(folder):
    unpacked(Cifar10, BINARY, folder)
    plain, varied = (Cifar10(str(folder), augment=a).load(KEY) for a in (False, True))
    assert varied.augmentation == Augmentation(crop=4, flip=True)
    np.testing.assert_array_equal(varied.train.inputs, plain.train.inputs)
    small = Cifar10(str(folder), augment=True, size=16).load(KEY)
    assert small.augmentation == Augmentation(crop=2, flip=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": 0}, "train must be at least 1, or null"),
        ({"size": 1000}, "size must be between 1 and 256"),
        ({"mirrors": ("file:///etc",)}, "mirrors must begin with https"),
        ({"labels": "corse"}, "labels must be one of fine, coarse, got 'corse'.*coarse"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        Cifar100(**settings)


@pytest.mark.skipif("LANDSCAPE_DATA" not in os.environ, reason="set LANDSCAPE_DATA to a folder")
@pytest.mark.slow  # seconds for all images; made-up ones take the same way
def test_real_cifar10():
    part = Cifar10(os.environ["LANDSCAPE_DATA"], download=False)
    if part.find() is None:
        pytest.skip("no CIFAR-10 in LANDSCAPE_DATA")
    data = part.load(KEY)
    train, test = data.train, data.test
    for split in (train, test):  # all classes are of one size, in samples too
        np.testing.assert_array_equal(np.bincount(split.targets), len(split) // 10)
    # Published mean colors; a sample of 10,000 images is within half a percent.
    mean = train.inputs.mean((0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-3)
    # Neighbors differ by 0.06 on average, pixels at random by 0.3.
    for axis in (1, 2):
        assert np.abs(np.diff(test.inputs, axis=axis)).mean() < 0.1
