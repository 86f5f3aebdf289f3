"""Imports point down only, and the command answers without the heavy libraries."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from landscape_cli import config, listing

PACKAGE = Path(config.__file__).parent
CONF = listing.conf_folder()
RECIPES = CONF.parent / "experiments"
SETTINGS = {"hydra", "omegaconf"}
DRAWING = {"matplotlib", "xarray", "rich"}
PARTS = ("models", "data", "trainers", "methods", "gauges")
OWN = {  # folder -> what else of ours it may import
    "core": "errors ranges",
    "models": "contracts core errors functional ranges references",
    "data": "cache contracts core errors ranges references",
    "trainers": "contracts core errors ranges references",
    "methods": "contracts core errors path_costs ranges references symmetry",
    "gauges": "contracts core errors ranges references symmetry",
    "records": "contracts core errors plots quantities",
    "experiments": "contracts copies core data errors estimate functional models networks pace "
    "path_costs published ranges records references setup sizes splits",
}
LIGHT = "cli completion flags overrides listing schema errors files empties interrupts __main__"


def rules():
    """(files, libraries that they must not import) for every floor of the house."""
    yield PACKAGE / "core", SETTINGS | DRAWING | {"flax.linen"}
    for part in PARTS:
        yield PACKAGE / part, SETTINGS | DRAWING
    for name in ("contracts", "setup"):
        yield PACKAGE / f"{name}.py", SETTINGS | {"jax", "flax", "matplotlib", "xarray"}
    yield PACKAGE / "records", SETTINGS | {"flax", "optax"}
    yield RECIPES, SETTINGS | DRAWING
    for name in LIGHT.split():
        yield PACKAGE / f"{name}.py", {"jax", "flax", "optax", "numpy", *DRAWING}


def imported(path):
    """(line, module) for every import a file makes at run time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in set(ast.walk(tree)) - skipped:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize(
    ("place", "forbidden"), list(rules()), ids=lambda value: getattr(value, "name", "")
)
def test_a_floor_does_without_the_libraries_of_others(place, forbidden):
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    offences = [
        f"{path.name}:{line} imports {module}"
        for path in files
        for line, module in imported(path)
        if any(module == name or module.startswith(f"{name}.") for name in forbidden)
    ]
    assert not offences


def ours(path):
    """(line, module or folder of ours) for every import of a file."""
    for line, module in imported(path):
        if module.startswith("landscape_cli."):
            yield line, module.split(".")[1]


@pytest.mark.parametrize(("folder", "may"), list(OWN.items()), ids=list(OWN))
def test_a_floor_imports_only_what_is_below_it(folder, may):
    place = RECIPES if folder == "experiments" else PACKAGE / folder
    known = {folder, *may.split()}
    offences = [
        f"{path.name}:{line} imports {name}"
        for path in sorted(place.rglob("*.py"))
        for line, name in ours(path)
        if name not in known
    ]
    assert not offences


def test_imports_point_down():
    """There is an order of all modules and folders in which nothing imports what comes later."""
    graph = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        graph.setdefault(name, set()).update(found for _, found in ours(path))
    order = TopologicalSorter({name: found - {name} for name, found in graph.items()})
    assert set(order.static_order()) >= {"core", "cli"}  # CycleError names a circle


def test_help_imports_neither_jax_nor_hydra():
    code = """
import sys
from landscape_cli.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"jax", "hydra", "omegaconf", "numpy", "matplotlib"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_bad_value_is_refused_before_jax_is_imported(tmp_path):
    """Which takes longer than all that is needed to see it."""
    code = """
import sys
from landscape_cli.cli import main
assert main(["run", "geodesic", "pairs=0"]) == 2
sys.exit("imported jax" if "jax" in sys.modules else 0)
"""
    words = [sys.executable, "-c", code]
    result = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "pairs=0: must be at least 1" in result.stderr
