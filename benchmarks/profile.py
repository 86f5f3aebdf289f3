"""Where does the time of a gradient go? Shares of XLA's operations, from `jax.profiler`.

    python -m benchmarks.profile                  ResNet-8
    python -m benchmarks.profile mnist_cnn        or another of `benchmarks.networks.NETWORKS`

Names are XLA's: convolutions and sums that it hands to a library are `ynn_fusion` on a CPU, and
`broadcast_subtract` and their like are elementwise passes over activations.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp

from benchmarks.networks import BEADS, NETWORKS, noise
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface

TOP = 12  # rows of the table


def shares(name: str, repeats: int = 3) -> list[tuple[str, int, float]]:
    """(operation, calls, part of all operations' time), the longest first."""
    network, (size, channels) = NETWORKS[name]
    data = noise(size, channels)
    surface = model_surface(network, data, Functional("cross_entropy"), "float32")
    points = jnp.asarray(initial_thetas(network, data, jax.random.key(0), BEADS, "float32"))
    evaluate = lambda: jax.block_until_ready(surface.energies_and_gradients(points))
    evaluate()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(repeats):
                evaluate()
        file = next(Path(folder).rglob("*.trace.json.gz"))
        events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    spent, calls = Counter[str](), Counter[str]()
    for event in events:
        if (operation := event.get("args", {}).get("hlo_op")) and event.get("ph") == "X":
            kind = operation.split(".")[0]
            spent[kind] += event["dur"]
            calls[kind] += 1
    total = sum(spent.values())
    return [(kind, calls[kind] // repeats, time / total) for kind, time in spent.most_common()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", nargs="?", default="ResNet-8", choices=list(NETWORKS))
    for kind, calls, share in shares(parser.parse_args().network)[:TOP]:
        print(f"{kind:32} {calls:6} calls {share:6.1%}")


if __name__ == "__main__":
    main()
