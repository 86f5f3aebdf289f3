"""A surface: the level functional F over flat parameter vectors, many points at a time.

Everything that finds or judges a path asks a `Surface` for energies and gradients of a batch of
points; how the batch is computed is decided here and nowhere else:

* ``vmap``: one compiled program, chunked over points (dense networks; everything on a GPU);
* ``loop``: a host loop over one compiled point (convolutions on a CPU, where XLA runs a
  convolution over stacked parameters, or inside a loop, many times slower).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Float

Energy = Callable[[Any, Any], Any]  # (theta, data) -> scalar; pure and hashable

# Batch sizes: few shapes, few compilations; from 24 on never more than half as many lanes again.
LADDER = tuple(sorted([4, 8, *(f * 2**k for k in range(3, 22) for f in (2, 3))]))


def rung(count: int) -> int:
    """Smallest batch size of the ladder that holds `count`."""
    return next(size for size in LADDER if size >= count)


def pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeat the first row until there are `size`; padded lanes are ordinary, never NaN."""
    fill = np.broadcast_to(rows[:1], (size - len(rows), *rows.shape[1:]))
    return np.concatenate([rows, fill]) if size > len(rows) else rows


def _over_devices(function: Callable[[Any, Array], Any], data: Any, points: Array) -> Any:
    """`function(data, points)` with the points shared out over all local devices.

    Points need nothing of each other, so there is no communication; the number of points is
    padded to a multiple of the devices.
    """
    devices = jax.local_device_count()
    if devices == 1:
        return function(data, points)
    count = len(points)
    padded = jnp.pad(points, ((0, -count % devices), (0, 0)), mode="edge")
    mesh = jax.make_mesh((devices,), ("point",), axis_types=(AxisType.Auto,))
    spread = jax.shard_map(
        function, mesh=mesh, in_specs=(PartitionSpec(), PartitionSpec("point")),
        out_specs=PartitionSpec("point"), check_vma=False,
    )  # fmt: skip
    return jax.tree.map(lambda leaf: leaf[:count], spread(data, padded))


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _energies(energy: Energy, data: Any, points: Array, chunk: int) -> Array:
    def mapped(data: Any, points: Array) -> Array:
        return jax.lax.map(lambda theta: energy(theta, data), points, batch_size=chunk)

    return _over_devices(mapped, data, points)


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _gradients(energy: Energy, data: Any, points: Array, chunk: int) -> tuple[Array, Array]:
    def mapped(data: Any, points: Array) -> tuple[Array, Array]:
        one = jax.value_and_grad(energy)
        return jax.lax.map(lambda theta: one(theta, data), points, batch_size=chunk)

    return _over_devices(mapped, data, points)


# The single-point programs of the host loop; no loop construct around them (see above).
_one_energy = jax.jit(lambda energy, data, theta: energy(theta, data), static_argnums=0)
_one_gradient = jax.jit(
    lambda energy, data, theta: jax.value_and_grad(energy)(theta, data), static_argnums=0
)


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

    def energies(self, points: np.ndarray) -> np.ndarray:
        """F at every point.

        Args:
            points: (..., param) host array.

        Returns:
            (...) host array of energies.
        """
        rows = np.asarray(points, self.dtype).reshape(-1, self.dimension)
        self.count.energies += len(rows)
        if self.strategy == "loop":
            found = [_one_energy(self.energy, self.data, row) for row in rows]
            values = np.asarray([np.asarray(value) for value in found])
        else:
            padded = pad(rows, rung(len(rows)))
            values = np.array(_energies(self.energy, self.data, padded, self.chunk))
        return values[: len(rows)].reshape(points.shape[:-1])

    def energies_and_gradients(
        self, points: Float[Array, "point param"]
    ) -> tuple[Float[Array, " point"], Float[Array, "point param"]]:
        """F and ∇F at a batch of points; stays on the device."""
        return self._value_and_gradient(self.energy, self.data, points)

    def losses_and_gradients(
        self, points: Float[Array, "point param"]
    ) -> tuple[Float[Array, " point"], Float[Array, "point param"]]:
        """The loss that a descent follows, and its gradient."""
        return self._value_and_gradient(self.slope, self.slope_data, points)

    def _value_and_gradient(self, energy: Energy, data: Any, points: Array) -> tuple[Array, Array]:
        self.count.gradients += len(points)
        if self.strategy == "vmap":
            return _gradients(energy, data, points, self.chunk)
        found = [_one_gradient(energy, data, row) for row in points]
        return jnp.stack([e for e, _ in found]), jnp.stack([g for _, g in found])
