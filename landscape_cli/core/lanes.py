"""Lanes: the slots of a batch, things of one shape that one program computes side by side.

Batches are padded to one of a few sizes, the rungs of a ladder, so that few programs are compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Batch sizes: few shapes, few compilations; from 24 on never more than half as many lanes again.
LADDER = tuple(sorted([4, 8, *(f * 2**k for k in range(3, 22) for f in (2, 3))]))
APART: Any = {"xla_cpu_multi_thread_eigen": False}  # of operations too small to be shared out
FLIGHTS = tuple(32 * 8**k for k in range(8))
PIECE = 32  # lanes of a light program at a time, of those that are real
FLOCK = 8  # the same of one whose points take many steps, in which they are to round alike
SOON = 0.05  # seconds after which a program of many steps may come back, to tell how far it is


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
    pieces without any of them are returned as zeros. Where pieces are `alike` all have `most`
    lanes, however few there are: then a lane is the same whatever is beside it, by all bits.
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
