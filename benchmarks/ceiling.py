"""How fast could a gradient be, if its convolutions and products cost all of its time?

    python -m benchmarks.ceiling                  ResNet-8
    python -m benchmarks.ceiling mnist_cnn        or another of `benchmarks.networks.NETWORKS`

Each of them is timed by itself, a program a core, in blocks of the size that suits it best. What
XLA's convolutions do not reach, no way to arrange them does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.networks import NETWORKS, Row, noise
from landscape_cli.core.lanes import APART
from landscape_cli.core.threads import side_by_side, workers
from landscape_cli.core.work import PRODUCTS, equations
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface

BLOCKS = (8, 16, 32, 64)  # images at a time
ROUNDS = 4


class Product(NamedTuple):
    """A convolution or matrix product of a gradient, at its best.

    Attributes:
        shapes: of what it takes.
        block: images at a time.
        work: floating-point operations per image.
        seconds: per image, all cores busy with it.
    """

    shapes: tuple[tuple[int, ...], ...]
    block: int
    work: float
    seconds: float


def _timed(program: Callable[..., Any], words: list[Any], block: int) -> float:
    """Seconds per image."""
    calls = max(128 // block, 2)

    def some(_: int) -> Any:
        return [program(*words) for _ in range(calls)][-1]

    def once() -> float:
        began = time.perf_counter()
        side_by_side(some, range(workers()))
        return time.perf_counter() - began

    once()
    return min(once() for _ in range(ROUNDS)) / (calls * workers() * block)


def _products(name: str, block: int) -> list[Product]:
    """Of the gradient of a block of images, as they come in the program."""
    network, (size, channels) = NETWORKS[name]
    data = noise(size, channels, block)
    surface = model_surface(network, data, Functional("cross_entropy"), "float32")
    theta = jnp.asarray(initial_thetas(network, data, jax.random.key(0), 1, "float32")[0])
    traced = jax.make_jaxpr(jax.grad(lambda theta: surface.energy(theta, surface.data)))(theta)
    draws, found = np.random.default_rng(0), []
    for equation in equations(traced.jaxpr):
        if equation.primitive.name not in PRODUCTS:
            continue
        shapes = tuple(v.aval.shape for v in equation.invars)
        words = [jnp.asarray(draws.standard_normal(shape), jnp.float32) for shape in shapes]
        product = partial(equation.primitive.bind, **equation.params)
        program: Any = jax.jit(product, compiler_options=APART)
        work = program.lower(*words).compile().cost_analysis()["flops"]
        seconds = _timed(program, words, block)
        found.append(Product(shapes, block, float(work) / block, seconds))
    return found


def products(name: str) -> list[Product]:
    """All convolutions and products of a network's gradient, each at its best."""
    found = zip(*(_products(name, block) for block in BLOCKS), strict=True)
    return [min(same, key=lambda product: product.seconds) for same in found]


def ceiling(found: list[Product]) -> float:
    """Operations per second, nothing else to do."""
    return sum(p.work for p in found) / sum(p.seconds for p in found)


def rows(matrix_rate: float) -> list[Row]:
    """The ceiling of every network, in matrix products."""
    what = "convolutions and products alone, of the matrix rate"
    return [(f"{n}: {what}", ceiling(products(n)) / matrix_rate, "×", "") for n in NETWORKS]


def main() -> None:
    """Print the table."""
    from benchmarks.bench import matrix_rate

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", nargs="?", default="ResNet-8", choices=list(NETWORKS))
    name = parser.parse_args().network
    found, rate = products(name), matrix_rate()[1] * 1e9
    for each in found:
        part = each.work / each.seconds / rate
        shapes = " ".join(map(str, each.shapes))
        print(f"{each.seconds * 1e6:7.1f} µs an image, {part:5.2f} of the matrix rate  {shapes}")
    print(f"{name}: all of them {ceiling(found) / rate:.2f} of the matrix rate")


if __name__ == "__main__":
    main()
