"""Downloads from a local server: resume, checks, mirrors, and what is left behind."""

import threading

import numpy as np
import pytest

from landscape_cli.cache import cache_folder
from landscape_cli.contracts import Progress
from landscape_cli.data import fetch as module
from landscape_cli.data.fetch import Unavailable, fetch
from landscape_cli.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)


def right(path):
    if path.read_bytes() != CONTENT:
        raise UserError(f"{path}: wrong content")


class Said(Progress):
    """What was said, as (kind, ...)."""

    def __init__(self):
        self.lines = []

    def phase(self, name, total=0, unit=""):
        self.lines.append(("phase", name, total, unit))

    def update(self, done, note=""):
        self.lines.append(("update", done))

    def message(self, text):
        self.lines.append(("message", text))


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def get(tmp_path, said):
    """Fetch /file from some addresses; returns the content."""
    return lambda *bases: fetch(
        [f"{base}/file" for base in bases], tmp_path / "sub" / "file", right, said
    ).read_bytes()


def left_behind(tmp_path):
    return sorted(p.name for p in (tmp_path / "sub").iterdir() if p.suffix != ".lock")


def test_downloads_once_and_says_so(mirrors, get, said, tmp_path):
    mirrors[0].files["/file"] = CONTENT
    assert get(mirrors[0].url) == CONTENT == get(mirrors[0].url)
    assert mirrors[0].requests == [("/file", None)]
    assert said.lines[0] == ("phase", "downloading file", 1, "MB")
    assert said.lines[1] == ("update", 0) and said.lines[-1] == ("update", 1)
    assert left_behind(tmp_path) == ["file"]


def test_cut_connection_is_resumed_where_it_ended(mirrors, get, said, tmp_path):
    mirrors[0].files["/file"] = CONTENT
    mirrors[0].cuts = [100_000, 50_000]
    assert get(mirrors[0].url) == CONTENT
    wanted = [None, "bytes=100000-", "bytes=150000-"]
    assert mirrors[0].requests == [("/file", start) for start in wanted]
    assert ("phase", "resuming file", 1, "MB") in said.lines
    (first, _) = (text for kind, text, *_ in said.lines if kind == "message")
    assert "connection ended after 100000 of 300000 bytes" in first
    assert left_behind(tmp_path) == ["file"]


def test_part_is_kept_for_the_next_run_and_the_next_mirror(mirrors, get, tmp_path):
    mirrors[0].files["/file"] = CONTENT
    mirrors[0].cuts = [50_000] * 3
    with pytest.raises(Unavailable, match="connection ended after 150000 of 300000"):
        get(mirrors[0].url)
    assert left_behind(tmp_path) == ["file.part"]
    mirrors[1].files["/file"] = CONTENT
    assert get(mirrors[1].url) == CONTENT
    assert mirrors[1].requests == [("/file", "bytes=150000-")]


def test_server_without_ranges_starts_over(mirrors, get):
    mirrors[0].files["/file"], mirrors[0].ranges = CONTENT, False
    mirrors[0].cuts = [100_000]
    assert get(mirrors[0].url) == CONTENT


@pytest.mark.parametrize("part", [b"x" * 1000, CONTENT, CONTENT + b"x"])
def test_foreign_whole_or_overlong_part_does_no_harm(mirrors, get, tmp_path, part):
    mirrors[0].files["/file"] = CONTENT
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.part").write_bytes(part)
    assert get(mirrors[0].url) == CONTENT


def test_wrong_content_leaves_nothing_behind(mirrors, get, tmp_path):
    mirrors[0].files["/file"] = CONTENT[::-1]
    with pytest.raises(Unavailable, match="wrong content"):
        get(mirrors[0].url)
    assert left_behind(tmp_path) == []
    assert len(mirrors[0].requests) == 1


@pytest.mark.parametrize("fault", ["dead", "absent", "wrong", "cut"])
def test_second_mirror_helps_where_the_first_fails(mirrors, dead_url, get, fault, tmp_path):
    first, second = mirrors
    second.files["/file"] = CONTENT
    first.files |= {"wrong": {"/file": b"hello"}, "cut": {"/file": CONTENT}}.get(fault, {})
    first.cuts = [10] * 3 if fault == "cut" else []
    assert get(dead_url if fault == "dead" else first.url, second.url) == CONTENT
    assert left_behind(tmp_path) == ["file"]


def test_every_mirror_is_named_when_all_fail(mirrors, dead_url, get):
    with pytest.raises(Unavailable) as caught:
        get(dead_url, mirrors[0].url)
    hosts = [url.removeprefix("http://") for url in (dead_url, mirrors[0].url)]
    assert str(caught.value) == (f"{hosts[0]}: Connection refused; {hosts[1]}: HTTP 404 Not Found")


@pytest.mark.parametrize(
    "wrong", ["http://[bad", "http://a..b", "http://127.0.0.1/ä", "http://a b"]
)
def test_an_address_that_is_none_is_one_that_fails(mirrors, get, wrong):
    with pytest.raises(Unavailable, match=r"^\S"):
        get(wrong)
    mirrors[0].files["/file"] = CONTENT
    assert get(wrong, mirrors[0].url) == CONTENT


def test_huge_files_are_refused(mirrors, get, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    mirrors[0].files["/file"] = CONTENT
    with pytest.raises(Unavailable, match="more than"):
        get(mirrors[0].url)


def test_folder_that_cannot_be_written(get, tmp_path):
    (tmp_path / "sub").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write .*LANDSCAPE_CACHE chooses another"):
        get("http://127.0.0.1:9")


def test_jobs_that_start_together_download_once(mirrors, get):
    mirrors[0].files["/file"] = CONTENT
    jobs = [threading.Thread(target=get, args=(mirrors[0].url,)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(mirrors[0].requests) == 1


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path))
    assert cache_folder("data") == tmp_path / "data"
    monkeypatch.delenv("LANDSCAPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("data") == tmp_path / "landscape" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("data").parts[-3:] == (".cache", "landscape", "data")
