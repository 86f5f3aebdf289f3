"""Run folders as they were left: read, shown, drawn again."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.errors import UserError
from landscape_cli.files import write
from landscape_cli.records.encoding import first_line, json_text, read_record
from landscape_cli.records.words import in_words
from landscape_cli.rundir import FORMATS, UNDRAWN, draw
from landscape_cli.schema import Formats, convert


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest; `interrupted (killed)` is a run that ended before it could say so.

    Raises:
        UserError: not a run folder, or a damaged manifest.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"{path}: {'is not a folder' if path.exists() else 'no such folder'}")
    if not (path / "manifest.json").is_file():
        raise UserError(f"{path}: not a run folder (there is no manifest.json in it)")
    manifest = _read_json(path / "manifest.json")
    if manifest.get("status") == "running" and not _alive(manifest):
        manifest["status"] = "interrupted (killed)"
    return manifest


def read_summary(path: str | Path) -> dict[str, Any]:
    """Headline numbers by record name; none before the first record was saved."""
    file = Path(path) / "summary.json"
    summary = _read_json(file) if file.exists() else {}
    for name, numbers in summary.items():
        if not isinstance(numbers, dict):
            raise UserError(f"{file}: damaged ({name} is not a JSON object)")
    return summary


def read_config(file: Path) -> dict[str, Any]:
    """The configuration as run."""
    import yaml

    if not file.exists():
        raise UserError(f"{file}: missing")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{file}: damaged ({first_line(error)})") from error
    return content if isinstance(content, dict) else {}


def data_files(path: str | Path) -> list[Path]:
    """The files of a run's records, and whatever else of their kind lies beside them."""
    return sorted((Path(path) / "data").glob("*.nc"))


def redraw(
    path: str | Path,
    formats: Sequence[str] | None = None,
    complain: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Draw the figures of a run folder again from its data; returns their paths.

    Args:
        path: the run folder.
        formats: of the files; None: those of the run (`figures` in its configuration).
        complain: told of every file in `data/` that holds no record that can be drawn.

    Raises:
        UserError: the manifest or the configuration is damaged, or no record can be read.
    """
    path, manifest = Path(path), read_manifest(path)
    if formats is None:
        formats = chosen_formats(path / "config.yaml")
    records, troubles = [], []
    for file in data_files(path):
        try:
            records.append(read_record(file))
        except UserError as error:
            troubles.append(str(error))
    if not records:
        nothing = f"{path}: there is nothing to draw (no data was saved)"
        raise UserError("; ".join(troubles) or nothing)
    for trouble in troubles:
        complain(trouble)
    figures = draw(path, records, formats)
    if manifest.pop(UNDRAWN, None):
        write(path / "manifest.json", json_text(manifest).encode())
    return figures


def chosen_formats(file: Path) -> tuple[str, ...]:
    """The formats of a run's figures, read from its configuration and checked as a run's are."""
    chosen = read_config(file).get("figures", FORMATS)
    try:
        return convert(chosen, Formats, "figures")
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def show(path: str | Path) -> str:
    """A run in words: how it ended, settings, headline numbers, references."""
    path, manifest = Path(path), read_manifest(path)
    text = in_words(manifest, read_config(path / "config.yaml"), read_summary(path))
    figures = [f"figure: {file}" for file in sorted((path / "plots").glob("*"))]
    if manifest.get(UNDRAWN):
        draw = f"landscape plot {shlex.quote(str(path))}"
        figures.append(f"not all figures were drawn; draw them with: {draw}")
    return "\n".join([f"run: {path}", text, *figures])


def _alive(manifest: dict[str, Any]) -> bool:
    """Whether the process that wrote `manifest` may still run; unknowable on another machine."""
    if manifest.get("host") != platform.node():
        return True
    pid = manifest.get("pid")
    if not isinstance(pid, int) or pid < 1:  # others mean groups of processes
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: damaged ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: damaged (not a JSON object)")
    return content
