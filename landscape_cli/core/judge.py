"""Strings of methods that take no heed of a level: what they begin from, and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.core.verdict import peak
from landscape_cli.errors import UserError


def judged(surface: Surface, beads: np.ndarray, level: float, dense: int) -> Found:
    """A string that was looked for whatever the level, by the dense check."""
    top = peak(surface, beads, dense)
    low = top.energy <= level
    state = "loose" if low else "not connected"
    return Found(
        state=state if np.isfinite(top.energy) else "diverged",
        beads=beads,
        level=level,
        peak=top.energy,
        worst_segment=-1 if low else top.segment,
        energy_evaluations=top.energies,
    )


def rejudged(found: Found, level: float) -> str:
    """The state of a judged string at another level, by the peak that is known of it.

    One that broke on the way stays "diverged", however low the beads that are left of it.
    """
    if found.level == level:
        return found.state
    if found.state == "diverged" or not np.isfinite(found.peak):
        return "diverged"
    if not found.peak <= level:
        return "not connected"
    return "straight" if len(found.beads) == 2 else "loose"


def check_joined(starts: np.ndarray, ends: np.ndarray, strings: Sequence[Any]) -> None:
    """Refuse strings to begin from that do not join the ends they should.

    Raises:
        UserError: a string of another pair, by its ends.
    """
    for i, (start, end, string) in enumerate(zip(starts, ends, strings, strict=True)):
        if string is None:
            continue
        own = np.shape(string)[1:] == start.shape and np.array_equal(
            np.asarray(string, start.dtype)[[0, -1]], np.stack([start, end])
        )
        if not own:
            raise UserError(f"warm_start: string {i} joins other ends than those of its pair")
