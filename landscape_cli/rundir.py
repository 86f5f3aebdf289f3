"""The layout of one run folder; the only module that writes results.

    config.yaml  manifest.json  summary.json  run.log
    data/<record>.nc      labelled arrays: `xarray.open_dataset(path)`
    plots/<stem>.png  plots/<stem>.svg

A killed run or a full disk leaves whole files: the newest version, or the one before it.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.contracts import Record
from landscape_cli.empties import Ground
from landscape_cli.errors import UserError
from landscape_cli.files import write
from landscape_cli.records.encoding import json_text, netcdf, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATUSES = ("finished", "interrupted", "failed")
FORMATS = ("png", "svg")
FOLDER = "hydra.run.dir=... (of a multirun hydra.sweep.dir=...)"
UNDRAWN = "undrawn"  # in the manifest: figures were begun and not, or not yet, all written
REPLACED = ("config.yaml", "summary.json", "plots")  # what a run would replace of a folder's


class RunDir:
    """One run folder while it is being filled.

    Attributes:
        path: the folder.
        manifest: what `manifest.json` holds now.
        about: what every record is told of the run: its budget, sizes of network and data.
    """

    def __init__(
        self, path: Path, manifest: dict[str, Any], formats: Sequence[str], ground: Ground
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.about: dict[str, Any] = {}
        self.formats = tuple(formats)
        self._records: dict[str, Record] = {}
        self._summary: dict[str, Any] = {}
        self._ground = ground
        self._began = time.monotonic()

    @classmethod
    def create(
        cls,
        path: str | Path,
        config_yaml: str,
        manifest: dict[str, Any],
        formats: Sequence[str] = FORMATS,
    ) -> RunDir:
        """Make the folder, with the configuration and a manifest that says `running`.

        Args:
            path: a folder that holds no run yet and no file of a run's names; parents are made.
            config_yaml: the composed configuration as run.
            manifest: what is known of the run; status, pid and times are added.
            formats: file formats of every figure.

        Raises:
            UserError: the folder holds a run or what a run would replace, or cannot be written.
        """
        path = Path(path)
        ground = Ground.under(path)
        _claim(path)
        running = {"status": "running", "pid": os.getpid(), "host": platform.node()}
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        folder = cls(path, {"started": started, **plain(manifest), **running}, formats, ground)
        try:
            write(path / "config.yaml", config_yaml.encode())
            folder._write_manifest()
        except UserError:
            folder.discard()
            raise
        return folder

    def save(self, record: Record) -> None:
        """Write `record`'s data and headline numbers; `finish` draws its last version.

        A record of the same name is replaced; one that does not say it itself is told what `about`
        says of the run.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        name = record.name
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise ValueError(f"a record's name becomes a file's name; {name!r} cannot")
        for key, value in self.about.items():
            record.data.attrs.setdefault(key, value)
        write(self.path / "data" / f"{name}.nc", netcdf(record))
        self._records[name] = record
        self._summary[name] = plain(record.summary())
        write(self.path / "summary.json", json_text(self._summary).encode())

    def finish(
        self, status: str, error: str | None = None, extra: dict[str, Any] | None = None
    ) -> list[Path]:
        """Write how the run ended, then draw every record; returns the figures' paths.

        Of a run that did not get to its end, what its records have taken in since they were last
        saved is saved first. An interrupted run is not drawn: whoever stops it waits, and
        `redraw` can do it later.

        Args:
            status: `finished`, `interrupted` or `failed`.
            error: one line on what went wrong.
            extra: further entries of the manifest, such as seconds by phase.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        if status not in STATUSES:
            raise ValueError(f"status is one of {', '.join(STATUSES)}, got {status!r}")
        if status != "finished":
            with suppress(UserError):  # a full disk may be what ended it
                for record in list(self._records.values()):
                    self.save(record)
        seconds = round(time.monotonic() - self._began, 3)
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        self.manifest |= {"status": status, "ended": ended, "seconds": seconds}
        self.manifest |= {"error": error} if error else {}
        self.manifest |= {"found": self.headlines}
        self.manifest |= plain(extra or {})
        records = () if status == "interrupted" else self._records.values()
        self.manifest |= {UNDRAWN: True} if records and self.formats else {}
        self._write_manifest()  # before drawing: no trouble with a figure can change how it ended
        figures = draw(self.path, records, self.formats)
        if self.manifest.pop(UNDRAWN, None):
            self._write_manifest()
        return figures

    @property
    def headlines(self) -> list[str]:
        """What the records say at the end, each with its name."""
        said = {name: record.headline() for name, record in self._records.items()}
        return [f"{name}: {line}" for name, line in said.items() if line]

    @property
    def empty(self) -> bool:
        """Whether no record has been saved."""
        return not self._records

    def discard(self) -> bool:
        """Remove what a run wrote that was refused before it had any result.

        Nothing else that the folder holds; the folder too if it was made for the run and is empty.
        """
        if not self.empty:
            return False
        for name in ("config.yaml", "manifest.json", "run.log"):
            if self._ground.new(self.path / name):
                with suppress(OSError):
                    (self.path / name).unlink()
        with suppress(OSError):
            (self.path / "data").rmdir()
        self._ground.clear(self.path)
        return True

    def _write_manifest(self) -> None:
        write(self.path / "manifest.json", json_text(self.manifest).encode())


def draw(path: Path, records: Iterable[Record], formats: Sequence[str]) -> list[Path]:
    """Write the figures of `records` under `plots/`; returns their paths."""
    figures = [write_figures(path / "plots", record.figures, formats) for record in records]
    return [file for each in figures for file in each]


def write_figures(
    folder: Path, make: Callable[[], dict[str, Figure]], formats: Sequence[str]
) -> list[Path]:
    """Write the figures that `make` draws in the house style, if in any format; their paths."""
    if not formats:
        return []
    from landscape_cli import plots

    with plots.style():
        figures = make()
    drawn = []
    for stem, figure in figures.items():
        for kind in formats:
            drawn.append(folder / f"{stem}.{kind}")
            write(drawn[-1], plots.render(figure, kind))
    return drawn


def _claim(path: Path) -> None:
    """Take the folder for this run; making `data/` succeeds for one process only."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if (path / "manifest.json").exists():
            raise FileExistsError
        if not (path / "data").exists():
            for name in REPLACED:
                if (path / name).exists():
                    raise UserError(
                        f"{path}: holds {name} already, which a run writes; choose another "
                        f"folder with {FOLDER}"
                    )
        (path / "data").mkdir()
    except FileExistsError as error:
        if path.exists() and not path.is_dir():
            raise UserError(f"{path}: is a file, not a folder") from error
        raise UserError(
            f"{path}: holds a run already (two runs started in the same second?); "
            f"start again or choose another folder with {FOLDER}"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
