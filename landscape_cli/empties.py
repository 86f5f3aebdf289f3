"""Folders that are made before it is known whether a run will fill them.

Hydra makes the folder of a job, and its parents, before any setting is checked. What a refused
job leaves empty is removed again, but nothing that was there before.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ground:
    """What there was before folders were made.

    Attributes:
        base: the nearest folder that was there already.
        names: what it held.
    """

    base: Path
    names: frozenset[str]

    @classmethod
    def under(cls, path: str | Path) -> Ground:
        """What there is now at `path`, or above it where it does not exist yet."""
        wanted = Path(os.path.abspath(path))
        base = next(place for place in (wanted, *wanted.parents) if os.path.exists(place))
        try:
            return cls(base, frozenset(os.listdir(base)))
        except OSError:  # a file, or a folder that cannot be read: what is below is new
            return cls(base, frozenset())

    def new(self, path: str | Path) -> bool:
        """Whether `path` was made since."""
        place = Path(os.path.abspath(path))
        if self.base not in place.parents:
            return False
        return place.relative_to(self.base).parts[0] not in self.names

    def clear(self, path: str | Path) -> None:
        """Remove `path` and its parents, those that are new and empty."""
        place = Path(os.path.abspath(path))
        with suppress(OSError):  # it is not empty, or is gone already
            while self.new(place):
                place.rmdir()
                place = place.parent
