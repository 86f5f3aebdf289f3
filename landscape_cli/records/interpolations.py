"""Interpolations: energies along straight lines, and what is measured of them.

    largest rise = max over α < β of L(β) - L(α), at least 0      (no rise: monotone)
    plateau      = part of 0 <= α <= 1 where |L(α) - L(0)| <= 5 % of |L(0)|
    barrier      = max over 0 <= α <= 1 of L(α) - ½ (L(0) + L(1))
    above linear = max over 0 <= α <= 1 of L(α) - ((1 - α) L(0) + α L(1)), at least 0

Dimensions are network, pair, level, split, gauge and alpha. A network that crossed no level
on its way is a row without energies; one that stopped above the lowest level is measured from
where it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from landscape_cli.records.meanings import ENERGY, NONE, ONE, STATE_TYPE, shared
from landscape_cli.records.rows import Rows, described
from landscape_cli.records.statistics import mean_and_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATES = ("trained", "above the lowest level", "not trained", "diverged")
ROUNDING = 64  # relative rounding errors of an energy that are no rise
WORDS = {
    **{"model": "", "data": "", "functional": "", "unit": "", "seed": 0},
    **{"precision": "float64", "plateau": 0.05},
}
OF_NETWORKS = ("rise", "plateau")
OF_PAIRS = ("barrier", "above_linear")
MEANINGS = shared("network", "pair", "level", "split", "gauge", "barrier") | {
    "alpha": ("position on the line: 0 its first end, 1 the other", ONE),
    "state": ("how training ended: " + ", ".join(STATES), NONE),
    "energy": ("energy on the line from the beginning to the solution", ENERGY),
    "rise": ("largest rise from the beginning to the solution; 0: none", ENERGY),
    "plateau": ("part of the line where the energy is that of the beginning", ONE),
    "solution_level": ("lowest level that training crossed: where the solution is", ENERGY),
    "line_length": ("distance of the beginning and the solution", NONE),
    "along": ("where training crossed the level: position along the line", ONE),
    "aside": ("where training crossed the level: distance from the line / its length", ONE),
    "pair_energy": ("energy on the line between two solutions", ENERGY),
    "above_linear": ("highest energy above linear interpolation of the two solutions", ENERGY),
    "chord": ("distance of the two solutions", NONE),
}


class Interpolations(Rows):
    """Lines from beginnings to solutions, lines between solutions, and training off the line."""

    name = "interpolation"
    meanings = MEANINGS

    @classmethod
    def empty(
        cls,
        networks: int,
        levels: Sequence[float],
        splits: Sequence[str],
        gauges: Sequence[str],
        alphas: np.ndarray,
        **words: Any,
    ) -> Interpolations:
        """A record of nothing but NaN.

        Args:
            networks: number of networks; every two are a pair.
            levels: energy levels, in the order given.
            splits: names of the splits that energies are computed on.
            gauges: names of the gauges of the second network of a pair; "none" first.
            alphas: (alpha,) positions on a line, rising, with 0 and 1 among them.
            words: model, data, functional, unit, precision (texts), seed, plateau (the part of
                the energy at α = 0 that a plateau may differ by).
        """
        sizes = {
            "network": networks, "pair": networks // 2, "level": len(levels),
            "split": len(splits), "gauge": len(gauges), "alpha": len(alphas),
        }  # fmt: skip
        dimensions = {
            "energy": ("network", "split", "alpha"),
            **dict.fromkeys(OF_NETWORKS, ("network", "split")),
            **dict.fromkeys(("solution_level", "line_length"), ("network",)),
            **dict.fromkeys(("along", "aside"), ("network", "level")),
            "pair_energy": ("gauge", "pair", "split", "alpha"),
            **dict.fromkeys(OF_PAIRS, ("gauge", "pair", "split")),
            "chord": ("gauge", "pair"),
        }
        variables: dict[str, Any] = {
            name: (dims, np.full([sizes[each] for each in dims], np.nan))
            for name, dims in dimensions.items()
        }
        variables["state"] = ("network", np.full(networks, "not trained", STATE_TYPE))
        coordinates = {
            "network": np.arange(networks), "pair": np.arange(networks // 2),
            "level": np.asarray(levels, float), "split": list(splits), "gauge": list(gauges),
            "alpha": np.asarray(alphas, float),
        }  # fmt: skip
        return cls(xarray.Dataset(variables, coordinates, described(WORDS, words)))

    def set_networks(self, levels: np.ndarray, diverged: np.ndarray) -> None:
        """How training ended: (network,) lowest levels crossed, NaN for none; who diverged."""
        self.data["solution_level"].values[:] = levels
        states = np.where(levels == self.data["level"].values[-1], STATES[0], STATES[1])
        states = np.where(np.isnan(levels), STATES[2], states)
        self.data["state"].values[:] = np.where(diverged, STATES[3], states)

    def set_track(self, network: int, along: np.ndarray, aside: np.ndarray, length: float) -> None:
        """Where training crossed the levels (level,) relative to its line; see `off_line`."""
        for name, value in {"along": along, "aside": aside, "line_length": length}.items():
            self.data[name].values[network] = value

    def fill_network(self, network: int, energies: np.ndarray) -> None:
        """Keep and measure the energies (split, alpha) from a beginning to its solution."""
        data, alphas = self.data, self.data["alpha"].values
        data["energy"].values[network] = energies
        part = float(data.attrs["plateau"])
        data["rise"].values[network] = [largest_rise(alphas, row) for row in energies]
        data["plateau"].values[network] = [plateau_width(alphas, row, part) for row in energies]

    def fill_pair(self, gauge: str, pair: int, energies: np.ndarray, chord: float) -> None:
        """Keep and measure the energies (split, alpha) between two solutions."""
        data, at = self.data, (list(self.data["gauge"].values).index(gauge), pair)
        data["pair_energy"].values[at] = energies
        data["chord"].values[at] = chord
        heights = np.array([barriers(data["alpha"].values, row) for row in energies])
        for name, column in zip(OF_PAIRS, heights.T, strict=True):
            data[name].values[at] = column

    @property
    def monotone(self) -> np.ndarray:
        """(network, split) whether the energy never rises from beginning to solution."""
        alphas = self.data["alpha"].values
        energies = self.data["energy"].values[..., (alphas >= 0) & (alphas <= 1)]
        scale = np.abs(energies).max(axis=-1)  # NaN where there are none
        slack = ROUNDING * np.finfo(str(self.data.attrs["precision"])).eps * scale
        return self.data["rise"].values <= slack

    @property
    def untrained(self) -> str:
        """That there is no solution to draw a line to, and why; empty where there is one."""
        if np.isfinite(self.data["line_length"].values).any():
            return ""
        states = self.data["state"].values
        lost = int((states == "diverged").sum())
        why = f":\ntraining diverged in {lost} of {len(states)}" if lost else ""
        return f"no network was trained down to a level{why}"

    def summary(self) -> dict[str, Any]:
        """Counts, then means with standard errors, then `what@level`.

        Counts of networks by state; for every split `monotone_<split>` (k of n), mean and largest
        rise, mean plateau; for every split and gauge mean barrier, its error, and mean height
        above linear interpolation of the ends. At each level the mean position along the line and
        distance from it, in line lengths.
        """
        data, states = self.data, self.data["state"].values
        found: dict[str, Any] = {"networks": len(states), "pairs": data.sizes["pair"]}
        found |= {state.replace(" ", "_"): int((states == state).sum()) for state in STATES}
        for index, split in enumerate(data["split"].values):
            rises, plateaux = (data[name].values[:, index] for name in OF_NETWORKS)
            known = np.isfinite(rises)
            monotone = int(self.monotone[known, index].sum())
            found[f"monotone_{split}"] = f"{monotone} of {known.sum()}"
            found[f"largest_rise_{split}_mean"] = mean_and_error(rises)[0]
            found[f"largest_rise_{split}_max"] = (
                float(rises[known].max()) if any(known) else np.nan
            )
            found[f"plateau_{split}_mean"] = mean_and_error(plateaux)[0]
            found |= self._of_gauges(index, str(split))
        along, aside = (data[name].values.T for name in ("along", "aside"))
        for index, level in enumerate(data["level"].values):
            found[f"along_line@{level:.12g}"] = mean_and_error(along[index])[0]
            found[f"off_line@{level:.12g}"] = mean_and_error(aside[index])[0]
        return found

    def _of_gauges(self, index: int, split: str) -> dict[str, float]:
        found = {}
        for row, gauge in enumerate(self.data["gauge"].values):
            heights, above = (self.data[name].values[row, :, index] for name in OF_PAIRS)
            words = f"{split}" if gauge == "none" else f"{split}, {gauge}"
            mean, error = mean_and_error(heights)
            found |= {f"barrier_{words}": mean, f"barrier_error_{words}": error}
            found[f"above_linear_{words}"] = mean_and_error(above)[0]
        return found

    def figures(self) -> dict[str, Figure]:
        """The figures `from_beginning`, `between_solutions` and `off_line`."""
        from landscape_cli.records.interpolation_figures import figures

        return figures(self)


def largest_rise(alphas: np.ndarray, energies: np.ndarray) -> float:
    """Smallest Δ such that no rise on 0 <= α <= 1 is larger; 0 where the energy only falls.

    NaN where an energy is not finite.

    Example:
        >>> largest_rise(np.linspace(0, 1, 5), np.array([3.0, 1.0, 2.5, 2.0, 2.75]))
        1.75
    """
    inside = energies[(alphas >= 0) & (alphas <= 1)]
    if not np.isfinite(inside).all():
        return np.nan
    return float((inside - np.minimum.accumulate(inside)).max())


def plateau_width(alphas: np.ndarray, energies: np.ndarray, part: float) -> float:
    """Part of 0 <= α <= 1 where the energy is within `part` of |L(0)| from L(0).

    Every point counts with half of the gaps to its neighbors.
    """
    rows = (alphas >= 0) & (alphas <= 1)
    x, inside = alphas[rows], energies[rows]
    if not np.isfinite(inside).all():
        return np.nan
    gaps = np.diff(x)
    weights = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    return float(weights[np.abs(inside - inside[0]) <= part * abs(inside[0])].sum())


def barriers(alphas: np.ndarray, energies: np.ndarray) -> tuple[float, float]:
    """Highest energy on 0 <= α <= 1 above the mean of the ends, and above their interpolation.

    Ainsworth, Hayase and Srinivasa (2023) define the first, Frankle and others (2020) the second.
    NaN where an energy is not finite.
    """
    rows = (alphas >= 0) & (alphas <= 1)
    x, inside = alphas[rows], energies[rows]
    if not np.isfinite(inside).all():
        return np.nan, np.nan
    linear = (1 - x) * inside[0] + x * inside[-1]
    mean = (inside[0] + inside[-1]) / 2
    return float(inside.max() - mean), float((inside - linear).max())
