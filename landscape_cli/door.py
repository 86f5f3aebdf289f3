"""The library door: the main job for any JAX energy, without the command line.

    result = landscape.geodesic(energy, start, end, level=0.1)
    result.connected, result.normalized_length, result.beads, result.peak

The same search and the same defaults as `landscape run geodesic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from landscape_cli.contracts import PathMethod, Progress
from landscape_cli.core import string
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface
from landscape_cli.methods.taut_string import TautString

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PROFILE = np.linspace(0, 1, 201)


@dataclass(frozen=True, eq=False)
class Geodesic:
    """One judged string. Everything derived is a property.

    Attributes:
        found: beads, state and what was spent (`core.string.Found`).
        surface: the surface it lies on.
        unravel: from a (param,) vector back to the tree that was given.
    """

    found: Found
    surface: Surface
    unravel: Callable[[Any], Any]

    @property
    def connected(self) -> bool:
        """Whether the whole string obeys F <= level; False proves nothing."""
        return self.found.connected

    @property
    def verdict(self) -> str:
        """One line: the state, the length and what it rests on."""
        f = self.found
        if not f.connected:
            where = f"highest energy {f.peak:.6g} in segment {f.worst_segment}"
            return f"{f.state} within budget at level {f.level:g}: {where}"
        tests = "" if f.state == "straight" else (
            f", KKT residual {f.kkt_residual:.1e}, length change {f.length_change:.1e}"
        )  # fmt: skip
        return (
            f"{f.state}: normalized length {f.normalized_length:.6f} with {len(f.beads)} beads, "
            f"peak {f.peak:.6g} <= level {f.level:g}{tests}"
        )

    @property
    def level(self) -> float:
        """λ."""
        return self.found.level

    @property
    def beads(self) -> np.ndarray:
        """(bead, param), ends included; also of a failure: as far as it got."""
        return self.found.beads

    @property
    def length(self) -> float:
        """Arclength; NaN unless connected."""
        return self.found.length

    @property
    def normalized_length(self) -> float:
        """Arclength over the distance of the ends, at least 1; NaN unless connected."""
        return self.found.normalized_length

    @property
    def peak(self) -> float:
        """Highest energy found by the dense check."""
        return self.found.peak

    def at(self, t: float) -> Any:
        """The point at arclength position `t` in [0, 1], as a tree like the ends."""
        return self.unravel(jnp.asarray(string.at(self.beads, np.array([float(t)]))[0]))

    def profile(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions t and energies along the string."""
        return PROFILE, self.surface.energies(string.at(self.beads, PROFILE))

    def plot(self) -> Figure:
        """Energy along the string, with the level; a matplotlib figure."""
        from landscape_cli.plots import new_figure, style

        with style():
            figure = new_figure(6.0, 3.6)
            ax = figure.add_subplot()
            ax.plot(*self.profile(), label="energy along the string")
            ax.axhline(self.level, linestyle="--", color="0.4", label=f"level {self.level:g}")
            ax.set(xlabel="arclength position t", ylabel="energy F")
            ax.set_title(self.verdict, fontsize="small")
            ax.legend()
        return figure

    def dataset(self) -> xarray.Dataset:
        """Beads, energies at the beads, and the verdict as attributes."""
        import xarray

        numbers = ("level", "length", "normalized_length", "peak")
        attributes = {name: float(getattr(self, name)) for name in numbers}
        return xarray.Dataset(
            {
                "beads": (("bead", "param"), self.beads),
                "energy": ("bead", self.surface.energies(self.beads)),
                "t": ("bead", string.arclength(self.beads)),
            },
            attrs={"state": self.found.state, "verdict": self.verdict, **attributes},
        )

    def save(self, path: str | Path) -> Path:
        """Write the string (netCDF) or, by a name ending in png, svg or pdf, its figure."""
        from landscape_cli.plots import render
        from landscape_cli.rundir import write

        path = Path(path)
        kind = path.suffix.lower().lstrip(".")
        if kind in ("png", "svg", "pdf"):
            write(path, render(self.plot(), kind))
        else:
            write(path, bytes(self.dataset().to_netcdf(engine="h5netcdf")))
        return path

    def __repr__(self) -> str:
        return f"<Geodesic {self.verdict}>"


@dataclass(frozen=True)
class _OnTree:
    """An energy of a tree as an energy of a vector; hashable, so that jit knows it again."""

    energy: Callable[[Any], Any]
    unravel: Callable[[Any], Any]

    def __call__(self, theta: Any, data: Any) -> Any:
        return self.energy(self.unravel(theta))


def _rows(tree: Any, batched: bool) -> tuple[np.ndarray, Any]:
    """(pair, param) host array of a tree, and the way back for one pair."""
    arrays = jax.tree.map(lambda leaf: jnp.atleast_1d(jnp.asarray(leaf)), tree)
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
    method: PathMethod | None = None,
) -> Geodesic | list[Geodesic]:
    """Shortest path between two points that never leaves {F <= level}.

    Args:
        energy: F, any JAX function of a vector or pytree that returns a scalar. Keep one
            function object for many calls: a new one is compiled anew.
        start: vector (param,) or pytree; of a batch, (pair, param) or leaves with a leading axis.
        end: like `start`.
        level: λ; one number, or one for every pair.
        batched: whether the leading axis counts pairs; None: yes for a plain array of two
            dimensions, no for everything else.
        method: how strings are found; default `TautString()`, as on the command line.

    Returns:
        One `Geodesic`, or a list with one for every pair.

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
    many = getattr(start, "ndim", 0) == 2 if batched is None else batched
    if jax.tree.structure(start) != jax.tree.structure(end):
        raise ValueError("start and end must be trees of the same structure")
    (starts, unravel), (ends, _) = _rows(start, many), _rows(end, many)
    if starts.shape != ends.shape:
        raise ValueError(f"start and end differ in shape: {starts.shape} and {ends.shape}")
    shape = jax.eval_shape(energy, unravel(jnp.asarray(starts[0]))).shape
    if shape != ():
        raise ValueError(f"energy must return a scalar, got shape {shape}")
    levels = np.broadcast_to(np.asarray(level, float), (len(starts),)).copy()
    if not np.isfinite(levels).all():
        raise ValueError(f"level must be finite, got {level}")
    surface = Surface(_OnTree(energy, unravel), (), starts.shape[1], dtype=starts.dtype)
    _check(surface, "start", starts, levels)
    _check(surface, "end", ends, levels)
    found = (method or TautString()).connect(
        surface, starts, ends, levels, np.arange(len(starts)), Progress()
    )
    latest = dict(found)  # a string may be yielded again, improved
    results = [Geodesic(latest[i], surface, unravel) for i in range(len(starts))]
    return results if many else results[0]
