"""The command in this process, which has imported everything and keeps compiled programs."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from matplotlib.figure import Figure

from landscape_cli import cli, plots


@contextlib.contextmanager
def plugins_forgotten() -> Iterator[None]:
    """Folders that are added to the import path, and modules from there, are gone afterwards."""
    path, known = sys.path[:], set(sys.modules)
    try:
        yield
    finally:
        added = {Path(place) for place in sys.path if place not in path}
        sys.path[:] = path
        for name in set(sys.modules) - known:
            file = Path(getattr(sys.modules[name], "__file__", None) or "/")
            place = file.parent.parent if file.name == "__init__.py" else file.parent
            if place in added:
                del sys.modules[name]
        importlib.invalidate_caches()


@contextlib.contextmanager
def one_picture() -> Iterator[None]:
    """All figures are made, and the first becomes a picture; the files of the others hold a word.

    For tests that do not look at pictures: most of the time of a small run goes into those.
    """
    render, done = plots.render, []

    def first_only(figure: Figure, kind: str) -> bytes:
        if done:
            return b"not drawn"
        done.append(figure)
        return render(figure, kind)

    with mock.patch.object(plots, "render", first_only):
        yield


@contextlib.contextmanager
def as_in_a_process(folder: Path | None, environment: dict[str, str]) -> Iterator[None]:
    """A working directory, an environment and a command line; none of it stays."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder or Path.cwd()))
        stack.enter_context(mock.patch.dict(os.environ, environment))
        stack.enter_context(mock.patch.object(sys, "argv", [""]))
        stack.enter_context(mock.patch.object(logging.root, "handlers", logging.root.handlers[:]))
        stack.enter_context(plugins_forgotten())
        yield


def landscape(*words: object, cwd: Path | None = None, **environment: str) -> CompletedProcess:
    """Run the command to its end, with an exit code and texts as those of a process."""
    said, complained = io.StringIO(), io.StringIO()
    argv = [*map(str, words)]
    outputs = contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained)
    with as_in_a_process(cwd, environment), outputs[0], outputs[1]:
        try:
            code = cli.main(argv)
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception:
            traceback.print_exc()
            code = 1
    return CompletedProcess(argv, code, said.getvalue(), complained.getvalue())
