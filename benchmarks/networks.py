"""Rows about image networks: gradients of 8 beads on 128 images, against a matrix product.

The floating-point operations of a gradient are XLA's own count, of the program of one point on
all examples; recomputation by an engine does not count as work done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.engine import Engine
from landscape_cli.core.surface import Surface
from landscape_cli.functional import Functional
from landscape_cli.models import rows as row_products
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.cnn import CNN
from landscape_cli.models.resnet import ResNet

BEADS, IMAGES = 8, 128
Row = tuple[str, float, str, str]
Best = Callable[..., float]


def noise(size: int, channels: int, count: int = IMAGES) -> Dataset:
    """Images of noise: the arithmetic does not care."""
    draws = np.random.default_rng(0)
    pixels = draws.normal(size=(count, size, size, channels)).astype(np.float32)
    labels = draws.integers(0, 10, count).astype(np.int32)
    examples = Examples(pixels, labels, np.full(count, 1 / count))
    return Dataset("noise", examples, examples, classes=10)


NETWORKS = {  # name -> the network, and image size and channels
    "published-like CNN (5×5, 16-32 channels, pooling)": (
        CNN(channels=(16, 32), stride=1, pool=2), (28, 1)),
    "mnist_cnn": (CNN(), (28, 1)),
    "mnist_cnn, published size": (
        CNN(channels=(32, 64), stride=1, pool=2, widths=(1024,)), (28, 1)),
    "ResNet-8": (ResNet(depth=8), (32, 3)),
}  # fmt: skip


def plain_gradient(surface: Surface) -> Any:
    """The compiled gradient as anybody would write it: small convolutions are convolutions."""
    energy = lambda theta: surface.energy(theta, surface.data)

    def gradient(theta: Any) -> Any:
        with mock.patch.object(row_products, "LARGEST", 0):
            return jax.value_and_grad(energy)(theta)

    return jax.jit(gradient)


def throughput(matrix_rate: float, best: Best) -> list[Row]:
    """The engine's rate, in matrix products; and how many times those of simpler ways."""
    rows: list[Row] = []
    for name, (network, (size, channels)) in NETWORKS.items():
        data = noise(size, channels)
        make = partial(model_surface, network, data, Functional("cross_entropy"), "float32")
        surface = make()
        thetas = initial_thetas(network, data, jax.random.key(0), BEADS, "float32")
        points = jnp.asarray(thetas)
        one = plain_gradient(surface)
        work = float(one.lower(points[0]).compile().cost_analysis()["flops"]) * BEADS
        ways = {
            "engine": lambda s=surface, p=points: s.energies_and_gradients(p),
            "loop": lambda one=one, p=points: [one(theta) for theta in p],
            "vmap": lambda one=one, p=points: jax.vmap(one)(p),
        }
        seconds = {way: best(call, 3) for way, call in ways.items()}
        rows += [
            (f"{name}: gradients, of the matrix rate", work / seconds["engine"] / matrix_rate,
             "×", "0.5 (CPU)"),
            (f"{name}: engine / plain vmap(grad)", seconds["vmap"] / seconds["engine"], "×", "3"),
            (f"{name}: engine / loop over one bead", seconds["loop"] / seconds["engine"], "×",
             "1 (CPU), 5 (GPU)"),
        ]  # fmt: skip
    return rows


def rough(best: Best) -> list[Row]:
    """Gradients in bfloat16 against float32."""
    network, (size, channels) = NETWORKS["ResNet-8"]
    data = noise(size, channels, 32)
    thetas = jnp.asarray(initial_thetas(network, data, jax.random.key(0), 2, "float32"))
    seconds = []
    for gradients in ("full", "bfloat16"):
        surface = model_surface(
            network, data, Functional("cross_entropy"), "float32",
            engine=Engine(gradients=gradients),
        )  # fmt: skip
        seconds.append(best(lambda s=surface: s.energies_and_gradients(thetas), 3))
    return [("ResNet-8: gradients in bfloat16 / float32", seconds[0] / seconds[1], "×", "GPU")]


def exponent(works: Sequence[Callable[[], Any]], sizes: Sequence[int], best: Best) -> float:
    """P of time ~ size^p; least squares over the fastest of four rounds.

    Sizes are timed in turn: a clock that drifts is the same for all of them.
    """
    rounds = [[best(work, 1) for work in works] for _ in range(4)]
    return float(np.polyfit(np.log(sizes), np.log(np.min(rounds, axis=0)), 1)[0])


def exponents(best: Best) -> list[Row]:
    """Time ~ size^p of a gradient of beads on images."""
    network, (size, channels) = NETWORKS["ResNet-8"]

    def work(beads: int, images: int) -> Callable[[], Any]:
        data = noise(size, channels, images)
        surface = model_surface(network, data, Functional("cross_entropy"), "float32")
        thetas = jnp.asarray(initial_thetas(network, data, jax.random.key(0), beads, "float32"))
        return lambda: surface.energies_and_gradients(thetas)

    of_beads = [work(beads, 64) for beads in (4, 8, 16)]
    of_examples = [work(4, images) for images in (64, 128, 256)]
    rows = ("beads", of_beads, (4, 8, 16)), ("examples", of_examples, (64, 128, 256))
    return [
        (f"ResNet-8: time ~ {name}^p: p", exponent(works, sizes, best), "", "1.0 ± 0.1")
        for name, works, sizes in rows
    ]
