"""How energies of a network are computed: what is chosen here changes the speed, not the numbers.

On a CPU a convolutional net is fastest as a host loop over one compiled point and few examples
(their activations stay in the cache), a thread a core; dense nets, and everything on a GPU, as one
program over many points, on a CPU again as many as the cache holds, of convolutional nets on a GPU
one, or few where examples are few. Memory bounds both numbers.
`benchmarks/README.md` has the measurements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from landscape_cli.core.energy import even, on_host
from landscape_cli.core.threads import local_devices, processor, workers
from landscape_cli.errors import UserError
from landscape_cli.ranges import check_limits, choose

GRANT = 1 << 29  # bytes for one program where a device does not say what is free
SHARE = 0.4  # of a device's free memory for one program: strings and data need the rest
CACHE = 24 << 20  # bytes of activations that a CPU's last cache holds
VECTOR = 8  # examples that a CPU computes at once where they are the last axis of an array
POINTS_CPU = 64  # points at a time on a CPU, where larger batches only leave the cache
POINTS = 1 << 14  # on anything wider
CONVOLVED = 1 << 9  # images that a GPU is busy with: see `Engine.plan`
STRATEGIES = ("auto", "vmap", "loop")
PLACES = ("auto", "device", "host")
ARITHMETICS = ("full", "tensorfloat32", "bfloat16")


@dataclass(frozen=True)
class Plan:
    """What an engine decided for one surface; see `Surface`."""

    strategy: str
    chunk: int
    block: int | None


@dataclass(frozen=True)
class Engine:
    """How energies and gradients are computed.

    Where strategy, block and chunk are left open, a plan that was timed for the case decides,
    if one is remembered (`recalling`), else a rule.

    Attributes:
        strategy: "vmap", one program over many points; "loop", a host loop over one compiled
            point; "auto" chooses by device and kind of layer.
        block: examples at a time; None: as many as suit the memory and the cache.
        chunk: points at a time; None: likewise.
        memory: GiB that the activations of one program may take; None: 0.4 of what is free on a
            device with memory of its own, 0.5 GiB on a CPU.
        gradients: "tensorfloat32" (GPUs) or "bfloat16" computes gradients in it; energies, and
            so every verdict, stay in the run's precision. "full": gradients too.
        data: where examples are kept: on the "device", or on the "host", from where a block at a
            time goes to the device; "auto": on the host where they would take more than half of
            a device's free memory and the strategy is not set to "vmap", which sends no blocks.
        devices: how many of the local devices compute; a divisor of their number. None: all.
        remat: keep for the gradient what products and convolutions give, and compute the rest
            again: less memory on a GPU, some more time. A CPU's compiler undoes it.
        remembered: plans that were timed, by case; no setting.
    """

    strategy: str = "auto"
    block: int | None = None
    chunk: int | None = None
    memory: float | None = None
    gradients: str = "full"
    data: str = "auto"
    devices: int | None = field(default=None, repr=False)
    remat: bool = False
    remembered: Mapping[str, Plan] = field(
        default_factory=dict, compare=False, repr=False, metadata={"setting": False}
    )

    def __post_init__(self) -> None:
        choose("strategy", self.strategy, STRATEGIES)
        choose("gradients", self.gradients, ARITHMETICS)
        choose("data", self.data, PLACES)
        if self.data == "host" and self.strategy == "vmap":
            raise ValueError("data=host needs strategy=loop, which takes a block after another")
        check_limits(self, "block", "chunk", "devices")
        if self.memory is not None and not 0 < self.memory < np.inf:
            raise ValueError(f"memory must be positive, got {self.memory}")

    @property
    def arithmetic(self) -> str:
        """What `NetworkEnergy` is told for gradients."""
        return "" if self.gradients == "full" else self.gradients

    def check(self) -> None:
        """Refuse an arithmetic that the device does not have, and a mesh of odd devices.

        Raises:
            UserError: tensorfloat32 on a CPU, which would silently be full precision; `devices`
                does not divide the number of local devices.
        """
        there = jax.local_device_count()
        if there % (self.devices or 1):
            fit = ", ".join(str(n) for n in range(1, there + 1) if there % n == 0)
            plural = "s" if there > 1 else ""
            raise UserError(
                f"engine.devices={self.devices}: does not divide the {there} "
                f"{jax.default_backend()} device{plural} of this process; choose {fit}"
            )
        if self.gradients == "tensorfloat32" and jax.default_backend() == "cpu":
            raise UserError(
                "engine.gradients=tensorfloat32: a CPU has no such arithmetic; choose full or "
                "bfloat16"
            )

    def waits(self, size: int) -> bool:
        """Whether examples of so many bytes are kept on the host."""
        if self.data != "auto" or self.strategy == "vmap":
            return self.data == "host"
        free = free_on_device()
        return free is not None and 2 * size > free

    @property
    def granted(self) -> float:
        """Bytes that the activations of one program may take.

        A share of what is free is rounded down to half a GiB, so that a little more or less in
        use does not change the plan, and with it the rounding of sums.
        """
        if self.memory is not None:
            return self.memory * 2**30
        free = free_on_device()
        return GRANT if free is None else max(int(SHARE * free) // GRANT, 1) * GRANT

    def recalling(self, plans: Mapping[str, Plan]) -> Engine:
        """The same engine, which knows `plans` by their cases."""
        return replace(self, remembered=dict(plans))

    @property
    def open(self) -> bool:
        """Whether nothing was asked for that a plan decides."""
        return self.strategy == "auto" and self.block is None and self.chunk is None

    def case(self, energy: Any, data: Any, reference: Any, dtype: Any) -> str:
        """A name for what speed depends on: network, shapes, arithmetic, processors, JAX."""
        shapes = [(leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves((data, reference))]
        kind = jax.devices()[0].device_kind
        device = processor() if kind == "cpu" else kind, len(local_devices()), workers()
        words = [energy, shapes, np.dtype(dtype), self, device, jax.__version__]
        words += ["host"] if on_host(data) else []  # another plan where examples have to be sent
        return hashlib.sha256(" ".join(map(repr, words)).encode()).hexdigest()[:24]

    def source(self, case: str) -> str:
        """Who decides: "tuned", "by rule" or "as set"."""
        if not self.open:
            return "as set"
        return "tuned" if case in self.remembered else "by rule"

    def plan(
        self, size: int, examples: int, convolves: bool, case: str = "", waits: bool = False,
        context: int = 0,
    ) -> Plan:  # fmt: skip
        """Decide for a network.

        Args:
            size: bytes of the intermediate values of one energy over all examples.
            examples: their number; 0 of an energy that has none to take apart.
            convolves: the network has convolutions.
            case: its name among the remembered plans.
            waits: the examples wait on the host.
            context: bytes that a point takes beside its examples, in the same program unless
                it is a host loop's.

        Raises:
            UserError: `memory` was set, and the smallest program needs more.
        """
        if self.open and case in self.remembered:
            return self.remembered[case]
        cpu = jax.default_backend() == "cpu"
        strategy = self.strategy
        if strategy == "auto":
            strategy = "loop" if waits or (convolves and cpu) else "vmap"
        each = max(size / max(examples, 1), 1)  # bytes of one example
        granted = self.granted
        room = min(granted, CACHE) if cpu else granted
        context = 0 if strategy == "loop" else context
        # A context cannot be cut: where it leaves little, fewer examples would not help.
        left = min(room, max(granted - context, granted / 2))
        least = self.chunk if self.chunk and strategy == "vmap" else 1  # points of a program
        most = self.block or max(1, int(left / (each * least)))
        if self.block is None and cpu and most < examples:
            most = _in_vectors(examples, most)
        block = even(max(examples, 1), most)
        self._check_memory(each * block * least, least, examples)
        points = POINTS_CPU if cpu else POINTS
        if convolves and not cpu:
            # Of several points XLA makes a kernel's gradient a convolution with windows as large
            # as an image, in as many groups as points; a library's gradient is of one point.
            points = max(1, CONVOLVED // block) if examples else 1
        fit = np.clip(room / (context + each * block), 1, points)
        chunk = self.chunk or 1 << int(np.log2(fit))
        return Plan(strategy, chunk, None if block >= examples else block)

    def _check_memory(self, needed: float, points: int, examples: int) -> None:
        """Refuse a `memory` that was set and is less than the smallest program needs."""
        if self.memory is None or needed <= self.granted:
            return
        of = f"engine.block={self.block}" if self.block else "one example"
        at = f"engine.chunk={points}" if points > 1 else "one point"
        what = f"{of} and {at}" if examples else at
        raise UserError(
            f"engine.memory={self.memory:g}: a program of {what} takes "
            f"{1.01 * needed / 2**30:.3g} GiB of activations; allow as much"
        )


def _in_vectors(examples: int, most: int) -> int:
    """The largest multiple of `VECTOR`, of those with the fewest examples to fill up a block."""
    sizes = range(most - most % VECTOR, 0, -VECTOR)
    return min(sizes, key=lambda size: -examples % size, default=most)


def free_on_device() -> int | None:
    """Bytes free on the fullest device; None where its memory is the host's, or unknown."""
    if jax.default_backend() == "cpu":
        return None
    stats = [device.memory_stats() or {} for device in local_devices()]
    if not all("bytes_limit" in each for each in stats):
        return None
    return min(each["bytes_limit"] - each.get("bytes_in_use", 0) for each in stats)
