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

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from threading import Lock
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core.lanes import (
    compiled,
    in_shares,
    one_cpu,
    over_devices,
    pad,
    rung,
    side_by_side,
)

LIGHT = 1 << 17  # bytes of intermediate values below which an energy is little work
Energy = Any  # (theta, data) -> scalar, or (theta, data, context) -> scalar; pure and hashable


class Parts(NamedTuple):
    """The data of an energy, as it is computed from.

    Attributes:
        blocks: examples in blocks, whose energies add up.
        reference: what an energy's context is computed from; empty for an energy without one.
    """

    blocks: Any
    reference: Any = ()


def on_host(data: Any) -> bool:
    """Whether examples wait in the host's memory, as NumPy arrays, and are sent in blocks."""
    return any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(data))


def drawing(draw: Callable[..., Any]) -> Callable[..., Any]:
    """`draw(function, data, ...)` compiled; where examples wait on the host, picked there."""
    compiled = jax.jit(draw, static_argnums=0)

    def drawn(function: Any, data: Any, *rest: Any) -> Any:
        return (draw if on_host(data) else compiled)(function, data, *rest)

    return drawn


def in_blocks(data: Any, block: int | None) -> Any:
    """Examples as (block, example, ...): even blocks of at most `block`, zeros at the end.

    The energy of a block must be a weighted sum over its examples, with the weights among the
    data: examples of zeros then weigh nothing.
    """
    leaves = jax.tree.leaves(data)
    if block is None or not leaves:
        return jax.tree.map(lambda leaf: leaf[None], data)
    total = len(leaves[0])
    count = -(-total // block)
    size = -(-total // count)

    def cut(leaf: Any) -> Any:
        xp: Any = np if isinstance(leaf, np.ndarray) else jnp
        leaf = xp.pad(leaf, [(0, count * size - total), *[(0, 0)] * (leaf.ndim - 1)])
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


def _context(energy: Energy, reference: Any, theta: Array) -> Any:
    """What the energy needs once per point, such as batch-norm statistics."""
    return energy.context(theta, reference) if hasattr(energy, "context") else ()


def whole(energy: Energy, data: Any) -> Parts:
    """All of a mini-batch at once, its own reference."""
    return Parts(in_blocks(data, None), data if hasattr(energy, "context") else ())


def _energy(energy: Energy, theta: Array, context: Any, data: Any) -> Array:
    return energy(theta, data, context) if hasattr(energy, "context") else energy(theta, data)


def _gradient(energy: Energy, theta: Array, context: Any, data: Any) -> tuple[Array, Any]:
    """The energy of some examples; its gradients in the parameters and in the context."""
    return jax.value_and_grad(partial(_energy, energy), argnums=(0, 1))(theta, context, data)


def total_energy(energy: Energy, parts: Parts, theta: Array) -> Array:
    """F(θ) over all blocks of examples."""
    context = _context(energy, parts.reference, theta)
    return _sum(partial(_energy, energy, theta, context), parts.blocks)


def total_gradient(energy: Energy, parts: Parts, theta: Array) -> tuple[Array, Array]:
    """F(θ) and ∇F(θ); gradients of blocks are added up as they come, so memory is one block's."""
    context, pull = jax.vjp(partial(_context, energy, parts.reference), theta)
    total, (direct, through) = _sum(partial(_gradient, energy, theta, context), parts.blocks)
    return total, direct + pull(through)[0] if hasattr(energy, "context") else direct


def mapped(function: Callable, energy: Energy, parts: Parts, points: Array, chunk: int) -> Any:
    """`total_energy` or `total_gradient` at many points, `chunk` at a time; traced."""
    return jax.lax.map(partial(function, energy, parts), points, batch_size=chunk)


def mapped_first(
    function: Callable, energy: Energy, parts: Parts, points: Array, count: Array, chunk: int
) -> Any:
    """As `mapped`, of the first `count` points only, a traced number; zeros at most others."""
    pieces = -(-len(points) // chunk)
    size = -(-len(points) // pieces)
    padded = jnp.pad(points, ((0, pieces * size - len(points)), (0, 0)), mode="edge")
    blocks = padded.reshape(pieces, size, -1)
    each = jax.vmap(partial(function, energy, parts))
    empty = jax.tree.map(lambda leaf: jnp.zeros((pieces, *leaf.shape), leaf.dtype),
                         jax.eval_shape(each, blocks[0]))  # fmt: skip

    def one(i: Any, found: Any) -> Any:
        return jax.tree.map(lambda all, some: all.at[i].set(some), found, each(blocks[i]))

    found = jax.lax.fori_loop(0, -(-count // size), one, empty)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[: len(points)], found)


@partial(compiled, static_argnames=("energy", "chunk"))
def _energies(energy: Energy, parts: Parts, points: Array, chunk: int) -> Array:
    return over_devices(lambda d, p: mapped(total_energy, energy, d, p, chunk), parts, points)


@partial(compiled, static_argnames=("energy", "chunk"))
def _gradients(energy: Energy, parts: Parts, points: Array, chunk: int) -> tuple[Array, Array]:
    return over_devices(lambda d, p: mapped(total_gradient, energy, d, p, chunk), parts, points)


# The single-point programs of the host loop; no loop construct around them (see above).
_one_context = jax.jit(_context, static_argnames="energy")


@partial(jax.jit, static_argnames="energy", donate_argnames="total")
def _add_energy(energy: Energy, theta: Array, context: Any, data: Any, total: Array) -> Array:
    return total + _energy(energy, theta, context, data)


@partial(jax.jit, static_argnames="energy", donate_argnames="total")
def _add_gradient(energy: Energy, theta: Array, context: Any, data: Any, total: Any) -> Any:
    """`total` with the gradient of some examples, an array of the network at a time.

    For all of θ at once XLA would compute the arrays anew for every entry of it.
    """
    whole = lambda arrays, context: _energy(energy, jnp.concatenate(arrays), context, data)
    arrays = jax.lax.split(theta, _sizes(energy, theta.size))
    found = jax.value_and_grad(whole, argnums=(0, 1))(arrays, context)
    return jax.tree.map(jnp.add, total, found)


def _sizes(energy: Energy, size: int) -> tuple[int, ...]:
    """Of the arrays that make up θ, and of what else it holds; of a formula, all of it."""
    arrays = energy.layout.sizes if hasattr(energy, "layout") else ()
    return (*arrays, size - sum(arrays)) if size > sum(arrays) else arrays


@jax.jit
def _joined(arrays: list[Array]) -> Array:
    """Arrays as one vector; XLA's concatenation takes thirty times as long."""
    vector, at = jnp.zeros(sum(a.size for a in arrays), arrays[0].dtype), 0
    for array in arrays:
        vector = jax.lax.dynamic_update_slice(vector, array, (at,))
        at += array.size
    return vector


@partial(jax.jit, static_argnames="energy", donate_argnames="direct")
def _add_through(
    energy: Energy, theta: Array, reference: Any, through: Any, direct: Array
) -> Array:
    _, pull = jax.vjp(partial(_context, energy, reference), theta)
    return direct + pull(through)[0]


_row = jax.jit(lambda rows, i: rows[i])
_with_row = jax.jit(lambda rows, i, row: rows.at[i].set(row), donate_argnums=0)


@dataclass
class Count:
    """Evaluations spent on a surface: what a result has cost."""

    energies: int = 0
    gradients: int = 0
    lock: Any = field(default_factory=Lock, repr=False, compare=False)

    def add(self, energies: int = 0, gradients: int = 0) -> None:
        """Count some more; several threads may."""
        with self.lock:
            self.energies += energies
            self.gradients += gradients


@dataclass(frozen=True, eq=False)
class Surface:
    """F over parameter vectors, with the data it is computed from.

    Attributes:
        energy: the level functional, ``energy(theta, data) -> scalar``.
        data: the pytree of arrays `energy` is given; traced, so that it is never a constant.
        dimension: number of parameters.
        rough: the energy in cheaper arithmetic, for gradients only; None: `energy`.
        loss: what gradients are taken of while descending; None where it is the energy itself.
        loss_data: the data of `loss`; None: `data`.
        reference: what `energy.context(theta, reference)` is computed from, for an energy with
            such a method: its value, such as batch-norm statistics, is computed once per point
            and is the third argument of `energy` and of `loss`.
        batch: ``batch(data, key) -> data`` draws a mini-batch of `loss_data`; None: full batch.
        network: what the energy applies to its inputs, if it is a network's: has `outputs(theta,
            statistics, inputs)` and a `layout` of θ; None for a formula.
        smooth: False where `energy` has no useful gradient (0-1 error).
        strategy: "vmap" or "loop".
        chunk: points computed at a time; bounds the memory.
        block: examples computed at a time, for energies that are weighted sums over examples
            (see `in_blocks`); None: all at once.
        work: bytes of all intermediate values of one energy at one point; 0 if unknown.
        dtype: floating type of parameters and energies.
    """

    energy: Energy
    data: Any
    dimension: int
    rough: Energy | None = None
    loss: Energy | None = None
    loss_data: Any = None
    reference: Any = ()
    batch: Callable[[Any, jax.Array], Any] | None = None
    network: Any = None
    smooth: bool = True
    strategy: str = "vmap"
    chunk: int = 256
    block: int | None = None
    work: int = 0
    dtype: Any = np.float64
    count: Count = field(default_factory=Count)

    @property
    def light(self) -> bool:
        """Whether an energy is so little work that one core does it best; see `compiled`."""
        return one_cpu() and 0 < self.work <= LIGHT

    @property
    def slope(self) -> Energy:
        """The function whose gradient a descent follows."""
        return self.loss or self.steep

    @property
    def steep(self) -> Energy:
        """The energy as gradients are computed of it."""
        return self.rough or self.energy

    @property
    def slope_data(self) -> Any:
        """The data of `slope`."""
        return self.data if self.loss_data is None else self.loss_data

    @cached_property
    def parts(self) -> Parts:
        """`data` as energies are computed from it."""
        return self.cut(self.data, self.reference)

    @cached_property
    def slope_parts(self) -> Parts:
        """`slope_data` as a descent's gradients are computed from it."""
        if self.loss_data is None:
            return self.parts
        return self.cut(self.loss_data, self.reference)

    def cut(self, data: Any, reference: Any) -> Parts:
        """`data` in blocks of at most `block` examples: stacked, or a list for the host loop."""
        reference = reference if hasattr(self.energy, "context") else ()
        if self.strategy == "vmap":
            return Parts(in_blocks(jax.tree.map(jnp.asarray, data), self.block), reference)
        if self.block is None or not jax.tree.leaves(data):
            return Parts([data], reference)
        stacked = in_blocks(data, self.block)
        take = lambda i: jax.tree.map(lambda leaf: leaf[i], stacked)
        return Parts([take(i) for i in range(len(jax.tree.leaves(stacked)[0]))], reference)

    def energies(self, points: np.ndarray) -> np.ndarray:
        """F at every point.

        Args:
            points: (..., param) host array.

        Returns:
            (...) host array of energies.
        """
        rows = np.asarray(points, self.dtype).reshape(-1, self.dimension)
        self.count.add(energies=len(rows))
        if len(rows) == 0:
            values = np.zeros(0, self.dtype)
        elif self.strategy == "loop":
            values = np.stack(self._sum(_add_energy, self.energy, self.parts, rows, self._nothing))
        else:
            values = np.array(in_shares(self._some_energies, rows))
        return values.reshape(points.shape[:-1])

    def energies_and_gradients(
        self, points: Float[Array, "point param"]
    ) -> tuple[Float[Array, " point"], Float[Array, "point param"]]:
        """F and ∇F at a batch of points; stays on the device."""
        return self._value_and_gradient(self.steep, self.parts, points)

    def losses_and_gradients(
        self, points: Float[Array, "point param"]
    ) -> tuple[Float[Array, " point"], Float[Array, "point param"]]:
        """The loss that a descent follows, and its gradient."""
        return self._value_and_gradient(self.slope, self.slope_parts, points)

    def _value_and_gradient(
        self, energy: Energy, parts: Parts, points: Array
    ) -> tuple[Array, Array]:
        self.count.add(gradients=len(points))
        if self.strategy == "loop":
            return self._looped(energy, parts, points)
        look = _gradients(self.light)
        return in_shares(lambda share: look(energy, parts, share, self.chunk), points)

    def _some_energies(self, rows: np.ndarray) -> np.ndarray:
        padded = pad(rows, rung(len(rows)))
        found = _energies(self.light)(self.energy, self.parts, padded, self.chunk)
        return np.asarray(found)[: len(rows)]

    def loss_and_gradient(self, theta: Array, parts: Parts) -> tuple[Array, Array]:
        """The loss and its gradient at one point, on data cut for the host loop; uncounted."""
        return self._gradients_of(self.slope, parts, [theta])[0]

    def _looped(self, energy: Energy, parts: Parts, points: Array) -> tuple[Array, Array]:
        """Energies and gradients of all points, a gradient put into its row as it comes."""
        if on_host(parts.blocks):  # a block is for all points
            found = self._gradients_of(energy, parts, points)
            return jnp.stack([e for e, _ in found]), jnp.stack([g for _, g in found])
        rows, lock = jnp.zeros(points.shape, points.dtype), Lock()

        def one(i: int) -> Array:
            nonlocal rows
            [(value, gradient)] = self._gradients_of(energy, parts, [_row(points, i)])
            with lock:
                rows = jax.block_until_ready(_with_row(rows, i, gradient))
            return value

        return jnp.stack(side_by_side(one, range(len(points)))), rows

    def _gradients_of(self, energy: Energy, parts: Parts, thetas: Any) -> list:
        """(energy, gradient) at every point, one point and one block at a time."""
        sizes = _sizes(energy, self.dimension)
        nothing = lambda theta, context: (
            self._nothing(theta, context),
            ([jnp.zeros(size, theta.dtype) for size in sizes],
             jax.tree.map(jnp.zeros_like, context)),
        )  # fmt: skip
        found = self._sum(_add_gradient, energy, parts, thetas, nothing)

        def whole(one: Any) -> tuple[Array, Array]:
            theta, (value, (arrays, through)) = one
            direct = _joined(arrays)
            if not hasattr(energy, "context"):
                return value, direct
            return value, _add_through(energy, theta, parts.reference, through, direct)

        return side_by_side(whole, zip(thetas, found, strict=True))

    def _nothing(self, theta: Array, context: Any) -> Array:
        return jnp.zeros((), self.dtype)

    def _sum(self, add: Callable, energy: Energy, parts: Parts, thetas: Any, start: Callable):
        """`add` over all blocks, from `start`, at every point."""

        def begun(theta: Array) -> tuple[Array, Any, Any]:
            context = _one_context(energy, parts.reference, theta)
            return theta, context, start(theta, context)

        def added(lane: tuple[Array, Any, Any], blocks: Any) -> tuple[Array, Any, Any]:
            theta, context, total = lane
            for block in blocks:
                total = add(energy, theta, context, block, total)
            return theta, context, total

        if not on_host(parts.blocks):
            lanes = side_by_side(lambda theta: added(begun(theta), parts.blocks), thetas)
        else:  # every block is sent once, for all points
            lanes = side_by_side(begun, thetas)
            for block in parts.blocks:
                here = jax.device_put(block)
                lanes = side_by_side(lambda lane, here=here: added(lane, [here]), lanes)
        return [total for *_, total in lanes]
