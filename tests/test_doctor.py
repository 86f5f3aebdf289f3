"""The doctor says where every data set is, or that it is not there."""

import os
from pathlib import Path

import pytest

from landscape_cli import doctor, tune
from landscape_cli.data.idx_images import NAMES


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path / "cache"))


def lines(monkeypatch, place):
    """Lines about data with LANDSCAPE_DATA at `place`, by data set."""
    monkeypatch.setenv("LANDSCAPE_DATA", str(place))
    return dict(line.split(": ", 1) for line in doctor.data())


def test_data_sets_and_where_they_are(monkeypatch, tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in NAMES:
        (tmp_path / "mnist" / f"{name}.gz").touch()
    cached = tmp_path / "cache" / "data" / "cifar10" / "cifar-10-binary.tar.gz"
    cached.parent.mkdir(parents=True)
    cached.touch()
    found = lines(monkeypatch, tmp_path)
    assert found["data=mnist"] == str(tmp_path / "mnist")
    assert found["data=cifar10"] == str(cached)
    for name in ("cifar100", "fashion_mnist", "kmnist"):
        assert found[f"data={name}"] == "not on this machine"
    assert len(found) == 6  # and none that is computed

    (tmp_path / "mnist" / f"{NAMES[0]}.gz").unlink()
    assert "holds only part of MNIST" in lines(monkeypatch, tmp_path)["data=mnist"]


def test_the_home_folder_may_be_short(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x" / "mnist").mkdir(parents=True)
    assert lines(monkeypatch, "~/x")["data"] == "~/x holds mnist"


def test_without_a_folder(monkeypatch, tmp_path):
    assert lines(monkeypatch, "")["data=mnist"] == "not on this machine"


def test_what_cannot_be_read_is_said(monkeypatch, tmp_path):
    """Data that are not there or not for us; the cache alike, which holds nothing then."""
    wrong = tmp_path / "tpyo"
    said = f"LANDSCAPE_DATA={wrong} cannot be read"
    assert lines(monkeypatch, wrong) == {"data": f"{said} (No such file or directory)"}

    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert lines(monkeypatch, wrong) == {"data": f"{said} (Permission denied)"}
    monkeypatch.setattr(Path, "stat", denied)
    monkeypatch.setattr(Path, "glob", denied)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert [", 0 files, " in line for line in doctor.cache()] == [True, False]
    assert tune.remembered() == {}
