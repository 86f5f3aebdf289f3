"""Who computes: threads side by side on the cores of one CPU device.

XLA runs the programs that one thread dispatches one after another, and its own threads help small
programs little: so a thread a core dispatches programs of its own. Work that is handed to a thread
is computed whole by it, so timing changes no digit.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain, pairwise
from queue import Queue
from typing import Any

import jax
import numpy as np

FEWEST = 64  # points below which a second thread costs more than it saves

_mesh: list[Any] = []  # the devices that were asked for; empty: all
# .works: this thread is one of several that compute side by side; .device: where, if not at home
_thread = threading.local()


def local_devices() -> list[Any]:
    """The devices of this process that compute."""
    return _mesh or jax.local_devices()


def compute_on(count: int | None) -> None:
    """Compute on the first `count` local devices from now on; None: on all of them.

    Compiled programs, which are laid out for the devices of before, are forgotten.
    """
    before = list(local_devices())  # a copy: `_mesh` itself changes
    _mesh[:] = jax.local_devices()[:count] if count else []
    if local_devices() != before:
        one_cpu.cache_clear()
        workers.cache_clear()
        _threads.cache_clear()
        jax.clear_caches()


@cache
def one_cpu() -> bool:
    """Whether all is computed by a single CPU device, which is narrow."""
    return jax.default_backend() == "cpu" and len(local_devices()) == 1


@cache
def workers() -> int:
    """Threads that compute side by side: one per core of a single CPU device, else one."""
    if not one_cpu():
        return 1
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


@cache
def processor() -> str:
    """What the machine calls its CPU; JAX calls all of them "cpu"."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for name, _, value in (line.partition(":") for line in lines):
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers(), "landscape")


def at_home() -> bool:
    """Whether this thread is not one of several that compute side by side."""
    return not getattr(_thread, "works", False)


def device_here() -> Any:
    """The device that this thread computes on; None: the first, as everybody."""
    return getattr(_thread, "device", None)


def hands() -> int:
    """Workers that this thread may call: one of several side by side has only itself."""
    return workers() if at_home() else 1


@contextmanager
def at_work(wide: bool, device: Any = None) -> Iterator[None]:
    """One of several threads; what JAX does not hand down to a thread is set here."""
    _thread.works, _thread.device = True, device
    try:
        with jax.enable_x64(wide), jax.default_device(device):
            yield
    finally:
        _thread.works, _thread.device = False, None


def wide_floats() -> bool:
    """Whether JAX computes in float64 where it is asked to, in this thread."""
    return jax.dtypes.canonicalize_dtype(float) == np.float64


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, in order; as many at a time as there are cores.

    Each item is computed whole by one thread, so timing changes no digit.
    """
    items = list(items)
    if hands() == 1 or len(items) < 2:
        return [function(item) for item in items]
    wide = wide_floats()

    def one(item: Any) -> Any:
        with at_work(wide):
            return jax.block_until_ready(function(item))

    return list(_threads().map(one, items))


def in_shares(function: Callable[[Any], Any], lanes: Any, least: int = FEWEST) -> Any:
    """`function(lanes)`, every worker computing an equal share of at least `least` lanes.

    Every leaf of `lanes` and of the result has a leading lane axis.
    """
    count = len(jax.tree.leaves(lanes)[0])
    pieces = max(1, min(hands(), count // least))
    if pieces == 1:
        return function(lanes)
    edges = [count * i // pieces for i in range(pieces + 1)]
    # One CPU: NumPy sees the same memory, and does not compile a program for every shape.
    lanes = jax.tree.map(np.asarray, lanes)
    cut = [jax.tree.map(lambda leaf: leaf[a:b], lanes) for a, b in pairwise(edges)]  # noqa: B023
    found = side_by_side(function, cut)
    return jax.tree.map(lambda *parts: jax.device_put(np.concatenate(parts)), *found)


def interleaved(sources: list[Iterator[Any]]) -> Iterator[Any]:
    """What several sources yield, as it comes; each goes on in a thread of its own.

    A single source stays in this thread. When this ends early, as by Ctrl-C, the others stop at
    their next item, and nobody waits for that.
    """
    if len(sources) < 2:
        yield from chain(*sources)
        return
    found: Queue[tuple[str, Any]] = Queue()
    stopped, wide = threading.Event(), wide_floats()

    def drain(source: Iterator[Any]) -> None:
        try:
            with at_work(wide):
                for item in source:
                    found.put(("item", item))
                    if stopped.is_set():
                        break
        except BaseException as error:  # handed to the thread that waits
            found.put(("error", error))
        else:
            found.put(("end", None))

    # Threads of their own: what the caller shares out between two items finds the others free.
    threads, left = ThreadPoolExecutor(len(sources), "landscape-source"), len(sources)
    try:
        for source in sources:
            threads.submit(drain, source)
        while left:
            kind, value = found.get()
            if kind == "error":
                raise value
            if kind == "end":
                left -= 1
            else:
                yield value
    finally:
        stopped.set()
        threads.shutdown(wait=False)


def awaited(source: Iterator[Any], seconds: float) -> Iterator[Any]:
    """What `source` yields, as it comes, and None whenever that takes longer than `seconds`.

    The source goes on in a thread of its own, and only while it is waited for.
    """
    wide, end = wide_floats(), object()

    def one() -> Any:
        with jax.enable_x64(wide):
            return next(source, end)

    thread = ThreadPoolExecutor(1, "landscape-awaited")
    try:
        while True:
            coming = thread.submit(one)
            while not wait([coming], seconds).done:
                yield None
            if (item := coming.result()) is end:
                return
            yield item
    finally:
        thread.shutdown(wait=False)  # as by Ctrl-C: nobody waits for what is under way
