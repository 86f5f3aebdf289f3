"""Train many networks at once and keep each one's first crossing of every energy level.

    θ ← θ + optimizer(∇loss(θ)),      kept for level λ: the first θ with F(θ) ≤ λ

Networks do not see one another. All of them advance in one compiled program, `check` steps per
call, and the host looks in between: who has crossed the lowest level, who has diverged, who goes
on. With full batches crossings are found at every step, because F comes free with its gradient;
with mini-batches F is computed over the full data every `check` steps, and crossings are found
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from landscape_cli.core.descent import FEW, free, initial_states, moved
from landscape_cli.core.devices import over_devices, point_by_point, sent
from landscape_cli.core.energy import Energy, examples_in, total_energy, total_gradient
from landscape_cli.core.lanes import FLOCK, in_chunks, in_pieces, pad, rung
from landscape_cli.core.ledger import Ledger
from landscape_cli.core.mini_batches import noisy_gradient, noisy_gradient_on_host
from landscape_cli.core.report import Progress, Trajectories
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import in_shares
from landscape_cli.errors import UserError


class Program(NamedTuple):
    """What one training step computes; equal programs compile once.

    Attributes:
        optimizer: an Optax transformation.
        energy: the level functional.
        loss: what gradients are taken of.
        draw: makes a mini-batch of the loss's data; None: full batches, and a look at F
            before every step.
        free: the loss is the energy, of the same data.
    """

    optimizer: Any
    energy: Energy
    loss: Energy
    draw: Any
    free: bool


class Lane(NamedTuple):
    """One network in training; leaves are stacked over networks.

    Attributes:
        theta: (param,) where it is.
        state: the optimizer's.
        number: which network it is; its mini-batches depend on it.
        lowest: lowest energy seen by a full-batch program.
        crossings: (level, param) where each level was first crossed; any value before that.
    """

    theta: Any
    state: Any
    number: Any
    lowest: Any
    crossings: Any


def train(
    surface: Surface,
    optimizer: Any,
    thetas: Float[np.ndarray, "network param"],
    levels: Sequence[float],
    steps: int,
    check: int,
    key: jax.Array,
    batch: bool = False,
    progress: Progress | None = None,
) -> Trajectories:
    """Train every network until it crosses the lowest level, diverges, or is out of steps.

    A network that is not there in time stays where it is, and its row says so; nothing is
    started anew. A NaN or infinity ends one network and leaves the others alone.

    Args:
        surface: gradients are those of `surface.slope`, levels those of `surface.energy`.
        optimizer: an Optax transformation; the identical object again does not compile again.
        thetas: starts.
        levels: energies to cross, strictly decreasing.
        steps: most optimizer steps of a network.
        check: steps between two looks of the host (and at F, with mini-batches).
        key: source of mini-batches; network i uses fold_in(key, i), whoever trains beside it.
        batch: descend on mini-batches drawn by `surface.batch`, not on the full data.
        progress: told the steps taken and the networks arrived.
    """
    progress = progress or Progress()
    ledger = Ledger(surface, len(thetas), levels, every=check if batch else 1)
    progress.phase("training", total=steps, unit="steps")
    run = _train_one_by_one if surface.strategy == "loop" else _train_together
    starts = np.asarray(thetas, surface.dtype)
    run(surface, optimizer, starts, steps, check, key, batch, ledger, progress)
    return ledger.trajectories()


def check_batch(surface: Surface, batch: int | None) -> bool:
    """Whether steps are on mini-batches of `batch` examples, drawn or augmented.

    Raises:
        UserError: there are fewer examples than that.
        ValueError: the surface was built without mini-batches.
    """
    if batch is None:
        return False
    examples = examples_in(surface.slope_data)
    if batch > examples:
        has = f"the data has {examples} examples" if examples else "this surface has no examples"
        raise UserError(f"trainer.batch={batch}: {has}; null takes all")
    if batch < examples and surface.batch is None:
        raise ValueError(f"trainer.batch={batch}: build the surface with batch={batch} too")
    # As many as there are may still be drawn otherwise than they are: augmented, say.
    whole = batch == examples and getattr(surface.batch, "plain", False)
    return surface.batch is not None and not whole


def _look(program: Program, parts: Any, levels: Array, lane: Lane, loss: Array) -> tuple:
    """The energy of a lane, and the lane with `theta` kept for the levels it crosses now."""
    energy = loss if program.free else total_energy(program.energy, parts, lane.theta)
    # A 0-1 error is finite even where the network's outputs are not; its loss is NaN then.
    energy = jnp.where(jnp.isfinite(loss), energy, jnp.nan)
    new = (energy <= levels) & (lane.lowest > levels)
    crossings = jnp.where(new[:, None], lane.theta, lane.crossings)
    return energy, lane._replace(lowest=jnp.minimum(lane.lowest, energy), crossings=crossings)


@partial(jax.jit, static_argnames=("program", "check", "chunk"))
def _advance(program, data, levels, lanes, key, first, count, check, chunk):
    """`count` steps of every lane, and the (lane, check) energies before each of them.

    `data` is (parts of the energy, parts of the loss) or, with mini-batches, what they are
    drawn from, whole, in the second place. `chunk` lanes are computed at a time; None: pieces
    that are all alike, for light energies.
    """

    def one(shared, lane):
        (parts, loss_data), levels, key, first, count = shared

        def step(i, carry):
            lane, energies = carry
            if program.draw is not None:
                job = program.draw, loss_data, key, lane.number, first + i
                loss, gradient = noisy_gradient(program.loss, *job, lane.theta)
            else:
                loss, gradient = total_gradient(program.loss, loss_data, lane.theta)
                energy, lane = _look(program, parts, levels, lane, loss)
                energies = energies.at[i].set(energy)
            updates, state = program.optimizer.update(gradient, lane.state, lane.theta)
            theta = optax.apply_updates(lane.theta, updates)
            return lane._replace(theta=theta, state=state), energies

        start = jnp.full(check, jnp.nan, lane.theta.dtype)
        return jax.lax.fori_loop(0, count, step, (lane, start))

    def run(shared, lanes):
        each = jax.vmap(partial(one, shared))
        if chunk is None:
            return in_pieces(each, lanes, len(lanes.theta), FLOCK, alike=True)
        return in_chunks(each, lanes, chunk)

    return over_devices(run, (data, levels, key, first, count), lanes)


def _train_together(surface, optimizer, starts, steps, check, key, batch, ledger, progress):
    """All networks in one program; those that have ended are dropped when half have."""
    draw = surface.batch if batch else None
    program = Program(optimizer, surface.energy, surface.slope, draw, free(surface))
    parts = () if program.free else surface.parts
    data = (parts, surface.slope_data if batch else surface.slope_parts)
    levels = sent(np.asarray(ledger.levels))
    members = np.arange(len(starts))  # the network of each lane; lanes after them are padding
    lanes = _lanes(optimizer, starts, 0 if batch else len(levels))
    chunk, done = None if surface.light else surface.chunk, 0
    for first in range(0, steps, check):
        if batch:
            _look_from_host(surface, ledger, members, lanes.theta, first)
        members, lanes = _compact(ledger, members, lanes)
        if len(members) == 0:
            break
        count = min(check, steps - first)
        advance = lambda some, first=first, count=count: _advance(
            program, data, levels, some, key, first, count, check, chunk
        )
        lanes, energies = in_shares(advance, lanes, least=FEW)
        surface.count.add(gradients=len(lanes.theta) * count)
        going = np.isin(members, ledger.left)
        ledger.taken += int(going.sum()) * count
        if not batch:
            rows = np.asarray(energies)[: len(members), :count]
            ledger.record(members[going], first, rows[going])
        done = first + count
        progress.update(done, ledger.note())
    _collect(ledger, members, lanes)
    _look_from_host(surface, ledger, members, lanes.theta, steps)
    progress.update(done, ledger.note())


def _lanes(optimizer: Any, starts: np.ndarray, levels: int) -> Lane:
    size = rung(len(starts))
    theta = sent(pad(starts, size))
    number = sent(pad(np.arange(len(starts)), size))
    crossings = jnp.zeros((size, levels, theta.shape[1]), theta.dtype)
    lowest = sent(np.full(size, np.inf, theta.dtype))
    return Lane(theta, initial_states(optimizer, theta), number, lowest, crossings)


def _compact(ledger: Ledger, members: np.ndarray, lanes: Lane) -> tuple[np.ndarray, Lane]:
    """Keep the lanes still in training once they fit into half as many."""
    rows = np.flatnonzero(np.isin(members, ledger.left))
    if len(rows) and 2 * rung(len(rows)) > len(lanes.theta):
        return members, lanes
    _collect(ledger, members, lanes)
    if len(rows) == 0:
        return members[rows], lanes
    padded = pad(rows, rung(len(rows)))
    return members[rows], jax.tree.map(lambda leaf: np.asarray(leaf)[padded], lanes)


def _collect(ledger: Ledger, members: np.ndarray, lanes: Lane) -> None:
    """Bring the crossings that the compiled program kept to the host."""
    if lanes.crossings.shape[1] == 0:
        return
    for network, thetas in zip(members, np.asarray(lanes.crossings), strict=False):
        missing = np.isnan(ledger.thetas[network, :, 0]) & (ledger.steps[network] >= 0)
        ledger.keep(network, missing, thetas)


def _look_from_host(surface, ledger, members, thetas, step) -> None:
    """Enter the energies over the full data of networks still in training."""
    going = np.isin(members, ledger.left)
    if not going.any():
        return
    thetas = np.asarray(thetas)[: len(members)]
    # 0-1 errors are finite even where parameters are not.
    sound = np.isfinite(thetas).all(axis=1)
    energies = np.where(sound, surface.energies(thetas), np.nan)
    _enter(ledger, members[going], step, energies[going], thetas[going])


def _enter(ledger: Ledger, networks: np.ndarray, step: int, energies, thetas) -> None:
    new = ledger.record(networks, step, np.asarray(energies)[:, None])
    for network, crossed, theta in zip(networks, new, thetas, strict=True):
        ledger.keep(network, crossed, theta)


def _train_one_by_one(surface, optimizer, starts, steps, check, key, batch, ledger, progress):
    """The same as a loop on the host, for surfaces that are computed point by point."""
    thetas = [sent(start) for start in starts]
    states = [optimizer.init(theta) for theta in thetas]
    left, done = ledger.left, 0
    for step in range(steps):
        if batch and step % check == 0:
            _look_from_host(surface, ledger, left, np.stack([thetas[i] for i in left]), step)
            left = ledger.left
        if len(left) == 0:
            break
        one = partial(_step, surface, optimizer, key if batch else None, step)
        found = point_by_point(one, [(i, thetas[i], states[i]) for i in left])
        surface.count.add(gradients=len(left))
        if not batch:
            here = [thetas[i] for i in left]
            _enter(
                ledger, left, step, _energies(surface, here, [loss for loss, *_ in found]), here
            )
        for i, (_, theta, state) in zip(left, found, strict=True):
            thetas[i], states[i] = theta, state
        ledger.taken += len(left)
        left, done = ledger.left, step + 1
        progress.update(done, ledger.note())
    if len(left):
        _look_from_host(surface, ledger, left, np.stack([thetas[i] for i in left]), steps)
    progress.update(done, ledger.note())


def _step(surface, optimizer, key, step, network) -> tuple[Array, Array, Any]:
    """The loss before, parameters and optimizer state after one step of one network.

    The step is on a mini-batch drawn with `key`; None: on the full data.
    """
    number, theta, state = network
    if key is None:
        loss, gradient = surface.loss_and_gradient(theta, surface.slope_parts)
    else:
        loss, gradient = noisy_gradient_on_host(surface, key, number, step, theta)
    return loss, *moved(optimizer, theta, state, gradient)


def _energies(surface: Surface, thetas: list, losses: list) -> np.ndarray:
    """The level functional, where losses are known; NaN where a loss is not finite."""
    values = np.array([np.asarray(loss) for loss in losses])
    energies = values if free(surface) else surface.energies(np.stack(thetas))
    return np.where(np.isfinite(values), energies, np.nan)
