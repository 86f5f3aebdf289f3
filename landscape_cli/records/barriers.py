"""Barriers: how high paths rise above their ends, against width, depth and level.

    barrier = highest energy on a path - mean of the energies of its two ends

Dimensions are width, depth, level, path (how a pair is joined), split and pair. Networks were
trained down through all levels, so that the level is the time axis of training. A pair that did
not get to a level is a row without barriers.
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

STATES = ("pending", "joined", "end not reached", "diverged")
WORDS = {"model": "", "data": "", "functional": "", "unit": "", "gauge": "", "seed": 0}
MEANINGS = shared(
    "level", "split", "pair", "normalized_length", "gradient_evaluations", "barrier"
) | {
    "width": ("units of a layer of the networks", ONE),
    "depth": ("layers of the networks", ONE),
    "path": ("how pairs were joined", NONE),
    "end_energy": ("energies of the two ends", ENERGY),
    "state": ("what became of the pair: " + ", ".join(STATES), NONE),
    "params": ("parameters of a network", ONE),
}


class Barriers(Rows):
    """Barriers of every pair, at every size and level, by every way to join it."""

    name = "barrier_scan"
    meanings = MEANINGS

    @classmethod
    def empty(
        cls,
        widths: Sequence[int],
        depths: Sequence[int],
        levels: Sequence[float],
        paths: Sequence[str],
        splits: Sequence[str],
        pairs: int,
        **words: Any,
    ) -> Barriers:
        """A record in which every row is pending.

        Args:
            widths: of the networks.
            depths: of the networks.
            levels: energy levels, in the order given.
            paths: the ways in which pairs are joined.
            splits: names of the splits that energies are computed on; the run's own first.
            pairs: number of pairs.
            words: model, data, functional, unit, gauge (texts), seed.
        """
        coordinates = {
            "width": list(widths), "depth": list(depths), "level": np.asarray(levels, float),
            "path": list(paths), "split": list(splits), "pair": np.arange(pairs),
        }  # fmt: skip
        sizes = {name: len(values) for name, values in coordinates.items()}
        rows = ("width", "depth", "level", "path", "pair")
        dimensions = {
            "barrier": ("width", "depth", "level", "path", "split", "pair"),
            "end_energy": ("width", "depth", "level", "split", "pair", "end"),
            "normalized_length": rows,
            "gradient_evaluations": rows,
        }
        full = lambda dims: np.full([sizes.get(name, 2) for name in dims], np.nan)
        variables: dict[str, Any] = {n: (dims, full(dims)) for n, dims in dimensions.items()}
        shape = [sizes[name] for name in ("width", "depth", "level", "pair")]
        states = np.full(shape, "pending", STATE_TYPE)
        variables["state"] = (("width", "depth", "level", "pair"), states)
        variables["params"] = (("width", "depth"), np.zeros(shape[:2], np.int64))
        return cls(xarray.Dataset(variables, coordinates, described(WORDS, words)))

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Means over pairs and their standard errors, (width, depth, level, path, split) each."""
        values = self.data["barrier"].values
        rows = values.reshape(-1, values.shape[-1])
        found = np.array([mean_and_error(row) for row in rows])
        shape = values.shape[:-1]
        return found[:, 0].reshape(shape), found[:, 1].reshape(shape)

    def joined(self) -> np.ndarray:
        """(width, depth, level) pairs of which both ends reached the level."""
        return (self.data["state"].values == "joined").sum(axis=-1)

    def summary(self) -> dict[str, Any]:
        """Counts of rows by state and, on the run's own split, means and errors `what@level`.

        A column is named by its way to join, the width and the depth: `barrier_chord_w4_d2@0.1`.
        """
        data, states = self.data, self.data["state"].values
        found: dict[str, Any] = {
            "sizes": data.sizes["width"] * data.sizes["depth"],
            "pairs": data.sizes["pair"],
            "rows": int(states.size),
            **{s.replace(" ", "_"): int((states == s).sum()) for s in STATES},
            "gradient_evaluations": float(np.nansum(data["gradient_evaluations"])),
        }
        (means, errors), joined = self.statistics(), self.joined()
        for k, level in enumerate(data["level"].values):
            for i, width in enumerate(data["width"].values):
                for j, depth in enumerate(data["depth"].values):
                    at = f"w{width}_d{depth}@{level:.12g}"
                    for m, path in enumerate(data["path"].values):
                        name = str(path).replace(", ", "_").replace(" ", "_")
                        found[f"barrier_{name}_{at}"] = float(means[i, j, k, m, 0])
                        found[f"error_{name}_{at}"] = float(errors[i, j, k, m, 0])
                    found[f"joined_{at}"] = int(joined[i, j, k])
        return found

    def headline(self) -> str:
        """How many rows are joined, and what became of the others."""
        states = self.data["state"].values
        counts = {state: int((states == state).sum()) for state in STATES}
        joined = counts.pop("joined")
        parts = [f"{count} {state}" for state, count in counts.items() if count]
        others = f" ({', '.join(parts)})" if parts else ""
        return f"{joined} of {states.size} rows joined{others}"

    def figures(self) -> dict[str, Figure]:
        """`barrier_width`, `barrier_depth` (where several were scanned), `barrier_training`."""
        from landscape_cli.records.barrier_figures import figures

        return figures(self)
