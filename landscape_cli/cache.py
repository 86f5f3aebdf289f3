"""Where downloads and compiled programs are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """`name` in $LANDSCAPE_CACHE, $XDG_CACHE_HOME/landscape or ~/.cache/landscape."""
    if chosen := os.environ.get("LANDSCAPE_CACHE"):
        return Path(chosen).expanduser() / name
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "landscape" / name
