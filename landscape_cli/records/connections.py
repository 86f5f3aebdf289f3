"""Connections: one row for every gauge, method, pair and level, and energies along the paths.

A method that looks for a low path whatever the level gives one string for all levels, judged
against each of them; `string` says which beads of the record `paths` belong to a row. Seconds and
evaluations are what a pair cost at all levels together, and stand in each of its rows once the
method is through with all pairs. The dimension is called `path_method` because `method` is an
argument of xarray's `sel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from landscape_cli.records.geodesic import CONNECTED_STATES, STATES
from landscape_cli.records.meanings import ENERGY, NONE, ONE, STATE_TYPE, shared
from landscape_cli.records.rows import Rows, described

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = ("gauge", "path_method", "pair", "level")
FLOATS = (
    *("peak", "length", "normalized_length", "chord", "output_length"),
    *("kkt_residual", "length_change", "seconds"),
)
COUNTS = {"beads": 0, "gradient_evaluations": 0, "energy_evaluations": 0, "string": -1}
WORDS = {"model": "", "data": "", "functional": "", "unit": "", "seed": 0}
MEANINGS = shared(
    *("gauge", "pair", "level", "split", "t", "start_network", "end_network", "connected"),
    *("normalized_length", "chord", "peak", "kkt_residual", "length_change", "seconds"),
    *("gradient_evaluations", "energy_evaluations", "barrier"),
) | {
    "path_method": ("method that looked for the path", NONE),
    "state": ("what became of the pair, as in geodesics.nc; or left out, or pending", NONE),
    "length": ("length of the path, connected or not", NONE),
    "output_length": ("length of the path in the space of outputs", NONE),
    "beads": ("beads of the path, ends included: how many", ONE),
    "string": ("number of the path in paths.nc; -1: none", NONE),
    "height": ("highest energy of the dense check, on every split", ENERGY),
    "integral": ("mean energy over the length of the path", ENERGY),
    "profile": ("energy along the path", ENERGY),
}


class Connections(Rows):
    """How every method joins every pair, as it is and in every gauge."""

    name = "connections"
    meanings = MEANINGS

    @classmethod
    def empty(
        cls,
        gauges: Sequence[str],
        methods: Sequence[str],
        pairs: Sequence[tuple[int, int]],
        levels: Sequence[float],
        splits: Sequence[str],
        t: int = 129,
        **words: Any,
    ) -> Connections:
        """A record in which every row is pending.

        Args:
            gauges: names.
            methods: names.
            pairs: the two networks of every pair.
            levels: energy levels, falling.
            splits: names of the energies, the run's own first.
            t: points at which energies along a path are kept.
            words: model, data, functional, unit (texts), seed.
        """
        shape = (len(gauges), len(methods), len(pairs), len(levels))
        rows: dict[str, Any] = {name: (ROW, np.full(shape, np.nan)) for name in FLOATS}
        rows |= {name: (ROW, np.full(shape, value)) for name, value in COUNTS.items()}
        rows["state"] = (ROW, np.full(shape, "pending", STATE_TYPE))
        rows["connected"] = (ROW, np.zeros(shape, bool))
        for name in ("height", "barrier", "integral"):
            rows[name] = ((*ROW, "split"), np.full((*shape, len(splits)), np.nan))
        profile = np.full((*shape, len(splits), t), np.nan)
        rows["profile"] = ((*ROW, "split", "t"), profile)
        networks = np.asarray(pairs, int).reshape(-1, 2)
        rows["start_network"] = ("pair", networks[:, 0])
        rows["end_network"] = ("pair", networks[:, 1])
        coordinates = {
            "gauge": list(gauges),
            "path_method": list(methods),
            "pair": np.arange(len(pairs)),
            "level": np.asarray(levels, float),
            "split": list(splits),
            "t": np.linspace(0, 1, t),
        }
        return cls(xarray.Dataset(rows, coordinates, described(WORDS, words)))

    def fill(self, gauge: int, method: int, pair: int, level: int, **values: Any) -> None:
        """Write one row, all arguments being indices; `connected` follows from `state`.

        Raises:
            KeyError: a variable that rows do not have.
        """
        if "state" in values:
            values["connected"] = values["state"] in CONNECTED_STATES
        for name, value in values.items():
            if self.data[name].dims[:4] != ROW:
                raise KeyError(f"{name} is not a variable of rows")
            self.data[name].values[gauge, method, pair, level] = value

    def leave_out(self, gauge: int, method: int) -> None:
        """Say that a method has no use for this model."""
        self.data["state"].values[gauge, method] = "left out"

    def rows(self) -> Iterator[tuple[str, str, xarray.Dataset]]:
        """(gauge, method, its pairs and levels), of those that were tried."""
        for g, gauge in enumerate(self.data["gauge"].values):
            for m, method in enumerate(self.data["path_method"].values):
                part = self.data.isel(gauge=g, path_method=m)
                if not part["state"].isin(["pending", "left out"]).all():
                    yield str(gauge), str(method), part

    def numbers(self, part: xarray.Dataset) -> dict[str, Any]:
        """What the table says of one gauge and method: medians over pairs, mean costs of a pair.

        Heights, lengths and integrals are those at the level that `shown` picks; costs are those
        of all levels together. Connected are so many of the pairs whose ends got there.
        """
        here = part.isel(level=self.shown(part))
        here = here.isel(pair=here["state"].values != "end not reached")
        mean, median = (
            lambda name, of=of: _finite(of, here[name].values) for of in (np.mean, np.median)
        )
        numbers: dict[str, Any] = {
            "level": float(here["level"]),
            "connected": f"{int(here['connected'].sum())} of {here.sizes['pair']}",
        }
        for name in ("height", "barrier", "integral"):
            for s, split in enumerate(part["split"].values):
                suffix = "" if s == 0 else f"_{split}"
                numbers[f"{name}{suffix}"] = _finite(np.median, here[name].values[:, s])
        numbers["normalized_length"] = median("normalized_length")
        if np.isfinite(here["output_length"].values).any():
            numbers["output_length"] = median("output_length")
        numbers["gradient_evaluations"] = mean("gradient_evaluations")
        return numbers | {"seconds": mean("seconds")}

    @staticmethod
    def shown(part: xarray.Dataset) -> int:
        """Index of the lowest level at which most pairs are connected; the highest if none is."""
        connected = part["connected"].values.sum(axis=0)
        return int(np.flatnonzero(connected == connected.max())[-1]) if connected.any() else 0

    def summary(self) -> dict[str, Any]:
        """Counts, then `what@method=neb` for every number of the table."""
        data = self.data
        kinds = {"pairs": "pair", "methods": "path_method", "gauges": "gauge"}
        found: dict[str, Any] = {name: data.sizes[kind] for name, kind in kinds.items()}
        found["rows"] = int(data["state"].size)
        found["pending"] = int((data["state"] == "pending").sum())
        for gauge, method, part in self.rows():
            place = f"method={method}" + (f", gauge={gauge}" if data.sizes["gauge"] > 1 else "")
            found |= {f"{name}@{place}": value for name, value in self.numbers(part).items()}
        return found

    def headline(self) -> str:
        """How many rows are connected, and how many ended in every state."""
        states = self.data["state"].values
        counts = {state: int((states == state).sum()) for state in (*STATES, "left out")}
        parts = [f"{count} {state}" for state, count in counts.items() if count]
        connected = int(self.data["connected"].sum())
        return f"{connected} of {states.size} rows connected ({', '.join(parts)})"

    def figures(self) -> dict[str, Figure]:
        """`profiles`: energies along the paths; `heights`: highest energy against length."""
        from landscape_cli.records.connection_figures import figures

        return figures(self)


def _finite(of: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    """Mean or median of what is finite; NaN where nothing is."""
    finite = values[np.isfinite(values)]
    return float(of(finite)) if len(finite) else float("nan")
