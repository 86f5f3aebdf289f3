"""Strings that are short in the space of a network's outputs: neighbors answer alike.

    minimize Σ_i D(f(θ_i), f(θ_{i+1})) over the beads between the ends

D is the mean over training examples of a squared distance of outputs: of vectors for regression,
the Jensen-Shannon divergence of the predicted classes for classification. As in any sum of
squared steps, the beads of a minimum are evenly spaced and lie on a geodesic of that distance;
its length is Σ √D. Beads see one another through their neighbors' outputs alone.

Reference: Tan, Long, Zhao and Laine, "Geodesic mode connectivity", 2023, arXiv 2308.12666. Its
code begins with uneven spacing (the last step is three times the first); here arcs are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core.curve_steps import published_schedule, stepper_of
from landscape_cli.core.descent import initial_states
from landscape_cli.core.devices import here, over_devices, point_by_point
from landscape_cli.core.energy import Contextual, Parts, context_of, total_gradient, whole
from landscape_cli.core.lagrangian import green
from landscape_cli.core.mini_batches import mini_batch, mini_batch_on_host
from landscape_cli.core.random import named_key
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import in_shares


def jensen_shannon(
    one: Float[Array, "... output"], other: Float[Array, "... output"]
) -> Float[Array, "..."]:
    """Divergence in nats of two softmax distributions, from their logits; at most log 2."""
    one, other = jax.nn.log_softmax(one), jax.nn.log_softmax(other)
    middle = jnp.logaddexp(one, other) - jnp.log(2.0).astype(one.dtype)
    apart = jnp.exp(one) * (one - middle) + jnp.exp(other) * (other - middle)
    return apart.sum(-1) / 2


def squared(
    one: Float[Array, "... output"], other: Float[Array, "... output"]
) -> Float[Array, "..."]:
    """Squared distance of two outputs, mean over their numbers."""
    return ((one - other) ** 2).mean(-1)


@dataclass(frozen=True)
class Between:
    """How far a network's outputs are from those of two neighbors: an energy of one bead.

    Attributes:
        network: see `Surface.network`.
        distance: squared distance of two outputs.
    """

    network: Any
    distance: Callable[[Any, Any], Any]

    def outputs(self, theta: Array, statistics: Any, inputs: Array) -> Array:
        """(example, output), given the statistics of batch norm, or with those stored in θ."""
        params, stored = self.network.split(theta)
        return self.network.outputs(params, statistics or stored, inputs).astype(theta.dtype)

    def __call__(self, theta: Array, data: tuple[Array, ...], context: Any = None) -> Array:
        """Σ weight · (D to the left + D to the right) over (inputs, left, right, weights)."""
        inputs, left, right, weights = data
        here = self.outputs(theta, context, inputs)
        apart = self.distance(left, here) + self.distance(here, right)
        return jnp.dot(weights, apart, precision=jax.lax.Precision.HIGHEST)


class NormalizedBetween(Between, Contextual):
    """The same of a network whose statistics are computed anew at every point."""

    def context(self, theta: Array, reference: Any) -> Any:
        """Statistics of batch norm."""
        return self.network.context(theta, reference)


def between(surface: Surface) -> Between:
    """The energy of a bead on the surface of a network; classes are integers."""
    kind = NormalizedBetween if isinstance(surface.network, Contextual) else Between
    classes = jnp.issubdtype(surface.slope_data[1].dtype, jnp.integer)
    return kind(surface.network, jensen_shannon if classes else squared)


def _answers(energy: Any, parts: Parts, theta: Array) -> Array:
    """(block, example, output) outputs of all examples."""
    context = context_of(energy, parts.reference, theta)
    return jax.lax.map(lambda block: energy.outputs(theta, context, block[0]), parts.blocks)


def _pull(energy: Between, parts: Parts, bead: tuple[Array, Array, Array]) -> Array:
    """∇ of a bead's energy; (θ, outputs of its left neighbor, of its right one)."""
    theta, left, right = bead
    inputs, _, weights = parts.blocks
    return total_gradient(energy, Parts((inputs, left, right, weights), parts.reference), theta)[1]


AT_ONCE = 1 << 33  # bytes of the strings that are shortened together


class Program(NamedTuple):
    """What a step computes; equal programs compile once."""

    optimizer: Any
    energy: Between
    draw: Any  # makes a mini-batch; None: full batches
    smooth: bool
    chunk: int


class Strings(NamedTuple):
    """Strings on their way; leaves have a leading string axis."""

    beads: Any  # (string, bead, param), ends included
    state: Any  # the optimizer's


def _gradients(energy: Between, parts: Parts, beads: Array, chunk: int) -> Array:
    """(string, bead-2, param) of Σ D, traced."""
    count, size, params = beads.shape
    answers = jax.lax.map(
        partial(_answers, energy, parts), beads.reshape(-1, params), batch_size=chunk
    )
    answers = answers.reshape(count, size, *answers.shape[1:])
    flat = lambda leaf: leaf.reshape(-1, *leaf.shape[2:])
    inner = flat(beads[:, 1:-1]), flat(answers[:, :-2]), flat(answers[:, 2:])
    pulls = jax.lax.map(partial(_pull, energy, parts), inner, batch_size=chunk)
    return pulls.reshape(count, size - 2, params)


def _moved(program: Program, strings: Strings, pulls: Array, rate: Array) -> Strings:
    """One step; if `smooth`, what pulls at one bead moves those beside it, too.

    Every bead follows its neighbors; changes would else travel along a string bead by bead.
    """
    beads, state = strings
    if program.smooth:
        spread = jnp.asarray(green(beads.shape[1] - 1), pulls.dtype)
        pulls = jnp.einsum("ij,sjp->sip", spread, pulls, precision=jax.lax.Precision.HIGHEST)
    directions, state = jax.vmap(program.optimizer.update)(pulls, state)
    inner = beads[:, 1:-1] - rate * directions
    return Strings(jnp.concatenate([beads[:, :1], inner, beads[:, -1:]], 1), state)


@partial(jax.jit, static_argnames="program")
def _advance(program: Program, parts, key, first, rates, count, strings: Strings) -> Strings:
    """`count` steps of all strings; mini-batches are drawn from what is `parts` otherwise."""

    def run(shared: Any, strings: Strings) -> Strings:
        parts, key, first, rates, count = shared

        def one(i: Any, strings: Strings) -> Strings:
            here = parts
            if program.draw is not None:
                drawn = mini_batch(program.draw, parts, key, first + i)
                here = whole(program.energy, drawn)
            pulls = _gradients(program.energy, here, strings.beads, program.chunk)
            return _moved(program, strings, pulls, rates[i])

        return jax.lax.fori_loop(0, count, one, strings)

    return over_devices(run, (parts, key, first, rates, count), strings)


# The same bead by bead, for networks that are computed in a host loop.
_moved_by: Any = jax.jit(_moved, static_argnames="program")


@partial(jax.jit, static_argnames="energy")
def _answer(energy: Any, reference: Any, theta: Array, inputs: Array) -> Array:
    return energy.outputs(theta, context_of(energy, reference, theta), inputs)


def _answers_of(energy: Between, parts: Parts, thetas: Array) -> list[list[Array]]:
    """Outputs of every point, block by block; a block is sent once, for all points."""
    found, points = [], list(thetas)
    for inputs, *_ in parts.blocks:
        sent = jax.device_put(inputs)
        one = lambda theta, sent=sent: _answer(energy, *here((parts.reference, theta, sent)))
        found.append(point_by_point(one, points))
    return [list(each) for each in zip(*found, strict=True)]


def _host_steps(surface, program: Program, key, first, rates, count, strings: Strings) -> Strings:
    space = replace(surface, energy=program.energy, rough=None, loss=None)

    def pull(bead: tuple[Array, list[Array], list[Array]]) -> Array:
        theta, left, right = bead
        each = zip(parts.blocks, left, right, strict=True)
        blocks = [(inputs, a, b, weights) for (inputs, _, weights), a, b in each]
        return space.loss_and_gradient(theta, Parts(blocks, parts.reference))[1]

    parts = surface.slope_parts
    size = strings.beads.shape[1]
    for i in range(count):
        if program.draw is not None:
            drawn = mini_batch_on_host(program.draw, surface.slope_data, key, first + i)
            parts = surface.cut(drawn, reference=drawn)
        beads = strings.beads.reshape(-1, strings.beads.shape[2])
        answers = _answers_of(program.energy, parts, beads)
        inner = [j for j in range(len(beads)) if j % size not in (0, size - 1)]
        pulls = point_by_point(pull, [(beads[j], answers[j - 1], answers[j + 1]) for j in inner])
        pulls = jnp.stack(pulls).reshape(len(strings.beads), size - 2, -1)
        strings = _moved_by(program, strings, pulls, rates[i])
    return strings


@dataclass(frozen=True)
class Shortening:
    """How strings are shortened in the space of outputs.

    Attributes:
        optimizer: "adam", or "sgd" with momentum.
        learning_rate: η of the first half; then it falls to a hundredth at nine tenths.
        momentum: of either optimizer, in [0, 1).
        steps: of the optimizer, at least 1.
        batch: steps on mini-batches of the trainer's size, not on the full data.
        smooth: gradients in the metric of whole strings (H¹), not bead by bead.
    """

    optimizer: str
    learning_rate: float
    momentum: float
    steps: int
    batch: bool
    smooth: bool


def shortened(
    surface: Surface,
    beads: Float[np.ndarray, "string bead param"],
    settings: Shortening,
    report: Callable[[int, int], Any] = lambda done, total: None,
    every: int = 25,
    seed: int = 0,
) -> Float[np.ndarray, "string bead param"]:
    """Strings with the same ends and beads whose neighbors answer more alike.

    Args:
        surface: of a network; examples and mini-batches are those of its loss.
        beads: ends included; at least one bead between them.
        settings: see `Shortening`.
        report: called with (steps taken, steps) now and then.
        every: steps between two reports.
        seed: of the mini-batches.
    """
    optimizer = stepper_of(settings.optimizer, settings.momentum)
    draw = surface.batch if settings.batch else None
    program = Program(optimizer, between(surface), draw, settings.smooth, surface.chunk)
    key = named_key(seed, "outputs")
    parts = surface.slope_parts if draw is None else surface.slope_data
    begun = jnp.asarray(beads, surface.dtype)
    strings = Strings(begun, initial_states(optimizer, begun[:, 1:-1]))
    for first in range(0, settings.steps, every):
        count = min(every, settings.steps - first)
        fractions = np.arange(first, first + every) / settings.steps
        rates = np.asarray(settings.learning_rate * published_schedule(fractions), surface.dtype)
        if surface.strategy == "loop":
            strings = _host_steps(surface, program, key, first, rates, count, strings)
        else:
            some = lambda share, first=first, rates=rates, count=count: _advance(
                program, parts, key, first, rates, count, share
            )
            strings = in_shares(some, strings, least=1)
        surface.count.add(gradients=count * begun.shape[0] * (begun.shape[1] - 2))
        report(first + count, settings.steps)
    return np.asarray(strings.beads)


def bytes_of(surface: Surface, beads: int) -> int:
    """Bytes a string takes while it is shortened: beads, moments, gradients, outputs."""
    inputs, reference = surface.slope_data[0][:1], surface.slope_parts.reference
    theta = jax.ShapeDtypeStruct((surface.dimension,), surface.dtype)
    one = jax.eval_shape(partial(_answer, between(surface), reference), theta, inputs)
    outputs = one.size * len(surface.slope_data[1])
    return beads * (8 * surface.dimension + 6 * outputs) * np.dtype(surface.dtype).itemsize


def together(surface: Surface, beads: int, strings: int) -> int:
    """Strings shortened side by side: as many of `strings` as `AT_ONCE` holds."""
    return min(strings, max(AT_ONCE // bytes_of(surface, beads), 1))


@partial(jax.jit, static_argnames=("energy", "chunk"))
def _all_answers(energy: Between, parts: Parts, thetas: Array, chunk: int) -> Array:
    return jax.lax.map(partial(_answers, energy, parts), thetas, batch_size=chunk)


def divergences(
    surface: Surface, beads: Float[np.ndarray, "bead param"]
) -> Float[np.ndarray, " segment"]:
    """D between the outputs of neighboring beads, mean over all training examples."""
    energy, parts = between(surface), surface.slope_parts
    thetas = jnp.asarray(beads, surface.dtype)
    if surface.strategy == "loop":
        weights = [np.asarray(block[2]) for block in parts.blocks]
        answers = [list(leaf) for leaf in zip(*_answers_of(energy, parts, thetas), strict=True)]
        answers = [jnp.stack(leaf) for leaf in answers]
    else:
        stacked = _all_answers(energy, parts, thetas, surface.chunk)
        weights = list(np.asarray(parts.blocks[2]))
        answers = [stacked[:, i] for i in range(len(weights))]
    apart = [np.asarray(energy.distance(one[:-1], one[1:])) for one in answers]
    return sum((d @ w for d, w in zip(apart, weights, strict=True)), np.zeros(len(beads) - 1))
