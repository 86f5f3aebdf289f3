"""A surface: the level functional F over flat parameter vectors, many points at a time.

Everything that finds or judges a path asks a `Surface` for energies and gradients of a batch of
points; how the batch is computed is decided here and nowhere else:

* ``vmap``: one compiled program, chunked over points (dense networks; everything on a GPU);
* ``loop``: a host loop over one compiled point (convolutions on a CPU, where XLA runs a
  convolution over stacked parameters, or inside a loop, many times slower).

Either way a network's examples can be taken in blocks, whose energies add up, and points are
shared out: over the devices of one mesh, or, on a single CPU device, over a thread a core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Float

Energy = Callable[[Any, Any], Any]  # (theta, data) -> scalar; pure and hashable

# Batch sizes: few shapes, few compilations; from 24 on never more than half as many lanes again.
LADDER = tuple(sorted([4, 8, *(f * 2**k for k in range(3, 22) for f in (2, 3))]))
SHARE = 64  # points below which a second thread costs more than it saves


def rung(count: int) -> int:
    """Smallest batch size of the ladder that holds `count`."""
    return next(size for size in LADDER if size >= count)


def pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeat the first row until there are `size`; padded lanes are ordinary, never NaN."""
    fill = np.broadcast_to(rows[:1], (size - len(rows), *rows.shape[1:]))
    return np.concatenate([rows, fill]) if size > len(rows) else rows


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
def workers() -> int:
    """Threads that compute side by side: one per core of a single CPU device, else one."""
    if jax.default_backend() != "cpu" or jax.local_device_count() > 1:
        return 1
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers(), "landscape")


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, in order; as many at a time as there are cores.

    XLA runs the programs that one thread dispatches one after another, and its own threads help
    small programs little. Each item is computed whole by one thread, so timing changes no digit.
    """
    items = list(items)
    if workers() == 1 or len(items) < 2:
        return [function(item) for item in items]
    wide = jax.config.jax_enable_x64  # a thread does not inherit it

    def one(item: Any) -> Any:
        with jax.enable_x64(wide):
            return jax.block_until_ready(function(item))

    return list(_threads().map(one, items))


def in_shares(function: Callable[[Any], Any], lanes: Any, least: int = SHARE) -> Any:
    """`function(lanes)`, every worker computing an equal share of at least `least` lanes.

    Every leaf of `lanes` and of the result has a leading lane axis.
    """
    count = len(jax.tree.leaves(lanes)[0])
    pieces = max(1, min(workers(), count // least))
    if pieces == 1:
        return function(lanes)
    edges = [count * i // pieces for i in range(pieces + 1)]
    cut = [jax.tree.map(lambda leaf: leaf[a:b], lanes) for a, b in pairwise(edges)]  # noqa: B023
    found = side_by_side(function, cut)
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)


def in_blocks(data: Any, block: int | None) -> Any:
    """Examples as (block, example, ...): even blocks of at most `block`, zeros at the end.

    The energy of a block must be a weighted sum over its examples, with the weights among the
    data: examples of zeros then weigh nothing.
    """
    leaves = jax.tree.leaves(data)
    if block is None or not leaves:
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], data)
    total = len(leaves[0])
    count = -(-total // block)
    size = -(-total // count)

    def cut(leaf: Array) -> Array:
        leaf = jnp.pad(leaf, [(0, count * size - total), *[(0, 0)] * (leaf.ndim - 1)])
        return leaf.reshape(count, size, *leaf.shape[1:])

    return jax.tree.map(cut, data)


def _sum(function: Callable[[Any], Any], blocks: Any) -> Any:
    """Σ function(block); a single block without a loop around it."""
    leaves = jax.tree.leaves(blocks)
    first = function(jax.tree.map(lambda leaf: leaf[0], blocks))
    if not leaves or len(leaves[0]) == 1:
        return first

    def add(total: Any, block: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(block)), None

    return jax.lax.scan(add, first, jax.tree.map(lambda leaf: leaf[1:], blocks))[0]


def total_energy(energy: Energy, blocks: Any, theta: Array) -> Array:
    """F(θ) over all blocks of examples."""
    return _sum(partial(energy, theta), blocks)


def total_gradient(energy: Energy, blocks: Any, theta: Array) -> tuple[Array, Array]:
    """F(θ) and ∇F(θ); gradients of blocks are added up as they come, so memory is one block's."""
    return _sum(partial(jax.value_and_grad(energy), theta), blocks)


def mapped(function: Callable, energy: Energy, blocks: Any, points: Array, chunk: int) -> Any:
    """`total_energy` or `total_gradient` at many points, `chunk` at a time; traced."""
    return jax.lax.map(partial(function, energy, blocks), points, batch_size=chunk)


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _energies(energy: Energy, blocks: Any, points: Array, chunk: int) -> Array:
    return over_devices(lambda b, p: mapped(total_energy, energy, b, p, chunk), blocks, points)


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _gradients(energy: Energy, blocks: Any, points: Array, chunk: int) -> tuple[Array, Array]:
    return over_devices(lambda b, p: mapped(total_gradient, energy, b, p, chunk), blocks, points)


# The single-point programs of the host loop; no loop construct around them (see above).
@partial(jax.jit, static_argnames="energy", donate_argnames="total")
def _add_energy(energy: Energy, data: Any, theta: Array, total: Array) -> Array:
    return total + energy(theta, data)


@partial(jax.jit, static_argnames="energy", donate_argnames="total")
def _add_gradient(energy: Energy, data: Any, theta: Array, total: tuple) -> tuple[Array, Array]:
    return jax.tree.map(jnp.add, total, jax.value_and_grad(energy)(theta, data))


@dataclass
class Count:
    """Evaluations spent on a surface: what a result has cost."""

    energies: int = 0
    gradients: int = 0


@dataclass(frozen=True, eq=False)
class Surface:
    """F over parameter vectors, with the data it is computed from.

    Attributes:
        energy: the level functional, ``energy(theta, data) -> scalar``.
        data: the pytree of arrays `energy` is given; traced, so that it is never a constant.
        dimension: number of parameters.
        loss: what gradients are taken of while descending; None where it is `energy` itself.
        loss_data: the data of `loss`; None: `data`.
        batch: ``batch(data, key) -> data`` draws a mini-batch of `loss_data`; None: full batch.
        smooth: False where `energy` has no useful gradient (0-1 error).
        strategy: "vmap" or "loop".
        chunk: points computed at a time; bounds the memory.
        block: examples computed at a time, for energies that are weighted sums over examples
            (see `in_blocks`); None: all at once.
        dtype: floating type of parameters and energies.
    """

    energy: Energy
    data: Any
    dimension: int
    loss: Energy | None = None
    loss_data: Any = None
    batch: Callable[[Any, jax.Array], Any] | None = None
    smooth: bool = True
    strategy: str = "vmap"
    chunk: int = 256
    block: int | None = None
    dtype: Any = np.float64
    count: Count = field(default_factory=Count)

    @property
    def slope(self) -> Energy:
        """The function whose gradient a descent follows."""
        return self.loss or self.energy

    @property
    def slope_data(self) -> Any:
        """The data of `slope`."""
        return self.data if self.loss_data is None else self.loss_data

    @cached_property
    def blocks(self) -> Any:
        """`data` in blocks of examples: stacked, or a list for the host loop."""
        return self.cut(self.data)

    @cached_property
    def slope_blocks(self) -> Any:
        """`slope_data` in blocks of examples."""
        return self.blocks if self.loss_data is None else self.cut(self.loss_data)

    def cut(self, data: Any) -> Any:
        """`data` in blocks of at most `block` examples, as the strategy wants them."""
        if self.strategy == "vmap":
            return in_blocks(data, self.block)
        if self.block is None or not jax.tree.leaves(data):
            return [data]
        stacked = in_blocks(data, self.block)
        count = len(jax.tree.leaves(stacked)[0])
        return [jax.tree.map(lambda leaf: leaf[i], stacked) for i in range(count)]  # noqa: B023

    def energies(self, points: np.ndarray) -> np.ndarray:
        """F at every point.

        Args:
            points: (..., param) host array.

        Returns:
            (...) host array of energies.
        """
        rows = np.asarray(points, self.dtype).reshape(-1, self.dimension)
        self.count.energies += len(rows)
        if len(rows) == 0:
            values = np.zeros(0, self.dtype)
        elif self.strategy == "loop":
            values = np.stack(side_by_side(self._one_energy, rows))
        else:
            values = np.array(in_shares(self._some_energies, rows))
        return values.reshape(points.shape[:-1])

    def energies_and_gradients(
        self, points: Float[Array, "point param"]
    ) -> tuple[Float[Array, " point"], Float[Array, "point param"]]:
        """F and ∇F at a batch of points; stays on the device."""
        return self._value_and_gradient(self.energy, self.blocks, points)

    def losses_and_gradients(
        self, points: Float[Array, "point param"]
    ) -> tuple[Float[Array, " point"], Float[Array, "point param"]]:
        """The loss that a descent follows, and its gradient."""
        return self._value_and_gradient(self.slope, self.slope_blocks, points)

    def _value_and_gradient(
        self, energy: Energy, blocks: Any, points: Array
    ) -> tuple[Array, Array]:
        self.count.gradients += len(points)
        if self.strategy == "loop":
            found = side_by_side(partial(self._one_gradient, energy, blocks), points)
            return jnp.stack([e for e, _ in found]), jnp.stack([g for _, g in found])
        return in_shares(lambda share: _gradients(energy, blocks, share, self.chunk), points)

    def _some_energies(self, rows: np.ndarray) -> np.ndarray:
        padded = pad(rows, rung(len(rows)))
        return np.asarray(_energies(self.energy, self.blocks, padded, self.chunk))[: len(rows)]

    def _one_energy(self, theta: np.ndarray) -> np.ndarray:
        total = jnp.zeros((), self.dtype)
        for block in self.blocks:
            total = _add_energy(self.energy, block, theta, total)
        return np.asarray(total)

    def loss_and_gradient(self, theta: Array, blocks: list) -> tuple[Array, Array]:
        """The loss and its gradient at one point, on examples cut for the host loop; uncounted."""
        return self._one_gradient(self.slope, blocks, theta)

    def _one_gradient(self, energy: Energy, blocks: list, theta: Array) -> tuple[Array, Array]:
        total = jnp.zeros((), self.dtype), jnp.zeros(self.dimension, self.dtype)
        for block in blocks:
            total = _add_gradient(energy, block, theta, total)
        return total
