"""The documents keep their word: commands, Python blocks, links and worked examples."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import xarray
from commands import landscape as command
from commands import one_picture, plugins_forgotten
from compositions import composed

from landscape_cli import cli, config, flags, listing
from landscape_cli.overrides import spelled_out

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING = ((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^\*\*`(\S+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(NAMED.findall(CONTRIBUTING))  # of the worked examples, by name
EXAMPLES = [name for name in FILES if name.endswith(".yaml")]


def blocks(text, language):
    return [body for kind, body in FENCED.findall(text) if kind == language]


def commands(text):
    """Every command of a page as words, without comments and settings of the environment."""
    lines = [line for body in blocks(text, "bash") for line in body.splitlines() if line.strip()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [[w for i, w in enumerate(line) if i or "=" not in w] for line in words]


def landscape(*words, cwd, figures="[]"):
    """Run the command to its end; the folder it wrote."""
    with one_picture():
        result = command(*words, f"figures={figures}", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return Path(re.findall(r"^run: (.*)$", result.stdout, re.MULTILINE)[0])


def test_the_house_has_a_word_on_every_module():
    [house] = [body for body in blocks(CONTRIBUTING, "text") if "THE PARTS" in body]
    inside = house.split("THE PARTS")[1].split("examples/")[0]
    words = [re.split(r"\s{2,}", line.strip())[0] for line in inside.splitlines() if line.strip()]
    named = set(re.findall(r"[a-z_]+", " ".join(words)))
    package = Path(config.__file__).parent
    modules = {path.stem for path in package.glob("[a-z]*.py")}
    folders = {path.name for path in package.glob("[a-z]*/")}
    assert named >= modules and named <= modules | folders


@pytest.fixture
def importable():
    """What a plug-in adds to the import path and to the modules is gone after the test."""
    with plugins_forgotten():
        yield


def build(experiment, overrides, folder=None):
    """Compose as the command does and build every part; returns the settings."""
    spelled = [spelled_out(word, listing.conf_folders(None)) for word in overrides]
    words = [f"experiment={experiment}", *spelled]
    words += [f"hydra.searchpath=[file://{folder}]"] if folder else []
    cfg = composed(*words)
    settings = config.settings(cfg)
    config.open_plugins(settings.plugins, [folder] if folder else [])
    config.build_all(cfg, settings.plugins)
    return settings


def all_values(overrides):
    """`seed=0,1` stands for two jobs; a list in brackets is one value. Every value is in a job."""
    choices = []
    for word in overrides:
        key, _, value = word.partition("=")
        values = [value] if value.startswith(("[", "{")) else value.split(",")
        choices.append([f"{key}={one}" for one in values])
    most = max(map(len, choices), default=1)
    return [[values[job % len(values)] for values in choices] for job in range(most)]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_the_figure_is_small():
    assert (ROOT / "docs" / "geodesic.png").stat().st_size < 200_000


def run_commands():
    """Commands that run an experiment, each once."""
    found = [
        line
        for line in commands(README)
        if line[:2] in (["landscape", "run"], ["landscape", "sweep"])
    ]
    return [pytest.param(line, id=" ".join(line[2:])) for line in found]


@pytest.mark.parametrize("line", run_commands())
def test_every_run_in_the_readme_builds(line, importable):
    chosen = flags.run_parser(line[1]).parse_intermixed_args(line[2:])
    folder = ROOT / chosen.config_dir if chosen.config_dir else None
    assert chosen.experiment in listing.options("experiment", listing.conf_folders(None))
    several = all_values(chosen.overrides)
    assert len(several) == 1 or chosen.multirun or line[1] == "sweep"
    for overrides in several:
        build(chosen.experiment, overrides, folder)


def test_the_other_commands_answer(run_folder, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    known = {f"landscape {verb}" for verb in ("list", "doctor", "show", "plot")}
    lines = [line for line in commands(README) if " ".join(line[:2]) in known]
    assert {" ".join(line[:2]) for line in lines} == known
    for line in lines:
        words = [str(run_folder) if word.startswith("outputs/") else word for word in line[1:]]
        with one_picture():
            assert cli.main(words) == 0, line
        assert capsys.readouterr().out, line


def test_make_targets_and_extras_exist():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"", *project["optional-dependencies"]}
    said = README + CONTRIBUTING
    assert set(re.findall(r"`make ([a-z-]+)", said)) <= set(targets)
    assert set(re.findall(r"install -e '?\.(?:\[(\w+)\])?", said)) <= extras
    assert f"[{project['version']}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A small run of the plug-in in examples/: a network and data from outside the package."""
    small = ["budget=smoke", "pairs=1", "levels=[0.5,0.4]", "method=dynamic_string"]
    words = ["--config-dir", ROOT / "examples" / "plugin", "model=residual_net", *small]
    place = tmp_path_factory.mktemp("run")
    return landscape("run", "geodesic", *words, cwd=place, figures="[png]")


def test_the_plugin_in_examples_runs(run_folder):
    with xarray.open_dataset(run_folder / "data" / "geodesics.nc", engine="h5netcdf") as rows:
        assert rows.attrs["model"] == "residual_net"
        assert rows.attrs["data"] == "spirals"
        assert bool(rows.connected.all())


def test_python_blocks_of_the_readme_run(run_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reading, door = blocks(README, "python")
    exec(reading, {"folder": run_folder})
    names = {}
    exec(door, names)
    result = names["result"]
    assert result.connected
    assert result.normalized_length == pytest.approx(1.367401, rel=5e-3)  # exact: tests/core
    assert (tmp_path / "ring.png").stat().st_size > 1000


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """The worked examples of CONTRIBUTING as a plug-in folder."""
    folder = tmp_path_factory.mktemp("worked")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_every_kind_of_part_has_a_worked_example():
    ours = {"engine"}  # one class, which nobody extends
    assert {Path(name).parent.name for name in EXAMPLES} == set(config.KINDS) - ours
    assert len(blocks(CONTRIBUTING, "python")) == sum(name.endswith(".py") for name in FILES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_examples_build(name, worked, importable):
    group, option = Path(name).parent.name, Path(name).stem
    plugins = f"plugins=[{option}]" if (worked / f"{option}.py").exists() else "plugins=[]"
    if group == "experiment":
        build(option, [plugins], worked)
    else:
        build("geodesic", [plugins, f"{group}={option}"], worked)


def test_the_commands_of_contributing_build(worked, importable):
    lines = [line for line in commands(CONTRIBUTING) if line[:2] == ["landscape", "run"]]
    assert lines
    for line in lines:
        chosen = flags.run_parser("run").parse_intermixed_args(line[2:])
        build(chosen.experiment, chosen.overrides, worked)


def test_worked_parts_run_together(worked, tmp_path):
    plugins = "plugins=[gauss_net,sine_wave,rmsprop,one_bend]"
    parts = ["model=gauss_net", "data=sine_wave", "functional=mse_test", "trainer=rmsprop"]
    small = ["method=one_bend", "budget=smoke", "levels=[0.4,0.3]", "pairs=2"]
    words = ["--config-dir", worked, plugins, *parts, *small]
    folder = landscape("run", "geodesic", *words, cwd=tmp_path)
    with xarray.open_dataset(folder / "data" / "geodesics.nc", engine="h5netcdf") as rows:
        assert rows.attrs["functional"] == "test mean squared error"
        assert set(rows.state.values.ravel()) <= {"straight", "loose", "not connected"}


@pytest.mark.parametrize("name", ["steps", "check", "batch"])
def test_the_worked_trainer_refuses_what_it_says_it_does(name, worked, tmp_path):
    words = ["--config-dir", worked, "plugins=[rmsprop]", "trainer=rmsprop", f"trainer.{name}=0"]
    result = command("run", "geodesic", *words, "--dry-run", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"landscape: trainer.{name} must be at least 1, got 0\n"


def test_the_worked_surface_connects_down_to_its_pass(worked, tmp_path):
    words = ["--config-dir", worked, "plugins=[crescent]", "model=crescent", "pairs=1"]
    words += ["budget=smoke", "levels=[2,0.12,0.08]"]
    folder = landscape("run", "geodesic", *words, cwd=tmp_path)
    with xarray.open_dataset(folder / "data" / "geodesics.nc", engine="h5netcdf") as rows:
        states = rows.state.values[0].tolist()
    assert states[0] == "straight"  # the chord peaks at 1 + height
    assert states[1] in ("taut", "loose")
    assert states[2] == "not connected"  # height = 0.1 bars the way


def test_the_worked_recipe_and_record_run(worked, tmp_path):
    words = ["--config-dir", worked, "plugins=[barrier]", "budget=smoke", "levels=[0.1,0.05]"]
    folder = landscape("run", "barrier", *words, cwd=tmp_path, figures="[png]")
    with xarray.open_dataset(folder / "data" / "heights.nc", engine="h5netcdf") as heights:
        assert heights.barrier.dims == ("pair", "level")
        assert float(heights.barrier.min()) >= 0
    (folder / "plots" / "heights.png").unlink()
    words = ["plot", str(folder), "--config-dir", str(worked)]
    assert command(*words, cwd=tmp_path).returncode == 0
    assert (folder / "plots" / "heights.png").exists()


def test_every_file_that_compiles_is_named_where_jit_is():
    (words,) = re.findall(
        r"^\*\*Where `jit` is\*\*.*?\n\n", CONTRIBUTING, re.MULTILINE | re.DOTALL
    )
    package = Path(cli.__file__).parent
    for path in package.rglob("*.py"):
        code = re.sub(r"`[^`]*`", "", path.read_text())
        if re.search(r"\bjax\.jit\b", code) and "experiments" not in path.parts:
            name = "core/symmetry/" if path.parent.name == "symmetry" else path.stem
            assert name in words, f"{path.relative_to(package)} compiles"
