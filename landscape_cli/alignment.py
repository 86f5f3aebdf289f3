"""The library door for symmetric copies: two networks of one Flax module, put in one order.

    params_b = landscape.align(module, params_a, params_b, inputs)

The same gauges and the same defaults as on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import linen

from landscape_cli.config import part_named
from landscape_cli.contracts import Gauge
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.units import flat, unflat
from landscape_cli.errors import UserError
from landscape_cli.models.layout import Layout
from landscape_cli.ranges import check_seed


@dataclass(frozen=True)
class _Network:
    """A Flax module with the layout of what it is called with (see `symmetry.symmetry_of`)."""

    module: Any
    layout: Layout
    statistics: Layout


def _no_energy(theta: Any, data: Any) -> Any:
    raise ValueError(
        "gauge: straight_through follows a loss, and align is given none; "
        "choose weight_matching or activation_matching"
    )


def align(
    module: Any,
    params_a: Mapping[str, Any],
    params_b: Mapping[str, Any],
    inputs: Any,
    gauge: str | Gauge = "weight_matching",
    seed: int = 0,
) -> dict[str, Any]:
    """The copy of network b, with the same outputs, whose hidden units are in the order of a's.

    Args:
        module: a Flax linen module, called as `module.apply(variables, inputs)`.
        params_a: parameters of the first network; or all of its variables, as
            {"params": ..., "batch_stats": ...}, which are then put in order together.
        params_b: of the second, like those of the first.
        inputs: (example, ...) some inputs, for shapes and to check that outputs stay the same;
            `activation_matching` compares the networks on them.
        gauge: an option of the command line (`landscape list gauges`), with its defaults, or a
            gauge.
        seed: of the order in which groups of units take turns; 0 to 2³² - 1.

    Returns:
        A tree like `params_b`, of host arrays.

    Raises:
        ValueError: no linen module, trees that differ, no inputs, a seed out of range, an unknown
            gauge, one that needs a loss, or one that the network does not have.

    Example:
        >>> import flax.linen as nn
        >>> net = nn.Sequential([nn.Dense(4), nn.tanh, nn.Dense(2)])
        >>> inputs = np.ones((1, 3), np.float32)
        >>> one, other = (net.init(jax.random.key(k), inputs)["params"] for k in (0, 1))
        >>> copy = align(net, one, other, inputs)
        >>> given, moved = (net.apply({"params": params}, inputs) for params in (other, copy))
        >>> bool(np.allclose(given, moved, atol=1e-5))
        True

    References:
        Ainsworth, Hayase and Srinivasa, Git Re-Basin: merging models modulo permutation
        symmetries, 2023, arXiv 2209.04836.
    """
    if not isinstance(module, linen.Module):
        raise ValueError(f"module must be a Flax linen module, got a {type(module).__name__}")
    check_seed(seed)
    chosen, whole = gauge_named(gauge), "params" in params_b
    one, other = (tree if whole else {"params": tree} for tree in (params_a, params_b))
    _check_trees(params_a, params_b)
    rest = lambda tree: {name: tree[name] for name in tree if name != "params"}
    network = _Network(module, Layout.of(other["params"]), Layout.of(rest(other)))
    arrays = np.asarray(inputs)
    count = len(arrays) if arrays.ndim else 0
    if not count:
        raise ValueError("inputs must hold at least one example")
    reference, theta = _theta(network, one), _theta(network, other)
    data = arrays, np.zeros(count), np.full(count, 1 / count)
    size = network.layout.size + network.statistics.size
    surface = Surface(_no_energy, data, size, network=network, dtype=theta.dtype)
    try:
        (copy,) = chosen.align(surface, reference[None], theta[None], jax.random.key(int(seed)))
    except UserError as error:
        raise ValueError(str(error)) from error
    found = _tree(network, copy, other)
    return found if whole else found["params"]


def gauge_named(gauge: str | Gauge) -> Gauge:
    """The gauge of an option's name; one made in Python as it is.

    Raises:
        ValueError: there is no such option.
    """
    return gauge if isinstance(gauge, Gauge) else part_named("gauge", gauge)


def _check_trees(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Both must hold the same arrays: networks of one module."""
    shapes = [{path: np.shape(leaf) for path, leaf in flat(t).items()} for t in (one, other)]
    for path in sorted({*shapes[0], *shapes[1]}):
        if shapes[0].get(path) != shapes[1].get(path):
            name, (a, b) = "/".join(path), (each.get(path, "nothing") for each in shapes)
            raise ValueError(
                f"params_a and params_b differ: {name} is {a} in one, {b} in the other"
            )


def _theta(network: _Network, tree: Mapping[str, Any]) -> np.ndarray:
    """All variables as one vector, parameters first."""
    leaves = flat(tree)
    return np.concatenate([np.ravel(leaves[path]) for path, _ in _places(network)])


def _tree(network: _Network, theta: np.ndarray, like: Mapping[str, Any]) -> dict[str, Any]:
    """The vector as a tree, every array in the type that it has in `like`."""
    leaves, arrays, first = flat(like), {}, 0
    for path, shape in _places(network):
        size = int(np.prod(shape))
        kind = np.asarray(leaves[path]).dtype
        arrays[path] = theta[first : first + size].reshape(shape).astype(kind)
        first += size
    return unflat(arrays)


def _places(network: _Network) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    layout, rest = network.layout, network.statistics
    own = [("params", *path) for path in layout.paths]
    return [*zip(own, layout.shapes, strict=True), *zip(rest.paths, rest.shapes, strict=True)]
