"""What a run may need, before it starts: bytes and time, and whether that fits.

Pure arithmetic on a surface, counts, what the strings need (`path_costs`) and a gradient's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from landscape_cli.contracts import Cost
from landscape_cli.core.energy import on_host
from landscape_cli.core.engine import Engine
from landscape_cli.core.lanes import rung
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import workers
from landscape_cli.core.training import check_batch
from landscape_cli.errors import UserError
from landscape_cli.path_costs import DESCENT

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


def in_turn(costs: list[Cost]) -> Cost | None:
    """Of methods that come one after another."""
    if not costs:
        return None
    most = max(costs, key=lambda cost: cost.bytes)
    total = lambda name: sum(getattr(cost, name) for cost in costs)
    kinds = {cost.of for cost in costs}
    return Cost(
        bytes=most.bytes, least=max(cost.least for cost in costs), kept=total("kept"),
        gradients=total("gradients"), most=total("most"), energies=total("energies"),
        most_energies=total("most_energies"), change=most.change,
        of=kinds.pop() if len(kinds) == 1 else "loss",
    )  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What a run may need.

    Attributes:
        surface: that strings are on.
        activations: bytes of one program.
        engine: how energies are computed, in words.
        cost: of the strings; None: unknown.
        networks: trained at once.
        levels: energy levels.
        steps: of training, at most.
        statistics: bytes that batch norm takes beside the activations of one program.
    """

    surface: Surface
    activations: int
    engine: str
    cost: Cost | None
    networks: int
    levels: int
    steps: int = 0
    statistics: int = 0

    @property
    def strings(self) -> int:
        """Strings of the whole run."""
        return self.networks // 2 * self.levels

    @property
    def copies(self) -> int:
        """Networks that take memory in training, on the device."""
        if self.surface.strategy == "loop":
            return DESCENT * self.networks
        drawn = check_batch(self.surface, getattr(self.surface.batch, "size", None))
        crossed = 0 if drawn else CROSSED * self.levels  # else the host keeps crossings
        return (DESCENT + crossed) * rung(self.networks)

    @property
    def of(self) -> str:
        """What gradients are of; see `Cost`."""
        return "energy" if self.cost is None else self.cost.of

    @property
    def about(self) -> dict[str, int]:
        """What figures are titled with: how large the network is, and the data."""
        return {"parameters": self.surface.dimension, "examples": self.examples}

    @property
    def examples(self) -> int:
        """Examples of an energy."""
        leaves = jax.tree.leaves(self.surface.data)
        return len(leaves[0]) if leaves else 0

    def needs(self, *, least: bool = False) -> list[Need]:
        """Everything that takes memory; strings and training take turns.

        Args:
            least: with as few beads as strings may do with, else with as many as they may get.
        """
        network = self.surface.dimension * np.dtype(self.surface.dtype).itemsize
        ends = 2 * self.networks * self.levels * network
        together, sent = self.activations * workers(), not on_host(self.surface.data)
        found = [
            Need("data", CUT * data_bytes(self.surface), sent, "the examples of the data"),
            Need("activations", together, True, "engine.memory, engine.block or engine.chunk"),
            Need("end points", ends, False, "pairs or levels"),
        ]
        if self.statistics:
            found.append(Need("batch norm", self.statistics * workers(), True, STATISTICS))
        training = self.copies * network
        moved = 0 if self.cost is None else self.cost.least if least else self.cost.bytes
        if self.cost is None or moved < training:
            found.append(Need("training", training, True, "pairs or levels"))
        else:
            found.append(Need("strings", moved, True, self.cost.change))
        if self.cost is not None and not least:
            kept = RESULTS * self.cost.kept
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

    def memory_line(self, memory: Memory) -> str:
        """`0.4 GiB needed at most, 12.3 GiB free`."""
        needed, free, _ = self.need(memory)
        said = "unknown" if free is None else in_bytes(free)
        doubt = "" if free is None or needed <= free else ": it may not fit"
        return f"{in_bytes(needed)} needed at most, {said} free{doubt}"

    def line(self, memory: Memory, timing: Timing) -> str:
        """The estimate on one line, for the start of a run."""
        count = self.surface.dimension
        said = [
            f"estimate: {count:,} parameters, {self.examples:,} examples", f"engine {self.engine}",
            f"memory {self.memory_line(memory)}",
        ]  # fmt: skip
        if self.cost is not None:
            said.append(f"{self.strings} strings, gradients {gradients_line(self.cost)}")
        return "; ".join([*said, *self.time_words(timing)])

    def table(self, memory: Memory, timing: Timing) -> list[str]:
        """The estimate in aligned lines."""
        surface, cost = self.surface, self.cost
        rows = [
            ("parameters", f"{surface.dimension:,} ({np.dtype(surface.dtype)})"),
            ("data", f"{self.examples:,} examples, {in_bytes(CUT * data_bytes(surface))}"),
            ("engine", self.engine),
            ("activations", f"{in_bytes(self.activations)} a program, {workers()} at a time"),
        ]
        if self.statistics:
            held = f"{in_bytes(self.statistics)} more a program, of all examples of the statistics"
            rows.append(("batch norm", held))
        if cost is not None:
            held = f"{in_bytes(cost.bytes)} while they are moved, {in_bytes(cost.kept)} kept"
            rows.append(("strings", f"{self.strings} ({self.networks // 2} a level), {held}"))
        rows.append(("memory", self.memory_line(memory)))
        if cost is not None:
            rows.append(("gradients", gradients_line(cost)))
        each = f"gradient {in_seconds(timing.gradient)}, energy {in_seconds(timing.energy)}"
        rows.append(("speed", f"{each}; compiled in {in_seconds(timing.compiling)}"))
        if times := self.time_words(timing):
            rows.append(("time", "; ".join(times)))
        return [f"{name:12} {text}" for name, text in rows]

    def time_words(self, timing: Timing) -> list[str]:
        """`training 20 s at most`, `strings 60 s, about 20 min at most`: what is known of them."""
        words = []
        if self.steps:
            words.append(f"training {in_seconds(self.training(timing))} at most")
        if self.cost is not None:
            usual, most = map(in_seconds, self.seconds(self.cost, timing))
            words.append(f"strings {usual}, about {most} at most")
        return words

    def training(self, timing: Timing) -> float:
        """Seconds that training takes where no network is done before its last step."""
        drawn, part = getattr(self.surface.batch, "size", None), 1.0
        if drawn and self.examples and (self.cost is None or self.cost.of != "batch"):
            part = drawn / self.examples  # else a gradient that was timed is that of a batch
        return self.steps * self.networks * part * timing.gradient

    def seconds(self, cost: Cost, timing: Timing) -> tuple[float, float]:
        """Seconds that all strings take on the usual way, and at most."""
        usual = cost.gradients * timing.gradient + cost.energies * timing.energy
        most = cost.most * timing.gradient + cost.most_energies * timing.energy
        return self.strings * usual, self.strings * most


def gradients_line(cost: Cost) -> str:
    """`165,500 a string on its usual way, 6,556,000 at most`."""
    if not cost.most:
        return "none"
    return f"{cost.gradients:,} a string on its usual way, {cost.most:,} at most"


def data_bytes(surface: Surface) -> int:
    """Bytes of all examples of a surface, each array once."""
    leaves = jax.tree.leaves((surface.data, surface.loss_data, surface.reference))
    return sum({id(leaf): leaf.nbytes for leaf in leaves}.values())


def activations(surface: Surface) -> int:
    """Bytes of the intermediate values of one program."""
    leaves = jax.tree.leaves(surface.data)
    examples = len(leaves[0]) if leaves else 1
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


def in_bytes(count: float) -> str:
    """`3.1 MiB`, `24 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def in_seconds(seconds: float) -> str:
    """`35 µs`, `6.1 ms`, `12 s`, `4 min`, `2.5 h`, `3 days`."""
    for limit, unit, name in (
        (1e-3, 1e-6, "µs"), (1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "min"), (2e5, 3600, "h"),
    ):  # fmt: skip
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{seconds / 86400:,.0f} days"
