"""How much memory does a string of 128 segments of a ResNet-110 (1.7 million parameters) take?

    python -m benchmarks.large          some ten minutes, most of them compiling and gradients

The whole search on eight images of noise: sampling, shortening, doubling to 128 segments, dense
check. Few evaluations, since memory does not depend on their number, nor on that of the images.
"""

from __future__ import annotations

import argparse
import resource
import time

import jax
import numpy as np

from benchmarks.networks import noise
from landscape_cli.core.report import Progress
from landscape_cli.core.verdict import peak
from landscape_cli.functional import Functional
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.resnet import ResNet
from landscape_cli.trainers.adam import Adam

GIB = 2**30


def resident() -> float:
    """GiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def main() -> None:
    """Join two networks trained a little, and say what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--depth", type=int, default=110, help="of the ResNet")
    parser.add_argument("--segments", type=int, default=128, help="of the last string")
    parser.add_argument("--history", type=float, default=4.0, help="GiB for L-BFGS")
    words = parser.parse_args()
    network, data = ResNet(depth=words.depth), noise(16, 3, 8)
    surface = model_surface(network, data, Functional("cross_entropy"), "float32")
    starts = initial_thetas(network, data, jax.random.key(0), 2, "float32")
    ends = Adam(steps=200).descend(surface, starts, (1.5,), jax.random.key(1), Progress())
    start, end = ends.thetas[:1, 0], ends.thetas[1:, 0]
    level = 0.999 * peak(surface, np.concatenate([start, end]), 16).energy
    string = (words.segments + 1) * surface.dimension * 4 / GIB
    print(f"{surface.dimension:,} parameters; a string takes {string:.2f} GiB; level {level:.4g}, "
          f"ends {ends.energies.max():.4g}; {resident():.1f} GiB so far", flush=True)  # fmt: skip
    method = TautString(
        segments=words.segments // 2, max_beads=words.segments + 1, depth=4, points=4,
        bead_steps=50, samples=2, evaluations=3, dense=4, margin=1e-4,
        history=words.history,
    )  # fmt: skip
    began = time.perf_counter()
    job = surface, start, end, np.array([level]), np.zeros(1, int), Progress()
    for _, found in method.connect(*job):
        print(f"{found.state}, {len(found.beads)} beads, {time.perf_counter() - began:.0f} s")
    print(f"peak resident memory {resident():.1f} GiB, {resident() / string:.1f} strings")


if __name__ == "__main__":
    main()
