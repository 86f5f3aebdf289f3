"""What this machine has free, how long an evaluation takes on it, and how long it compiled."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from landscape_cli.cache import cache_folder
from landscape_cli.core.engine import Engine, free_on_device
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import FEWEST, local_devices, side_by_side, workers
from landscape_cli.errors import UserError
from landscape_cli.estimate import Memory, Timing
from landscape_cli.files import write

STEADY = 0.2  # seconds after which a gradient need not be timed again
MAPPINGS = 30_000  # Linux grants a process 65,530, and XLA takes some for every program
COMPILED = "/jax/core/compile/backend_compile_duration"


@cache
def _durations() -> list[float]:
    """Seconds of every program compiled, or taken from the cache, from now on."""
    durations: list[float] = []

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        if event == COMPILED:
            durations.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return durations


def compile_seconds() -> float:
    """Seconds this process has spent compiling since the first call; threads add up."""
    return sum(_durations())


def free_memory() -> Memory:
    """Bytes free on the device, if it has memory of its own, and on the host."""
    return Memory(free_on_device(), _host_memory())


def _host_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:  # all there is: better than nothing where nobody says what is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def shed_programs(most: int = MAPPINGS, maps: Path = Path("/proc/self/maps")) -> bool:
    """Forget all compiled programs where they take more than `most` mappings of memory.

    They come back from the cache on disk. A process that compiles on and on, as a long multirun
    does, would else end in a segmentation fault.

    Returns:
        Whether programs were forgotten.
    """
    try:
        with maps.open() as lines:
            taken = sum(1 for _ in lines)
    except OSError:  # not Linux
        return False
    if taken <= most:
        return False
    jax.clear_caches()
    gc.collect()
    return True


def points_of(surface: Surface) -> np.ndarray:
    """(worker, point, param) points that keep every worker and device busy as strings do."""
    loop = surface.strategy == "loop"
    each = 1 if loop else min(surface.chunk, 2 * FEWEST - 1)
    busy = max(workers(), len(local_devices())) if loop else workers()
    shape = (busy, each, surface.dimension)
    draws = np.random.default_rng(0).standard_normal(shape)
    return (0.05 * draws).astype(surface.dtype)


def gradients(surface: Surface, points: np.ndarray) -> Any:
    """Gradients at points of `points_of`, as they are computed of strings."""
    if surface.strategy == "loop":
        return surface.energies_and_gradients(jax.numpy.asarray(points[:, 0]))
    return side_by_side(surface.energies_and_gradients, map(jax.numpy.asarray, points))


def timed(surface: Surface, of: str = "energy") -> Timing:
    """Seconds of a gradient and of an energy, with what compiling both took.

    Args:
        surface: the surface.
        of: what the gradient is of; see `Cost`.
    """
    points = points_of(surface)
    count = points.shape[0] * points.shape[1]
    followed = surface
    if of != "energy":
        data, reference = surface.slope_data, surface.reference
        if of == "batch" and surface.batch is not None:
            data = reference = surface.batch(data, jax.random.key(0))
        followed = replace(
            surface, energy=surface.slope, rough=None, data=data, reference=reference
        )
    first, gradient = seconds_of(lambda: gradients(followed, points), 10, STEADY)
    before, energy = seconds_of(lambda: surface.energies(points), 10, STEADY)
    compiling = max(first - gradient, 0) + max(before - energy, 0)
    return Timing(gradient / count, energy / count, compiling)


def known_timing(surface: Surface, of: str = "energy") -> Timing:
    """As `timed`, but of what was timed on this machine before, what was found then."""
    engine = Engine(strategy=surface.strategy, chunk=surface.chunk, block=surface.block)
    what = (surface.energy, surface.steep, surface.slope, surface.batch, of)
    data = (surface.data, surface.slope_data)
    case = engine.case(what, data, surface.reference, surface.dtype)
    file = cache_folder("timing") / f"{case}.json"
    with suppress(OSError, TypeError, ValueError):
        return Timing(**json.loads(file.read_text(encoding="utf-8")))
    timing = timed(surface, of)
    if " at 0x" not in repr(what):  # else it has no name that another run would know
        with suppress(UserError):
            write(file, json.dumps(timing._asdict()).encode())
    return timing


def seconds_of(
    work: Callable[[], Any], calls: int, enough: float = float("inf")
) -> tuple[float, float]:
    """Seconds of the first call, and of the fastest of `calls` later ones.

    Of fewer, but of one at least, where they have taken `enough` seconds.
    """
    taken = []
    while len(taken) <= calls and (len(taken) < 2 or sum(taken[1:]) < enough):
        began = time.perf_counter()
        jax.block_until_ready(work())
        taken.append(time.perf_counter() - began)
    return taken[0], min(taken[1:], default=taken[0])
