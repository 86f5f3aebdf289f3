"""The installed command: folders, exit codes, the text of messages.

In a real process where that matters, else in this one, which is sooner done.
"""

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest
from commands import landscape

from landscape_cli.interrupts import interruptible

COMMAND = str(Path(sys.executable).parent / "landscape")
SLOW = pytest.mark.slow  # goes the way of its neighbors


def process(*words, cwd=None, **environment):
    """Run the installed command to its end."""
    return subprocess.run(
        [COMMAND, *map(str, words)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def toy(toy_folder, tmp_path):
    """`landscape run toy ...` with the user's own parts, in an empty folder."""

    def run(*words, by=landscape):
        start = ["run", "toy", "--config-dir", toy_folder, "plugins=[toy]"]
        return by(*start, *words, cwd=tmp_path)

    return run


def refusal(result):
    """The one line a refused command prints."""
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("landscape: ")
    return result.stderr.removeprefix("landscape: ").strip()


def manifests(folder):
    return [
        json.loads(path.read_text()) for path in sorted(folder.glob("outputs/**/manifest.json"))
    ]


def test_help_names_every_verb():
    text = process("--help").stdout
    for verb in ("run", "sweep", "list", "show", "plot", "tune", "doctor"):
        assert f"landscape {verb}" in text


def test_devices_that_are_not_there_are_said_so():
    said = refusal(process("run", "geodesic", "model=ring", JAX_PLATFORMS="foo"))
    assert said.startswith("JAX_PLATFORMS=foo: JAX finds no such device")


@pytest.mark.parametrize("error", [AssertionError, RuntimeError])
def test_the_doctor_goes_on_where_devices_are_not_there(monkeypatch, error):
    monkeypatch.setattr(jax, "devices", mock.Mock(side_effect=error))
    done = landscape("doctor", JAX_PLATFORMS="cuda")
    assert "\ndevice: JAX_PLATFORMS=cuda: JAX finds no such device" in done.stdout
    assert done.returncode == 0 and "\ndata" in done.stdout


@SLOW
def test_the_doctor_goes_on_in_a_process():
    done = process("doctor", JAX_PLATFORMS="cuda")
    if "device: JAX_PLATFORMS=cuda" not in done.stdout:
        pytest.skip("there is a GPU")
    assert done.returncode == 0 and "\ndata" in done.stdout


def test_letters_that_a_terminal_cannot_show_end_nothing():
    done = process("list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"\u03a3" in done.stdout


def test_version():
    assert re.fullmatch(r"landscape \d+\.\d+\.\d+\n", process("--version").stdout)


@pytest.mark.parametrize("by", [landscape, pytest.param(process, marks=SLOW)])
def test_a_run_leaves_its_folder(toy, tmp_path, by):
    """In a process, too: tests/test_wheel.py."""
    result = toy("pairs=3", by=by)
    assert result.returncode == 0, result.stderr
    (folder,) = tmp_path.glob("outputs/*/*")
    assert re.fullmatch(r"\d\d-\d\d-\d\d-\d{6}_toy", folder.name)
    assert f"run: {folder}" in result.stdout
    assert "numbers: the largest is 2\n" in result.stdout
    (manifest,) = manifests(tmp_path)
    assert manifest["status"] == "finished"
    assert manifest["seed"] == 0
    assert manifest["command"].startswith("landscape run toy --config-dir=/")
    assert manifest["command"].endswith("'plugins=[toy]' pairs=3")
    assert manifest["references"] == ["@misc{toy, title={A toy}}"]
    assert manifest["compile_seconds"] >= 0
    assert "pairs: 3" in (folder / "config.yaml").read_text()
    assert (folder / "data" / "numbers.nc").exists()

    shown = landscape("show", folder).stdout
    assert re.search(r"largest +2", shown)
    assert "@misc{toy" in shown
    assert re.search(r"model +toy: Net widths=\[3, 3\]", shown)


def test_one_job_of_a_multirun_fails_and_the_others_run(toy, tmp_path):
    words = ["experiment.then=end,early,wait_not", "-m", "pairs=2"]  # -m anywhere
    result = toy(*words, "figures=[]")
    assert result.returncode == 2
    said = [line for line in result.stderr.splitlines() if "rror" in line or "landscape" in line]
    assert said == [
        "landscape: job 1: model and data do not fit",
        "landscape: 1 of 3 jobs failed",
    ]
    assert [each["status"] for each in manifests(tmp_path)] == ["finished"] * 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=0,-1", "seed=-1: must be at least 0"),
        pytest.param("pairs=1,x", "pairs=x: expected an integer", marks=SLOW),
        ("model.depth=1,0", "model.depth must be at least 1, got 0"),
        pytest.param("+engine.nope=1,2", "engine.nope: no such setting of Engine", marks=SLOW),
    ],
)
def test_a_bad_job_of_a_multirun_is_refused_before_the_first_begins(toy, tmp_path, word, message):
    said = refusal(result := toy(word, "-m"))
    assert said.startswith(message) and result.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_bug_in_a_job_of_a_multirun_is_shown_and_the_others_run(toy, tmp_path):
    result = toy("experiment.then=crash,end", "-m", "pairs=2", "figures=[]")
    assert result.returncode == 1
    assert result.stderr.count("Traceback") == 1
    assert result.stderr.endswith("\nlandscape: 1 of 2 jobs failed\n")
    assert [manifest["status"] for manifest in manifests(tmp_path)] == ["failed", "finished"]


def test_sweep_is_run_m(toy_folder, tmp_path):
    words = ["toy", "--config-dir", toy_folder, "plugins=[toy]", "model.depth=1,2"]
    assert landscape("sweep", *words, cwd=tmp_path).returncode == 0
    assert [path.name for path in sorted(tmp_path.glob("outputs/*/*/[0-9]"))] == ["0", "1"]
    (folder,) = tmp_path.glob("outputs/*/*")
    shown = landscape("show", folder, cwd=tmp_path).stdout.splitlines()
    assert [line for line in shown if line.startswith("run: ")] == [
        f"run: {folder}/0",
        f"run: {folder}/1",
    ]
    assert sum("numbers: the largest is" in line for line in shown) == 2
    drawn = landscape("plot", folder, "--config-dir", toy_folder, cwd=tmp_path)
    assert drawn.stdout.count("figure: ") == 4, drawn.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=toi"], "model=toi: no such model; choose from .*toy.*did you mean 'toy'"),
        pytest.param(
            ["warm_start=strait"],
            "warm_start=strait: no such method; .*did you mean 'straight'",
            marks=SLOW,
        ),
        (["modle=toy"], "modle: no such setting; .*did you mean 'model'"),
        (["model.widht=3"], "model.widht: no such setting; .*did you mean 'widths'"),
        (["+model.heads=3"], "model.heads: no such setting of Net; choose from bias, depth"),
        (["+levles=3"], "levles: no such setting; .*did you mean 'levels'"),
        pytest.param(["model.depth=x"], "model.depth=x: expected an integer", marks=SLOW),
        pytest.param(
            ["model.depth=1000.0"], "model.depth=1000.0: expected an integer", marks=SLOW
        ),
        pytest.param(["model.depth=0"], "model.depth must be at least 1, got 0", marks=SLOW),
        pytest.param(["model.widths=3"], "model.widths=3: expected a list", marks=SLOW),
        pytest.param(["pairs=0"], "pairs=0: must be at least 1", marks=SLOW),
        (["seed=-1"], "seed=-1: must be at least 0"),
        (["levels=0.1"], r"levels=0.1: expected a list, each a number; write levels=\[0.1\]$"),
        (["levels=[]"], r"levels=\[\]: give at least one level"),
        pytest.param(
            ["levels=[0.1,0.2]"], r"levels=\[0.1,0.2\]: .*strictly decreasing", marks=SLOW
        ),
        pytest.param(["levels=[nan]"], r"levels=\[nan\]: .*positive, finite", marks=SLOW),
        pytest.param(["levels=[0.1,-1]"], "levels=.*positive, finite", marks=SLOW),
        (["precision=float16"], "precision=float16: choose float64 or float32"),
        pytest.param(
            ["budget.pairs=few"], "budget.pairs=few: must be a positive whole number", marks=SLOW
        ),
        pytest.param(
            ["budget.train_steps=1e3"],
            "budget.train_steps=1000.0: must be a positive whole number",
            marks=SLOW,
        ),
        (["+budget.evaluatoins=3"], "budget.evaluatoins: no such .*did you mean 'evaluations'"),
        (["seed=0,1"], "seed=0,1: several values need -m"),
        (["+pairs=3"], r"\+pairs: is a setting already; change it with pairs=..., without \+"),
        (["-m", "hydra.run.dir=mine", "seed=0,1"], "hydra.run.dir=mine: .*hydra.sweep.dir"),
        pytest.param(
            ["seed=range(0,2)"], r"seed=range\(0,2\): several values need -m", marks=SLOW
        ),
        (["+x"], r"\+x: cannot be read; write key=value"),
        (
            ["hydra.run.dir=out(1)"],
            r"""cannot be read; .* quote it: "hydra.run.dir='out\(1\)'"$""",
        ),
        pytest.param(
            ["data.dir=/tmp/jürgen"], "quote it: \"data.dir='/tmp/jürgen'\"$", marks=SLOW
        ),
        (["data.dir=a=b'c"], r"""quote it: "data.dir='a=b\\'c'"$"""),
        pytest.param(["pairs:3"], "pairs:3: cannot be read; write key=value", marks=SLOW),
        (["="], "=: write key=value"),
        (["model=null"], "model=null: choose from alexnet, .*toy"),
        pytest.param(["budget=null"], "budget=null: choose from desk, paper, smoke", marks=SLOW),
        (["model=toy,3", "-m"], "model=toy,3: choose from alexnet, .*toy"),
        (["~model"], "~model: cannot be removed, every run needs it"),
        pytest.param(["~pairs"], "~pairs: cannot be removed, every run needs it", marks=SLOW),
        (["pairs.x=1"], "pairs.x=1: pairs is an integer, without settings of its own"),
        pytest.param(
            ["levels={a:1}"], "levels={a:1}: levels is a list, each a number", marks=SLOW
        ),
        pytest.param(["model.widths={a:1}"], "model.widths: expected a list", marks=SLOW),
        (["model.widths.a=3"], "model.widths.a=3: cannot be set"),
        (["data=none", "data.x=1"], "data.x: data has no settings as it was chosen"),
        (["levels=${nope}"], "levels: .*nope"),
        (["model=glob(z*)", "-m"], r"model=glob\(z\*\): matches nothing; choose from .*toy"),
        (["model=evil"], "model._target_=os.system: refused"),
        (["model._target_=toy.Points"], "model._target_=toy.Points: refused; a model must be"),
        (["plugins=[absent]"], r"plugins=\[absent\]: cannot import absent"),
        (["hydra.run.dir="], "hydra.run.dir=: name a folder"),
        (["hydra.sweep.dir=''", "-m"], "hydra.sweep.dir='': name a folder"),
        (["hydra.run.dir=/dev/null/x"], "cannot write /dev/null/x: Not a directory"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--dryrun"], r"arguments: --dryrun \(did you mean '--dry-run'\?\); see"),
        (["-m", "seed=range(0)"], r"^seed=range\(0\): has no values, so there would be no jobs"),
        (["-m", "--cfg", "job"], "^--cfg shows one run at a time; leave out -m"),
        (["+gauge@gauge.matched=signs"], "^gauge.matched: no such setting of .*; gauge has none"),
        (["method@methods.a=toy"], r"^method@methods.a: nothing .* add it with \+method@meth"),
        (["-m", "seed=interval(0,1)"], r"^-m: interval\(...\) is for sweepers that search; "),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(toy, tmp_path, words, message):
    assert re.search(message, refusal(toy(*words)))
    assert not list(tmp_path.glob("outputs"))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("then", "place"),
    [
        ("experiment.then=early", ["hydra.run.dir=."]),
        ("seed=-1", ["hydra.run.dir=mine"]),
        ("experiment.then=early", ["hydra.run.dir=mine"]),
        ("experiment.then=early", ["hydra.run.dir=new/one"]),
        ("experiment.then=early", ["-m", "hydra.sweep.dir=mine", "hydra.sweep.subdir=."]),
        ("seed=-1", ["-m", "hydra.sweep.dir=new/many"]),
        pytest.param("seed=-1", ["hydra.run.dir=."], marks=SLOW),
        pytest.param("seed=-1", ["hydra.run.dir=new/one"], marks=SLOW),
        pytest.param(
            "seed=-1", ["-m", "hydra.sweep.dir=mine", "hydra.sweep.subdir=."], marks=SLOW
        ),
        pytest.param("experiment.then=early", ["-m", "hydra.sweep.dir=new/many"], marks=SLOW),
    ],
)
def test_a_refused_run_leaves_a_folder_as_it_found_it(toy, tmp_path, place, then):
    """It once removed the user's folder with everything in it."""
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    before = sorted(tmp_path.rglob("*"))
    assert toy(then, *place).returncode == 2
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", ["", "- a\n", "widths: [3]\n"])
def test_an_option_that_names_no_class_is_named(tmp_path, content):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(content)
    words = ["run", "geodesic", "--config-dir", tmp_path, "model=mine"]
    said = refusal(landscape(*words, cwd=tmp_path))
    assert said == "model=mine: its YAML file has no _target_, which names a class"


def test_a_multirun_that_cannot_be_composed_leaves_nothing(toy, tmp_path):
    assert "model=toi: no such model" in refusal(toy("model=toy,toi", "-m"))
    assert not list(tmp_path.iterdir())


def test_a_process_refuses_with_its_exit_code(tmp_path):
    """As all of them do here."""
    words = ["run", "geodesic", "pairs=x"]
    said = refusal(process(*words, cwd=tmp_path))
    assert said == refusal(landscape(*words, cwd=tmp_path))
    assert not list(tmp_path.glob("outputs"))


def test_a_dry_run_says_what_a_run_would_need(tmp_path):
    # Nine dimensions, as nowhere else: in this process, too, there is something to compile.
    words = ["run", "geodesic", "model=ring", "model.dimension=9", "pairs=2", "levels=[2]"]
    words += ["figures=[]"]
    lines = landscape(*words, "--dry-run", cwd=tmp_path).stdout.splitlines()
    names = "parameters data engine activations strings memory gradients speed time"
    assert [line.split()[0] for line in lines] == names.split()
    assert not list(tmp_path.glob("outputs"))

    result = landscape(*words, "budget=smoke", cwd=tmp_path)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("estimate: ")]
    assert line.startswith("estimate: 9 parameters, 0 examples; engine by rule: vmap, ")
    assert "; strings " in line
    (manifest,) = manifests(tmp_path)
    assert manifest["engine"].startswith("by rule: vmap")
    assert manifest["compile_seconds"] > 0
    (log,) = tmp_path.glob("outputs/*/*/run.log")
    assert line in log.read_text()


def test_a_dry_run_refuses_a_batch_that_the_run_would_refuse(tmp_path):
    words = ["run", "geodesic", "budget=smoke", "trainer.batch=65"]
    said = refusal(landscape(*words, "--dry-run", cwd=tmp_path))
    assert said == "trainer.batch=65: the data has 64 examples; null takes all"
    assert said in landscape(*words, cwd=tmp_path).stderr
    closed = landscape("run", "geodesic", "model=ring", words[-1], "--dry-run", cwd=tmp_path)
    assert closed.returncode == 0, "nothing is trained"


def test_a_dry_run_counts_the_steps_of_training(tmp_path):
    """Four of an epoch; it said 2,000."""
    words = ["trainer=sgd", "trainer.epochs=1", "trainer.batch=16", "data.test=640", "pairs=2"]
    said = landscape("run", "geodesic", *words, "budget=smoke", "--dry-run", cwd=tmp_path).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("training ")]
    assert line == "training     4 networks through 8 levels, 4 steps at most"


def test_a_dry_run_says_that_it_is_timing(tmp_path):
    """It said nothing while programs compiled, which takes minutes for large networks."""
    result = landscape("run", "geodesic", "model=ring", "--dry-run", cwd=tmp_path)
    assert result.returncode == 0 and "timing ..." in result.stderr.splitlines()


@pytest.fixture
def few_images(tmp_path):
    """Words for a small network on twenty images in the form of CIFAR-10."""
    records = np.zeros((20, 3073), np.uint8)
    records[:, 0] = np.arange(20) % 10
    (tmp_path / "cifar-10-batches-bin").mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        records.tofile(tmp_path / "cifar-10-batches-bin" / f"{name}.bin")
    small = ["model=mlp", "model.widths=[3]", "data=cifar10", "budget=smoke"]
    data = [f"data.dir={tmp_path}", "data.size=8", "data.train=20", "data.test=20"]
    return ["run", "geodesic", *small, *data]


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_images_that_no_step_would_see_varied_are_refused(few_images, tmp_path, flags):
    """With full batches `data.augment=true` changed nothing."""
    said = refusal(landscape(*few_images, "data.augment=true", *flags, cwd=tmp_path))
    assert said.startswith(
        "data.augment=true: only mini-batches are varied, and trainer.batch=null"
    )
    assert "set trainer.batch to at most 20, or data.augment=false" in said
    assert not list(tmp_path.glob("outputs"))


def test_images_of_mini_batches_are_varied(few_images, tmp_path):
    words = [*few_images, "data.augment=true", "trainer.batch=20", "--dry-run"]
    assert landscape(*words, cwd=tmp_path).returncode == 0


def test_a_recipe_without_an_estimate_says_so(toy, tmp_path):
    result = toy("--dry-run")
    assert (result.returncode, result.stdout) == (0, "no estimate for this experiment\n")
    assert not list(tmp_path.glob("outputs"))


def test_a_folder_that_is_gone_is_said_so(tmp_path):
    (tmp_path / "gone").mkdir()
    with contextlib.chdir(tmp_path / "gone"):
        (tmp_path / "gone").rmdir()
        result = subprocess.run(
            [COMMAND, "run", "geodesic", "--cfg", "job"], capture_output=True, text=True
        )
    assert "the current folder is no longer there" in refusal(result)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("words", [["list"], ["list", "budgets"], ["run", "geodesic", "--help"]])
def test_an_output_that_cannot_be_written_is_said_so(words):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert f"({os.strerror(28)})" in refusal(result) or "cannot write the output" in result.stderr


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_what_does_not_fit_is_refused_before_it_starts(tmp_path, words):
    huge = ["run", "geodesic", "model.widths=[60000,60000]", *words]
    said = refusal(landscape(*huge, cwd=tmp_path))
    assert re.match("not enough memory: this run needs .* GiB .* are free; lower method.", said)
    assert not list(tmp_path.glob("outputs"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["barrier_scan", "warm_start=dynamic_string"],
            "warm_start=dynamic_string: looks inside a level set",
        ),
        (
            ["network_of_minima", "warm_start=taut_string"],
            "warm_start=taut_string: looks inside a level set",
        ),
        (
            ["connect", "warm_start=taut_string"],
            "warm_start=taut_string: looks inside a level set",
        ),
        (
            ["geodesic", "method=repair", "warm_start=neb"],
            "warm_start: repair starts from nothing",
        ),
        (
            ["geodesic", "method=repair", "warm_start=neb", "--dry-run"],
            "warm_start: repair starts from nothing",
        ),
        (["geodesic", "method=repair", "model=ring"], "method=repair: a closed form has no"),
        (["geodesic", "method=dropout_path", "model=ring"], "method=dropout_path: a closed form"),
        (["geodesic", "method=function_space", "model=ring"], "the model must be a network"),
    ],
)
@pytest.mark.parametrize("flags", [[], pytest.param(["--dry-run"], marks=SLOW)])
def test_parts_that_do_not_go_together_are_refused_before_work(tmp_path, words, message, flags):
    result = landscape("run", *words, "budget=smoke", *flags, cwd=tmp_path)
    assert message in refusal(result)
    assert "training" not in result.stderr
    assert not list(tmp_path.glob("outputs"))


def test_tune_asks_for_a_network(tmp_path):
    cache = {"LANDSCAPE_CACHE": str(tmp_path / "cache")}
    for words in (["model=ring"], ["geodesic", "model=ring"]):
        result = landscape("tune", *words, cwd=tmp_path, **cache)
        assert "model: Ring is a closed form" in refusal(result)
    assert not list(tmp_path.glob("outputs"))
    assert landscape("tune", "--forget", cwd=tmp_path, **cache).stdout == "forgotten: 0 plans\n"


def test_tune_needs_a_place_for_what_it_finds(tmp_path):
    """It had timed all candidates first."""
    (tmp_path / "file").touch()
    said = refusal(landscape("tune", cwd=tmp_path, LANDSCAPE_CACHE=str(tmp_path / "file")))
    folder = tmp_path / "file" / "tune"
    assert said.startswith(f"{folder}: cannot be written (Not a directory); LANDSCAPE_CACHE")


def test_a_cache_that_cannot_be_written_is_said_once(tmp_path):
    (tmp_path / "file").touch()
    words = ["run", "geodesic", "--dry-run", "model=ring"]
    result = landscape(*words, cwd=tmp_path, LANDSCAPE_CACHE=str(tmp_path / "file"))
    said = f"landscape: {tmp_path / 'file' / 'jax'} cannot be written (Not a directory), so every"
    assert result.returncode == 0 and result.stderr.startswith(said)
    assert result.stderr.count("cannot be written") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("defaults: [smoke, _self_]\nevaluatoins: 33", "budget.evaluatoins: no such setting; .*"),
        (
            "pairs: 2",
            "budget: has no .*train_steps, .*; begin its file with defaults: .desk, _self_",
        ),
        ("defaults: [smoke, _self_]\nrate: x", "budget.rate=x: must be a positive number"),
    ],
)
def test_a_budget_of_the_users_holds_what_is_asked_of_it(tmp_path, content, said):
    file = tmp_path / "mine" / "budget" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    words = ["run", "geodesic", "--dry-run", "budget=mine", "--config-dir", tmp_path / "mine"]
    words += ["trainer.learning_rate=${budget.rate}"] if content.endswith("rate: x") else []
    assert re.match(said, refusal(landscape(*words, cwd=tmp_path)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1\nb: }", "line 2: expected ',' or ']', but got ':'"),
        (b"a: 1\na: 2", "line 2: found duplicate key a"),
        (b"# caf\xe9", "not UTF-8 text"),
        (b"3", "Invalid loaded object type: int"),
        (b"# @package 3 4", "Too many components in '@package 3 4'"),
    ],
)
def test_a_damaged_file_of_the_users_is_named(tmp_path, content, reason):
    file = tmp_path / "mine" / "model" / "bad.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    (file.parent / "folder.yaml").mkdir()
    words = ["run", "geodesic", "model=bad", "--config-dir", tmp_path / "mine"]
    assert refusal(landscape(*words, cwd=tmp_path)) == f"{file}: cannot be read ({reason})"
    listed = landscape("list", "models", "--config-dir", tmp_path / "mine")
    assert ("cannot be read (not UTF-8 text)" in listed.stderr) == (content == b"# caf\xe9")


def test_a_plugin_that_ends_the_process_is_refused(tmp_path):
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    said = refusal(landscape("run", "geodesic", "plugins=[leaves]", cwd=tmp_path))
    assert said == "plugins=[leaves]: cannot import leaves: it calls exit(3)"


def test_a_plugin_must_be_declared(toy_folder, tmp_path):
    result = landscape("run", "toy", "--config-dir", toy_folder, cwd=tmp_path)
    assert "toy.Net: refused; only classes of landscape_cli" in refusal(result)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rum"], "rum: no such verb; .*did you mean 'run'"),
        (["run", "geodesik"], "geodesik: no such experiment; .*did you mean 'geodesic'"),
        (["run"], "which experiment"),
        (["sweep"], "which experiment"),
        (["-m"], "-m: which experiment.* `landscape run <experiment> -m .*geodesic"),
        (
            ["--multirun", "geodesic"],
            "--multirun: which experiment.* `landscape run <experiment> -m",
        ),
        (["run", "geodesic", "--config-dir", "nowhere"], "--config-dir nowhere: no such folder"),
        (["list", "models", "--config-dir", "/etc/passwd"], "/etc/passwd: is not a folder"),
        (["-sc", "install=foo"], "-sc install=foo: write -sc with install=bash"),
        (["-sc"], "-sc: write -sc with install=bash"),
        (["--verion"], r"arguments: --verion \(did you mean '--version'\?\)"),
        (["list", "modles"], "list modles: .*did you mean 'models'"),
        (["show", "nowhere"], "nowhere: no such folder"),
        (["plot", "nowhere"], "nowhere: no such folder"),
        (
            ["run", "geodesic", "--cfg", "job", "-p", "nope"],
            "^--package nope: no such part of the configuration$",
        ),
        (["run", "geodesic", "--dry-run", "-m"], "--dry-run takes one run at a time"),
        (["run", "geodesic", "--dry-run", "--cfg", "job"], "--dry-run goes without --cfg"),
        (["tune", "--limit", "0"], "--limit 0: must be a positive number of seconds"),
        (["tune", "--forget", "model=mlp"], "model=mlp: --forget takes no settings"),
        (["tune", "geodesik"], "geodesik: no such experiment; .*did you mean 'geodesic'"),
        (
            ["run", "geodesic", "experiment=connect"],
            "experiment=connect: the experiment is the first word",
        ),
    ],
)
def test_bad_words_are_refused_at_once(tmp_path, words, message):
    assert re.search(message, refusal(landscape(*words, cwd=tmp_path)))


BUG = """
import sys
from landscape_cli import cli
cli.VERBS["list"] = lambda words: 1 / 0
sys.exit(cli.main())
"""


def test_a_bug_ends_a_process_with_its_traceback():
    done = subprocess.run(
        [sys.executable, "-c", BUG, "list"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback") and "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("then", "code", "status", "by"),
    [
        ("refuse", 2, "failed", landscape),
        ("crash", 1, "failed", landscape),
        ("full", 2, "failed", landscape),
        pytest.param("crash", 1, "failed", process, marks=SLOW),
    ],
)
def test_how_a_run_ended_is_written(toy, tmp_path, then, code, status, by):
    result = toy(f"experiment.then={then}", "pairs=2", by=by)
    assert result.returncode == code
    assert ("Traceback" in result.stderr) == (code == 1)
    (manifest,) = manifests(tmp_path)
    assert manifest["status"] == status
    assert list(tmp_path.glob("outputs/*/*/data/numbers.nc")), "what was finished is kept"


def test_the_first_file_that_cannot_be_written_is_named(toy):
    """Not the figure that could not be written after it."""
    said = toy("experiment.then=block").stderr
    assert re.search(r"^landscape: .*/data/numbers.nc: cannot be written", said, re.MULTILINE)
    assert "plots" not in said


@pytest.fixture(scope="module")
def toy_run(toy_folder, tmp_path_factory):
    """A run whose record is in a plug-in, as somebody else may have sent it."""
    place = tmp_path_factory.mktemp("sent")
    words = [
        "run",
        "toy",
        "--config-dir",
        toy_folder,
        "plugins=[toy]",
        f"hydra.run.dir={place}/run",
    ]
    assert landscape(*words, cwd=place).returncode == 0
    for path in (place / "run" / "plots").iterdir():
        path.unlink()
    return place / "run"


@pytest.mark.parametrize(
    ("words", "cwd"),
    [
        (["--config-dir", "FOLDER"], None),
        (["--plugin", "toy", "--config-dir", "FOLDER"], None),
        (["--plugin", "toy"], "FOLDER"),
    ],
)
def test_a_record_of_a_plugin_is_drawn_where_the_user_names_it(
    toy_run, toy_folder, tmp_path, words, cwd
):
    words = [str(toy_folder) if word == "FOLDER" else word for word in words]
    result = landscape("plot", toy_run, *words, cwd=toy_folder if cwd else tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"figure: {toy_run}/plots/numbers.png" in result.stdout


def test_figures_are_drawn_in_other_formats(toy_run, toy_folder):
    words = ("plot", toy_run, "--config-dir", toy_folder, "--format")
    result = landscape(*words, "pdf,svg")
    assert re.findall(r"plots/(.*)", result.stdout) == ["numbers.pdf", "numbers.svg"]
    for wrong in ("pdf,exe", ""):
        said = refusal(landscape(*words, wrong))
        assert f"--format=[{wrong}]: expected a list, each one of png, svg, pdf" in said
    (toy_run / "plots" / "numbers.pdf").unlink()


def test_a_damaged_file_is_told_and_the_others_are_drawn(toy_run, toy_folder):
    (toy_run / "data" / "strings.nc").write_bytes(b"junk")
    result = landscape("plot", toy_run, "--config-dir", toy_folder)
    (toy_run / "data" / "strings.nc").unlink()
    assert result.returncode == 0 and "numbers.png" in result.stdout
    assert result.stderr.startswith("landscape: left out: ") and result.stderr.count("\n") == 1


def test_a_run_folder_does_not_choose_what_is_imported(toy_run, tmp_path):
    """Not even a module that the run declared and that lies right here."""
    (tmp_path / "toy.py").write_text("open('imported', 'w')\nraise SystemError\n")
    said = refusal(process("plot", toy_run, cwd=tmp_path))
    assert "numbers.nc: its record class 'toy.Numbers' is not one of landscape_cli" in said
    assert said.endswith("name your folder with --config-dir DIR or it with --plugin toy")
    (tmp_path / "mine").mkdir()
    elsewhere = landscape("plot", toy_run, "--config-dir", "mine", cwd=tmp_path)
    assert "'toy.Numbers'" in refusal(elsewhere)
    assert not (tmp_path / "imported").exists()
    assert not list((toy_run / "plots").glob("*.tmp*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--plugin", "absent"],
            "--plugin absent: cannot import absent: No module named 'absent'",
        ),
        (["--plugin", "json"], "its record class 'toy.Numbers' is not one of landscape_cli"),
        (["--config-dir", "nowhere"], "--config-dir nowhere: no such folder"),
    ],
)
def test_a_plugin_that_is_of_no_help_is_said_so(toy_run, tmp_path, words, message):
    assert message in refusal(landscape("plot", toy_run, *words, cwd=tmp_path))


@pytest.fixture
def hangs_up():
    """Commands end with their terminal, also where the tests were told to outlive it (`nohup`)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def look_at_interrupted(place, code, said, status):
    """The run that was stopped keeps what it had, and says how to draw it."""
    assert code == 130
    (folder,) = place.glob("outputs/*/*")
    kept = f"landscape: interrupted; what was finished is kept in {folder}"
    assert f"{kept}; draw it with: landscape plot {folder}\n" in said
    assert "Traceback" not in said
    assert [manifest["status"] for manifest in manifests(place)] == [status]
    assert list(place.glob("outputs/*/*/data/numbers.nc"))
    assert not (folder / "plots").exists(), "who stops a run does not wait for figures"


@pytest.mark.parametrize(
    ("number", "then", "status"),
    [(signal.SIGHUP, "wait", "interrupted"), (signal.SIGTERM, "draw", "finished")],
)
@pytest.mark.usefixtures("hangs_up")
def test_a_run_that_is_interrupted_keeps_what_is_finished(
    toy, tmp_path, monkeypatch, number, then, status
):
    """The signal comes when the toy begins to wait or to draw, for a minute."""
    sleep = time.sleep

    def interrupted(seconds):
        if seconds == 60:
            os.kill(os.getpid(), number)
        sleep(min(seconds, 10))

    monkeypatch.setattr(time, "sleep", interrupted)
    result = toy(f"experiment.then={then}")
    look_at_interrupted(tmp_path, result.returncode, result.stderr, status)


@pytest.mark.parametrize(
    ("number", "then", "line", "status"),
    [
        # One of all signals and places: they raise the same KeyboardInterrupt. Threads go on.
        (signal.SIGINT, "work", "working\n", "interrupted"),
        pytest.param(signal.SIGHUP, "wait", "waiting\n", "interrupted", marks=SLOW),
        pytest.param(signal.SIGTERM, "draw", "drawing\n", "finished", marks=SLOW),
        pytest.param(signal.SIGINT, "wait", "waiting\n", "interrupted", marks=SLOW),
        pytest.param(signal.SIGTERM, "wait", "waiting\n", "interrupted", marks=SLOW),
        pytest.param(signal.SIGINT, "draw", "drawing\n", "finished", marks=SLOW),
    ],
)
@pytest.mark.usefixtures("hangs_up")
def test_an_interrupted_process_keeps_what_is_finished(
    toy_folder, tmp_path, number, then, line, status
):
    words = ["run", "toy", "--config-dir", str(toy_folder), "plugins=[toy]"]
    with subprocess.Popen(
        [COMMAND, *words, f"experiment.then={then}"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == line
        process.send_signal(number)
        _, said = process.communicate(timeout=30)  # of a minute that it would have gone on
    look_at_interrupted(tmp_path, process.returncode, said, status)


SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.{name})
    sum(range(1000))
except BaseException:
    raise ImportError("as a C extension would say")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_waits_until_an_import_is_over(tmp_path, monkeypatch, name):
    """A C extension that was being imported once swallowed it, or failed."""
    (tmp_path / f"swallows_{name}.py").write_text(SWALLOWS.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible():
        importlib.import_module(f"swallows_{name}")
        time.sleep(10)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_closed_terminal_is_left_to_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_interrupt_does_not_wait(tmp_path, monkeypatch):
    (tmp_path / "endless.py").write_text(
        "import os, signal\nwhile True: os.kill(os.getpid(), 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), interruptible():
        importlib.import_module("endless")


def test_the_configuration_can_be_looked_at(toy, tmp_path):
    assert "_target_: toy.Net" in toy("--cfg", "job").stdout
    assert "depth: 7" in toy("--cfg", "job", "-p", "model", "model.depth=7").stdout
    assert "warm_start" not in toy("--cfg", "job", "warm_start=null").stdout
    help_text = toy("--help").stdout
    assert "budget: desk, paper, smoke" in help_text
    assert "seed: 0" in help_text
    assert not list(tmp_path.glob("outputs"))


def test_list_has_a_line_each(toy_folder):
    lines = landscape("list", "budgets").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["budgets", "desk", "paper", "smoke"]
    assert "auto" in landscape("list", "engines").stdout
    mine = landscape("list", "models", "--config-dir", toy_folder).stdout
    assert re.search(r"^  toy +a toy network$", mine, re.MULTILINE)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("landscape ru", "run"),
        ("landscape list mo", "models"),
        ("landscape run --config-dir FOLDER t", "toy"),
        ("landscape run toy --config-dir FOLDER -m budget=", "budget=smoke"),
        ("landscape run toy --config-dir FOLDER model.de", "model.depth="),
        ("landscape tune --limit 3 model=cif", "model=cifar_cnn"),
        ("landscape tune model=cifar_resnet engine.", "engine.strategy="),
        ("landscape tune --l", "--limit"),
        ("landscape sweep geodesic --con", "--config-dir"),
        ("landscape run geo", "geodesic"),
    ],
)
def test_completion(toy_folder, line, expected):
    line = line.replace("FOLDER", str(toy_folder))
    assert expected in landscape("-sc", "query=bash", COMP_LINE=line).stdout.split()


def test_completion_installs_for_the_command():
    assert landscape("-sc", "install=bash").stdout.rstrip().endswith("landscape")


def test_doctor_names_device_cache_and_data(tmp_path):
    (tmp_path / "mnist").mkdir()
    text = landscape("doctor", LANDSCAPE_DATA=str(tmp_path)).stdout
    assert "device platform: cpu" in text
    assert "holds mnist" in text
    assert "cache: " in text
