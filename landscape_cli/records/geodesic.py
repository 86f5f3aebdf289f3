"""Geodesics: what became of every pair at every level, its statistics and its figures.

    normalized length = length / |end - start|  >= 1

Dimensions are pair, level, network, record (of the training curves) and t in [0, 1]. A row that
has not been worked on yet is `pending`; a row that failed stays, says how, and counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from landscape_cli.core.string import CONNECTED
from landscape_cli.records.meanings import ENERGY, NONE, ONE, STATE_TYPE, shared
from landscape_cli.records.rows import Rows, described
from landscape_cli.records.statistics import (
    bootstrap_interval,
    mean_and_error,
    standard_errors_apart,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONNECTED_STATES = CONNECTED
FAILED_STATES = ("not connected", "diverged")
UNTRIED_STATES = ("end not reached", "end diverged", "pending")
STATES = CONNECTED_STATES + FAILED_STATES + UNTRIED_STATES

FLOATS = (
    *("length", "normalized_length", "sampled_length", "chord", "peak", "margin"),
    *("kkt_residual", "length_change", "seconds", "start_energy", "end_energy"),
)
COUNTS = {"beads": 0, "gradient_evaluations": 0, "energy_evaluations": 0, "worst_segment": -1}
WORDS = {
    **{"model": "", "data": "", "functional": "", "method": "", "unit": "", "seed": 0},
    **{"gauge": "none", "plateaux": "{}", "published": "", "paired": "true"},
}
MEANINGS = shared(
    *("pair", "level", "network", "t", "start_network", "end_network", "connected", "chord"),
    *("normalized_length", "peak", "kkt_residual", "length_change", "seconds"),
    *("gradient_evaluations", "energy_evaluations"),
) | {
    "state": ("what became of the pair: " + ", ".join(STATES), NONE),
    "length": ("length of the string; NaN where it is not connected", NONE),
    "sampled_length": ("normalized length of the sampled string, before it was shortened", ONE),
    "margin": ("margin below the level, (λ - peak) / λ", ONE),
    "worst_segment": ("segment of the peak, from 0, where it is above the level; else -1", NONE),
    "beads": ("beads of the string, ends included: how many", ONE),
    "start_energy": ("energy at the start", ENERGY),
    "end_energy": ("energy at the end", ENERGY),
    "profile": ("energy along the string", ENERGY),
    "lowest_connected_level": ("lowest level at which the pair is connected", ENERGY),
    "lowest_energy": ("lowest energy that training reached", ENERGY),
    "diverged": ("whether training met a NaN or infinity", NONE),
    "training_step": ("training steps made when the energy was recorded", ONE),
    "training_curve": ("energy in the course of training", ENERGY),
}


class Geodesics(Rows):
    """One row for every pair and level, the training curves, and energies along the strings."""

    name = "geodesics"
    meanings = MEANINGS

    @classmethod
    def empty(
        cls, pairs: int, levels: Sequence[float], networks: int, t: int = 129, **words: Any
    ) -> Geodesics:
        """A record in which every row is pending.

        Args:
            pairs: number of pairs.
            levels: energy levels, in the order given.
            networks: number of trained networks.
            t: points at which energies along a string are kept.
            words: model, data, functional, method, gauge, unit (texts), seed, plateaux
                (a dict of label and energy), published (a dict with label, level, length,
                length_error, beads, beads_error, joined, marks, numbers: as in
                `landscape_cli.published`), paired (False where a pair is another one at every
                level).
        """
        shape = (pairs, len(levels))
        rows = {name: np.full(shape, np.nan) for name in FLOATS}
        rows |= {name: np.full(shape, fill, np.int64) for name, fill in COUNTS.items()}
        rows["state"] = np.full(shape, "pending", STATE_TYPE)
        rows["connected"] = np.zeros(shape, bool)
        variables: dict[str, Any] = {name: (("pair", "level"), row) for name, row in rows.items()}
        variables |= {
            "profile": (("pair", "level", "t"), np.full((*shape, t), np.nan)),
            "start_network": ("pair", np.full(pairs, -1)),
            "end_network": ("pair", np.full(pairs, -1)),
            "lowest_connected_level": ("pair", np.full(pairs, np.nan)),
            "lowest_energy": ("network", np.full(networks, np.nan)),
            "diverged": ("network", np.zeros(networks, bool)),
        }
        coordinates = {
            "pair": np.arange(pairs),
            "level": np.asarray(levels, float),
            "network": np.arange(networks),
            "t": np.linspace(0, 1, t),
        }
        record = cls(xarray.Dataset(variables, coordinates, described(WORDS, words)))
        record.set_training(np.zeros(0, int), np.zeros((networks, 0)))
        return record

    def fill(self, pair: int, level: int, **values: Any) -> None:
        """Write one row, `level` being an index; `margin` and what follows from `state` are set.

        Raises:
            KeyError: a variable that rows do not have.
            ValueError: an unknown state, or a profile of another length.
        """
        if "state" in values:
            if values["state"] not in STATES:
                raise ValueError(f"state is one of {', '.join(STATES)}, got {values['state']!r}")
            values.setdefault("connected", values["state"] in CONNECTED_STATES)
        energy_level = float(self.data["level"][level])
        if "peak" in values:
            values.setdefault("margin", (energy_level - values["peak"]) / energy_level)
        for name, value in values.items():
            if self.data[name].dims[:2] != ("pair", "level"):
                raise KeyError(f"{name} is not a variable of rows")
            self.data[name].values[pair, level] = value
        connected = self.data["connected"].values[pair]
        lowest = self.data["level"].values[connected].min() if connected.any() else np.nan
        self.data["lowest_connected_level"].values[pair] = lowest

    def set_training(self, steps: np.ndarray, curves: np.ndarray) -> None:
        """Put in the training curves: `steps` (record,), `curves` (network, record)."""
        old = [name for name in ("training_step", "training_curve") if name in self.data]
        self.data = self.data.drop_vars(old).assign(
            training_step=("record", np.asarray(steps)),
            training_curve=(("network", "record"), np.asarray(curves, float)),
        )

    @property
    def levels(self) -> np.ndarray:
        """(level,) in the order given."""
        return self.data["level"].values

    @property
    def connected_lengths(self) -> np.ndarray:
        """(pair, level) normalized lengths; NaN where not connected."""
        return self._where_connected("normalized_length")

    @property
    def connected_beads(self) -> np.ndarray:
        """(pair, level) bead counts, ends included; NaN where not connected."""
        return self._where_connected("beads")

    def count(self, *states: str) -> np.ndarray:
        """(level,) how many pairs are in one of `states`."""
        return np.isin(self.data["state"].values, states).sum(axis=0)

    @property
    def tried(self) -> np.ndarray:
        """(level,) pairs whose two ends reached the level and whose search has ended."""
        return self.count(*CONNECTED_STATES, *FAILED_STATES)

    @property
    def trained(self) -> bool:
        """Whether networks were trained; a formula may know its minima."""
        return self.data.sizes["record"] > 0

    @property
    def plateaux(self) -> dict[str, float]:
        """Energies of trivial predictors by label, as far as they are finite."""
        found = json.loads(self.data.attrs["plateaux"] or "{}")
        return {label: energy for label, energy in found.items() if energy is not None}

    @property
    def paired(self) -> bool:
        """Whether a pair at one level is the same two networks as at the others."""
        return self.data.attrs.get("paired") != "false"  # files from before have no entry

    @property
    def published(self) -> dict[str, Any] | None:
        """The published curve as arrays over its levels, and what stands beside it, or None."""
        text = self.data.attrs["published"]
        if not text:
            return None
        found = json.loads(text)
        missing = [math.nan] * len(found["level"])
        columns = ("level", "length", "length_error", "beads", "beads_error")
        arrays = {name: np.array(found.get(name) or missing, float) for name in columns}
        beside = {"label": "published", "joined": True, "marks": {}, "numbers": {}}
        return {name: found.get(name, value) for name, value in beside.items()} | arrays

    def statistics(self, bootstrap: bool = False) -> dict[str, np.ndarray]:
        """Arrays over levels: mean, error, beads, beads_error and, if asked, low and high.

        `low` and `high` bound the 95 % bootstrap interval of the mean normalized length.
        """
        lengths, beads = self.connected_lengths.T, self.connected_beads.T
        mean, error = np.array([mean_and_error(row) for row in lengths]).reshape(-1, 2).T
        bead_mean, bead_error = np.array([mean_and_error(row) for row in beads]).reshape(-1, 2).T
        found = {"mean": mean, "error": error, "beads": bead_mean, "beads_error": bead_error}
        if bootstrap:
            bounds = np.array([bootstrap_interval(row) for row in lengths]).reshape(-1, 2)
            found |= {"low": bounds[:, 0], "high": bounds[:, 1]}
        return found

    def summary(self) -> dict[str, Any]:
        """Totals, then `what@level` for every level, then the distance to published values.

        Totals: pairs, levels, rows, connected, straight, taut, loose, not_connected, diverged,
        end_not_reached, end_diverged, pending, gradient_evaluations, energy_evaluations,
        seconds, lowest_level_all_connected, lowest_level_any_connected,
        lowest_energy_best_network, lowest_energy_worst_network, diverged_networks.

        At each level: normalized_length, standard_error, beads, beads_error, connected, tried,
        fraction_connected, end_not_reached, and where a published level agrees to 0.1 %:
        published_length, length_z, published_beads, beads_z. What there is no number for is NaN
        (null in JSON). With a published curve the totals end with
        published_levels_within_three_standard_errors, and with its marks and numbers, such as
        published_train_loss_of_saddles.
        """
        apart, published = self.standard_errors_apart(), self.published or {}
        beside = published.get("marks", {}) | published.get("numbers", {})
        beside = {f"published_{name.replace(' ', '_')}": value for name, value in beside.items()}
        totals = {**self._totals(), **self._agreement(apart), **beside}
        return {**totals, **self._by_level(), **apart}

    def headline(self) -> str:
        """How many strings connected, and the mean lengths at the highest and lowest level."""
        totals, means = self._totals(), self.statistics()["mean"]
        counts = {state: totals[state.replace(" ", "_")] for state in STATES}
        parts = [f"{count} {state}" for state, count in counts.items() if count]
        text = f"{totals['connected']} of {totals['rows']} connected ({', '.join(parts)})"
        known = np.flatnonzero(np.isfinite(means))
        some = dict.fromkeys(known[[0, -1]].tolist()) if len(known) else {}
        where = " and ".join(f"{means[i]:.4f} at {self.levels[i]:g}" for i in some)
        return f"{text}; normalized length {where}" if where else text

    def standard_errors_apart(self) -> dict[str, float]:
        """Published numbers at our levels and how many standard errors ours are from them."""
        published, ours, apart = self.published, self.statistics(), {}
        if published is None:
            return apart
        for i, level in enumerate(self.levels):
            match = np.flatnonzero(_same(published["level"], level))
            for name, mean in (("length", "mean"), ("beads", "beads")) if len(match) else ():
                theirs, error = (published[key][match[0]] for key in (name, f"{name}_error"))
                if np.isfinite(theirs):
                    mine = ours[mean][i], ours["error" if mean == "mean" else "beads_error"][i]
                    apart[f"published_{name}@{level:.12g}"] = float(theirs)
                    apart[f"{name}_z@{level:.12g}"] = standard_errors_apart(*mine, theirs, error)
        return apart

    def figures(self) -> dict[str, Figure]:
        """The figures `length`, `beads`, `profiles`, `training` and `overview`."""
        from landscape_cli.records.geodesic_figures import figures

        return figures(self)

    @classmethod
    def comparison(cls, groups: Mapping[str, Sequence[Geodesics]]) -> dict[str, Figure]:
        """The figure `length`: the curves of all jobs of a multirun."""
        from landscape_cli.records.geodesic_comparison import length_comparison

        return {"length": length_comparison(groups)}

    def _where_connected(self, name: str) -> np.ndarray:
        return np.where(self.data["connected"].values, self.data[name].values, np.nan)

    def _totals(self) -> dict[str, Any]:
        data, states = self.data, (*CONNECTED_STATES, "not connected", "diverged")
        counts = {s.replace(" ", "_"): int(self.count(s).sum()) for s in states + UNTRIED_STATES}
        connected = data["connected"].values
        everywhere = self.levels[connected.all(axis=0)] if len(connected) else np.zeros(0)
        energies = data["lowest_energy"].values
        energies = energies[np.isfinite(energies)]
        return {
            "pairs": data.sizes["pair"],
            "levels": data.sizes["level"],
            "rows": int(connected.size),
            "connected": int(connected.sum()),
            **counts,
            "gradient_evaluations": int(data["gradient_evaluations"].sum()),
            "energy_evaluations": int(data["energy_evaluations"].sum()),
            "seconds": float(np.nansum(data["seconds"])),
            "lowest_level_all_connected": _lowest(everywhere),
            "lowest_level_any_connected": _lowest(self.levels[connected.any(axis=0)]),
            "lowest_energy_best_network": _lowest(energies),
            "lowest_energy_worst_network": -_lowest(-energies),
            "diverged_networks": int(data["diverged"].sum()),
        }

    def _agreement(self, apart: dict[str, float]) -> dict[str, str]:
        """`k of n` lengths near the published ones; n counts our levels with a published error."""
        if (published := self.published) is None:
            return {}
        errors = published["length_error"]
        if not np.isfinite(errors).any():
            return {}
        known = [x for x in self.levels if np.isfinite(errors[_same(published["level"], x)]).any()]
        z = np.array([apart[f"length_z@{level:.12g}"] for level in known])
        text, missing = f"{int((abs(z) <= 3).sum())} of {len(z)}", int(np.isnan(z).sum())
        text += f", {missing} with too few lengths of ours" if missing else ""
        return {"published_levels_within_three_standard_errors": text}

    def _by_level(self) -> dict[str, Any]:
        found, tried = self.statistics(), self.tried
        connected = self.data["connected"].values.sum(axis=0)
        columns = {
            "normalized_length": found["mean"],
            "standard_error": found["error"],
            "beads": found["beads"],
            "beads_error": found["beads_error"],
            "connected": connected,
            "tried": tried,
            "fraction_connected": np.where(tried > 0, connected / np.maximum(tried, 1), np.nan),
            "end_not_reached": self.count("end not reached"),
        }
        return {
            f"{name}@{level:.12g}": column[i].item()
            for i, level in enumerate(self.levels)
            for name, column in columns.items()
        }


def _same(published: np.ndarray, level: float) -> np.ndarray:
    """(published level,) which of the published levels is ours, to 0.1 %."""
    return np.isclose(published, level, rtol=1e-3, atol=0)


def _lowest(values: np.ndarray) -> float:
    return float(values.min()) if len(values) else math.nan
