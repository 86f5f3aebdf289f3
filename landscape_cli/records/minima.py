"""Minima: which were found, which pairs were joined and how high, and the tree of all of them.

Every height is the highest energy of a path that was found: an upper bound on the lowest pass
between two minima. So are the bounds read off the tree, and so is the number of components.

Dimensions are start (every descent), minimum (those kept, the lowest first) and connection (pairs
in the order in which they were tried).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from landscape_cli.contracts import Record
from landscape_cli.core import trees
from landscape_cli.records.meanings import ENERGY, NONE, ONE, STATE_TYPE
from landscape_cli.records.rows import described
from landscape_cli.records.statistics import mean_and_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATES = ("minimum", "copy", "not reached", "diverged")
WORDS = {
    **{"model": "", "data": "", "functional": "", "unit": "", "method": "", "gauge": ""},
    **{"seed": 0, "most_connections": 0, "tight": 0.0, "levels": "[]"},
}
MEANINGS = {
    "minimum": ("which minimum, the lowest first", NONE),
    "state": ("how the descent ended: " + ", ".join(STATES), NONE),
    "minimum_of": ("minimum that the descent ended at; -1: none", NONE),
    "energy": ("energy of the minimum", ENERGY),
    "gradient_norm": ("norm of the gradient at the minimum", NONE),
    "distance": ("distance of two minima", NONE),
    "bound": ("lowest height that paths found join two minima at: an upper bound", ENERGY),
    "first": ("minimum at the start of the path", NONE),
    "second": ("minimum at the end of the path", NONE),
    "height": ("highest energy of the path; NaN: none was found", ENERGY),
    "round": ("round in which the pair was tried; 0 joins all to the lowest", NONE),
    "path_state": ("what became of the pair, as in geodesics.nc", NONE),
    "length": ("length of the path", NONE),
    "chord": ("distance of the ends of the path", NONE),
    "beads": ("beads of the path, ends included: how many", ONE),
    "gradients": ("gradients spent on the path", ONE),
    "energies": ("energies spent on the path", ONE),
    "path": ("number of the path in paths.nc; -1: not kept", NONE),
    "in_tree": ("whether the path is an edge of the minimum spanning tree", NONE),
}
UPPER = "every height is that of a path found: an upper bound"


@dataclass(frozen=True)
class Connection:
    """One pair that was tried.

    Attributes:
        first: a minimum.
        second: another one.
        height: highest energy of the path; NaN where none was found.
        round: in which batch of pairs; 0 joins every minimum to the lowest.
        state: of the path, as in `Found`.
        length: of the path.
        chord: distance of the two.
        beads: of the path.
        gradients: evaluations spent.
        energies: evaluations spent.
        path: its number among the saved paths; -1 where it was not kept.
    """

    first: int
    second: int
    height: float
    round: int = 0
    state: str = ""
    length: float = np.nan
    chord: float = np.nan
    beads: int = 0
    gradients: int = 0
    energies: int = 0
    path: int = -1


class Minima(Record):
    """A network of minima."""

    name = "network_of_minima"
    meanings = MEANINGS

    @classmethod
    def of(
        cls,
        states: Sequence[str],
        minimum_of: np.ndarray,
        energies: np.ndarray,
        slopes: np.ndarray,
        distances: np.ndarray,
        connections: Sequence[Connection],
        **words: Any,
    ) -> Minima:
        """What is known so far.

        Args:
            states: how each descent ended, one of `STATES`.
            minimum_of: (start,) the minimum that each descent ended at; -1 for none.
            energies: (minimum,) rising.
            slopes: (minimum,) norms of the gradient.
            distances: (minimum, minimum).
            connections: pairs that were tried.
            words: model, data, functional, unit, method, gauge (texts), seed,
                most_connections (pairs that may be tried), tight (see `core.trees.next_pairs`),
                levels (at which components are counted in the summary).
        """
        variables: dict[str, Any] = {
            "state": ("start", np.array(states, STATE_TYPE)),
            "minimum_of": ("start", np.asarray(minimum_of, int)),
            "energy": ("minimum", np.asarray(energies, float)),
            "gradient_norm": ("minimum", np.asarray(slopes, float)),
            "distance": (("minimum", "other"), np.asarray(distances, float)),
        }
        for name, field in Connection.__dataclass_fields__.items():
            kind = {"int": np.int64, "float": float, "str": STATE_TYPE}[str(field.type)]
            values = np.array([getattr(each, name) for each in connections], kind)
            variables["path_state" if name == "state" else name] = ("connection", values)
        coordinates = {"minimum": np.arange(len(energies))}
        data = xarray.Dataset(variables, coordinates, described(WORDS, words))
        return cls(data).with_tree()

    def with_tree(self) -> Minima:
        """Mark the pairs of the spanning tree, and write down all bounds."""
        pairs = {tuple(pair) for pair in trees.spanning_tree(self.heights)}
        ends = zip(self.data["first"].values, self.data["second"].values, strict=True)
        in_tree = np.array([(min(pair), max(pair)) in pairs for pair in ends], bool)
        bounds = (("minimum", "other"), trees.bounds(self.heights))
        self.data = self.data.assign(in_tree=("connection", in_tree), bound=bounds)
        return self

    @property
    def energies(self) -> np.ndarray:
        """(minimum,) energies, the lowest first."""
        return self.data["energy"].values

    @property
    def heights(self) -> np.ndarray:
        """(minimum, minimum) of the pairs tried; infinite where there is no path."""
        count = self.data.sizes["minimum"]
        found = np.full((count, count), np.inf)
        known = np.isfinite(self.data["height"].values)
        i, j, heights = (self.data[n].values[known] for n in ("first", "second", "height"))
        found[i, j] = found[j, i] = heights
        return found

    @property
    def tried(self) -> np.ndarray:
        """(minimum, minimum) whether a path was looked for."""
        count = self.data.sizes["minimum"]
        found = np.zeros((count, count), bool)
        i, j = self.data["first"].values, self.data["second"].values
        found[i, j] = found[j, i] = True
        return found

    @property
    def tree_heights(self) -> np.ndarray:
        """(edge,) heights of the spanning tree, the lowest first."""
        return self.heights[tuple(trees.spanning_tree(self.heights).T)]

    def tight(self) -> np.ndarray:
        """(pair,) whether a bound is no higher than the higher minimum of its pair."""
        upper = np.triu_indices(len(self.energies), 1)
        bounds = trees.bounds(self.heights)[upper]
        higher = np.maximum(self.energies[upper[0]], self.energies[upper[1]])
        with np.errstate(invalid="ignore"):
            return bounds - higher <= float(self.data.attrs["tight"]) * np.abs(bounds)

    def summary(self) -> dict[str, Any]:
        """Counts, energies of the minima, heights of the tree, then `components@level`.

        `height_over_minimum` compares means of the tree's heights and of the minima, as
        published tables do; the first round alone is what joining all minima to the best one
        gives. `tree_height_spread` is a standard deviation: edges of one tree are not
        independent of one another, so that they have no standard error.
        """
        data, heights = self.data, self.tree_heights
        states, minima = data["state"].values, self.energies
        first = data["height"].values[data["round"].values == 0]
        mean = mean_and_error(heights)[0]
        lowest = mean_and_error(minima)[0]
        known = np.isfinite(data["height"].values)
        of_formula = (
            data.attrs["functional"] == "energy"
        )  # its zero, and so a ratio, means nothing
        tight, levels = self.tight(), np.asarray(_numbers(data.attrs["levels"]))
        counted = trees.components(minima, self.heights, levels)
        return {
            "starts": len(states),
            "minima": len(minima),
            **{f"starts_{s.replace(' ', '_')}": int((states == s).sum()) for s in STATES[1:]},
            "connections": len(known),
            "connections_without_path": int((~known).sum()),
            "rounds": int(data["round"].max() + 1) if len(known) else 0,
            "trees": len(minima) - len(heights),
            "heights_are": UPPER,
            "lowest_minimum": float(minima.min(initial=np.inf)),
            "mean_minimum": lowest,
            "largest_gradient_norm": float(data["gradient_norm"].max()) if len(minima) else np.nan,
            "tree_height_mean": mean,
            "tree_height_spread": float(heights.std(ddof=1)) if len(heights) > 1 else np.nan,
            "tree_height_max": float(heights.max()) if len(heights) else np.nan,
            "first_round_height_mean": mean_and_error(first)[0],
            "height_over_minimum": np.nan if of_formula or not lowest else mean / lowest,
            "tight_bounds": f"{int(tight.sum())} of {len(tight)}",
            "gradient_evaluations": int(data["gradients"].sum()),
            "energy_evaluations": int(data["energies"].sum()),
            **{f"components@{x:.12g}": int(n) for x, n in zip(levels, counted, strict=True)},
        }

    def figures(self) -> dict[str, Figure]:
        """The figures `tree`, `components` and `bounds`."""
        from landscape_cli.records.minima_figures import figures

        return figures(self)


def _numbers(text: str) -> list[float]:
    """A list of numbers as an attribute holds it."""
    import json

    return [float(value) for value in json.loads(text)]
