"""Progress of long work: a live line on a terminal, a plain line every few seconds elsewhere.

A thread says how long a phase has been going on where the work itself says nothing for a while.

Phases, progress and messages also go to the run's log, and the seconds of every phase are kept
for the manifest. Nothing here can stop a computation: where a stream or the disk refuses a line,
that stream is given up and the work goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Event, RLock, Thread
from typing import TextIO

from landscape_cli.contracts import Progress


def reporter(
    log_path: str | Path | None = None,
    stream: TextIO | None = None,
    every: float = 5.0,
    clock: Callable[[], float] = time.monotonic,
) -> Reporter:
    """A `Progress` that shows what it is told; use it in a `with` block or call `close`.

    Args:
        log_path: file that plain lines are added to.
        stream: where to show progress; standard error by default.
        every: seconds between two plain lines.
        clock: seconds since some fixed moment.
    """
    from rich.console import Console

    shown: TextIO = sys.stderr if stream is None else stream
    console = Console(file=shown, markup=False, highlight=False, emoji=False)
    # A "dumb" terminal (an editor's, a CI log) says it is a terminal but cannot move its cursor.
    live = console.is_terminal and not console.is_dumb_terminal
    screen = LiveLine(console) if live else PlainLines(shown)
    return Reporter(screen, log_path, every, clock)


class Reporter(Progress):
    """Measures phases and hands lines to the screen and the log.

    Attributes:
        phases: seconds spent in every phase so far, by name.
    """

    def __init__(
        self,
        screen: LiveLine | PlainLines,
        log_path: str | Path | None = None,
        every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.phases: dict[str, float] = {}
        self._screen, self._every, self._clock = screen, every, clock
        self._lock, self._closed = RLock(), Event()
        self._log: TextIO | None = None
        if log_path is not None:
            with suppress(OSError):
                self._log = open(  # noqa: SIM115
                    log_path, "a", buffering=1, encoding="utf-8", errors="backslashreplace"
                )
        self._name, self._total, self._unit, self._note, self._done = "", 0, "", "", 0
        self._found = ""
        self._began = self._spoke = self._moved = clock()
        self._first = 0
        Thread(target=self._watch, name="progress", daemon=True).start()

    def phase(self, name: str, total: int = 0, unit: str = "") -> None:
        """Begin a phase of `total` units (0: unknown); the one before ends."""
        unit = unit.removesuffix("s") if total == 1 else unit
        with self._lock:
            self._end_phase()
            self._name, self._total, self._unit, self._note, self._done = name, total, unit, "", 0
            self._found = ""
            self._began = self._spoke = self._moved = self._clock()
            self._first = -1
            self._screen.begin(name, total)
            self._tell(f"{name}: {total} {unit}".rstrip() if total else f"{name} ...", plain=True)

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` units of the phase are finished; any thread may."""
        with self._lock:
            now = self._clock()
            if not self._name:  # a thread that still computes after the end of the phase
                return
            if self._first < 0:  # the rate starts here: what went before was mostly compiling
                self._first, self._moved = int(done), now
            self._done, self._note = int(done), note
            self._screen.move(self._done, self._state(now))
            if now - self._spoke >= self._every:
                self._spoke = now
                self._tell(f"{self._name}: {self._state(now)}", plain=True)

    def found(self, text: str) -> None:
        """What the phase has found so far, such as `9 connected`; it stays until told anew."""
        with self._lock:
            self._found = text

    def beat(self) -> None:
        """Say how long the phase has been going on, unless something was said just now."""
        with self._lock:
            now = self._clock()
            if self._name and now - self._spoke >= self._every:
                self._spoke = now
                state = self._state(now) if self._total or self._done else "..."
                self._tell(f"{self._name}: {state}, {duration(now - self._began)} so far", True)

    def message(self, text: str) -> None:
        """One line for the reader and the log."""
        with self._lock:
            self._tell(text)

    def close(self) -> None:
        """End the last phase, clear the live line, close the log."""
        self._closed.set()
        with self._lock:
            self._end_phase()
            self._screen.close()
            log, self._log = self._log, None
            if log is not None:
                with suppress(OSError):
                    log.close()

    def _watch(self) -> None:
        while not self._closed.wait(max(self._every, 0.01)):
            self.beat()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _end_phase(self) -> None:
        if not self._name:
            return
        seconds = self._clock() - self._began
        self.phases[self._name] = self.phases.get(self._name, 0.0) + seconds
        count = f"{self._done}/{self._total}" if self._total else f"{self._done or ''}"
        parts = [f"{count} {self._unit}".strip() if count else "", self._found, self._note]
        found = ", ".join([f"{seconds:.1f} s", *filter(None, parts)])
        name, self._name = self._name, ""
        self._screen.end()
        self._tell(f"{name}: {found}")

    def _state(self, now: float) -> str:
        """`12/128, 3.1/s, 37 s left, 9 connected`; with the unit, unless the phase is named so."""
        count = f"{self._done}/{self._total}" if self._total else f"{self._done}"
        parts = [count if self._unit == self._name else f"{count} {self._unit}".rstrip()]
        moved, elapsed = self._done - max(self._first, 0), now - self._moved
        if moved > 0 and elapsed > 0:
            rate = moved / elapsed
            parts.append(speed(rate))
            left = max(self._total - self._done, 0)
            parts += [f"{duration(left / rate)} left"] if left else []
        return ", ".join(filter(None, [*parts, self._found, self._note]))

    def _tell(self, line: str, plain: bool = False) -> None:
        """Write a line; `plain` ones stay off a live screen, which shows their content already."""
        if not (plain and self._screen.live):
            self._screen.line(line)
        if self._log is not None:
            try:
                self._log.write(f"{datetime.now().isoformat(' ', 'seconds')} {line}\n")
            except (OSError, ValueError):
                log, self._log = self._log, None
                with suppress(OSError):
                    log.close()


class PlainLines:
    """A pipe, a file, a dumb terminal: whole lines, no control characters."""

    live = False

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    def line(self, text: str) -> None:
        """Write one line at once."""
        if self._stream is None:
            return
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            text = text.encode(encoding, "replace").decode(encoding)
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads any more, or the stream was closed
            self._stream = None

    def begin(self, name: str, total: int) -> None:
        """Nothing to draw."""

    def move(self, done: int, state: str) -> None:
        """Nothing to draw."""

    def end(self) -> None:
        """Nothing to clear."""

    def close(self) -> None:
        """Nothing to clear; the stream is not ours to close."""


class LiveLine:
    """A terminal: one line that is redrawn in place, below the lines already said."""

    live = True

    def __init__(self, console) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        def text(template: str, **layout) -> TextColumn:
            column = Column(no_wrap=True, overflow="ellipsis", **layout)
            return TextColumn(template, markup=False, table_column=column)

        self._bars = Progress(
            SpinnerColumn("line"),
            text("{task.description}"),
            BarColumn(bar_width=20 if console.width >= 100 else 6),
            text("{task.fields[state]}", ratio=1),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
            # rich would send a redirected standard output to the terminal, into the live line
            redirect_stdout=bool(sys.stdout and sys.stdout.isatty()),
            redirect_stderr=bool(sys.stderr and sys.stderr.isatty()),
        )
        self._task = None

    def line(self, text: str) -> None:
        """Write one line above the live one."""
        with suppress(OSError):
            self._bars.console.print(text, soft_wrap=True)

    def begin(self, name: str, total: int) -> None:
        """Show the live line of a new phase."""
        self._task = self._bars.add_task(name, total=total or None, state="")
        with suppress(OSError):
            self._bars.start()

    def move(self, done: int, state: str) -> None:
        """Move the bar; it is redrawn a few times a second, whatever is done meanwhile."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, state=state)

    def end(self) -> None:
        """Take the live line away."""
        with suppress(OSError):
            self._bars.stop()
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = None

    def close(self) -> None:
        """Take the live line away and show the cursor again."""
        self.end()


def speed(rate: float) -> str:
    """`1,660/s`, `3.1/s`, `25 s each`."""
    if rate < 0.1:
        return f"{duration(1 / rate)} each"
    return f"{rate:,.0f}/s" if rate >= 99.5 else f"{rate:.2g}/s"


def duration(seconds: float) -> str:
    """`37 s`, `4 min 10 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
