"""What a GPU or a TPU would be asked to compute, found out without one.

Jobs run as on a wide device up to the program in question, which is lowered for such devices and
not run: that raises where they lack an operation, and shows in which precision they multiply.
"""

from __future__ import annotations

import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import Normed, images, line

import landscape_cli as landscape
from landscape_cli.core import (
    batch,
    curvature,
    curve_steps,
    descent,
    host_loop,
    lagrangian,
    nearby,
    output_path,
    outputs,
    relax_steps,
    threads,
    tighten,
    training,
    trials,
)
from landscape_cli.core import surface as surfaces
from landscape_cli.core.batch import Batch, Pull
from landscape_cli.core.curve import BEZIER
from landscape_cli.core.engine import Engine
from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.relax import relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.string import reparametrized
from landscape_cli.core.symmetry import activations
from landscape_cli.functional import Functional
from landscape_cli.models.base import model_surface, with_stored_statistics
from landscape_cli.models.mlp import MLP
from landscape_cli.symmetry import symmetry_of

PLATFORMS = ("cuda", "tpu")
KEY = jax.random.key(0)
ADAM = descent.adam(0.01)


class Asked(Exception):
    """Ends a job at the program that it asks for."""


@pytest.fixture(autouse=True)
def on_a_wide_device(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(threads, "workers", lambda: 1)
    for module in (batch, lagrangian, surfaces, threads, tighten):
        monkeypatch.setattr(module, "one_cpu", lambda: False)
    with jax.enable_x64(False):
        yield


@pytest.fixture
def lowered(monkeypatch):
    """The text of a program of a module, as a job asks for it."""

    def texts(module, name, job):
        program = getattr(module, name)

        def asked(*args, **kwargs):
            if args[0] is False:  # of two ways to compile it that of light work is a CPU's
                return partial(stopped, program(False))
            return stopped(program, *args, **kwargs)

        def stopped(program, *args, **kwargs):
            traced = program.trace(*args, **kwargs)
            raise Asked([traced.lower(lowering_platforms=(p,)).as_text() for p in PLATFORMS])

        with monkeypatch.context() as patch, pytest.raises(Asked) as found:
            patch.setattr(module, name, asked)
            job()
        return found.value.args[0]

    return texts


def products(text):
    """The lines of a program that multiply matrices or convolve."""
    kinds = "stablehlo.dot_general", "stablehlo.convolution"
    return [row for row in text.splitlines() if any(kind in row for kind in kinds)]


def exact(row):
    """Whether a product is in full precision; left alone, a GPU takes tensorfloat32."""
    return row.count("HIGHEST") == 2


@cache
def dense(**settings):
    with jax.enable_x64(False):
        return model_surface(MLP((3,)), line(), Functional("mse"), "float32", **settings)


@cache
def normed(norm="batch", **settings):
    data, functional = images(12), Functional("cross_entropy")
    with jax.enable_x64(False):
        return model_surface(Normed(norm=norm), data, functional, "float32", **settings)


def points(surface, count=2):
    return 0.1 * np.random.default_rng(0).normal(size=(count, surface.dimension)).astype("f4")


def energies(surface):
    surface.energies(points(surface))


def gradients(surface):
    surface.energies_and_gradients(points(surface))


def tightened(surface, **settings):
    """Two strings up to their first trial, the least residual of one, and its next trial."""
    strings = Batch(surface, Tightening(samples=2, memory=3, **settings), 4, 10)
    strings.add([Pull(reparametrized(points(surface), 4), 0.1, 0.0, 10) for _ in range(2)])
    (crowd,) = strings.crowds
    nearby.least_residual(crowd.state, crowd.walls, 0)
    strings.advance()


def trained(surface, full):
    training.train(surface, ADAM, points(surface), (0.1, 0.01), 20, 10, KEY, batch=not full)


def descended(surface, every):
    descent.descend(surface, ADAM, points(surface), np.zeros(2), 10, every)


def relaxed(surface):
    settings = Relaxing(interpolation="cubic")
    relax(surface, [reparametrized(points(surface), 4)], settings, np.full(3, 0.01))


def bent(surface):
    adam = curve_steps.stepper_of("adam", 0.9)
    program = curve_steps.Program(adam, surface.slope, None, "arc", surface.chunk)
    control = jnp.asarray(reparametrized(points(surface), 2))[None]
    curves = curve_steps.Curves(control, descent.initial_states(adam, control[:, 1:-1]))
    steps = curve_steps.drawn_steps(BEZIER, 1, 0, np.full(2, 0.01), 3, False, "f4")
    curve_steps.advance(surface, program, 0.1, steps, 2, curves)


def shortened(surface, noisy):
    settings = output_path.Shortening("adam", 0.01, 0.9, 2, noisy, True)
    output_path.shortened(surface, reparametrized(points(surface), 3)[None], settings)


def divergences(surface):
    output_path.divergences(surface, points(surface))


def curvatures(surface):
    curvature.along(surface, points(surface), points(surface))


def answers(surface):
    outputs.output_steps(surface, points(surface), 4)


def watched(surface):
    symmetry = symmetry_of(surface, "a test")
    trees = [symmetry.tree(theta) for theta in points(surface)]
    inputs = np.asarray(surface.slope_data[0][:4])[None]
    activations.products(symmetry.with_examples(4), *trees, inputs)


NORMS = "none", "layer", "group", "batch"
FULL = {}
NOISY = {"batch": 4}
stepwise = partial(tightened, history=1e-9)  # as strings are whose history is big
JOBS = {
    "energies": (surfaces, "_energies", energies, FULL),
    "gradients": (surfaces, "_gradients", gradients, FULL),
    "strings begun": (trials, "begun", tightened, FULL),
    "strings tightened": (trials, "trials", tightened, FULL),
    "least residual": (nearby, "_met", tightened, FULL),
    "big strings begun": (trials, "begin_all", stepwise, FULL),
    "big strings tightened": (trials, "tried", stepwise, FULL),
    "training": (training, "_advance", partial(trained, full=True), FULL),
    "noisy training": (training, "_advance", partial(trained, full=False), NOISY),
    "descent": (descent, "_advance", partial(descended, every=None), FULL),
    "noisy descent": (descent, "_advance", partial(descended, every=2), NOISY),
    "bands": (relax_steps, "_advance", relaxed, FULL),
    "curves": (curve_steps, "_advance", bent, FULL),
    "output paths": (output_path, "_advance", partial(shortened, noisy=False), FULL),
    "noisy output paths": (output_path, "_advance", partial(shortened, noisy=True), NOISY),
    "divergences": (output_path, "_all_answers", divergences, FULL),
    "curvatures": (curvature, "_together", curvatures, FULL),
    "answers": (outputs, "_together", answers, FULL),
    "activations": (activations, "_products", watched, FULL),
}


@pytest.mark.parametrize("job", JOBS)
def test_other_devices_know_all_operations_and_multiply_in_full(lowered, job):
    module, name, work, settings = JOBS[job]
    for text in lowered(module, name, lambda: work(dense(**settings))):
        assert products(text) and all(map(exact, products(text)))
        assert "lapack" not in text and "callback" not in text


def jobs_and_norms():
    """Gradients with all norms, the others without a norm and with the one of other examples."""
    for job, norm in itertools.product(("energies", "gradients", "curvatures"), NORMS):
        quick = job == "gradients" or norm in ("none", "batch")
        yield pytest.param(job, norm, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("job", "norm"), list(jobs_and_norms()))
def test_convolutions_are_in_full_precision(lowered, job, norm):
    module, name, work, _ = JOBS[job]
    for text in lowered(module, name, lambda: work(normed(norm))):
        assert "stablehlo.convolution" in text
        assert all(map(exact, products(text)))


def test_statistics_that_are_coordinates_are_in_full_precision(lowered):
    surface, _ = with_stored_statistics(normed())
    for text in lowered(surfaces, "_energies", lambda: energies(surface)):
        assert "stablehlo.convolution" in text
        assert all(map(exact, products(text)))


@pytest.mark.parametrize(
    ("kind", "norm"),
    [
        ("tensorfloat32", "batch"),
        ("bfloat16", "layer"),
        pytest.param("tensorfloat32", "layer", marks=pytest.mark.slow),
        pytest.param("bfloat16", "batch", marks=pytest.mark.slow),
    ],
)
def test_only_gradients_are_rough_where_that_was_asked_for(lowered, kind, norm):
    surface = normed(norm, engine=Engine(gradients=kind))
    for text in lowered(surfaces, "_energies", lambda: energies(surface)):
        assert all(map(exact, products(text)))
    for text in lowered(surfaces, "_gradients", lambda: gradients(surface)):
        rough = [row for row in products(text) if not exact(row)]
        assert any("stablehlo.convolution" in row for row in rough)
        assert any("bf16" in row for row in rough) == (kind == "bfloat16")


@pytest.mark.parametrize("name", ["_add_energy", "_add_gradient", "_add_through"])
def test_a_host_loop_is_in_full_precision_on_other_devices_too(lowered, name):
    surface = normed(engine=Engine(strategy="loop"))
    job = energies if name == "_add_energy" else gradients
    for text in lowered(host_loop, name, lambda: job(surface)):
        assert products(text) and all(map(exact, products(text)))


def test_the_energy_of_a_python_user_is_in_full_precision(lowered):
    matrix = np.diag(np.array([1.0, 2.0], "f4"))
    job = lambda: landscape.connect(
        lambda theta: ((matrix @ theta) ** 2).sum(), *np.eye(2, dtype="f4"), "straight"
    )
    for text in lowered(surfaces, "_energies", job):
        assert products(text) and all(map(exact, products(text)))
