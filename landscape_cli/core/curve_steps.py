"""Optimizer steps of the control points of many curves: one program, or a host loop.

    c ← c - η direction(∇ objective(c)),      t drawn anew at every step

Only points between the ends move. What is random or falls along a run is made on the host ahead
of a few steps, so that the program depends on neither the kind of curve nor the schedule.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from landscape_cli.core.curve import Family, objective, plan, times_to
from landscape_cli.core.devices import over_devices, point_by_point
from landscape_cli.core.energy import mapped, total_gradient, whole
from landscape_cli.core.mini_batches import mini_batch, mini_batch_on_host
from landscape_cli.core.random import named_generator, named_key
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import in_shares
from landscape_cli.errors import UserError
from landscape_cli.ranges import check_counts, check_positive, choose


class Program(NamedTuple):
    """What a step computes; equal programs compile once.

    Attributes:
        optimizer: an Optax transformation that makes a direction of a gradient.
        loss: what gradients are taken of.
        draw: makes a mini-batch of its data; None: full batches.
        weighting: of the points, see `core.curve.objective`.
        chunk: points computed at a time.
    """

    optimizer: Any
    loss: Any
    draw: Any
    weighting: str
    chunk: int


class Step(NamedTuple):
    """What is settled for a step before it is taken; those of many have a leading step axis."""

    weights: Any  # (t, control)
    rates: Any  # (t, control)
    learning_rate: Any
    number: Any  # names its mini-batch


class Curves(NamedTuple):
    """Curves in training; leaves have a leading curve axis."""

    control: Any  # (curve, control, param)
    state: Any  # the optimizer's


def check_descent(part: Any) -> None:
    """Raise ValueError unless optimizer, learning_rate, momentum and steps are in range."""
    check_counts(part, "steps")
    check_positive(part, "learning_rate")
    choose("optimizer", part.optimizer, ("adam", "sgd"))
    if not 0 <= part.momentum < 1:
        raise ValueError(f"momentum must lie in [0, 1), got {part.momentum}")


def require_batches(surface: Surface, batch: bool) -> None:
    """Refuse steps on mini-batches where there are none.

    Raises:
        UserError: the trainer takes all examples at once.
    """
    if batch and surface.batch is None:
        raise UserError("method.batch=true: there are no mini-batches; set trainer.batch")


@lru_cache
def stepper_of(optimizer: str, momentum: float) -> Any:
    """One object for equal settings: a compiled program recognizes it."""
    return optax.scale_by_adam(momentum) if optimizer == "adam" else optax.trace(momentum)


def published_schedule(fraction: np.ndarray) -> np.ndarray:
    """Of learning rates: 1 for half of the steps, straight to 0.01 at nine tenths of them."""
    return np.interp(fraction, [0.5, 0.9], [1.0, 0.01])


def drawn_steps(
    family: Family, bends: int, first: int, learning_rates: np.ndarray, points: int,
    random: bool, dtype: Any, seed: int = 0,
) -> Step:  # fmt: skip
    """Steps from number `first` on; t is the same for all curves, whatever their number.

    One t in each of `points` equal parts of [0, 1]: its middle, or drawn at random by `seed`.
    """
    numbers, planned = first + np.arange(len(learning_rates)), []
    for number in numbers:
        shift = named_generator(seed, int(number)).uniform(size=points) if random else 0.5
        planned.append(plan(family, bends, (np.arange(points) + shift) / points))
    weights, rates = (np.stack(leaf).astype(dtype) for leaf in zip(*planned, strict=True))
    return Step(weights, rates, np.asarray(learning_rates, dtype), numbers)


def advance(
    surface: Surface, program: Program, decay: float, steps: Step, count: int, curves: Curves,
    seed: int = 0,
) -> Curves:  # fmt: skip
    """The first `count` of the `steps`, all curves; κ = `decay` adds κ ‖φ‖² / 2 to F(φ).

    Mini-batches are drawn by `seed`.
    """
    key, pull = named_key(seed, "curves"), np.asarray(decay, surface.dtype)
    if surface.strategy == "loop":
        return _host_steps(surface, program, key, pull, steps, count, curves)
    parts = surface.slope_parts if program.draw is None else surface.slope_data
    surface.count.add(gradients=len(curves.control) * count * steps.weights.shape[1])
    some = lambda share: _advance(program, parts, key, pull, steps, count, share)
    return in_shares(some, curves, least=1)


def _points(weights: Array, control: Array) -> Array:
    """(curve · t, param), curve by curve."""
    return jax.vmap(partial(times_to, weights))(control).reshape(-1, control.shape[-1])


def _moved(
    program: Program, curves: Curves, points: Array, energies: Array, gradients: Array,
    step: Step, decay: Array,
) -> Curves:  # fmt: skip
    """One step of all curves."""
    control, state = curves
    energies = energies + decay / 2 * (points**2).sum(1)
    gradients = gradients + decay * points
    rows = lambda leaf: leaf.reshape(len(control), -1, *leaf.shape[1:])
    pull = lambda c, e, g: objective(c, e, g, step.weights, step.rates, program.weighting)[1]
    pulls = jax.vmap(pull)(control, rows(energies), rows(gradients))
    directions, state = jax.vmap(program.optimizer.update)(pulls[:, 1:-1], state)
    inner = control[:, 1:-1] - step.learning_rate * directions
    return Curves(jnp.concatenate([control[:, :1], inner, control[:, -1:]], 1), state)


@partial(jax.jit, static_argnames="program")
def _advance(program: Program, parts, key, decay, steps: Step, count, curves: Curves) -> Curves:
    """`count` of `steps`, all curves; mini-batches are drawn from what is `parts` otherwise."""

    def run(shared: Any, curves: Curves) -> Curves:
        parts, key, decay, steps, count = shared

        def one(i: Any, curves: Curves) -> Curves:
            step = jax.tree.map(lambda leaf: leaf[i], steps)
            points = _points(step.weights, curves.control)
            here = parts
            if program.draw is not None:
                drawn = mini_batch(program.draw, parts, key, step.number)
                here = whole(program.loss, drawn)
            energies, gradients = mapped(total_gradient, program.loss, here, points, program.chunk)
            return _moved(program, curves, points, energies, gradients, step, decay)

        return jax.lax.fori_loop(0, count, one, curves)

    return over_devices(run, (parts, key, decay, steps, count), curves)


# The same for surfaces that are computed point by point, with the gradients in between.
_points_of = jax.jit(_points)
_moved_by: Any = jax.jit(_moved, static_argnames="program")


def _host_steps(surface, program: Program, key, decay, steps: Step, count, curves) -> Curves:
    for i in range(count):
        step = Step(*(leaf[i] for leaf in steps))
        points = _points_of(step.weights, curves.control)
        if program.draw is None:
            found = surface.losses_and_gradients(points)
        else:
            drawn = mini_batch_on_host(program.draw, surface.slope_data, key, step.number)
            parts = surface.cut(drawn, reference=drawn)
            one = partial(surface.loss_and_gradient, parts=parts)
            pairs = point_by_point(one, points)
            found = tuple(jnp.stack(leaf) for leaf in zip(*pairs, strict=True))
            surface.count.add(gradients=len(points))
        curves = _moved_by(program, curves, points, *found, step, decay)
    return curves
