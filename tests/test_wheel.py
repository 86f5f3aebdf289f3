"""A wheel, built from a copy of the sources and used from another directory."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("landscape_cli", "conf", "experiments", "pyproject.toml", "README.md", "LICENSE")


def python(*words, **settings):
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=240, **settings
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with nothing in it but the unpacked wheel."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / name)
    pip = ["-m", "pip", "--disable-pip-version-check"]
    built = python(*pip, "wheel", "--no-deps", "--wheel-dir", work, source)
    assert built.returncode == 0, built.stderr
    (wheel,) = work.glob("landscape_cli-*.whl")
    installed = python(
        *pip, "install", "--no-deps", "--no-compile", "--target", work / "site", wheel
    )
    installed.check_returncode()
    return work / "site"


def from_wheel(site, cwd, *words):
    return python(
        "-m", "landscape_cli", *words, cwd=cwd, env=os.environ | {"PYTHONPATH": str(site)}
    )


def test_only_the_package_is_installed(site):
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names - {"bin"} == {"landscape_cli"}
    assert (site / "landscape_cli" / "conf" / "budget" / "smoke.yaml").exists()
    assert (site / "landscape_cli" / "py.typed").exists()


def test_the_wheel_runs_from_another_directory(site, toy_folder, tmp_path):
    code = "import landscape_cli.cli as cli; print(cli.__file__)"
    where = python("-c", code, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)})
    assert where.stdout.startswith(str(site)), "the test would not test the wheel"
    assert "smoke" in from_wheel(site, tmp_path, "list", "budgets").stdout
    words = ["run", "toy", "--config-dir", toy_folder, "plugins=[toy]", "budget=smoke"]
    result = from_wheel(site, tmp_path, *words)
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.glob("outputs/*/*/manifest.json"))) == 1
