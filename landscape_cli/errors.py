"""The one exception that means "the user's input": shown as a line, never as a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """One clear line: the setting as typed, its value, what is allowed. Exit code 2."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` for the closest known spelling, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
