"""A connection: two points and the judged string between them, as the library door returns it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from landscape_cli.core import string
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PROFILE = np.linspace(0, 1, 201)
FIGURES = ("png", "svg", "pdf")
ARRAYS = ("beads", "saddles")  # of a `Found`; all else are attributes of a file
COMPUTED = ("_at_beads", "_along")  # energies, once they are asked for


@dataclass(frozen=True, eq=False)
class Connection:
    """One judged string. Everything derived is a property.

    An energy is any function, so a pickle and a file leave it out; energies at the beads and along
    the string go along.

    Attributes:
        found: beads, state and what was spent (`core.string.Found`).
        surface: the surface it lies on; None of a result from a pickle or a file.
        unravel: from a (param,) vector back to the tree that was given.
        dtype: floating type of points and energies.
    """

    found: Found
    surface: Surface | None
    unravel: Callable[[Any], Any]
    dtype: Any

    @property
    def connected(self) -> bool:
        """Whether the whole string obeys F <= level; False proves nothing."""
        return self.found.connected

    @property
    def verdict(self) -> str:
        """One line: the state, or "joined" without a level, the length and what it rests on."""
        f, asked = self.found, np.isfinite(self.level)
        if not f.connected:
            known = np.isfinite(f.peak)
            what = f"highest energy {f.peak:.6g}" if known else "an infinite energy or NaN"
            where = f"{what} in segment {f.worst_segment}"
            return f"{f.state} within budget{f' at level {f.level:g}' if asked else ''}: {where}"
        level, state = (f" <= level {f.level:g}", f.state) if asked else ("", "joined")
        tests = "" if f.state == "straight" or np.isnan(f.kkt_residual) else (
            f", KKT residual {f.kkt_residual:.1e}, length change {f.length_change:.1e}"
        )  # fmt: skip
        return (
            f"{state}: normalized length {f.normalized_length:.6f} with {len(f.beads)} beads, "
            f"peak {f.peak:.6g}{level}{tests}"
        )

    @property
    def level(self) -> float:
        """λ; infinite where none was asked for."""
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
        """The point at arclength position `t`, as a tree like the ends.

        Raises:
            ValueError: t does not lie in [0, 1].
        """
        if not 0 <= float(t) <= 1:
            raise ValueError(f"t must lie in [0, 1], got {t}")
        point = string.at(self.beads, np.array([float(t)]))[0]
        return self.unravel(jnp.asarray(point, jax.dtypes.canonicalize_dtype(self.dtype)))

    def _energies(self, points: np.ndarray) -> np.ndarray:
        if self.surface is None:
            raise ValueError("beyond needs the energy, which a pickle or a file has left out")
        return self.surface.energies(points)

    @cached_property
    def _at_beads(self) -> np.ndarray:
        return self._energies(self.beads)

    @cached_property
    def _along(self) -> np.ndarray:
        return self._energies(string.at(self.beads, PROFILE))

    def profile(self, beyond: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Positions t and energies along the string, also beyond its ends.

        Args:
            beyond: part of the string's length to go on straight at either end; at least 0.

        Raises:
            ValueError: beyond is no number of at least 0, or asks for energies that were left out.
        """
        if not isinstance(beyond, Real):
            raise ValueError(
                f"beyond must be a number, got {beyond!r}; to draw into axes of your own: "
                "ax.plot(*result.profile())"
            )
        if not 0 <= beyond < np.inf:
            raise ValueError(f"beyond must be at least 0, got {beyond}")
        if not beyond:
            return PROFILE.copy(), self._along.copy()
        more = np.arange(1, np.ceil(beyond / PROFILE[1]) + 1) * PROFILE[1]
        t = np.concatenate([-more[::-1], PROFILE, 1 + more])
        return t, self._energies(string.beyond(self.beads, t))

    def plot(self, beyond: float = 0.0) -> Figure:
        """Energy along the string, with the level, as a figure; `beyond` as in `profile`."""
        from landscape_cli.plots import new_figure, style

        with style():
            figure = new_figure(6.0, 3.6)
            ax = figure.add_subplot()
            ax.plot(*self.profile(beyond), label="energy along the string")
            if np.isfinite(self.level):
                ax.axhline(self.level, linestyle="--", color="0.4", label=f"level {self.level:g}")
            ax.set(xlabel="arclength position t", ylabel="energy F")
            ax.set_title(fill(self.verdict, 84), fontsize="small")
            ax.legend()
        return figure

    def dataset(self) -> xarray.Dataset:
        """Beads, energies at the beads and along the string, and the verdict as attributes."""
        import xarray

        numbers = {name: float(getattr(self, name)) for name in ("length", "normalized_length")}
        found = {name: value for name, value in asdict(self.found).items() if name not in ARRAYS}
        return xarray.Dataset(
            {
                "beads": (("bead", "param"), self.beads),
                "energy": ("bead", self._at_beads),
                "t": ("bead", string.arclength(self.beads)),
                "profile": ("position", self._along),
                "saddles": ("saddle", np.array(self.found.saddles, int)),
            },
            coords={"position": PROFILE},
            attrs={**found, **numbers, "verdict": self.verdict},
        )

    def save(self, path: str | Path) -> Path:
        """Write the string (.nc, netCDF) or its figure (.png, .svg or .pdf).

        Raises:
            ValueError: the name ends in something else.
            FileNotFoundError: the folder does not exist.
            UserError: the file cannot be written.
        """
        from landscape_cli.files import write
        from landscape_cli.plots import render

        if not str(path):
            raise ValueError(f"path must name a file, got {path!r}")
        path = Path(path)
        kind = path.suffix.lower().lstrip(".")
        if kind not in ("nc", *FIGURES):
            known = ", ".join(f".{each}" for each in FIGURES)
            raise ValueError(f"path must end in .nc (the string) or {known} (its figure): {path}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
        if kind in FIGURES:
            write(path, render(self.plot(), kind))
        else:
            write(path, bytes(self.dataset().to_netcdf(engine="h5netcdf")))
        return path

    def __copy__(self, memo: Any = None) -> Connection:
        """A copy keeps the energy, and what was computed with it."""
        made = replace(self, found=replace(self.found, beads=self.beads.copy()))
        known = {name: self.__dict__[name] for name in COMPUTED if name in self.__dict__}
        made.__dict__.update(copy.deepcopy(known))
        return made

    __deepcopy__ = __copy__

    def __getstate__(self) -> dict[str, Any]:
        tree = jax.tree.map(np.asarray, self.at(0.0))
        known = {"_at_beads": self._at_beads, "_along": self._along, "dtype": self.dtype}
        return {"found": self.found, "surface": None, "tree": tree, **known}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, unravel=ravel_pytree(state.pop("tree"))[1])

    def __repr__(self) -> str:
        return f"<Connection {self.verdict}>"


def load(path: str | Path) -> Connection:
    """The connection that `Connection.save` wrote as netCDF, without its energy.

    Its points are vectors, also where the ends were trees.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file.
    """
    from landscape_cli.records.reading import read_netcdf

    content = Path(path).read_bytes()
    try:
        data = read_netcdf(content)
        scalars = {field.name for field in fields(Found)} - {*ARRAYS}
        arrays = {"beads": data.beads.values, "saddles": tuple(map(int, data.saddles.values))}
        found = Found(**arrays, **{name: np.asarray(data.attrs[name]).item() for name in scalars})
        known = {"_at_beads": data.energy.values, "_along": data.profile.values}
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: not a string that this version's save wrote") from error
    dtype = data.energy.dtype
    connection = Connection(found, None, ravel_pytree(found.beads[0].astype(dtype))[1], dtype)
    connection.__dict__.update(known)
    return connection
