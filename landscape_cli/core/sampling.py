"""Dynamic String Sampling: join two points of a level set by inserting beads where it is left.

    repeat: for every segment whose highest energy exceeds τλ, insert a bead there and
            descend it until F <= αλ; out of steps, F <= λ will do

The greedy algorithm of Freeman & Bruna, 2017 (arXiv 1611.01540, section 3), for all strings at
once: beads do not see their neighbours while they descend, so those of all strings share one
pool. With τ = 1 every point of an accepted segment obeys the level; beads then have to lie
below it (α < 1), because between two points of a concave wall every chord leaves the set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from landscape_cli.core.descent import descend
from landscape_cli.core.random import named_generator
from landscape_cli.core.string import inside
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import hands, side_by_side
from landscape_cli.core.verdict import Peak, energies_inside, peaks
from landscape_cli.ranges import check_counts, choose

KICK = 0.05  # of the length of its segment, by which a bead is moved aside that gets nowhere
DOUBLINGS = 6  # of that, where the energy is not finite


@dataclass(frozen=True)
class Sampling:
    """Settings of Dynamic String Sampling.

    Attributes:
        alpha: beads descend until F <= alpha λ, which may be below the lowest F there is: one
            that is out of steps is good enough where F <= λ; in (0, 1].
        tau: segments are accepted up to tau λ; 1 obeys the level, a published slack is above 1.
        insertion: "worst" point of the segment, or its "midpoint".
        depth: rounds of insertion; a string not finished by then is not connected within budget.
        deeper: alpha is multiplied by this in every round from the fifth on, so that a segment
            that keeps failing gets beads further inside; 1 keeps alpha.
        points: energies looked at inside a segment.
        max_beads: most beads of a string, ends included; one that needs more is out of budget.
        bead_steps: most optimizer steps of a bead.
        kick: move a bead that stays above λ or slides back to an end off its segment, once, and
            let it descend again; not in the published algorithm.
        three_beads: insert the first bead even where the chord stays inside, as published.
        every: steps of a bead on mini-batches between two looks at F; None: on all examples.
    """

    alpha: float = 0.7
    tau: float = 1.0
    insertion: str = "worst"
    depth: int = 10
    deeper: float = 0.9
    points: int = 24
    max_beads: int = 129
    bead_steps: int = 4000
    kick: bool = True
    three_beads: bool = False
    every: int | None = None

    def __post_init__(self) -> None:
        for name in ("alpha", "deeper"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], got {getattr(self, name)}")
        if not 1 <= self.tau < np.inf:
            raise ValueError(f"tau must be at least 1, got {self.tau}")
        choose("insertion", self.insertion, ("worst", "midpoint"))
        check_counts(self, "depth", "points", "bead_steps")
        check_counts(self, "max_beads", least=3)


@dataclass
class Sampled:
    """A string as it grows; `bad` lists the segments that still leave the level set.

    `checked` is what the dense check found, where it was asked for, of the beads as they are.
    """

    beads: np.ndarray
    level: float
    bad: list[int] = field(default_factory=lambda: [0])
    peak: float = np.nan
    failed: bool = False
    gradients: int = 0
    energies: int = 0
    checked: Peak | None = None

    @property
    def inside(self) -> bool:
        """Every segment was accepted."""
        return not self.failed and not self.bad


def _allowed(level: Any, factor: float) -> Any:
    """The level times `factor`; for negative levels too, as level - (1 - factor)|level|."""
    return level - (1 - factor) * abs(level)


def _look(surface: Surface, strings: list[Sampled], settings: Sampling) -> list[tuple]:
    """Energies inside every untested segment; keep the bad ones with their insertion point."""
    segments = [
        (s, i) for s, string in enumerate(strings) if not string.failed for i in string.bad
    ]
    if not segments:
        return []
    t = np.arange(1, settings.points + 1) / (settings.points + 1)
    starts = np.stack([strings[s].beads[i] for s, i in segments])
    ends = np.stack([strings[s].beads[i + 1] for s, i in segments])
    energies = energies_inside(surface, starts, ends, t)
    bad = []
    for row, (s, i) in enumerate(segments):
        string, worst = strings[s], int(np.argmax(energies[row]))  # NaN counts as highest
        string.energies += settings.points
        if not energies[row, worst] <= _allowed(string.level, settings.tau):
            where = t[worst] if settings.insertion == "worst" else 0.5
            bad.append((s, i, starts[row] + where * (ends[row] - starts[row])))
            string.peak = float(energies[row, worst])
    return bad


def _check(
    surface: Surface, strings: list[Sampled], settings: Sampling, dense: int
) -> list[tuple]:
    """The dense check of newly accepted strings: segments with a peak between their samples."""
    t = (np.arange(dense) + 0.5) / dense
    bad = []
    new = [(s, x) for s, x in enumerate(strings) if x.inside and x.checked is None]
    tops = peaks(surface, [string.beads for _, string in new], dense)
    for (s, string), top in zip(new, tops, strict=True):
        string.checked = top
        string.bad = [int(i) for i in np.flatnonzero(~(top.per_segment <= string.level))]
        for i in string.bad:
            start, end = string.beads[i : i + 2]
            where = 0.5
            if settings.insertion == "worst":
                where = t[np.argmax(surface.energies(inside(start, end, t)))]
                string.energies += dense
            bad.append((s, i, start + where * (end - start)))
    return bad


def _across(segments: np.ndarray, names: list[tuple], seed: int) -> np.ndarray:
    """A vector across every segment, and as long.

    A chord can run over a saddle or a maximum, where the gradient vanishes or points along the
    chord, so that a bead stays or slides back to an end. The direction is random; named after
    its string's ends it is the same in any order and any batch, whatever the rounding.
    """
    across = np.zeros_like(segments[:, 0])
    for row, ((start, end), (ends, *place)) in enumerate(zip(segments, names, strict=True)):
        direction = named_generator(seed, ends, *place).standard_normal(len(start))
        along = (end - start) / np.linalg.norm(end - start)
        if len(along) > 1:
            direction -= (direction @ along) * along
        across[row] = np.linalg.norm(end - start) * direction / np.linalg.norm(direction)
    return across


def _kicked(
    surface: Surface, points: np.ndarray, across: np.ndarray, energies: np.ndarray
) -> np.ndarray:
    """Points moved aside by a part of `across`, or against it, where an energy is finite.

    No descent leaves what is infinite or NaN: the part is doubled until it is left.
    """
    reach = np.full(len(points), KICK)
    lost = np.flatnonzero(~np.isfinite(energies))
    for _ in range(2 * DOUBLINGS):
        if len(lost) == 0:
            break
        found = surface.energies(points[lost] + reach[lost, None] * across[lost])
        lost = lost[~np.isfinite(found)]
        reach[lost] *= np.where(reach[lost] > 0, -1, -2)
    return points + reach[:, None] * across


def _slid_back(thetas: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Beads that came to rest within 5 % of their segment from one of its ends."""
    nearest = np.linalg.norm(thetas[:, None] - segments, axis=2).min(1)
    return nearest < KICK * np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)


def _new_beads(surface, optimizer, settings: Sampling, seed: int, bad, strings, depth: int):
    """Descend every inserted point; one that stays high or slides back may be kicked, once."""
    points = np.stack([point for *_, point in bad])
    segments = np.stack([strings[s].beads[i : i + 2] for s, i, _ in bad])
    factor = settings.alpha * settings.deeper ** max(0, depth - 3)
    levels = np.array([strings[s].level for s, *_ in bad])
    targets = _allowed(levels, factor)
    how = settings.bead_steps, settings.every, seed
    found = descend(surface, optimizer, points, targets, *how)
    thetas, energies, spent = found.thetas, found.energies, found.gradients
    idle = np.flatnonzero(~(energies <= levels) | _slid_back(thetas, segments))
    if settings.kick and len(idle):
        names = [(strings[s].beads[[0, -1]], depth, i) for s, i, _ in (bad[row] for row in idle)]
        across = _across(segments[idle], names, seed)
        kicked = _kicked(surface, points[idle], across, energies[idle])
        again = descend(surface, optimizer, kicked, targets[idle], *how)
        spent[idle] += again.gradients
        arrived = again.energies <= levels[idle]
        thetas[idle[arrived]] = again.thetas[arrived]
        energies[idle[arrived]] = again.energies[arrived]
    return thetas, energies <= levels, spent


def _insert(strings: list[Sampled], bad, thetas, arrived, spent, settings: Sampling) -> None:
    """Put the new beads in; one that did not arrive, or finds no room, ends its string."""
    for string in strings:
        if not string.failed:
            string.bad = []
    shift: dict[int, int] = {}
    for (s, i, _), theta, ok, cost in zip(bad, thetas, arrived, spent, strict=True):
        string, at = strings[s], i + shift.get(s, 0)
        string.gradients += int(cost)
        string.failed |= len(string.beads) >= settings.max_beads
        if string.failed:
            continue
        if string.checked is not None:
            string.energies += string.checked.energies
            string.checked = None
        string.beads = np.insert(string.beads, at + 1, theta, axis=0)
        string.bad += [at, at + 1]
        shift[s] = shift.get(s, 0) + 1
        string.failed = not ok


def _begun(beads: np.ndarray, level: float) -> Sampled:
    return Sampled(beads, level, bad=list(range(len(beads) - 1)))


def sample(
    surface: Surface,
    optimizer: Any,
    starts: np.ndarray,
    ends: np.ndarray,
    levels: np.ndarray,
    settings: Sampling,
    report: Callable[[int, int], Any] = lambda done, total: None,
    dense: int = 0,
    initial: Sequence[np.ndarray | None] | None = None,
    seed: int = 0,
) -> list[Sampled]:
    """Grow a string for every pair of points.

    Args:
        surface: the surface.
        optimizer: the Optax transformation that moves a bead; hashable.
        starts: (string, param).
        ends: (string, param).
        levels: (string,) λ.
        settings: see `Sampling`.
        report: called with (strings accepted, strings) after every round.
        dense: points per segment of a dense check against λ itself that accepted strings have to
            pass too; where one fails, beads are inserted and the string goes on. 0: no check.
        initial: strings to grow from, between the same ends; None for the chord.
        seed: of kicks and mini-batches.

    Returns:
        One `Sampled` per pair; `.inside` says whether it succeeded. A failure is no proof.
    """
    begun = [None] * len(starts) if initial is None else initial
    strings = [
        _begun(np.stack([a, b]) if beads is None else np.asarray(beads), float(level))
        for a, b, level, beads in zip(starts, ends, levels, begun, strict=True)
    ]
    three = settings.three_beads and initial is None
    # A pool for every core: the last beads of a round are few, and keep one core busy at most.
    count = max(1, min(hands(), len(strings))) if surface.strategy == "vmap" else 1
    accepted = [0] * count

    def grown(share: int) -> None:
        def told(done: int) -> None:
            accepted[share] = done
            report(sum(accepted), len(strings))

        _grow(surface, optimizer, strings[share::count], settings, told, dense, three, seed)

    side_by_side(grown, range(count))
    return strings


def _grow(
    surface: Surface,
    optimizer: Any,
    strings: list[Sampled],
    settings: Sampling,
    report: Callable[[int], Any],
    dense: int,
    three: bool,
    seed: int,
) -> None:
    """Grow strings of one pool, in place; `three`: their first bead whatever the chord does."""
    new_beads = partial(_new_beads, surface, optimizer, settings, seed)
    if three:
        bad = [(s, 0, (string.beads[0] + string.beads[1]) / 2) for s, string in enumerate(strings)]
        _insert(strings, bad, *new_beads(bad, strings, 0), settings)
    for depth in range(settings.depth + 1):
        bad = _look(surface, strings, settings)
        for s, string in enumerate(strings):
            if not string.failed:
                string.bad = [i for owner, i, _ in bad if owner == s]
        bad += _check(surface, strings, settings, dense) if dense else []
        report(sum(string.inside for string in strings))
        if not bad or depth == settings.depth:
            break
        _insert(strings, bad, *new_beads(bad, strings, depth), settings)


def shortcut(surface: Surface, strings: list[Sampled], points: int = 32) -> None:
    """Remove beads whose neighbours see each other: in place, energies only.

    A bead goes if the chord between its neighbours stays inside; of two neighbours only the one
    that saves more length goes in the same round.
    """
    t = np.arange(1, points + 1) / (points + 1)
    while True:
        beads = [
            (s, i) for s, x in enumerate(strings) if x.inside for i in range(1, len(x.beads) - 1)
        ]
        if not beads:
            return
        triples = np.stack([strings[s].beads[i - 1 : i + 2] for s, i in beads])
        legs = np.linalg.norm(np.diff(triples, axis=1), axis=2).sum(1)
        gains = legs - np.linalg.norm(triples[:, 2] - triples[:, 0], axis=1)
        peaks = energies_inside(surface, triples[:, 0], triples[:, 2], t).max(1)
        gone: dict[int, set[int]] = {}
        for row in np.argsort(-gains):
            s, i = beads[row]
            strings[s].energies += points
            taken = gone.setdefault(s, set())
            if peaks[row] <= strings[s].level and not {i - 1, i + 1} & taken:
                taken.add(i)
        if not any(gone.values()):
            return
        for s, taken in gone.items():
            strings[s].beads = np.delete(strings[s].beads, sorted(taken), axis=0)
