"""How often a recipe hands over what it has so far."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Says when it is time for another version of the files.

        pace = Pace()
        for result in results:
            ...
            if pace.due():
                yield record

    Seconds count from the first question after the last yes, so that writing is not counted.
    """

    def __init__(self, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask every `seconds`; the clock starts now."""
        self.seconds = seconds
        self.clock = clock
        self.since: float | None = clock()

    def due(self) -> bool:
        """Whether so many seconds have passed."""
        now = self.clock()
        if self.since is None:
            self.since = now
        if now - self.since <= self.seconds:
            return False
        self.since = None
        return True
