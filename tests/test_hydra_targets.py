"""Hydra runs nothing that a configuration names, except what is installed for it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import landscape
from hydra._internal import hydra as internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from landscape_cli import hydra_targets

COMMAND = str(Path(sys.executable).parent / "landscape")
EVIL = "{_target_: os.mkdir, path: pwned}"
LAUNCHER = "only hydra._internal.core_plugins.basic_launcher.BasicLauncher may be named here$"


def refused(words, cwd):
    """What a run says that was refused before it did anything."""
    before = sorted(cwd.rglob("*"))
    result = landscape("run", "geodesic", "budget=smoke", "model=ring", *words, cwd=cwd)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert sorted(cwd.rglob("*")) == before
    return result.stderr.removeprefix("landscape: ").strip()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["+hydra.callbacks.a._target_=os.mkdir", "+hydra.callbacks.a.path=pwned"],
            "hydra.callbacks.a._target_=os.mkdir: refused; only landscape_cli.jobs.Footing may",
        ),
        ([f"+hydra.callbacks.a.b=[{EVIL}]"], r"hydra.callbacks.a.b.0._target_=os.mkdir: refused"),
        (["+hydra.callbacks.a=${evil}", f"+evil={EVIL}"], "hydra.callbacks.a._target_=os.mkdir:"),
        ([f"+hydra.callbacks.landscape.x={EVIL}"], "callbacks.landscape.x._target_=os.mkdir: ref"),
        (["-m", "hydra.launcher._target_=os.system"], f"_target_=os.system: refused; {LAUNCHER}"),
        (["-m", "hydra.sweeper._target_=os.system"], "hydra.sweeper._target_=os.system: refused"),
        (["-m", f"+hydra.launcher.x={EVIL}"], "hydra.launcher.x._target_=os.mkdir: refused"),
        (["-m", "hydra.launcher=null"], "hydra.launcher: has no _target_"),
        (["hydra/job_logging=default"], "hydra/job_logging: refused; choose none"),
        (["hydra/hydra_logging=default"], "hydra/hydra_logging: refused; choose none"),
        (["hydra.job_logging=${model}"], "hydra/job_logging: refused; choose none"),
        (["--cfg", "job", f"+hydra.callbacks.a={EVIL}"], "hydra.callbacks.a._target_=os.mkdir: "),
    ],
)
def test_nothing_named_in_the_hydra_node_is_run(tmp_path, words, message):
    assert re.search(message, refused(words, tmp_path))


@pytest.mark.parametrize("flags", [[], ["-m"], ["--dry-run"]])
def test_a_yaml_that_brings_a_callback_is_refused(tmp_path, flags):
    (tmp_path / "model").mkdir()
    text = f"# @package _global_\nhydra:\n  callbacks:\n    evil: {EVIL}\n"
    (tmp_path / "model" / "evil.yaml").write_text(text)
    said = refused(["--config-dir", tmp_path, "model=evil", *flags], tmp_path)
    assert said.startswith("hydra.callbacks.evil._target_=os.mkdir: refused")


def test_one_job_of_a_multirun_is_checked_like_a_run(tmp_path):
    """Its logging is its own: Hydra sets it up before the job."""
    (tmp_path / "model").mkdir()
    logging = "{version: 1, root: {handlers: [a]}, handlers: {a: {(): os.mkdir, path: pwned}}}"
    text = f"# @package _global_\nhydra:\n  job_logging: {logging}\n"
    (tmp_path / "model" / "evil.yaml").write_text(text)
    said = refused(["--config-dir", tmp_path, "model=evil,evil", "-m"], tmp_path)
    assert said.startswith("hydra/job_logging: refused")


def test_logging_without_a_root_is_logging_too(tmp_path):
    (tmp_path / "hydra" / "job_logging").mkdir(parents=True)
    text = "version: 1\nhandlers: {a: {(): os.mkdir, path: pwned}}\n"
    (tmp_path / "hydra" / "job_logging" / "evil.yaml").write_text(text)
    said = refused(["--config-dir", tmp_path, "hydra/job_logging=evil"], tmp_path)
    assert said.startswith("hydra/job_logging: refused")


def test_a_run_is_composed_once(tmp_path, monkeypatch):
    calls, compose = [], ConfigLoaderImpl._load_configuration_impl
    count = lambda *given, **named: calls.append(given) or compose(*given, **named)
    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", count)
    assert refused(["pairs=0"], tmp_path) == "pairs=0: must be at least 1"
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("mode", "typed"),
    [
        ("null", []),
        ("RUN", ["seed=0,1"]),
        ("MULTIRUN", []),
        ("MULTIRUN", ["seed=0,1"]),
        pytest.param("null", ["seed=0,1"], marks=pytest.mark.slow),
        pytest.param("RUN", [], marks=pytest.mark.slow),
    ],
)
def test_a_yaml_may_say_that_it_sweeps(toy_folder, tmp_path, mode, typed):
    """`hydra.mode` decides, as Hydra documents it; without it several values need -m."""
    shutil.copytree(toy_folder, tmp_path / "mine")
    experiment = tmp_path / "mine" / "experiment" / "toy.yaml"
    experiment.write_text(experiment.read_text() + f"hydra:\n  mode: {mode}\n")
    words = ["run", "toy", "--config-dir", "mine", "plugins=[toy]", "figures=[]", *typed]
    result = landscape(*words, cwd=tmp_path)
    jobs = sorted(path.parent.name for path in tmp_path.glob("outputs/*/*/*/manifest.json"))
    if mode == "MULTIRUN":
        assert jobs == (["0", "1"] if typed else ["0"])
        assert ("\ncomparison: " in result.stdout) == bool(typed), "as after -m"
        return
    assert jobs == []
    assert result.returncode == (2 if typed else 0), result.stderr
    assert ("several values need -m" in result.stderr) == bool(typed)


def test_hydra_is_as_it_was_afterwards():
    with pytest.raises(KeyError), hydra_targets.guarded(print):
        assert internals.ConfigLoaderImpl.func is hydra_targets.Loader
        raise KeyError
    assert internals.ConfigLoaderImpl is ConfigLoaderImpl


PLUGIN = """
from dataclasses import dataclass, field
from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper

@dataclass
class SamplerConf:
    _target_: str = "builtins.dict"

@dataclass
class SweeperConf:
    _target_: str = "hydra_plugins.mine.Mine"
    sampler: SamplerConf = field(default_factory=SamplerConf)

class Mine(Sweeper):
    def __init__(self, sampler):
        self.sampler = sampler

    def setup(self, **_):
        pass

    def sweep(self, arguments):
        print("swept", arguments[-1], "by", self.sampler)

ConfigStore.instance().store("mine", SweeperConf, group="hydra/sweeper")
"""


def test_a_sweeper_that_is_installed_may_be_named(tmp_path):
    """With the parts that it registered, and with no others."""
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "mine.py").write_text(PLUGIN)
    words = [COMMAND, "sweep", "geodesic", "seed=0,1", "hydra/sweeper=mine"]
    for part, code in (("builtins.dict", 0), ("builtins.list", 2)):
        result = subprocess.run(
            [*words, f"hydra.sweeper.sampler._target_={part}"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        assert result.returncode == code, result.stderr
        assert result.stdout == ("" if code else "swept seed=0,1 by {}\n")
    assert result.stderr.startswith("landscape: hydra.sweeper.sampler._target_=builtins.list: ref")
