"""What a manifest says of its run."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from landscape_cli import listing
from landscape_cli.manifest import describe, git_commit, references
from landscape_cli.records.words import in_words

ONE = "@article{one,\n  title = {One}\n}"
TWO = "@article{two,\n  title = {Two}\n}"


class First:
    reference = ONE


class Both:
    reference = f"{TWO}\n{ONE}"


class Reprint:
    reference = ONE.replace("One", "One, again")


class Silent:
    pass


def test_every_entry_is_given_once_also_where_parts_bring_several():
    assert references([First(), Both(), Silent(), Reprint()]) == [ONE, TWO]


def test_a_commit_says_whether_files_differ_from_it(tmp_path):
    assert git_commit(tmp_path) is None

    def git(*words):
        me = ["-c", "user.name=me", "-c", "user.email=me@here", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *me, *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "x").write_text("1")
    git("init")
    git("add", "x")
    git("commit", "-m", "x")
    (tmp_path / "new").touch()  # not of the checkout
    commit = git_commit(tmp_path) or ""
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (tmp_path / "x").write_text("2")
    assert git_commit(tmp_path) == f"{commit}+changes"


def test_parts_are_named_as_they_were_chosen():
    parts = {"model": First(), "gauge": None, "methods": {"mine": Silent(), "typed": Both()}}
    choices = {"model": "small", "gauge": "none", "method@methods.mine": "quick", "budget": "desk"}
    manifest = describe("toy", ["pairs=3"], 7, parts, choices)
    assert manifest["seed"] == 7 and "scipy" in manifest["versions"]
    assert manifest["chosen"] == {"model": "small", "methods.mine": "quick", "budget": "desk"}
    config = {
        "pairs": 3,
        "model": {"_target_": "some.First", "width": 4},
        "methods": {
            "mine": {"_target_": "some.Silent"},
            "typed": {"_target_": "some.Both", "a": 1},
        },
        "budget": {"pairs": 3},
    }
    lines = [" ".join(line.split()) for line in in_words(manifest, config, {}).splitlines()]
    shown = "pairs 3", "model small: First width=4", "methods.mine quick: Silent"
    for line in (*shown, "methods.typed Both a=1", "budget desk: pairs=3"):
        assert line in lines


def test_every_paper_is_written_down_once():
    folders = [Path(listing.__file__).parent, listing.conf_folder().parent / "experiments"]
    files = {path.resolve() for folder in folders for path in folder.rglob("*.py")}
    found = Counter(
        key for path in files for key in re.findall(r"@[a-z]+\{(\w+),", path.read_text("utf-8"))
    )
    assert found.total() > 20 and {key for key, times in found.items() if times > 1} == set()
