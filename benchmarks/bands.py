"""What a step of an elastic band costs beyond its gradients."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.relax import CHECK, relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import reparametrized
from landscape_cli.core.threads import side_by_side, workers
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.mlp import MLP

Row = tuple[str, float, str, str]  # what, value, unit, aim


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - began


def pivots(pairs: int = 4, beads: int = 17, examples: int = 1000, repeats: int = 5) -> list[Row]:
    """A step of every bead over its gradient: an MLP of 64-64 on images of 8 × 8, float32.

    The gradients are those of the same points, dealt out to the cores in the same way.
    """
    random = np.random.default_rng(0)
    inputs = random.uniform(size=(examples, 8, 8, 1))
    split = Examples(inputs, random.integers(0, 10, examples), np.full(examples, 1 / examples))
    data, model = Dataset("noise", split, split, classes=10), MLP(widths=(64, 64))
    surface = model_surface(model, data, Functional("cross_entropy"), "float32")
    ends = initial_thetas(model, data, jax.random.key(0), 2 * pairs, "float32")
    strings = [reparametrized(ends[2 * i : 2 * i + 2], beads - 1) for i in range(pairs)]
    shares = np.array_split(np.stack(strings)[:, 1:-1], min(workers(), pairs))
    points = [jnp.asarray(share.reshape(-1, share.shape[-1]), "float32") for share in shares]

    def gradients() -> Any:
        for _ in range(CHECK):
            found = side_by_side(surface.losses_and_gradients, points)
        return found

    steps = lambda count: relax(surface, strings, Relaxing(), np.full(count, 1e-3)).pull
    ratios = []
    for work in (lambda: steps(2 * CHECK), gradients):
        _seconds(work)  # compile
    for _ in range(repeats):
        # What is the same however many steps there are, such as loading, is no part of a step.
        moved = _seconds(lambda: steps(2 * CHECK)) - _seconds(lambda: steps(CHECK))
        ratios.append(moved / _seconds(gradients))
    what = f"step of a band over its gradients, {pairs} × {beads - 2} beads"
    return [(what, float(np.median(ratios)), "", "at most 1.15")]


if __name__ == "__main__":
    for row in pivots():
        print(*row)
