"""A connection: two points and the judged string between them, as the library door returns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from landscape_cli.core import string
from landscape_cli.core.string import Found
from landscape_cli.core.surface import Surface

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PROFILE = np.linspace(0, 1, 201)
FIGURES = ("png", "svg", "pdf")


@dataclass(frozen=True, eq=False)
class Connection:
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
        level = f" <= level {f.level:g}" if np.isfinite(f.level) else ""
        tests = "" if f.state == "straight" or np.isnan(f.kkt_residual) else (
            f", KKT residual {f.kkt_residual:.1e}, length change {f.length_change:.1e}"
        )  # fmt: skip
        return (
            f"{f.state}: normalized length {f.normalized_length:.6f} with {len(f.beads)} beads, "
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
        """The point at arclength position `t` in [0, 1], as a tree like the ends."""
        point = string.at(self.beads, np.array([float(t)]))[0]
        return self.unravel(jnp.asarray(point, self.surface.dtype))

    def profile(self, beyond: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Positions t and energies along the string, also beyond its ends.

        Args:
            beyond: part of the string's length to go on straight at either end; at least 0.
        """
        if not 0 <= beyond < np.inf:
            raise ValueError(f"beyond must be at least 0, got {beyond}")
        t = PROFILE
        if beyond:
            more = np.arange(1, np.ceil(beyond / PROFILE[1]) + 1) * PROFILE[1]
            t = np.concatenate([-more[::-1], PROFILE, 1 + more])
        return t, self.surface.energies(string.beyond(self.beads, t))

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

    def __repr__(self) -> str:
        return f"<Connection {self.verdict}>"
