"""Which method joins two networks soonest? Seconds to a path within 10 % of the lowest known.

    python -m benchmarks.joining                     all networks, about two hours
    python -m benchmarks.joining cubic               one of cubic, mnist_cnn, resnet8
    python -m benchmarks.joining cubic --methods neb climb       only these anew

The same ends for every method, settings of its YAML file. Every method is run with a part of its
steps, then with more, until its path is low enough; the run that got there is timed again,
compiled. Methods that look inside a level set are asked for the target itself; those that take no
steps are run once.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from hydra import compose, initialize_config_dir

from landscape_cli import config, jax_settings, listing, runner
from landscape_cli.contracts import PathMethod, Progress
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.networks import surface_of, trained
from landscape_cli.setup import Setup

NETWORKS = {  # name: settings, pairs
    "cubic": (["model=cubic_tanh", "levels=[0.001]"], 4),
    "mnist_cnn": (["model=mnist_cnn", "levels=[0.05]"], 1),
    "resnet8": (["model=cifar_resnet", "levels=[0.1]"], 1),
}
STEPLESS = ("straight", "repair", "dropout_path")
LEVEL_FREE = (
    *STEPLESS, "bezier", "polychain", "string_method", "neb", "climb", "doubly_nudged", "auto_neb",
    "function_space",
)  # fmt: skip
INSIDE = {"cubic": ("dynamic_string", "taut_string")}  # of other networks: the coarse settings
COARSE = ("dynamic_string", "taut_string_coarse")
SHARES = {  # of the steps of the settings
    "cubic": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
    "mnist_cnn": (1 / 8, 1 / 2, 1),
    "resnet8": (1 / 8, 1 / 2, 1),
}
NEAR = 0.1  # a path is low enough within this part of the lowest height known
STEPS = ("steps", "bead_steps", "evaluations")
PATIENCE = 900.0  # seconds that all runs of a method may take together, as foreseen
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ends:
    """What is joined."""

    setup: Setup
    surface: Surface
    starts: np.ndarray
    ends: np.ndarray


def composed(words: list[str]) -> Any:
    """The configuration of a run."""
    with initialize_config_dir(str(listing.conf_folder()), version_base="1.3"):
        return compose("config", overrides=["experiment=geodesic", *words])


def prepared(name: str) -> Ends:
    """Trained networks of one of `NETWORKS`."""
    words, pairs = NETWORKS[name]
    cfg = composed([*words, f"pairs={pairs}"])
    settings = config.settings(cfg)
    jax_settings.configure_jax(settings.precision)
    setup = runner.set_up(config.build_all(cfg), settings, config.plain(cfg.budget), {})
    found = trained(setup, 2 * pairs, setup.levels).thetas[:, -1]
    if not np.isfinite(found).all():
        raise SystemExit(f"{name}: a network did not reach level {setup.levels[-1]:g}")
    return Ends(setup, surface_of(setup), found[::2], found[1::2])


def method_of(name: str, words: list[str], share: float) -> PathMethod:
    """The method of a YAML file with part of its steps."""
    method: Any = config.build(composed([*words, f"method={name}"]).method, "method")
    part = lambda steps: max(1, round(share * steps))
    fields: dict[str, Any] = {}
    for field in STEPS:
        value = getattr(method, field, None)
        if value is not None:
            fields[field] = tuple(map(part, value)) if isinstance(value, tuple) else part(value)
    if hasattr(method, "schedule"):
        fields["schedule"] = tuple((part(steps), *rest) for steps, *rest in method.schedule)
    return replace(method, **fields)


def joined(
    ends: Ends, method: PathMethod, levels: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds, and the height and normalized length of every path."""
    pairs = np.arange(len(ends.starts))
    began = time.perf_counter()
    found = dict(
        method.connect(
            ends.surface, ends.starts, ends.ends, levels, pairs, Progress()
        )
    )  # fmt: skip
    seconds = time.perf_counter() - began
    lengths = [
        np.linalg.norm(np.diff(found[i].beads, axis=0), axis=1).sum() / found[i].chord
        for i in range(len(pairs))
    ]
    return seconds, np.array([found[i].peak for i in range(len(pairs))]), np.array(lengths)


def runs_of(ends: Ends, name: str, method: str, levels: np.ndarray, enough: Any) -> list[tuple]:
    """(share, seconds, heights, lengths) with more and more steps, until that is enough.

    None at all where the method is for networks of another kind.
    """
    runs: list[tuple] = []
    for share in (1,) if method in STEPLESS else SHARES[name]:
        try:
            runs.append(
                (share, *joined(ends, method_of(method, NETWORKS[name][0], share), levels))
            )
        except UserError as refused:
            print(f"{name:10} {method:20} {refused}", flush=True)
            return []
        spent = sum(run[1] for run in runs)
        if enough(runs[-1]) or spent + 4 * runs[-1][1] > PATIENCE:
            break
    say(name, method, runs[-1])
    return runs


def table(name: str, methods: list[str], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for every method; `known`: rows of those that are not run again."""
    ends = prepared(name)
    any_level = np.full(len(ends.starts), np.inf)
    asked = lambda names: [each for each in names if each in methods]
    runs = {m: runs_of(ends, name, m, any_level, lambda run: False) for m in asked(LEVEL_FREE)}
    free = [row["heights"] for row in known if row["method"] in LEVEL_FREE]
    best = np.nanmin([*free, *(run[2] for each in runs.values() for run in each)], axis=0)
    target = best + NEAR * np.abs(best)
    low = lambda run: bool((run[2] <= target).all())  # a NaN is none
    inside = asked(INSIDE.get(name, COARSE))
    runs |= {m: runs_of(ends, name, m, target, low) for m in inside}
    rows = []
    for method, each in runs.items():
        if not each:
            continue
        share, seconds, heights, lengths = next(filter(low, each), each[-1])
        if (heights <= target).all():  # once more, compiled
            again = method_of(method, NETWORKS[name][0], share)
            seconds, *_ = joined(ends, again, target if method in inside else any_level)
        else:
            seconds = np.nan
        rows.append(
            {
                "network": name, "method": method, "seconds": seconds, "share of steps": share,
                "height / best": float((heights / best).max()),
                "normalized length": float(lengths.mean()), "heights": heights.tolist(),
            }
        )  # fmt: skip
    return rows


def say(name: str, method: str, run: tuple) -> None:
    """What a method did, as soon as it is known."""
    share, seconds, heights, lengths = run
    print(
        f"{name:10} {method:20} {seconds:7.1f} s  height {heights.mean():.4g}  "
        f"length {lengths.mean():.3f}  with {share:g} of its steps", flush=True,
    )  # fmt: skip


def main() -> None:
    """Print the tables, merge them into `benchmarks/joining.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    every = [*LEVEL_FREE, *COARSE, "taut_string"]
    parser.add_argument("--methods", nargs="+", default=every, choices=every)
    asked = parser.parse_args()
    file = HERE / "joining.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    for name in asked.networks:
        again = lambda row, name=name: row["network"] == name and row["method"] in asked.methods
        rows = [row for row in rows if not again(row)]
        new = table(name, asked.methods, [row for row in rows if row["network"] == name])
        rows += new
        for row in sorted(new, key=lambda row: row["seconds"]):
            print("  ".join(f"{key} {v:.4g}" if isinstance(v, float) else str(v)
                            for key, v in row.items() if key != "heights"))  # fmt: skip
        file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    jax.clear_caches()


if __name__ == "__main__":
    main()
