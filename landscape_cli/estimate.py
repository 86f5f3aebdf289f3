"""What a run may need, before it starts: bytes and time, and whether that fits.

Pure arithmetic on a surface, counts, what the strings need (`path_costs`) and a gradient's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax

from landscape_cli.contracts import Cost
from landscape_cli.core.energy import examples_in, on_host
from landscape_cli.core.engine import Engine
from landscape_cli.core.lanes import rung
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import workers
from landscape_cli.core.training import check_batch
from landscape_cli.errors import UserError
from landscape_cli.path_costs import DESCENT
from landscape_cli.quantities import in_bytes

CROSSED = 2  # copies of what a program of full batches keeps of every crossing: before and after
RESULTS = 3  # copies of all strings: found, on record, and in the file that is made of it
CUT = 2  # copies of the data: as loaded, and in the blocks it is computed in
FORWARD = 3  # times less memory than a gradient that statistics take by themselves, at least
STATISTICS = "bn_examples, or choose model.norm=layer"  # what makes them smaller


class Memory(NamedTuple):
    """Bytes that are free; None: unknown.

    Attributes:
        device: on the accelerator; None where arrays live in the host's memory.
        host: of the machine.
    """

    device: int | None
    host: int | None


class Timing(NamedTuple):
    """Seconds of one evaluation, all workers computing, and of compiling both programs."""

    gradient: float
    energy: float
    compiling: float


class Need(NamedTuple):
    """One thing that takes memory, and which settings make it smaller."""

    name: str
    bytes: int
    on_device: bool
    change: str


class Joining(NamedTuple):
    """Strings that a method is asked for at once.

    Attributes:
        strings: how many.
        cost: evaluations of one of them, bytes of all; None: unknown.
        first: the same of what they begin from, known if `cost` is; None: of nothing.
    """

    strings: int
    cost: Cost | None
    first: Cost | None = None

    @property
    def costs(self) -> list[Cost]:
        """Those that are known."""
        return [cost for cost in (self.first, self.cost) if cost is not None]


def repeated(joinings: Sequence[Joining], times: int) -> list[Joining]:
    """The same ones `times` times over; only strings of one time are kept."""
    free = lambda cost: cost and replace(cost, kept=0)
    released = [Joining(count, free(cost), free(first)) for count, cost, first in joinings]
    return [*joinings, *released * (times - 1)]


@dataclass(frozen=True)
class Estimate:
    """What a run may need.

    Attributes:
        surface: that strings are on.
        activations: bytes of one program.
        engine: how energies are computed, in words.
        joinings: of strings, one after another.
        networks: trained at once; 0: none are.
        levels: that they are trained down through.
        trainings: one after another, each of so many networks.
        steps: of a network in training, at most; None: unknown.
        statistics: bytes that batch norm takes beside the activations of one program.
    """

    surface: Surface
    activations: int
    engine: str
    joinings: tuple[Joining, ...]
    networks: int
    levels: int
    trainings: int = 1
    steps: int | None = None
    statistics: int = 0

    @property
    def strings(self) -> int:
        """Strings of the whole run."""
        return sum(joining.strings for joining in self.joinings)

    @property
    def known(self) -> list[tuple[int, Cost]]:
        """How many strings there are of every cost that is known; a warm start's come again."""
        return [(each.strings, cost) for each in self.joinings for cost in each.costs]

    @property
    def counted(self) -> list[Joining]:
        """Strings of known cost."""
        return [joining for joining in self.joinings if joining.cost is not None]

    @property
    def points(self) -> int:
        """End points that are there at once: of training, or of strings that are joined."""
        most = max((joining.strings for joining in self.joinings), default=0)
        return max(self.networks * self.levels, 2 * most)

    @property
    def copies(self) -> int:
        """Networks that take memory in training, on the device."""
        if not self.networks:
            return 0
        if self.surface.strategy == "loop":
            return DESCENT * self.networks
        crossed = 0 if self.drawn else CROSSED * self.levels  # else the host keeps crossings
        return (DESCENT + crossed) * rung(self.networks)

    @property
    def batch(self) -> int | None:
        """Examples of a mini-batch; None: there are none."""
        return getattr(self.surface.batch, "size", None)

    @property
    def drawn(self) -> bool:
        """Whether training takes its steps on mini-batches."""
        return check_batch(self.surface, self.batch)

    @property
    def descents(self) -> int:
        """Gradients of training, where no network is done before its last step."""
        return self.trainings * self.networks * (self.steps or 0)

    @property
    def of(self) -> str:
        """What a gradient is timed of, see `Cost`: what most of the work is gradients of."""
        work = {"energy": 0, "loss": 0, "batch": 0}
        work["batch" if self.drawn else "loss"] = self.descents
        for count, cost in self.known:
            work[cost.of] += count * cost.gradients
        return max(work, key=lambda of: work[of] * self.seen(of))

    def seen(self, of: str) -> int:
        """Examples that a gradient of the energy, the loss or a mini-batch goes through."""
        descended = examples_in(self.surface.slope_data)
        found = {"energy": self.examples, "loss": descended, "batch": self.batch or descended}
        return found[of] or 1  # of a formula all are alike

    @property
    def about(self) -> dict[str, int]:
        """What figures are titled with: how large the network is, and the data."""
        return {"parameters": self.surface.dimension, "examples": self.examples}

    @property
    def examples(self) -> int:
        """Examples of an energy."""
        return examples_in(self.surface.data)

    def needs(self, *, least: bool = False) -> list[Need]:
        """Everything that takes memory; strings and training take turns.

        Args:
            least: with as few beads as strings may do with, else with as many as they may get.
        """
        network = self.surface.point_bytes
        ends = 2 * self.points * network
        together, sent = self.activations * workers(), not on_host(self.surface.data)
        found = [
            Need("data", CUT * data_bytes(self.surface), sent, "the examples of the data"),
            Need("activations", together, True, "engine.memory, engine.block or engine.chunk"),
            Need("end points", ends, False, "pairs or levels"),
        ]
        if self.statistics:
            found.append(Need("batch norm", self.statistics * workers(), True, STATISTICS))
        training = self.copies * network
        costs = [cost for _, cost in self.known]
        held = [Need("training", training, True, "pairs or levels")] if training else []
        held += [
            Need("strings", cost.least if least else cost.bytes, True, cost.change)
            for cost in costs
        ]
        if held:
            found.append(max(reversed(held), key=lambda need: need.bytes))
        if costs and not least:
            kept = RESULTS * sum(cost.kept for cost in costs)
            found.append(Need("results", kept, False, "pairs, levels or method.max_beads"))
        return found

    def need(self, memory: Memory, *, least: bool = False) -> tuple[int, int | None, list[Need]]:
        """Bytes needed and free, and of what: where it is tightest, the device or the host."""
        needs = self.needs(least=least)
        if memory.device is None:
            return sum(need.bytes for need in needs), memory.host, needs
        there = [need for need in needs if need.on_device]
        here = [need for need in needs if not need.on_device]
        device, host = (sum(need.bytes for need in part) for part in (there, here))
        if memory.host is not None and host > memory.host:
            return host, memory.host, here
        return device, memory.device, there

    def check(self, memory: Memory) -> None:
        """Refuse what cannot fit; what might not, if strings need all their beads, may try.

        Raises:
            UserError: more bytes are needed than are free.
        """
        needed, free, needs = self.need(memory, least=True)
        if free is None or needed <= free:
            return
        parts = sorted(needs, key=lambda need: -need.bytes)
        largest = ", ".join(f"{part.name} {in_bytes(part.bytes)}" for part in parts[:3])
        raise UserError(
            f"not enough memory: this run needs {in_bytes(needed)} ({largest}) and "
            f"{in_bytes(free)} are free; lower {parts[0].change}"
        )

    def gradient(self, of: str, timing: Timing) -> float:
        """Seconds of a gradient of the energy, the loss or a mini-batch.

        One of the three is timed; the others are taken to differ from it as their numbers of
        examples do.
        """
        return timing.gradient * self.seen(of) / self.seen(self.of)

    def training(self, timing: Timing) -> float:
        """Seconds that training takes where no network is done before its last step.

        They are those of its gradients: of the loss on all of its examples, or on a mini-batch.
        """
        return self.descents * self.gradient("batch" if self.drawn else "loss", timing)

    def seconds(self, timing: Timing) -> tuple[float, float]:
        """Seconds that all strings of known cost take on the usual way, and at most."""
        usual = most = 0.0
        for count, cost in self.known:
            gradient = self.gradient(cost.of, timing)
            usual += count * (cost.gradients * gradient + cost.energies * timing.energy)
            most += count * (cost.most * gradient + cost.most_energies * timing.energy)
        return usual, most


def data_bytes(surface: Surface) -> int:
    """Bytes of all examples of a surface, each array once."""
    leaves = jax.tree.leaves((surface.data, surface.loss_data, surface.reference))
    return sum({id(leaf): leaf.nbytes for leaf in leaves}.values())


def activations(surface: Surface) -> int:
    """Bytes of the intermediate values of one program."""
    examples = examples_in(surface.data) or 1
    part = surface.work * min(surface.block or examples, examples) // examples
    return part if surface.strategy == "loop" else part * surface.chunk


def statistics(surface: Surface, *, gradient: bool = True) -> int:
    """Bytes that a context takes beside them, of all its examples at once.

    Args:
        surface: whose energy has a context, or has none.
        gradient: whether gradients go through it.
    """
    part = surface.context if surface.strategy == "loop" else surface.context * surface.chunk
    return part if gradient else part // FORWARD


def engine_line(surface: Surface, engine: Engine) -> str:
    """`by rule: loop, 24 examples of 1 point at a time`."""
    case = engine.case(surface.energy, surface.data, surface.reference, surface.dtype)
    points = 1 if surface.strategy == "loop" else surface.chunk
    many = f"{surface.block or 'all'} examples of " if jax.tree.leaves(surface.data) else ""
    plural = "s" if points > 1 else ""
    return f"{engine.source(case)}: {surface.strategy}, {many}{points} point{plural} at a time"
