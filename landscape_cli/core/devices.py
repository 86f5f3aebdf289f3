"""Where it is computed: lanes and points shared out over all local devices.

Lanes of one program lie on one mesh. What is computed point by point is shared out over a thread
for every device, and what all points share is copied to each of them once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from landscape_cli.core.threads import (
    at_home,
    at_work,
    device_here,
    local_devices,
    side_by_side,
    wide_floats,
)

_copies: dict[tuple[int, Any], Array] = {}  # of arrays by their identity, while they live


def _mesh() -> Mesh:
    """All local devices in a row."""
    devices = local_devices()
    return jax.make_mesh((len(devices),), ("lane",), (AxisType.Auto,), devices=devices)


def sent(array: Any) -> Array:
    """A copy of a host array on the device; `jnp.asarray` compiles a program for every shape."""
    return jax.device_put(array, may_alias=False)


def everywhere(array: Any) -> Array:
    """An array on every local device: what all lanes share is then not sent at every call."""
    if len(local_devices()) == 1:
        return sent(array)
    return jax.device_put(array, NamedSharding(_mesh(), PartitionSpec()))


def over_devices(function: Callable[[Any, Any], Any], shared: Any, lanes: Any) -> Any:
    """`function(shared, lanes)` with the lanes shared out over all local devices.

    Lanes need nothing of each other, so there is no communication; their number is padded to a
    multiple of the devices. Every leaf of `lanes` and of the result has a leading lane axis.
    """
    devices = local_devices()
    if len(devices) == 1:
        return function(shared, lanes)
    count = len(jax.tree.leaves(lanes)[0])
    missing = -count % len(devices)

    def fill(leaf: Array) -> Array:
        return jnp.pad(leaf, [(0, missing), *[(0, 0)] * (leaf.ndim - 1)], mode="edge")

    spread = jax.shard_map(
        function, mesh=_mesh(), in_specs=(PartitionSpec(), PartitionSpec("lane")),
        out_specs=PartitionSpec("lane"), check_vma=False,
    )  # fmt: skip
    return jax.tree.map(lambda leaf: leaf[:count], spread(shared, jax.tree.map(fill, lanes)))


def on_devices(function: Callable[[list[Any]], list[Any]], items: Iterable[Any]) -> list[Any]:
    """`function` of a share of the items on every local device; its results, in order.

    Every device has a thread of its own, in which it is the default; arrays that are shared by
    all items come to it by `here`. Of several devices results come back to the host.
    """
    items, devices = list(items), local_devices()
    count = min(len(devices), len(items))
    if count < 2 or not at_home():
        return function(items)
    wide, found = wide_floats(), [None] * len(items)

    def share(i: int) -> list[Any]:
        with at_work(wide, devices[i]):
            return jax.tree.map(np.asarray, function(items[i::count]))

    with ThreadPoolExecutor(count, "landscape-device") as threads:
        for i, some in enumerate(threads.map(share, range(count))):
            found[i::count] = some
    return found


def point_by_point(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of every item, in order: side by side on a CPU, shared out over devices."""
    return on_devices(lambda some: side_by_side(function, some), items)


def here(tree: Any) -> Any:
    """The arrays of `tree` on the device of this thread; each is copied there once."""
    device = device_here()

    def copy(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.devices() == {device}:
            return leaf
        key = id(leaf), device
        if key not in _copies:
            there = [part.data for part in leaf.addressable_shards if part.device == device]
            whole = there and leaf.is_fully_replicated
            _copies[key] = there[0] if whole else jax.device_put(leaf, device)
            weakref.finalize(leaf, _copies.pop, key, None)
        return _copies[key]

    return tree if device is None else jax.tree.map(copy, tree)
