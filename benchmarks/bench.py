"""How fast is it? Ratios taken in one run, on whatever machine this is.

    python -m benchmarks.bench            all rows, about ten minutes
    python -m benchmarks.bench --quick    without the whole runs

Every time is the best of several, so that a busy machine hurts little; compare ratios, not digits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import bands, ceiling, networks
from landscape_cli.core.batch import Pull
from landscape_cli.core.geodesic import geodesics
from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.report import Progress
from landscape_cli.core.string import reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.tighten import tighten
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.jax_settings import configure_jax
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.mlp import MLP
from landscape_cli.trainers.adam import Adam

CUBIC = (0.0, 3.0, -10.0, 8.0)
HERE = Path(__file__).parent
Row = tuple[str, float, str, str]  # what, value, unit, aim


def best(function: Callable[[], Any], repeats: int = 5) -> float:
    """Seconds of the fastest call, after one that compiles."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - began)
    return min(times)


def cubic(train: int = 64) -> tuple[Surface, MLP, Any]:
    """The default surface with `train` quadrature points."""
    dataset = Polynomial(coefficients=CUBIC, train=train).load(jax.random.key(0))
    model = MLP(widths=(4, 4))
    return model_surface(model, dataset, Functional()), model, dataset


def chords(surface: Surface, model: MLP, dataset: Any, pairs: int, segments: int) -> np.ndarray:
    """(pair, bead, param) straight strings between random networks."""
    thetas = initial_thetas(model, dataset, jax.random.key(1), 2 * pairs)
    ends = zip(thetas[:pairs], thetas[pairs:], strict=True)
    return np.stack([reparametrized(np.stack(pair), segments) for pair in ends])


def matrix_rate() -> Row:
    """The machine's own speed, for comparison."""
    a = jnp.ones((2048, 2048), jnp.float32)
    product = jax.jit(jnp.matmul)
    seconds = best(lambda: product(a, a))
    return ("matrix product 2048³, float32", 2 * 2048**3 / seconds / 1e9, "GFLOP/s", "")


def kernel() -> list[Row]:
    """A bead's gradient of the cubic net at 64 points, among many and against a plain vmap."""
    surface, model, dataset = cubic()
    thetas = jnp.asarray(initial_thetas(model, dataset, jax.random.key(2), 4096))
    seconds = best(lambda: surface.energies_and_gradients(thetas)) / len(thetas)
    energies = best(lambda: surface.energies(np.asarray(thetas))) / len(thetas)
    one = jax.jit(jax.value_and_grad(lambda theta: surface.energy(theta, surface.data)))
    alone = best(lambda: [one(theta) for theta in thetas[:64]]) / 64
    return [
        ("gradient of a bead, cubic net, 64 points, float64", seconds * 1e6, "µs", "2.5"),
        ("energy of a bead", energies * 1e6, "µs", ""),
        ("gradient: one call per bead / all in one call", alone / seconds, "×", "20 on a GPU"),
    ]


def waste() -> list[Row]:
    """Part of the time of finding and tightening strings that is spent in gradients."""
    surface, model, dataset = cubic()
    levels = (0.02, 0.005)
    thetas = initial_thetas(model, dataset, jax.random.key(3), 32)
    ends = Adam().descend(surface, thetas, levels, jax.random.key(4), Progress()).thetas
    starts, ends = (ends[side::2].transpose(1, 0, 2).reshape(-1, 33) for side in (0, 1))
    values, pairs = np.repeat(levels, 16), np.tile(np.arange(16), 2)
    search = TautString().search

    def run() -> None:
        list(geodesics(surface, starts, ends, values, pairs, search))

    points = jnp.asarray(np.repeat(starts, 512, 0))
    gradients = lambda: surface.energies_and_gradients(points)
    run()
    walls, shares, beside = [], [], []
    for _ in range(5):  # the clock of a machine drifts: both are taken one right after the other
        before = replace(surface.count)
        began = time.perf_counter()
        run()
        walls.append(time.perf_counter() - began)
        spent = surface.count.gradients - before.gradients
        busy = spent * best(gradients) / len(points)
        shares.append(busy / walls[-1])
        beside.append((walls[-1] - busy) / spent)
    return [
        ("32 strings sampled, pulled taut, doubled, judged", min(walls), "s", ""),
        ("of that time in gradients", float(np.median(shares)), "of 1", "0.8"),
        ("all the rest, per gradient", float(np.median(beside)) * 1e6, "µs", "2.5 / 0.8 - 2.5"),
    ]  # fmt: skip


def batching() -> list[Row]:
    """64 strings at once against one after another."""
    surface, model, dataset = cubic()
    strings = chords(surface, model, dataset, 64, 16)
    together = best(lambda: pulled(surface, strings, 20), 3)
    apart = best(lambda: [pulled(surface, one[None], 20) for one in strings[:8]], 3) * 8
    return [("64 strings one after another / all at once", apart / together, "×", "20 on a GPU")]


def pulled(surface: Surface, strings: np.ndarray, evaluations: int) -> list[np.ndarray]:
    """Strings pulled for so many evaluations at a level that they do not reach by then."""
    pulls = [Pull(beads, 1e-3, 3e-3, evaluations) for beads in strings]
    tighten(surface, pulls, Tightening())
    return [pull.beads for pull in pulls]


def exponents() -> list[Row]:
    """Time ~ size^p in pairs, beads and examples."""

    def work(pairs: int, segments: int, examples: int) -> Callable[[], Any]:
        surface, model, dataset = cubic(examples)
        strings = chords(surface, model, dataset, pairs, segments)
        return lambda: pulled(surface, strings, 40)

    rows = []
    for axis, (name, sizes) in enumerate({
        "pairs": [(n, 16, 64) for n in (128, 256, 512, 1024)],
        "beads": [(16, n, 64) for n in (64, 128, 256)],
        "examples": [(32, 16, n) for n in (1024, 2048, 4096)],
    }.items()):  # fmt: skip
        works = [work(*size) for size in sizes]
        grown = networks.exponent(works, [size[axis] for size in sizes], best)
        rows.append((f"time ~ {name}^p: p", grown, "", "1.0 ± 0.1"))
    return rows


def command(*words: str, cache: str | None = None, code: int = 0) -> float:
    """Wall seconds of the installed command in a fresh process and folder; it ends with `code`."""
    environment = dict(os.environ) | ({"LANDSCAPE_CACHE": cache} if cache else {})
    landscape = Path(sys.executable).parent / "landscape"
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ended = subprocess.run(
            [landscape, *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
    if ended.returncode != code:
        raise SystemExit(
            f"landscape {' '.join(words)}: exit code {ended.returncode}\n{ended.stderr}"
        )
    return seconds


def image_networks() -> list[Row]:
    """Gradients of convolutional networks; the matrix product is timed anew beside them."""
    rate = matrix_rate()[1] * 1e9
    rates = [*networks.throughput(rate, best), *ceiling.rows(rate)]
    return [*rates, *networks.exponents(best), *networks.rough(best)]


def commands() -> list[Row]:
    """What a user waits for."""
    refused = lambda _: command("run", "geodesic", "pairs=0", code=2)
    return [
        ("landscape --help", min(command("--help") for _ in range(3)), "s", "0.5"),
        ("a bad override refused", min(map(refused, range(3))), "s", "2"),
    ]


def whole_runs() -> list[Row]:
    """The default figure, the first time ever and with a warm compilation cache."""
    with tempfile.TemporaryDirectory() as cache:
        first = command("run", "geodesic", cache=cache)
        second = command("run", "geodesic", cache=cache)
    rows = [
        ("landscape run geodesic, first ever", first, "s", "120"),
        ("landscape run geodesic, warm cache", second, "s", "60"),
    ]
    if os.environ.get("LANDSCAPE_DATA"):
        for model, aim in (("mnist_cnn", "300"), ("cifar_resnet", "600")):
            seconds = command("run", "geodesic", f"model={model}")
            rows.append((f"landscape run geodesic model={model}", seconds, "s", aim))
    return rows


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} {device.device_kind}",
        "devices": jax.local_device_count(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "jax": jax.__version__,
    }


def main() -> None:
    """Print the table, save `benchmarks/latest.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the whole runs")
    quick = parser.parse_args().quick
    configure_jax("float64")
    parts = [
        lambda: [matrix_rate()], kernel, waste, batching, exponents, bands.pivots, image_networks,
        commands,
    ]  # fmt: skip
    rows: list[Row] = []
    for part in parts if quick else [*parts, whole_runs]:
        for row in part():
            rows.append(row)
            name, value, unit, aim = row
            print(f"{name:55s} {value:10.4g} {unit:8s} {'aim ' + aim if aim else ''}", flush=True)
    names = ("what", "value", "unit", "aim")
    table = [dict(zip(names, row, strict=True)) for row in rows]
    result = {"machine": machine(), "rows": table}
    (HERE / "latest.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
