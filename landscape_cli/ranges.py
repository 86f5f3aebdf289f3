"""Range checks that parts share; each raises a ValueError that names the field in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral
from typing import Any

from landscape_cli.errors import nearest

LARGEST_SEED = 2**32 - 1  # in single precision JAX keeps no more bits of a seed


def choose(name: str, value: str, known: Iterable[str]) -> None:
    """One of `known`."""
    known = list(known)
    if value not in known:
        hint = nearest(value, known)
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}{hint}")


def check_seed(seed: Any) -> None:
    """A whole number that JAX and NumPy take as a seed."""
    if not (isinstance(seed, Integral) and 0 <= int(seed) <= LARGEST_SEED):
        raise ValueError(f"seed must be a whole number of 0 to {LARGEST_SEED}, got {seed!r}")


def check_counts(part: Any, *names: str, least: int = 1) -> None:
    """Whole numbers that must be at least `least`."""
    for name in names:
        value = getattr(part, name)
        if not isinstance(value, Integral):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def check_limits(part: Any, *names: str, least: int = 1) -> None:
    """Whole numbers as of `check_counts`, or None for no limit."""
    check_counts(part, *[name for name in names if getattr(part, name) is not None], least=least)


def check_positive(part: Any, *names: str) -> None:
    """Numbers that must be finite and above zero."""
    for name in names:
        value = getattr(part, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive, got {value}")
