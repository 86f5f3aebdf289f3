"""Strings: a path held as beads joined by straight segments; host geometry, NumPy only.

A string is a (bead, param) array, end points included, in the precision it was given in: large
networks have their strings in float32. Lengths and positions are float64 in any case, since
verdicts compare them. Also `Found`, the judged result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from landscape_cli.core.random import named_generator

CONNECTED = ("straight", "taut", "loose")  # states of strings that stay inside

Lengths = np.ndarray | np.floating  # a NumPy scalar for one string, an array for many


def segment_lengths(beads: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """(..., bead-1) lengths; `mask` (param,) restricts the metric, e.g. to weights only."""
    steps = np.diff(beads, axis=-2)
    steps = steps if mask is None else steps[..., mask]
    if steps.dtype == np.float32:  # added up in float64, without a copy of all steps
        return np.sqrt(np.einsum("...p,...p->...", steps, steps, dtype=float))
    return np.linalg.norm(steps, axis=-1)


def length(beads: np.ndarray, mask: np.ndarray | None = None) -> Lengths:
    """Arclength of the polyline."""
    return segment_lengths(beads, mask).sum(-1)


def chord_length(beads: np.ndarray, mask: np.ndarray | None = None) -> Lengths:
    """Distance between the end points."""
    ends = beads[..., [0, -1], :]
    return segment_lengths(ends, mask)[..., 0]


def normalized_length(beads: np.ndarray, mask: np.ndarray | None = None) -> Lengths:
    """Arclength over the chord, at least 1 up to rounding; 1 for identical ends."""
    whole, chord = length(beads, mask), chord_length(beads, mask)
    return np.divide(whole, chord, out=np.ones_like(whole), where=chord > 0)


def arclength(beads: np.ndarray) -> np.ndarray:
    """(bead,) position of each bead in [0, 1] by arclength; the index where length is zero."""
    steps = segment_lengths(beads)
    total = steps.sum()
    if not total > 0:
        return np.linspace(0.0, 1.0, len(beads))
    return np.concatenate([[0.0], np.cumsum(steps) / total])


def _weights(t: np.ndarray, beads: np.ndarray) -> np.ndarray:
    """(..., t, 1) in the precision of `beads`: the points would be wider than that, else."""
    return np.asarray(t)[..., None].astype(np.result_type(beads, np.float32))


def at(beads: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(t, param) points of the string at arclength positions `t` in [0, 1]."""
    s = arclength(beads)
    left = np.clip(np.searchsorted(s, t, side="right") - 1, 0, len(beads) - 2)
    width = s[left + 1] - s[left]
    weight = np.where(width > 0, (t - s[left]) / np.where(width > 0, width, 1.0), 0.0)
    points = beads[left] + _weights(weight, beads) * (beads[left + 1] - beads[left])
    points[t == 0.0], points[t == 1.0] = beads[0], beads[-1]  # ends never move by one bit
    return points


def beyond(beads: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(t, param) as `at`; outside [0, 1] the first and the last segment go on straight."""
    points = at(beads, np.clip(t, 0.0, 1.0))
    sizes = segment_lengths(beads)
    for outside, first, last, over in ((t < 0, 0, 1, -t), (t > 1, -1, -2, t - 1)):
        step = beads[first] - beads[last]
        size = sizes[first] or 1.0  # of a segment without length there is no direction
        points[outside] += (over[outside] * sizes.sum())[:, None] * (step / size)
    return points


def reparametrized(beads: np.ndarray, segments: int) -> np.ndarray:
    """The string through `segments` equal arcs."""
    return at(beads, np.linspace(0.0, 1.0, segments + 1))


def inside(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(..., t, param) points at fractions `t` between `start` and `end`, (..., param) each."""
    start, end = np.asarray(start)[..., None, :], np.asarray(end)[..., None, :]
    return start + _weights(t, start) * (end - start)


@dataclass(frozen=True, eq=False)
class Found:
    """One string with its verdict.

    Attributes:
        state: "straight" (the chord stays inside), "taut", "loose" (feasible, not proven
            shortest), "not connected" (within the budget: no proof of disconnection) or
            "diverged" (a NaN or infinity on the way).
        beads: (bead, param), ends included; also of a failure: where it got.
        level: λ.
        peak: highest energy of the dense check.
        worst_segment: index of the segment of the peak; -1 where connected.
        kkt_residual: part of the string's pull that no constraint carries; NaN if unknown.
        length_change: relative change of length from half the beads; NaN if unknown.
        sampled_length: normalized length before shortening.
        output_length: length in the space of outputs, for methods that measure it; else NaN.
        saddles: indices of the beads that are saddles, for methods that look for them.
        gradient_evaluations: gradients spent on this string.
        energy_evaluations: energies spent on this string.
        seconds: share of the wall time.
    """

    state: str
    beads: np.ndarray
    level: float
    peak: float = np.nan
    worst_segment: int = -1
    kkt_residual: float = np.nan
    length_change: float = np.nan
    sampled_length: float = np.nan
    output_length: float = np.nan
    saddles: tuple[int, ...] = ()
    gradient_evaluations: int = 0
    energy_evaluations: int = 0
    seconds: float = 0.0

    @property
    def connected(self) -> bool:
        """Whether the string was accepted: inside {F <= level}, up to a slack of the method."""
        return self.state in CONNECTED

    @property
    def length(self) -> float:
        """Arclength; NaN unless connected."""
        return float(length(self.beads)) if self.connected else np.nan

    @property
    def chord(self) -> float:
        """Distance of the end points."""
        return float(chord_length(self.beads))

    @property
    def normalized_length(self) -> float:
        """Length over chord, at least 1; NaN unless connected; 1 for identical ends."""
        if not self.connected:
            return np.nan
        return self.length / self.chord if self.chord > 0 else 1.0

    @property
    def margin(self) -> float:
        """(level - peak) / |level|: positive inside the level set."""
        return float((self.level - self.peak) / (abs(self.level) or 1.0))

    def with_(self, **changes: Any) -> Found:
        """A copy with some fields changed."""
        return replace(self, **changes)


def bowed(beads: np.ndarray, far: float, seed: int = 0) -> np.ndarray:
    """A string moved aside, by an arch `far` times its chord high; the ends stay.

    The side is drawn at random; named after the ends it is the same in any batch and from
    either end. In one dimension there is none.

    Args:
        beads: (bead, param), ends included.
        far: height over chord, at least 0.
        seed: of the draw.
    """
    start, end = np.asarray(beads[[0, -1]], float)
    along = end - start
    side = drawn = named_generator(seed, start + end).standard_normal(len(along))
    if along.any():
        side = drawn - (drawn @ along) / (along @ along) * along
    if np.linalg.norm(side) <= 1e-6 * np.linalg.norm(drawn):
        return beads
    arch = np.sin(np.pi * np.linspace(0, 1, len(beads)))
    heights = far * np.linalg.norm(along) / np.linalg.norm(side) * arch
    bent = beads.copy()
    for row in range(1, len(beads) - 1):  # one by one: a sum is float64
        bent[row] = beads[row] + heights[row] * side
    return bent
