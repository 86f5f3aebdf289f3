"""Lanes: many things of one shape that are computed side by side, and who computes them.

Batch sizes come from a ladder, so that few programs are compiled. Lanes are shared out over the
devices of one mesh, or, on a single CPU device, over a thread a core: XLA runs the programs that
one thread dispatches one after another, and its own threads help small programs little. What is
computed point by point is shared out over a thread for every device.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import chain, pairwise
from queue import Queue
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array

# Batch sizes: few shapes, few compilations; from 24 on never more than half as many lanes again.
LADDER = tuple(sorted([4, 8, *(f * 2**k for k in range(3, 22) for f in (2, 3))]))
APART: Any = {"xla_cpu_multi_thread_eigen": False}  # of operations too small to be shared out
FLIGHTS = tuple(8 * 4**k for k in range(12))
PIECE = 32  # lanes of a light program at a time, of those that are real
FLOCK = 8  # the same of one whose points take many steps, in which they are to round alike
SOON = 0.05  # seconds after which a program of many steps may come back, to tell how far it is
SHARE = 64  # points below which a second thread costs more than it saves


def rung(count: int) -> int:
    """Smallest batch size of the ladder that holds `count`."""
    return _smallest(LADDER, count)


def flight(count: int) -> int:
    """Smallest of far fewer sizes: for programs that are told how many lanes are real."""
    return _smallest(FLIGHTS, count)


def _smallest(sizes: tuple[int, ...], count: int) -> int:
    """The smallest size that holds `count`; beyond the largest a multiple of that."""
    return next((size for size in sizes if size >= count), -(-count // sizes[-1]) * sizes[-1])


def pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeat the first row until there are `size`; padded lanes are as sound as that one."""
    fill = np.broadcast_to(rows[:1], (size - len(rows), *rows.shape[1:]))
    return np.concatenate([rows, fill]) if size > len(rows) else rows


def compiled(function: Callable[..., Any], **options: Any) -> Callable[[bool], Any]:
    """`function` jitted in two ways: True where its operations are too small to be shared out.

    A CPU then runs them in the thread that asks, which saves handing them around.
    """
    ways = {
        True: jax.jit(function, compiler_options=APART, **options),
        False: jax.jit(function, **options),
    }
    return ways.__getitem__


def in_pieces(
    function: Callable[[Any], Any], lanes: Any, real: Any, most: int = PIECE, alike: bool = False
) -> Any:
    """`function` of at most `most` lanes at a time until the first `real` are done, traced.

    Every leaf of `lanes` and of the result has a leading lane axis. `real` is a traced number;
    of pieces without any of them zeros are returned. Where pieces are `alike` all have `most`
    lanes, however few there are: then a lane is the same in any company, by all bits.
    """
    count = len(jax.tree.leaves(lanes)[0])
    if count == most or (count < most and not alike):
        return function(lanes)
    pieces = -(-count // most)
    size = most if alike else -(-count // pieces)
    fill = lambda leaf: [(0, pieces * size - count), *[(0, 0)] * (leaf.ndim - 1)]
    padded = jax.tree.map(lambda leaf: jnp.pad(leaf, fill(leaf), mode="edge"), lanes)
    blocks = jax.tree.map(lambda leaf: leaf.reshape(pieces, size, *leaf.shape[1:]), padded)
    pick = lambda i: jax.tree.map(lambda leaf: leaf[i], blocks)
    empty = jax.tree.map(
        lambda leaf: jnp.zeros((pieces, *leaf.shape), leaf.dtype),
        jax.eval_shape(function, pick(0)),
    )

    def one(i: Any, found: Any) -> Any:
        return jax.tree.map(lambda all, some: all.at[i].set(some), found, function(pick(i)))

    found = jax.lax.fori_loop(0, -(-real // size), one, empty)
    joined = lambda leaf: leaf.reshape(pieces * size, *leaf.shape[2:])  # -1 is not for no elements
    return jax.tree.map(lambda leaf: joined(leaf)[:count], found)


def in_chunks(function: Callable[[Any], Any], lanes: Any, chunk: int) -> Any:
    """`function` of at most `chunk` lanes at a time, traced, in one program.

    Every leaf of `lanes` and of the result has a leading lane axis.
    """
    count = len(jax.tree.leaves(lanes)[0])
    if count <= chunk:
        return function(lanes)
    pieces, rest = divmod(count, chunk)
    whole = pieces * chunk  # all sizes are given: -1 is not for leaves without elements
    blocks = jax.tree.map(lambda leaf: leaf[:whole].reshape(pieces, chunk, *leaf.shape[1:]), lanes)
    found = jax.lax.map(function, blocks)
    found = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), found)
    if not rest:
        return found
    last = function(jax.tree.map(lambda leaf: leaf[whole:], lanes))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), found, last)


def over_devices(function: Callable[[Any, Any], Any], shared: Any, lanes: Any) -> Any:
    """`function(shared, lanes)` with the lanes shared out over all local devices.

    Lanes need nothing of each other, so there is no communication; their number is padded to a
    multiple of the devices. Every leaf of `lanes` and of the result has a leading lane axis.
    """
    devices = jax.local_device_count()
    if devices == 1:
        return function(shared, lanes)
    count = len(jax.tree.leaves(lanes)[0])

    def fill(leaf: Array) -> Array:
        return jnp.pad(leaf, [(0, -count % devices), *[(0, 0)] * (leaf.ndim - 1)], mode="edge")

    mesh = jax.make_mesh((devices,), ("lane",), axis_types=(AxisType.Auto,))
    spread = jax.shard_map(
        function, mesh=mesh, in_specs=(PartitionSpec(), PartitionSpec("lane")),
        out_specs=PartitionSpec("lane"), check_vma=False,
    )  # fmt: skip
    return jax.tree.map(lambda leaf: leaf[:count], spread(shared, jax.tree.map(fill, lanes)))


@cache
def one_cpu() -> bool:
    """Whether all is computed by a single CPU device, which is narrow."""
    return jax.default_backend() == "cpu" and jax.local_device_count() == 1


@cache
def workers() -> int:
    """Threads that compute side by side: one per core of a single CPU device, else one."""
    if not one_cpu():
        return 1
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers(), "landscape")


# .works: this thread is one of several that compute side by side; .device: where, if not at home
_thread = threading.local()


def hands() -> int:
    """Workers that this thread may call: one of several side by side has only itself."""
    return 1 if getattr(_thread, "works", False) else workers()


@contextmanager
def _at_work(wide: bool, device: Any = None) -> Iterator[None]:
    """One of several threads; what JAX does not hand down to a thread is set here."""
    _thread.works, _thread.device = True, device
    try:
        with jax.enable_x64(wide), jax.default_device(device):
            yield
    finally:
        _thread.works, _thread.device = False, None


def _wide() -> bool:
    return jax.dtypes.canonicalize_dtype(float) == np.float64


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, in order; as many at a time as there are cores.

    Each item is computed whole by one thread, so timing changes no digit.
    """
    items = list(items)
    if hands() == 1 or len(items) < 2:
        return [function(item) for item in items]
    wide = _wide()

    def one(item: Any) -> Any:
        with _at_work(wide):
            return jax.block_until_ready(function(item))

    return list(_threads().map(one, items))


def on_devices(function: Callable[[list[Any]], list[Any]], items: Iterable[Any]) -> list[Any]:
    """`function` of a share of the items on every local device; its results, in order.

    Every device has a thread of its own, in which it is the default; arrays that are shared by
    all items come to it by `here`. Of several devices results come back to the host.
    """
    items, devices = list(items), jax.local_devices()
    count = min(len(devices), len(items))
    if count < 2 or getattr(_thread, "works", False):
        return function(items)
    wide, found = _wide(), [None] * len(items)

    def share(i: int) -> list[Any]:
        with _at_work(wide, devices[i]):
            return jax.tree.map(np.asarray, function(items[i::count]))

    with ThreadPoolExecutor(count, "landscape-device") as threads:
        for i, some in enumerate(threads.map(share, range(count))):
            found[i::count] = some
    return found


def point_by_point(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, in order: side by side on a CPU, shared out over devices."""
    return on_devices(lambda some: side_by_side(function, some), items)


_copies: dict[tuple[int, Any], Array] = {}  # of arrays by their identity, while they live


def here(tree: Any) -> Any:
    """The arrays of `tree` on the device of this thread; each is copied there once."""
    device = getattr(_thread, "device", None)

    def copy(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.devices() == {device}:
            return leaf
        key = id(leaf), device
        if key not in _copies:
            _copies[key] = jax.device_put(leaf, device)
            weakref.finalize(leaf, _copies.pop, key, None)
        return _copies[key]

    return tree if device is None else jax.tree.map(copy, tree)


def interleaved(sources: list[Iterator[Any]]) -> Iterator[Any]:
    """What several sources yield, as it comes; each goes on in a thread of its own.

    A single source stays in this thread. When this ends early, as by Ctrl-C, the others stop at
    their next item, and nobody waits for that.
    """
    if len(sources) < 2:
        yield from chain(*sources)
        return
    found: Queue[tuple[str, Any]] = Queue()
    stopped, wide = threading.Event(), _wide()

    def drain(source: Iterator[Any]) -> None:
        try:
            with _at_work(wide):
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
    wide, end = _wide(), object()

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


def in_shares(function: Callable[[Any], Any], lanes: Any, least: int = SHARE) -> Any:
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
