"""A surface: the level functional F over flat parameter vectors, many points at a time.

Everything that finds or judges a path asks a `Surface` for energies and gradients of a batch of
points; how the batch is computed is decided here and nowhere else:

* ``vmap``: one compiled program, chunked over points (dense networks; everything on a GPU);
* ``loop``: a host loop over one compiled point (convolutions on a CPU; see `host_loop`).

Either way a network's examples can be taken in blocks, whose energies add up. On a single CPU
device points are shared out over a thread a core; of several devices ``vmap`` shares them out over
one mesh, and ``loop`` over a thread a device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core import host_loop
from landscape_cli.core.devices import over_devices
from landscape_cli.core.energy import (
    Contextual,
    Energy,
    Parts,
    in_blocks,
    mapped,
    total_energy,
    total_gradient,
)
from landscape_cli.core.lanes import APART, compiled, flight, in_pieces, pad, rung
from landscape_cli.core.threads import in_shares, one_cpu

LIGHT = 1 << 17  # bytes of intermediate values below which an energy is little work


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _energies(energy: Energy, parts: Parts, points: Array, chunk: int) -> Array:
    return over_devices(lambda d, p: mapped(total_energy, energy, d, p, chunk), parts, points)


@partial(jax.jit, static_argnames="energy", compiler_options=APART)
def _light_energies(energy: Energy, parts: Parts, points: Array, real: Array) -> Array:
    return in_pieces(jax.vmap(partial(total_energy, energy, parts)), points, real)


@partial(compiled, static_argnames=("energy", "chunk"))
def _gradients(energy: Energy, parts: Parts, points: Array, chunk: int) -> tuple[Array, Array]:
    return over_devices(lambda d, p: mapped(total_gradient, energy, d, p, chunk), parts, points)


@dataclass
class Count:
    """Evaluations on a surface, whoever asked: what results say they cost is checked by it."""

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
        reference: what the context of a `Contextual` energy and loss is computed from, such as the
            examples of batch norm's statistics.
        batch: ``batch(data, key) -> data`` draws a mini-batch of `loss_data`; None: full batch.
        network: what the energy applies to its inputs, see `Network`; None for a formula.
        smooth: False where `energy` has no useful gradient (0-1 error).
        strategy: "vmap" or "loop".
        chunk: points computed at a time; bounds the memory.
        block: examples computed at a time, for energies that are weighted sums over examples
            (see `in_blocks`); None: all at once.
        work: bytes of all intermediate values of one energy at one point; 0 if unknown.
        context: bytes that the context takes at one point, with its gradient, whatever `block` is.
        dtype: floating type of parameters and energies.
        count: evaluations so far; `replace` keeps the same counter.
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
    context: int = 0
    dtype: Any = np.float64
    count: Count = field(default_factory=Count)

    @property
    def point_bytes(self) -> int:
        """Bytes of a parameter vector."""
        return self.dimension * np.dtype(self.dtype).itemsize

    @property
    def light(self) -> bool:
        """Whether an energy is so little work that one core does it best; see `compiled`."""
        return one_cpu() and 0 < self.work + self.context <= LIGHT

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
        reference = reference if isinstance(self.energy, Contextual) else ()
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
            values = np.stack(host_loop.energies(self.energy, self.parts, rows))
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
            return host_loop.gradient_rows(energy, parts, points)
        look = _gradients(self.light)
        return in_shares(lambda share: look(energy, parts, share, self.chunk), points)

    def _some_energies(self, rows: np.ndarray) -> np.ndarray:
        if self.light:
            padded = pad(rows, flight(len(rows)))
            found = _light_energies(self.energy, self.parts, padded, len(rows))
        else:
            found = _energies(self.energy, self.parts, pad(rows, rung(len(rows))), self.chunk)
        return np.asarray(found)[: len(rows)]

    def loss_and_gradient(self, theta: Array, parts: Parts) -> tuple[Array, Array]:
        """The loss and its gradient at one point, on data cut for the host loop; uncounted."""
        return host_loop.gradients(self.slope, parts, [theta])[0]
