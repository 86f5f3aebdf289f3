"""Strings of methods that take no heed of a level: what they begin from, and their verdict."""

from __future__ import annotations

import zlib
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


def bowed(chord: np.ndarray, far: float) -> np.ndarray:
    """Points of a chord on an arch beside it, `far` times its length high; the ends stay.

    The side is drawn at random; named after the ends it is the same in any company and from
    either end. In one dimension there is none.

    Args:
        chord: (point, param), ends included, evenly spaced.
        far: height over length, at least 0.
    """
    start, end = np.asarray(chord[[0, -1]], float)
    along = end - start
    seed = zlib.crc32(np.ascontiguousarray(start + end).tobytes())
    side = drawn = np.random.default_rng(seed).standard_normal(len(along))
    if along.any():
        side = drawn - (drawn @ along) / (along @ along) * along
    if np.linalg.norm(side) <= 1e-6 * np.linalg.norm(drawn):
        return chord
    arch = np.sin(np.pi * np.linspace(0, 1, len(chord)))[:, None]
    bent = chord + far * np.linalg.norm(along) / np.linalg.norm(side) * arch * side
    return np.concatenate([chord[:1], bent[1:-1], chord[-1:]]).astype(chord.dtype)
