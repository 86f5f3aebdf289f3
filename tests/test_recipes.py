"""Every recipe runs at the smallest budget and writes the files it promises."""

import json
import os
import re
from dataclasses import fields, replace
from pathlib import Path

import commands
import pytest
import xarray
from compositions import composed
from small import slow

from landscape_cli import config, runner
from landscape_cli.errors import UserError
from landscape_cli.overrides import check_used
from landscape_cli.setup import Setup

CONF = Path(__file__).parents[1] / "conf" / "experiment"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
TINY = ["model.channels=2", "data.size=8", "trainer.steps=10", "levels=[0.3]", "pairs=1"]
FEWER = {  # levels enough to see the procedure
    "fb2016_cubic": ["levels=[0.3,0.16]"],
    "fb2016_quadratic": ["levels=[0.125,0.1]", "pairs=1"],
    "fb2016_mnist": [
        "levels=[0.95,0.3]",
        "data.size=8",
        "data.test=32",
        "trainer.steps=10",
        "engine.strategy=loop",
        "pairs=1",
    ],
    "fb2016_cifar": [],
    "draxler2018_resnet20": ["method=straight", "engine.strategy=loop", *TINY],
    "garipov2018_resnet": ["method=straight", "engine.strategy=loop", *TINY],
    "path_shape": ["levels=[0.05,0.02]", "pairs=1", "experiment.examples=16", "method=neb"],
    "plateau_shift": ["levels=[0.18,0.17,0.16]", "experiment.alphas=[0.95]"],
    "geodesic": ["levels=[0.05,0.02]"],
    "barrier_scan": [
        "levels=[1.0]",
        "experiment.widths=[3,6]",
        "experiment.dense=6",
        "method=straight",
        "pairs=1",
        "data.train=64",
        "engine.strategy=loop",
    ],
    "interpolation": ["levels=[0.05,0.02]"],
    "network_of_minima": ["levels=[0.05,0.02]", "experiment.minima=3", "method=straight"],
    "connect": ["levels=[0.05,0.02]", "experiment.methods=[straight,bezier]", "pairs=1"],
    "theory_check": [
        "experiment.depths=[2]",
        "experiment.linear_levels=[0.1]",
        "experiment.relu_levels=[0.08]",
        "experiment.factor_levels=[0.99]",
        "experiment.alphas=[0.7]",
        "pairs=1",
    ],
}
TWINS = {  # recipe: of the same class, on the same kind of network and data
    "garipov2018_resnet": "draxler2018_resnet20",
    "fb2016_cifar": "fb2016_mnist",
    "fb2016_cubic": "fb2016_quadratic",
}
NEEDS_FILES = {"fb2016_mnist", "fb2016_cifar", "draxler2018_resnet20", "garipov2018_resnet"}


def run(folder, name, *words, figures="[png]"):
    command = ["run", name, "budget=smoke", f"figures={figures}", *words]
    return commands.landscape(*command, cwd=folder)


def test_every_recipe_is_tried_here():
    assert set(NAMES) == set(FEWER)


@pytest.mark.parametrize("name", NAMES)
def test_no_recipe_varies_images_that_no_step_would_see(name):
    cfg = composed(f"experiment={name}")
    assert cfg.trainer.batch or not cfg.data.get("augment")
    for budget in ("smoke", "paper") if "augment" in cfg.data else ():
        cfg = composed(f"experiment={name}", f"budget={budget}")
        assert cfg.trainer.batch or not cfg.data.get("augment"), budget


class Untouchable:
    """Stands in for a part that a recipe says it never looks at."""

    def __getattribute__(self, name):
        raise AssertionError(f"{name} was asked of a part that is not used")

    __iter__ = __len__ = __bool__ = __getitem__ = __getattribute__  # pyright: ignore


def without_unused(parts, *rest):
    """The setup of a run, in which what the recipe does not use cannot be used."""
    made = SET_UP(parts, *rest)
    unused = set(parts["experiment"].unused) & {field.name for field in fields(Setup)}
    return replace(made, **dict.fromkeys(unused - {"gauges"}, Untouchable()))


SET_UP = runner.set_up


@pytest.mark.parametrize("name", [slow(name) if name in TWINS else name for name in NAMES])
def test_recipe_runs_at_the_smallest_budget(name, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "set_up", without_unused)
    if name in NEEDS_FILES and not os.environ.get("LANDSCAPE_DATA"):
        pytest.skip("set LANDSCAPE_DATA to a folder with MNIST and CIFAR-10")
    with commands.one_picture():
        check(run(tmp_path, name, *FEWER[name]), tmp_path)


def test_a_statement_that_fails_is_a_result(tmp_path):
    """Networks of one step do not get to the levels of the statements about them."""
    done = run(tmp_path, "theory_check", *FEWER["theory_check"], "trainer.steps=1")
    check(done, tmp_path)
    assert "\nFAILED: linear network: " in done.stderr
    (summary,) = tmp_path.glob("outputs/*/*/summary.json")
    counts = json.loads(summary.read_text())["theory_check"]
    assert 0 < counts["failed"] < counts["statements"]
    assert f"{counts['passed']} of {counts['statements']} statements passed" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_recipe_runs_with_all_of_its_own_settings(name, tmp_path):
    if name in NEEDS_FILES and not os.environ.get("LANDSCAPE_DATA"):
        pytest.skip("set LANDSCAPE_DATA to a folder with MNIST and CIFAR-10")
    check(run(tmp_path, name), tmp_path)


def check(done, tmp_path):
    """The run has finished, and what it promises is there."""
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = tmp_path.glob("outputs/*/*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    files = sorted((folder / "data").glob("*.nc"))
    assert files and all(xarray.load_dataset(file, engine="h5netcdf").sizes for file in files)
    assert set(json.loads((folder / "summary.json").read_text())) == {f.stem for f in files}
    assert list((folder / "plots").glob("*.png")) or "theory_check" in folder.name, (
        "all others draw"
    )


def test_a_seed_gives_the_same_numbers_and_another_seed_others(tmp_path):
    lengths = []
    for number, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = ["geodesic", "levels=[0.05,0.02]", "pairs=1", f"seed={seed}"]
        assert run(folder, *words, figures="[]").returncode == 0
        (file,) = folder.glob("outputs/*/*/data/geodesics.nc")
        rows = xarray.load_dataset(file, engine="h5netcdf")
        lengths.append(rows.length.fillna(-1).values.tolist() + rows.peak.values.tolist())
    assert lengths[0] == lengths[1] != lengths[2]


WORDS = {  # a choice for every group and some settings that all recipes share
    "model": "model=cubic_tanh", "functional": "functional=mse", "method": "method.dense=3",
    "gauge": "gauge=signs", "gauges": "+gauge@gauges.b=signs", "levels": "levels=[0.2]",
    "methods": "+method@methods.b=neb", "warm_start": "warm_start=bezier", "bn": "bn=recompute",
    "bn_examples": "bn_examples=7", "method.alpha": "method.alpha=0.5", "trainer": "trainer=adam",
    "data": "data=cubic", "pairs": "pairs=1", "seed": "seed=1", "engine": "engine=auto",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_a_recipe_never_looks_at_is_refused_where_it_is_typed(name, tmp_path):
    """It was taken without a word, and went into the file of settings."""
    unused = config.build(composed(f"experiment={name}").experiment, "experiment").unused
    assert set(unused) <= set(WORDS)
    said = {key: f"{WORDS[key]}: {name} takes no {key}; {why}" for key, why in unused.items()}
    for key, message in said.items():
        with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
            check_used([WORDS[key]], name, unused)
    for key in list(said)[-1:]:  # the command says what that says
        done = run(tmp_path, name, WORDS[key], "--dry-run")
        assert done.returncode == 2
        assert done.stderr == f"landscape: {said[key]}\n"
    used = [WORDS[key] for key in WORDS if not {key, key.partition(".")[0]} & set(unused)]
    check_used(used, name, unused)


def test_what_is_not_asked_for_is_not_refused():
    check_used(
        ["~method@warm_start", "methodical=3", "+plugins=[a@method]"], "toy", {"method": ""}
    )
    with pytest.raises(UserError, match=r"^warm_start\.steps=3: toy takes no warm_start; it is"):
        check_used(["warm_start.steps=3"], "toy", {"warm_start": "it is cold"})


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trainer.batch=1000", "trainer.batch=1000: the data has 64 examples"),
        ("functional=cross_entropy", "functional.metric=cross_entropy: data=cubic has no classes"),
    ],
)
def test_parts_that_do_not_fit_leave_no_run_folder(tmp_path, word, message):
    done = run(tmp_path, "geodesic", word)
    assert done.returncode == 2
    assert f"landscape: {message}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("outputs/*/*"))
