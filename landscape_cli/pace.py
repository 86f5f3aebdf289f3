"""How often a recipe hands over what it has so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from landscape_cli.core.threads import awaited


class Pace:
    """Says when it is time for another version of the files.

        pace = Pace()
        for news in pace.through(results):
            if news is not None:  # else none came for a while
                ...
            if pace.due():
                yield record

    A result is due some seconds after the files were last written, and no later than so many
    seconds after it came, however long the next one takes. Writing itself is not counted.
    """

    def __init__(self, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask every `seconds`; the clock starts now."""
        self.seconds = seconds
        self.clock = clock
        self.since: float | None = clock()
        self.unsaved = False

    def through(self, results: Iterable[Any]) -> Iterator[Any]:
        """The results as they come; None wherever there was none for so many seconds."""
        for news in awaited(iter(results), self.seconds):
            self.unsaved |= news is not None
            yield news
            if self.since is None:  # what was due has been written
                self.since = self.clock()

    def due(self) -> bool:
        """Whether there is something to write, and it is time."""
        if not self.unsaved or self.since is None or self.clock() - self.since < self.seconds:
            return False
        self.unsaved, self.since = False, None
        return True
