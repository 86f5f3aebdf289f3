"""What there is to choose from: the names and first lines of the YAML files."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

from landscape_cli.errors import UserError, nearest

KINDS = {  # the plural a reader types -> the configuration group
    "experiments": "experiment",
    "models": "model",
    "datasets": "data",
    "functionals": "functional",
    "trainers": "trainer",
    "methods": "method",
    "gauges": "gauge",
    "engines": "engine",
    "budgets": "budget",
}


def version() -> str:
    """The installed version."""
    return importlib.metadata.version("landscape-cli")


def conf_folder() -> Path:
    """Where our YAML files are: `conf/` of a checkout, or the folder inside the wheel."""
    return Path(str(importlib.import_module("landscape_cli.conf").__file__)).parent


def conf_folders(extra: str | None) -> list[Path]:
    """Our folder of YAML files and the user's `--config-dir`."""
    if extra is None:
        return [conf_folder()]
    if not Path(extra).is_dir():
        said = "is not a folder" if Path(extra).exists() else "no such folder"
        raise UserError(f"--config-dir {extra}: {said}")
    return [Path(extra), conf_folder()]


def options(group: str, folders: Iterable[Path]) -> dict[str, Path]:
    """Names of a configuration group and their files, in alphabetical order."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / group).glob("*.yaml")):
            if path.is_file():
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def first_comment(path: Path) -> str:
    """A YAML file's first comment line that speaks to a reader."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read (not UTF-8 text)") from error
    for line in text.splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ").strip()
    return ""


def lines(group: str, folders: Iterable[Path]) -> list[str]:
    """One line for every option of a group: its name and what it is."""
    found = options(group, folders)
    width = max(map(len, found), default=0)
    return [f"  {name:{width}}  {first_comment(path)}".rstrip() for name, path in found.items()]


def print_options(kinds: list[str], folders: list[Path]) -> None:
    """Print the options of `kinds`, or of every kind."""
    for kind in kinds:
        if kind not in KINDS:
            hint = nearest(kind, KINDS)
            raise UserError(f"list {kind}: choose from {', '.join(KINDS)}{hint}")
    for kind in kinds or KINDS:
        print("\n".join([f"{kind} ({KINDS[kind]}=...)", *lines(KINDS[kind], folders)]))
