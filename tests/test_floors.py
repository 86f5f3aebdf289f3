"""Imports point down only, and the command answers without the heavy libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from landscape_cli import config, listing

PACKAGE = Path(config.__file__).parent
CONF = listing.conf_folder()
RECIPES = CONF.parent / "experiments"
TOP = {"cli", "flags", "overrides", "config", "hydra_errors", "listing", "runner", "manifest"}
TOP |= {"doctor", "hydra_targets", "interrupts", "jax_settings", "jobs"}
FILES = {"rundir", "past_runs", "files", "empties", "progress"}
PARTS = {"models", "data", "trainers", "methods", "gauges"}
SETTINGS = {"hydra", "omegaconf"}
DRAWING = {"matplotlib", "xarray", "rich"}


def ours(names):
    return {f"landscape_cli.{name}" for name in names}


def rules():
    """(files, what they must not import) for every floor of the house."""
    above = ours(TOP | FILES | {"experiments"}) | SETTINGS
    yield PACKAGE / "core", above | DRAWING | {"flax.linen"} | ours(PARTS | {"contracts", "setup"})
    for part in sorted(PARTS):
        others = ours(PARTS - {part})
        yield PACKAGE / part, above | DRAWING | others | ours({"records", "setup"})
    for name in ("contracts", "setup"):
        yield PACKAGE / f"{name}.py", above | {"jax", "flax", "matplotlib", "xarray"}
    yield PACKAGE / "records", above | ours(PARTS) | {"flax", "optax"}
    yield RECIPES, ours(TOP | FILES | PARTS - {"models", "data"} | {"plots"}) | SETTINGS | DRAWING
    light = "cli flags overrides listing schema errors files empties interrupts __main__"
    for name in light.split():
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
def test_imports_point_down(place, forbidden):
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    offences = [
        f"{path.name}:{line} imports {module}"
        for path in files
        for line, module in imported(path)
        if any(module == name or module.startswith(f"{name}.") for name in forbidden)
    ]
    assert not offences


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
