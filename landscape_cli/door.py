"""The library door: paths on any JAX energy, without the command line.

    result = landscape.geodesic(energy, start, end, level=0.1)
    result = landscape.connect(energy, start, end, method="neb")
    result.connected, result.normalized_length, result.beads, result.peak

The same methods and the same defaults as on the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from landscape_cli.connection import Connection
from landscape_cli.contracts import PathMethod, Progress
from landscape_cli.core.surface import Surface
from landscape_cli.errors import nearest


@dataclass(frozen=True)
class _OnTree:
    """An energy of a tree as an energy of a vector; hashable, so that jit knows it again."""

    energy: Callable[[Any], Any]
    unravel: Callable[[Any], Any]

    def __call__(self, theta: Any, data: Any) -> Any:
        return self.energy(self.unravel(theta))


def _rows(tree: Any, batched: bool) -> tuple[np.ndarray, Any]:
    """(pair, param) host array of a tree, and the way back for one pair."""
    arrays = jax.tree.map(jnp.asarray, tree)
    if not jax.tree.leaves(arrays):
        raise ValueError("start and end must hold at least one number")
    arrays = jax.tree.map(lambda a: a if jnp.issubdtype(a.dtype, jnp.inexact) else a * 1.0, arrays)
    if not batched:
        theta, unravel = ravel_pytree(arrays)
        return np.asarray(theta)[None], unravel
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], arrays))
    return np.asarray(jax.vmap(lambda one: ravel_pytree(one)[0])(arrays)), unravel


def _check(surface: Surface, name: str, points: np.ndarray, levels: np.ndarray) -> None:
    energies = surface.energies(points)
    for row in np.flatnonzero(~(energies <= levels)):
        which = name if len(points) == 1 else f"{name}[{row}]"
        raise ValueError(
            f"{which} has energy {energies[row]:.6g}, above level {levels[row]:.6g}: both ends "
            "must lie in the level set"
        )


def geodesic(
    energy: Callable[[Any], Any],
    start: Any,
    end: Any,
    level: float | np.ndarray,
    *,
    batched: bool | None = None,
    method: str | PathMethod = "taut_string",
) -> Connection | list[Connection]:
    """Shortest path between two points that never leaves {F <= level}.

    Args:
        energy: F, any JAX function of a vector or pytree that returns a scalar. Keep one
            function object for many calls: a new one is compiled anew.
        start: vector (param,) or pytree; of a batch, (pair, param) or leaves with a leading axis.
        end: like `start`.
        level: λ; one number, or one for every pair.
        batched: whether the leading axis counts pairs; None: yes for a plain array of two
            dimensions, no for everything else.
        method: how strings are found, as for `connect`.

    Returns:
        One `Connection`, or a list with one for every pair.

    Raises:
        ValueError: ends that differ in shape, lie above the level or are not finite; an energy
            that is not a scalar.

    Example:
        >>> ring = lambda theta: ((theta**2).sum() - 1) ** 2
        >>> result = geodesic(ring, np.array([1.0, 0.0]), np.array([-1.0, 0.0]), level=0.1)
        >>> bool(abs(result.normalized_length - 1.367401) < 0.007)
        True

    References:
        Freeman and Bruna, Topology and geometry of half-rectified network optimization, 2017,
        arXiv 1611.01540.
    """
    job = _posed(energy, start, end, level, batched)
    if not np.isfinite(job.levels).all():
        raise ValueError(f"level must be finite, got {level}")
    _check(job.surface, "start", job.starts, job.levels)
    _check(job.surface, "end", job.ends, job.levels)
    return _joined(job, method_named(method))


def connect(
    energy: Callable[[Any], Any],
    start: Any,
    end: Any,
    method: str | PathMethod = "auto_neb",
    *,
    level: float | np.ndarray = np.inf,
    batched: bool | None = None,
    initial: Any = None,
) -> Connection | list[Connection]:
    """A path between two points, by any method, judged by the same dense check as all others.

    Args:
        energy: F, any JAX function of a vector or pytree that returns a scalar.
        start: vector (param,) or pytree; of a batch, (pair, param) or leaves with a leading axis.
        end: like `start`.
        method: an option of the command line, such as "neb" (`landscape list methods`), with its
            default settings, or a method made in Python, such as `NEB(beads=31)`.
        level: λ the path is judged against; methods that look inside a level set need one.
        batched: as for `geodesic`.
        initial: a `Connection` of the same ends to begin from (of a batch, a list of them), or
            its beads.

    Returns:
        One `Connection`, or a list with one for every pair. Its `peak` is the highest energy of
        the dense check; of a climbing method that is the energy at the highest saddle.

    Raises:
        ValueError: ends that differ in shape or coincide; a method that needs a level and gets
            none; a string to begin from that has other ends; an unknown method.

    Example:
        >>> well = lambda theta: (theta[0] ** 2 - 1) ** 2 + (theta[1] - theta[0] ** 2) ** 2
        >>> path = connect(well, np.array([-1.0, 1.0]), np.array([1.0, 1.0]), "string_method")
        >>> bool(abs(path.peak - 1) < 1e-3)
        True
    """
    job = _posed(energy, start, end, level, batched)
    chosen = method_named(method)
    for row in np.flatnonzero((job.starts == job.ends).all(axis=1)):
        which = "start and end" if len(job.starts) == 1 else f"start[{row}] and end[{row}]"
        raise ValueError(f"{which} are the same point; there is nothing to join")
    if not (chosen.level_free or np.isfinite(job.levels).all()):
        raise ValueError(f"method {method!r} looks inside a level set: give it a level")
    if initial is None:
        return _joined(job, chosen)
    several = initial if job.many else [initial]
    begun = [np.asarray(getattr(one, "beads", one), job.surface.dtype) for one in several]
    _check_initial(begun, job)
    return _joined(job, chosen, initial=begun)


def method_named(method: str | PathMethod) -> PathMethod:
    """The path method of an option's name, with the settings of its YAML file.

    Raises:
        ValueError: there is no such option.
    """
    if isinstance(method, PathMethod):
        return method
    from hydra import compose, initialize_config_dir

    from landscape_cli import config, listing

    known = list(listing.options("method", [listing.conf_folder()]))
    if method not in known:
        hint = nearest(method, known)
        raise ValueError(f"method {method!r}: choose from {', '.join(known)}{hint}")
    with initialize_config_dir(str(listing.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=["experiment=geodesic", f"method={method}"])
    return config.build(cfg.method, "method")


@dataclass(frozen=True, eq=False)
class _Job:
    """Pairs to join, as arrays."""

    surface: Surface
    starts: np.ndarray
    ends: np.ndarray
    levels: np.ndarray
    unravel: Callable[[Any], Any]
    many: bool


def _posed(energy: Callable[[Any], Any], start: Any, end: Any, level: Any, batched: Any) -> _Job:
    """The question in arrays, checked."""
    many = getattr(start, "ndim", 0) == 2 if batched is None else batched
    _check_alike(start, end)
    (starts, unravel), (ends, _) = _rows(start, many), _rows(end, many)
    shape = jax.eval_shape(energy, unravel(jnp.asarray(starts[0]))).shape
    if shape != ():
        raise ValueError(f"energy must return a scalar, got shape {shape}")
    levels = np.broadcast_to(np.asarray(level, float), (len(starts),)).copy()
    if np.isnan(levels).any() or (levels == -np.inf).any():
        raise ValueError(f"level must be a number, got {level}")
    surface = Surface(_OnTree(energy, unravel), (), starts.shape[1], dtype=starts.dtype)
    return _Job(surface, starts, ends, levels, unravel, many)


def _check_alike(start: Any, end: Any) -> None:
    """Refuse ends that are not the same leaves of the same shapes."""
    if jax.tree.structure(start) != jax.tree.structure(end):
        raise ValueError("start and end must be trees of the same structure")
    leaves = jax.tree_util.tree_leaves_with_path(start)
    for (path, one), other in zip(leaves, jax.tree.leaves(end), strict=True):
        if np.shape(one) != np.shape(other):
            at = jax.tree_util.keystr(path)
            raise ValueError(
                f"start{at} and end{at} differ in shape: {np.shape(one)} and {np.shape(other)}"
            )


def _check_initial(begun: list[np.ndarray], job: _Job) -> None:
    if len(begun) != len(job.starts):
        raise ValueError(f"initial must hold {len(job.starts)} strings, got {len(begun)}")
    for beads, start, end in zip(begun, job.starts, job.ends, strict=True):
        if beads.ndim != 2 or beads.shape[1:] != start.shape:
            raise ValueError(
                f"initial must be beads of shape (bead, {start.size}), got {beads.shape}"
            )
        if not (np.array_equal(beads[0], start) and np.array_equal(beads[-1], end)):
            raise ValueError("initial must join the same two points: it has other ends")


def _joined(job: _Job, method: PathMethod, **more: Any) -> Connection | list[Connection]:
    pairs = np.arange(len(job.starts))
    found = method.connect(
        job.surface, job.starts, job.ends, job.levels, pairs, Progress(), **more
    )
    latest = dict(found)  # a string may be yielded again, improved
    results = [Connection(latest[i], job.surface, job.unravel) for i in range(len(pairs))]
    return results if job.many else results[0]
