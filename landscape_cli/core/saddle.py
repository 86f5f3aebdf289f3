"""Turn relaxed bands into strings over their passes: climbing beads, and beads beside them.

Every bead that is higher than both of its neighbors climbs between them, which stay where they
are: up along its tangent, down across it,

    F = -∇F + 2 (∇F·τ) τ,

until its gradient is as good as zero. Then segments are looked at: one that rises above both of
its ends hides a pass, or cuts a corner, and gets a bead in its middle, relaxed across the string.
What is higher than its neighbors now climbs in turn. In the end the highest point of a string is
the highest bead that has arrived; beads that have are called saddles if the energy, where that is
what they followed, curves down along the string: τᵀ∇²F τ < 0.

Reference: Henkelman, Uberuaga and Jónsson, A climbing image nudged elastic band method for finding
saddle points and minimum energy paths, 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import jax.numpy as jnp
import numpy as np

from landscape_cli.core import curvature
from landscape_cli.core.band import Outcome, Report, half_cosine
from landscape_cli.core.descent import free
from landscape_cli.core.relax import relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import inside
from landscape_cli.core.surface import Surface
from landscape_cli.core.tangent import Forces

CLIMBING = Relaxing(Forces(spring=1.0, climb=True))
BESIDE = Relaxing(Forces(spring=1.0))
STEPS = 100  # of a bead beside a saddle
RATE = 0.05  # of a first step, in distances of the neighbors; falls to a hundredth in a climb
ADDED = 8  # most beads put into a string in a round
CURVATURE = 3  # energies that it costs
HIDDEN = 1e-3  # part of the range of losses by which a segment rises if it hides a pass


@dataclass(frozen=True)
class Climbing:
    """How passes are found on a band.

    Attributes:
        steps: most steps of a climbing bead, at least 1.
        tolerance: a climbing bead has arrived where its gradient is below this part of the
            largest at the beads of the band; in (0, 1).
        rounds: most rounds of climbing, and of beads beside saddles; at least 1.
        samples: points looked at inside a segment, at least 1.
    """

    steps: int
    tolerance: float
    rounds: int
    samples: int

    @property
    def rates(self) -> np.ndarray:
        """(step,) of a climbing bead; its optimizer finds the scale of its surface by itself."""
        return RATE * 0.01 ** (np.arange(self.steps) / self.steps)

    def most_beads(self, beads: int) -> int:
        """Of a string that begins with `beads`."""
        return beads + ADDED * self.rounds

    def gradients(self, beads: int) -> int:
        """Most gradients of a string of `beads`, every one of which climbs."""
        climbs = (self.most_beads(beads) - 2) * (self.steps + 2)
        return beads + climbs + ADDED * self.rounds * (STEPS + 2)

    def energies(self, beads: int) -> int:
        """Most energies of a string of `beads`."""
        return (self.rounds * self.samples + 2 + CURVATURE) * self.most_beads(beads)


@dataclass
class Crossing:
    """A string on its way over its passes.

    Attributes:
        outcome: its beads, and what was spent.
        losses: (bead,) what descents follow, at the beads.
        climbed: (bead,) beads that have climbed.
        arrived: (bead,) beads that have climbed to where there is no gradient.
        tolerance: gradient below which there is none.
    """

    outcome: Outcome
    losses: np.ndarray
    climbed: np.ndarray
    arrived: np.ndarray
    tolerance: float

    def tops(self) -> np.ndarray:
        """Beads that are higher than both neighbors, and have not climbed."""
        here = self.losses
        highest = (here[1:-1] > here[:-2]) & (here[1:-1] > here[2:])
        return 1 + np.flatnonzero(highest & ~self.climbed[1:-1])

    def move(self, bead: int, theta: np.ndarray, loss: float, arrived: bool) -> None:
        """Put a bead where it has arrived, unless that is far from its neighbors.

        One that has not stays in the band: where a surface has no saddle, as that of a network
        with parameters to spare, it has drifted to where the loss is lower all around.
        """
        beads, self.climbed[bead] = self.outcome.beads, True
        far = np.linalg.norm(theta - beads[bead])
        if arrived and far <= np.linalg.norm(beads[bead + 1] - beads[bead - 1]):
            beads[bead], self.losses[bead], self.arrived[bead] = theta, loss, True

    def insert(self, segments: np.ndarray, thetas: np.ndarray, losses: np.ndarray) -> None:
        """Put a bead into each of `segments`."""
        at, new = segments + 1, np.zeros(len(segments), bool)
        self.outcome.beads = np.insert(self.outcome.beads, at, thetas, axis=0)
        self.losses = np.insert(self.losses, at, losses)
        self.climbed = np.insert(self.climbed, at, new)
        self.arrived = np.insert(self.arrived, at, new)

    def rising(self, between: np.ndarray) -> np.ndarray:
        """Segments that get a bead, by the (segment, sample) losses inside them."""
        eps = np.finfo(self.outcome.beads.dtype).eps
        rounding = 16 * eps * np.abs(self.losses).max()
        # Beside what has arrived, and above all beads, nothing may rise; else corners may be cut.
        strict = self.arrived[:-1] | self.arrived[1:] | (between.max(1) > self.losses.max())
        slack = np.where(strict, rounding, rounding + HIDDEN * np.ptp(self.losses))
        rise = between.max(1) - np.maximum(self.losses[:-1], self.losses[1:])
        chosen = np.argsort(-between.max(1), kind="stable")
        return np.sort(chosen[rise[chosen] > slack[chosen]][:ADDED])

    def concluded(self) -> Outcome:
        """The string with what has arrived, each pass once; which are saddles is seen to after."""
        at = np.flatnonzero(self.arrived)
        beads = self.outcome.beads
        near = 1e-3 * np.linalg.norm(beads[-1] - beads[0])
        keep = np.ones(len(beads), bool)
        for a, b in pairwise(at):
            if np.linalg.norm(beads[b] - beads[a]) < near:
                keep[a + 1 : b + 1] = False
        self.outcome.beads = beads[keep]
        self.outcome.saddles = tuple(map(int, np.flatnonzero(self.arrived[keep])))
        return self.outcome


def crossed(
    surface: Surface, outcomes: list[Outcome], climbing: Climbing, report: Report
) -> list[Outcome]:
    """Let relaxed bands climb over their passes; bands that have diverged stay as they are."""
    works = [_begun(surface, outcome, climbing) for outcome in outcomes if not outcome.broken]
    for number in range(climbing.rounds):
        report(number + 1, climbing.rounds, "rounds of climbing")
        _climb(surface, works, climbing)
        if not _refine(surface, works, climbing):
            break
    _tell_saddles(surface, [work.concluded() for work in works])
    return outcomes


def _tell_saddles(surface: Surface, outcomes: list[Outcome]) -> None:
    """Drop from `saddles` where F does not curve down along the string, as it may on a plateau."""
    found = [(outcome, bead) for outcome in outcomes for bead in outcome.saddles]
    if not (found and free(surface)):  # else what beads followed cannot be looked at
        return
    before, points, after = np.stack(
        [outcome.beads[bead - 1 : bead + 2] for outcome, bead in found], axis=1
    )
    curved = curvature.along(surface, points, after - before)
    for outcome in outcomes:
        outcome.saddles = ()
    for (outcome, bead), bend in zip(found, curved, strict=True):
        outcome.saddles += (bead,) if bend < 0 else ()
        outcome.energies += CURVATURE


def _begun(surface: Surface, outcome: Outcome, climbing: Climbing) -> Crossing:
    losses, gradients = map(np.asarray, surface.losses_and_gradients(jnp.asarray(outcome.beads)))
    outcome.gradients += len(losses)
    flags = np.zeros(len(losses), bool)
    steepest = float(np.linalg.norm(gradients, axis=1).max())
    known = 100 * float(np.finfo(losses.dtype).eps)  # gradients are not known any better
    goal = max(climbing.tolerance, known) * steepest
    return Crossing(outcome, losses.copy(), flags, flags.copy(), goal)


def _losses(surface: Surface, points: np.ndarray) -> np.ndarray:
    """What descents follow, which need not be what is judged; (..., param) to (...)."""
    if free(surface):
        return surface.energies(points)
    rows = jnp.asarray(points.reshape(-1, points.shape[-1]))
    return np.asarray(surface.losses_and_gradients(rows)[0]).reshape(points.shape[:-1])


def _climb(surface: Surface, works: list[Crossing], climbing: Climbing) -> None:
    """Every top of every string, all of them at once, each between its neighbors."""
    tops = [(work, int(bead)) for work in works for bead in work.tops()]
    if not tops:
        return
    triples = [work.outcome.beads[bead - 1 : bead + 2] for work, bead in tops]
    goals = np.array([work.tolerance for work, _ in tops])
    end = relax(surface, triples, CLIMBING, climbing.rates, tolerance=goals)
    thetas = np.stack([triple[1] for triple in end.strings])
    arrived = ~end.broken & (end.pull < goals)
    losses = _losses(surface, thetas)
    for row, (work, bead) in enumerate(tops):
        work.move(bead, thetas[row], float(losses[row]), bool(arrived[row]))
        work.outcome.gradients += int(end.gradients[row])
        work.outcome.energies += 1


def _refine(surface: Surface, works: list[Crossing], climbing: Climbing) -> bool:
    """A bead for every segment that hides something high; whether there was any."""
    t = np.arange(1, climbing.samples + 1) / (climbing.samples + 1)
    wanting = []
    for work in works:
        beads = work.outcome.beads
        between = _losses(surface, inside(beads[:-1], beads[1:], t))
        work.outcome.energies += between.size
        wanting.append(work.rising(between))
    triples = [
        inside(work.outcome.beads[i], work.outcome.beads[i + 1], np.array([0.0, 0.5, 1.0]))
        for work, segments in zip(works, wanting, strict=True)
        for i in segments
    ]
    if not triples:
        return False
    end = relax(surface, triples, BESIDE, half_cosine(RATE, STEPS))
    thetas = np.stack([triple[1] for triple in end.strings])
    losses, done = _losses(surface, thetas), 0
    for work, segments in zip(works, wanting, strict=True):
        rows = slice(done, done + len(segments))
        work.insert(segments, thetas[rows], losses[rows])
        work.outcome.gradients += int(end.gradients[rows].sum())
        work.outcome.energies += len(segments)
        done += len(segments)
    return True
