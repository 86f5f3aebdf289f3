"""The jobs of a multirun side by side: what was swept, headline numbers, figures.

    comparison/<record>.csv            a row for every job and level: `pandas.read_csv(path)`
    comparison/<stem>.png  <stem>.svg  where the record says how its like are compared

Made from the files of the jobs alone, so that `landscape plot` makes them anew.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from landscape_cli.contracts import Record
from landscape_cli.errors import UserError
from landscape_cli.files import write
from landscape_cli.past_runs import chosen_formats, data_files, read_manifest, read_summary
from landscape_cli.records.encoding import read_record, record_class
from landscape_cli.records.words import aligned, cell, in_brief, place
from landscape_cli.rundir import FORMATS, write_figures

FOLDER = "comparison"
DEPTH = 3  # folders between that of all outputs and a job: of a day, of a multirun, of the job


@dataclass(frozen=True)
class PastJob:
    """A job of a multirun, as its files tell.

    Attributes:
        path: its run folder.
        name: its folder as seen from that of the multirun.
        manifest: with what is wrong with it, or with the summary, as `error`.
        summary: headline numbers by record.
        settings: those that differ between the jobs, as they were typed.
    """

    path: Path
    name: str
    manifest: dict[str, Any]
    summary: dict[str, Any]
    settings: dict[str, str]

    @property
    def status(self) -> str:
        """How it ended."""
        return str(self.manifest.get("status", "damaged"))


def runs_inside(path: str | Path, depth: int = DEPTH) -> list[Path]:
    """The runs of a multirun, or of a day, in their order; none where `path` is a run itself."""
    path, folders = Path(path), []
    if not depth or (path / "manifest.json").exists():
        return []
    with suppress(OSError):  # no folder, or one that may not be read
        folders = sorted(filter(Path.is_dir, path.iterdir()), key=_by_number)
    runs = []
    for folder in folders:
        is_run = (folder / "manifest.json").exists()
        runs += [folder] if is_run else runs_inside(folder, depth - 1)
    return runs


def _by_number(path: Path) -> list[Any]:
    """Job 2 comes before job 10, and half past nine before ten."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def jobs_inside(path: str | Path) -> list[PastJob]:
    """The jobs of a multirun, those with damaged files among them."""
    path = Path(path)
    runs = runs_inside(path)
    read = [(_or_trouble(read_manifest, run), _or_trouble(read_summary, run)) for run in runs]
    settings = swept([str(manifest.get("command", "")) for manifest, _ in read])
    jobs = []
    for run, (manifest, summary), setting in zip(runs, read, settings, strict=True):
        trouble = {"error": summary.pop("error")} if "error" in summary else {}
        name = str(run.relative_to(path))
        jobs.append(PastJob(run, name, trouble | manifest, summary, setting))
    return jobs


def swept(commands: Sequence[str]) -> list[dict[str, str]]:
    """Of every command the settings that are not the same in all, in the order typed.

    Example:
        >>> swept(["landscape run geodesic seed=0 pairs=2", "landscape run geodesic seed=1"])
        [{'seed': '0', 'pairs': '2'}, {'seed': '1', 'pairs': ''}]
    """
    typed = [
        dict(word.lstrip("+").split("=", 1) for word in _words(command) if "=" in word)
        for command in commands
    ]
    names = dict.fromkeys(name for job in typed for name in job if not name.startswith("-"))
    differing = [name for name in names if len({job.get(name) for job in typed}) > 1]
    return [{name: job.get(name, "") for name in differing} for job in typed]


def _words(command: str) -> list[str]:
    """As a shell reads them; somebody may have edited the manifest."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def alike(jobs: Sequence[PastJob]) -> bool:
    """Whether there are several, all of one experiment, so that they can be compared."""
    asked = {str(job.manifest["experiment"]) for job in jobs if "experiment" in job.manifest}
    return len(jobs) > 1 and len(asked) == 1


def show(path: str | Path) -> str:
    """How every job ended and what it found, then tables of all of them."""
    jobs = jobs_inside(path)
    brief = in_brief({str(job.path): job.manifest for job in jobs})
    return "\n".join([brief, *tables(jobs)])


def tables(jobs: Sequence[PastJob]) -> list[str]:
    """For every record, one number of each job at each level, or whatever its rows are.

    The number is the first that is measured, if there is one not the same everywhere: of that.
    """
    lines: list[str] = []
    if not alike(jobs):
        return lines
    for name in dict.fromkeys(name for job in jobs for name in job.summary):
        numbers = [job.summary.get(name, {}) for job in jobs]
        if (what := _telling(numbers)) is None:
            continue
        keys = [key.partition("@") for each in numbers for key in each]
        places = _in_order(at for key, _, at in keys if at and key == what)
        rows = [
            [job.name, *job.settings.values()] + [cell(each.get(f"{what}@{at}")) for at in places]
            for job, each in zip(jobs, numbers, strict=True)
        ]
        header = ["job", *jobs[0].settings, *[place(at)[1] for at in places]]
        title = f"{name}: {what} by {place(places[0])[0]}"
        lines += ["", title, *[f"  {line}" for line in aligned([header, *rows])]]
    return lines


def compare(
    jobs: Sequence[PastJob],
    path: Path,
    formats: Sequence[str] | None = None,
    complain: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write tables and figures of all jobs of a multirun into its folder; their paths.

    Args:
        jobs: of the multirun; nothing is written unless they are `alike`.
        path: its folder.
        formats: of the figures; None: those of the first job.
        complain: told of every file that cannot be read.

    Raises:
        UserError: the folder cannot be written.
    """
    if not alike(jobs):
        return []
    folder, written = path / FOLDER, []
    for name in dict.fromkeys(name for job in jobs for name in job.summary):
        written.append(folder / f"{name}.csv")
        write(written[-1], csv_text(jobs, name).encode())
    if formats is None:
        formats = FORMATS
        with _told(complain):
            formats = chosen_formats(jobs[0].path / "config.yaml")
    for kind, groups in compared(jobs, complain).items():
        written += write_figures(folder, partial(kind.comparison, groups), formats)
    return written


def csv_text(jobs: Iterable[PastJob], name: str) -> str:
    """The numbers of one record: a row for every job and level, or whatever its rows are.

    Where the record has numbers of the whole alone, a row for every job. A job without the record
    has one row, which says how it ended.
    """
    rows: list[dict[str, Any]] = []
    for job in jobs:
        said = {"job": job.name, "status": job.status, **job.settings}
        numbers = job.summary.get(name, {})
        places = dict.fromkeys(key.partition("@")[2] for key in numbers if "@" in key)
        for at in places:
            row = dict(zip(*[words.split(", ") for words in place(at)], strict=True))
            here = {key[: -len(at) - 1]: x for key, x in numbers.items() if key.endswith(f"@{at}")}
            rows.append(said | row | here)
        if not places:
            rows.append(said | numbers)
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def compared(
    jobs: Sequence[PastJob], complain: Callable[[str], None]
) -> dict[type[Record], dict[str, list[Record]]]:
    """Records of each class by the settings of their jobs, those of several seeds together."""
    found: dict[type[Record], dict[str, list[Record]]] = {}
    for job in jobs:
        settings = [f"{name}={value}" for name, value in job.settings.items() if name != "seed"]
        for file in data_files(job.path):
            with _told(complain):
                kind = record_class(file)
                if kind.comparison.__func__ is Record.comparison.__func__:  # compares nothing
                    continue
                groups = found.setdefault(kind, {})
                groups.setdefault(", ".join(settings), []).append(read_record(file))
    several = lambda groups: sum(map(len, groups.values())) > 1
    return {kind: groups for kind, groups in found.items() if several(groups)}


@contextmanager
def _told(complain: Callable[[str], None]) -> Iterator[None]:
    """A file that cannot be read is told, and the others are."""
    try:
        yield
    except UserError as error:
        complain(str(error))


def _telling(numbers: Sequence[dict[str, Any]]) -> str | None:
    """The first `what` of `what@row` that is measured, better one that differs; None: none is."""
    values: dict[str, set[float]] = {}
    for key, value in [item for each in numbers for item in each.items()]:
        what, _, at = key.partition("@")
        if at and isinstance(value, float) and what != "level":  # what is measured, not where
            values.setdefault(what, set()).add(value)
    differing = [what for what, some in values.items() if len(some) > 1]
    return next(iter([*differing, *values]), None)


def _in_order(places: Iterable[str]) -> list[str]:
    """Each once: levels falling, others as they come."""
    once = list(dict.fromkeys(places))
    try:
        return sorted(once, key=lambda at: -float(at))
    except ValueError:
        return once


def _or_trouble(read: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any]:
    """What is read, or what is wrong with it: the other jobs are shown all the same."""
    try:
        return read(path)
    except UserError as error:
        return {"error": str(error)}
