"""The library door: paths on any JAX energy, without the command line.

    result = landscape.geodesic(energy, start, end, level=0.1)
    result = landscape.connect(energy, start, end, method="neb")
    result.connected, result.normalized_length, result.beads, result.peak

The same methods and the same defaults as on the command line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from landscape_cli.config import part_named
from landscape_cli.connection import Connection
from landscape_cli.contracts import PathMethod, Progress
from landscape_cli.core.energy import Arranged
from landscape_cli.core.engine import CACHE, Engine
from landscape_cli.core.surface import Surface
from landscape_cli.core.work import work
from landscape_cli.errors import UserError
from landscape_cli.models.layout import Layout
from landscape_cli.module_energy import ModuleEnergy
from landscape_cli.ranges import check_seed

CHUNK = 256  # points at a time of an energy that takes little memory
NETWORKS_ONLY = ("block", "gradients", "data", "devices", "remat")  # settings of an `Engine`


@dataclass(frozen=True)
class _OnTree(Arranged):
    """An energy of a tree as an energy of a vector, in the vector's precision.

    Hashable, so that jit knows it again.
    """

    energy: Callable[[Any], Any]
    unravel: Callable[[Any], Any]
    layout: Layout  # of the leaves

    def __call__(self, theta: Any, data: Any) -> Any:
        return jnp.asarray(self.energy(self.unravel(theta)), theta.dtype)


def _precision(*trees: Any) -> np.dtype:
    """The widest float type among all leaves, at least float32; of integers JAX's default."""
    kinds = [leaf.dtype for leaf in jax.tree.leaves(trees)]
    wide = any(kind.itemsize > 4 or not jnp.issubdtype(kind, jnp.floating) for kind in kinds)
    return jax.dtypes.canonicalize_dtype(np.float64 if wide else np.float32)


def _rows(tree: Any, batched: bool, dtype: np.dtype) -> tuple[np.ndarray, Any]:
    """(pair, param) host array of a tree, and the way back for one pair."""
    cast = lambda leaf: (leaf if batched else leaf[None]).astype(dtype)
    arrays = jax.tree.map(cast, tree)
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], arrays))
    rows = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(arrays)]
    return np.concatenate(rows, axis=1), unravel


def _check(surface: Surface, name: str, points: np.ndarray, levels: np.ndarray) -> None:
    energies = surface.energies(points)
    for row in np.flatnonzero(~(energies <= levels)):
        which = name if len(points) == 1 else f"{name}[{row}]"
        if np.isnan(energies[row]):
            raise ValueError(f"{which} has energy NaN: both ends must lie in the level set")
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
    seed: int = 0,
    engine: Engine | None = None,
) -> Connection | list[Connection]:
    """Shortest path between two points that never leaves {F <= level}.

    Args:
        energy: F, any JAX function of a vector or pytree that returns a scalar, or what
            `landscape.surface` makes of a network. Keep one object for many calls: a new function
            is compiled anew.
        start: vector (param,) or pytree; of a batch, (pair, param) or leaves with a leading axis.
            All is computed in the widest float type of both ends, at least float32. A list of
            numbers is no vector for JAX, but a tree, and is refused: make it an array.
        end: like `start`, leaf by leaf of the same shape.
        level: λ; one number, or one for every pair.
        batched: whether the leading axis counts pairs; None: yes for a plain array of two
            dimensions, no for everything else; False for one pair of matrices.
        method: how strings are found, as for `connect`.
        seed: of the method's random draws, 0 to 2³² - 1.
        engine: how energies are computed, `landscape.Engine(memory=2)` for at most 2 GiB of
            intermediate values at once, or with its `strategy` or `chunk`; None: as suits the
            energy and the machine. An energy is computed whole: there is no `block` of examples.

    Returns:
        One `Connection`, or a list with one for every pair.

    Raises:
        ValueError: ends that are empty, not real, differ in shape, coincide, lie above the level
            or are not finite; an energy that is not a floating scalar; an unknown method, or one
            that needs a network; a seed out of range; settings of an engine that are for networks.

    Example:
        >>> ring = lambda theta: ((theta**2).sum() - 1) ** 2
        >>> result = geodesic(ring, np.array([1.0, 0.0]), np.array([-1.0, 0.0]), level=0.1)
        >>> bool(abs(result.normalized_length - 1.367401) < 0.007)
        True

    References:
        Freeman and Bruna, Topology and geometry of half-rectified network optimization, 2017,
        arXiv 1611.01540.
    """
    job = _posed(energy, start, end, level, batched, engine)
    if not np.isfinite(job.levels).all():
        raise ValueError(f"level must be finite, got {level}")
    _check(job.surface, "start", job.starts, job.levels)
    _check(job.surface, "end", job.ends, job.levels)
    return _joined(job, method_named(method), seed)


def connect(
    energy: Callable[[Any], Any],
    start: Any,
    end: Any,
    method: str | PathMethod = "auto_neb",
    *,
    level: float | np.ndarray = np.inf,
    batched: bool | None = None,
    initial: Any = None,
    seed: int = 0,
    engine: Engine | None = None,
) -> Connection | list[Connection]:
    """A path between two points, by any method, judged by the same dense check as all others.

    Args:
        energy: F, any JAX function of a vector or pytree that returns a scalar, or what
            `landscape.surface` makes of a network.
        start: vector (param,) or pytree; of a batch, (pair, param) or leaves with a leading axis.
            All is computed in the widest float type of both ends, at least float32.
        end: like `start`, leaf by leaf of the same shape.
        method: an option of the command line, such as "neb" (`landscape list methods`), with its
            default settings, or a method made in Python, such as `NEB(beads=31)`.
        level: λ the path is judged against; methods that look inside a level set need one.
        batched: as for `geodesic`.
        initial: a `Connection` of the same ends to begin from (of a batch, a list of them), or
            its beads; "straight", "repair" and "dropout_path" take none.
        seed: of the method's random draws, 0 to 2³² - 1.
        engine: how energies are computed, as for `geodesic`.

    Returns:
        One `Connection`, or a list with one for every pair. Its `peak` is the highest energy of
        the dense check; of a climbing method that is the energy at the highest saddle.

    Raises:
        ValueError: ends that are empty, not real, differ in shape or coincide; an energy that is
            not a floating scalar; a method that needs a level and gets none; a string to begin
            from that has other ends, or for a method that takes none; an unknown method, or one
            that needs a network; a seed out of range; settings of an engine that are for networks.

    Example:
        >>> well = lambda theta: (theta[0] ** 2 - 1) ** 2 + (theta[1] - theta[0] ** 2) ** 2
        >>> path = connect(well, np.array([-1.0, 1.0]), np.array([1.0, 1.0]), "string_method")
        >>> bool(abs(path.peak - 1) < 1e-3)
        True
    """
    job = _posed(energy, start, end, level, batched, engine)
    chosen = method_named(method)
    if not (chosen.level_free or np.isfinite(job.levels).all()):
        raise ValueError(f"method {method!r} looks inside a level set: give it a level")
    if initial is None:
        return _joined(job, chosen, seed)
    if not chosen.warms:
        raise ValueError(f"initial: method {method!r} begins from no string; leave it out")
    several = initial if job.many else [initial]
    begun = [np.asarray(getattr(one, "beads", one), job.surface.dtype) for one in several]
    _check_initial(begun, job)
    return _joined(job, chosen, seed, initial=begun)


def method_named(method: str | PathMethod) -> PathMethod:
    """The path method of an option's name; one made in Python as it is.

    Raises:
        ValueError: there is no such option.
    """
    return method if isinstance(method, PathMethod) else part_named("method", method)


@dataclass(frozen=True, eq=False)
class _Job:
    """Pairs to join, as arrays."""

    surface: Surface
    starts: np.ndarray
    ends: np.ndarray
    levels: np.ndarray
    unravel: Callable[[Any], Any]
    many: bool


def _posed(
    energy: Callable[[Any], Any], start: Any, end: Any, level: Any, batched: Any,
    engine: Engine | None = None,
) -> _Job:  # fmt: skip
    """The question in arrays, checked."""
    if not callable(energy):
        raise ValueError(f"energy must be a function of one argument, got {energy!r}")
    for name, tree in (("start", start), ("end", end)):
        numbers = all(isinstance(leaf, Number) for leaf in jax.tree.leaves(tree))
        if numbers and isinstance(tree, list | tuple):
            raise ValueError(
                f"{name} is a {type(tree).__name__} of numbers: write np.array({name})"
            )
    start, end = (jax.tree.map(np.asarray, tree) for tree in (start, end))
    many = getattr(start, "ndim", 0) == 2 if batched is None else batched
    _check_ends(start, end, many)
    dtype = _precision(start, end)
    (starts, unravel), (ends, _) = (_rows(tree, many, dtype) for tree in (start, end))
    try:
        if not isinstance(energy, ModuleEnergy):
            _check_energy(energy, unravel(jnp.asarray(starts[0])))
        _check_apart(starts, ends)
    except Exception as error:
        if not many or batched:
            raise
        raise ValueError(
            f"ends of two dimensions are a batch of pairs (batched=False for matrices): {error}"
        ) from error
    levels = _levels(level, len(starts), many)
    tree = jax.eval_shape(unravel, starts[0])
    if isinstance(energy, ModuleEnergy):
        if engine is not None:
            raise ValueError("engine: that of a network is given to landscape.surface")
        surface = energy.at(tree, starts.dtype)
    else:
        on_tree = _OnTree(energy, unravel, _layout(tree))
        surface = _surface(on_tree, starts.dtype, engine or Engine())
    return _Job(surface, starts, ends, levels, unravel, many)


def _layout(tree: Any) -> Layout:
    """Where the leaves of any tree are in the vector."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = tuple((jax.tree_util.keystr(path),) for path, _ in leaves)
    return Layout(names, tuple(leaf.shape for _, leaf in leaves))


def _surface(energy: _OnTree, dtype: np.dtype, engine: Engine) -> Surface:
    """The surface of an energy, computed as an engine sees fit.

    One that takes little memory and convolves nothing is computed `CHUNK` points at a time, on
    whatever device.
    """
    if not isinstance(engine, Engine):
        raise ValueError(f"engine must be a landscape.Engine, got {engine!r}")
    for name in NETWORKS_ONLY:
        if getattr(engine, name) != getattr(Engine(), name):
            raise ValueError(
                f"engine: {name} is for networks on examples, which an energy of your own does "
                "not show (landscape.surface does); strategy, chunk and memory are for all"
            )
    dimension = energy.layout.size
    size, convolves, _ = work(energy, (), dimension, (), dtype)
    try:
        plan = engine.plan(size, 0, convolves)
    except UserError as error:  # the command line's exception
        raise ValueError(str(error)) from error
    small = not convolves and CHUNK * size <= min(engine.granted, CACHE)
    return Surface(
        energy, (), dimension, dtype=dtype, strategy=plan.strategy,
        chunk=CHUNK if small and engine.chunk is None else plan.chunk,
        work=0 if small else size,
    )  # fmt: skip


def _check_ends(start: Any, end: Any, many: bool) -> None:
    """Refuse ends that are not the same leaves of real numbers, in the same shapes."""
    if jax.tree.structure(start) != jax.tree.structure(end):
        raise ValueError("start and end must be trees of the same structure")
    leaves = jax.tree_util.tree_leaves_with_path(start)
    for (path, one), other in zip(leaves, jax.tree.leaves(end), strict=True):
        at = jax.tree_util.keystr(path)
        for name, leaf in (("start", one), ("end", other)):
            if not _real(leaf.dtype):
                raise ValueError(f"{name}{at} must hold real numbers, got {leaf.dtype}")
        if one.shape != other.shape:
            raise ValueError(
                f"start{at} and end{at} differ in shape: {one.shape} and {other.shape}"
            )
    shapes = {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}
    counts = {shape[:1] for shape in shapes.values()} if many else set()
    if len(counts) > 1 or () in counts:
        listed = ", ".join(f"start{at} {shape}" for at, shape in shapes.items())
        raise ValueError(f"batched: every leaf must count the same pairs first, got {listed}")
    if not sum(map(math.prod, shapes.values())):
        what = "pair of at least one number" if many else "number"
        raise ValueError(f"start and end must hold at least one {what}, got {start!r}")


def _check_apart(starts: np.ndarray, ends: np.ndarray) -> None:
    for row in np.flatnonzero((starts == ends).all(axis=1)):
        which = "start and end" if len(starts) == 1 else f"start[{row}] and end[{row}]"
        raise ValueError(f"{which} are the same point; there is nothing to join")


def _check_energy(energy: Callable[[Any], Any], point: Any) -> None:
    """Refuse what is not a scalar to descend on."""
    found = jax.eval_shape(energy, point)
    if not hasattr(found, "dtype"):
        got = "None" if found is None else f"a {type(found).__name__}"
    elif found.shape == () and jnp.issubdtype(found.dtype, jnp.floating):
        return
    else:
        got = f"{found.dtype} of shape {found.shape}"
    raise ValueError(f"energy must return a scalar floating number, got {got}")


def _levels(level: Any, count: int, many: bool) -> np.ndarray:
    """The level of every pair."""
    given = np.asarray(level)
    if not _real(given.dtype):
        raise ValueError(f"level must be a number, got {level!r}")
    if given.shape not in ((), (count,)):
        known = f"one number, or one for each of {count} pairs" if many else "one number"
        raise ValueError(f"level must be {known}, got an array of shape {given.shape}")
    levels = np.full(count, given, float)
    if np.isnan(levels).any() or (levels == -np.inf).any():
        raise ValueError(f"level must be a number, got {level}")
    return levels


def _real(dtype: np.dtype) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer))


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


def _joined(
    job: _Job, method: PathMethod, seed: int, initial: list[np.ndarray] | None = None
) -> Connection | list[Connection]:
    check_seed(seed)
    pairs = np.arange(len(job.starts))
    question = job.surface, job.starts, job.ends, job.levels, pairs, Progress()
    try:
        # A string may come again, improved.
        latest = dict(method.connect(*question, initial=initial, seed=int(seed)))
    except UserError as error:  # the command line's exception
        raise ValueError(str(error)) from error
    made = lambda found: Connection(found, job.surface, job.unravel, job.surface.dtype)
    results = [made(latest[i]) for i in range(len(pairs))]
    return results if job.many else results[0]
