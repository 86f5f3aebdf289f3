"""The networks of a run: their surface, their training, what a run of theirs will need.

Every recipe that trains networks begins here. What takes time to build is built once per run,
whoever asks first: the estimate before the run or the recipe itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from landscape_cli.contracts import PathMethod, Trajectories
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.estimate import Estimate, Joining, activations, engine_line, statistics
from landscape_cli.models.base import (
    ClosedForm,
    Lift,
    initial_thetas,
    model_surface,
    with_stored_statistics,
)
from landscape_cli.setup import Setup


def surface_of(setup: Setup) -> Surface:
    """The surface that networks are trained on."""
    return setup.once("surface", lambda: _surface(setup))


def _surface(setup: Setup) -> Surface:
    batch = setup.trainer.batch
    if batch is None:
        _check_unvaried(setup)
    surface = model_surface(
        setup.model, setup.dataset, setup.functional, setup.precision,
        batch=batch, engine=setup.engine, reference=setup.bn_examples,
    )  # fmt: skip
    for gauge in (setup.gauge, *setup.gauges.values()):
        gauge.check(surface)
    return surface


def _check_unvaried(setup: Setup) -> None:
    """Refuse data that are to be varied in training, which only mini-batches are."""
    if setup.dataset.augmentation is None:
        return
    asked = "data.augment=true" if getattr(setup.data, "augment", False) else "data"
    raise UserError(
        f"{asked}: only mini-batches are varied, and trainer.batch=null takes all examples as "
        f"they are; set trainer.batch to at most {len(setup.dataset.train)}, or data.augment=false"
    )


def joined_surface(setup: Setup) -> tuple[Surface, Lift]:
    """The surface that strings are on, and what moves end points there.

    Raises:
        UserError: statistics of batch norm are to be treated in a way of their own, without any.
    """
    surface = surface_of(setup)
    if setup.bn == "recompute":
        return surface, lambda thetas: thetas
    found = setup.once("joined", lambda: with_stored_statistics(surface))
    if found[0] is surface:
        raise UserError(f"bn={setup.bn}: {setup.called('model')} has no batch norm; leave it out")
    return found


def trained(setup: Setup, count: int, levels: tuple[float, ...], *names: Any) -> Trajectories:
    """Train `count` networks down through `levels`; `names` tell several trainings apart."""
    thetas = initial_thetas(
        setup.model, setup.dataset, setup.key("networks", *names), count, setup.precision
    )
    key = setup.key("training", *names)
    return setup.trainer.descend(surface_of(setup), thetas, levels, key, setup.progress)


def say_missed(setup: Setup, run: Trajectories) -> None:
    """Say how many networks did not get to the lowest level, how low they got, who diverged."""
    missed = ~run.reached[:, -1]
    if missed.any():
        lost = int((missed & run.diverged).sum())
        also = f"; training diverged in {lost} of them" if lost else ""
        setup.progress.message(
            f"{missed.sum()} of {len(missed)} networks did not get to level "
            f"{setup.levels[-1]:g} (lowest energies: best {np.nanmin(run.lowest):.3g}, "
            f"worst {np.nanmax(run.lowest):.3g}{also})"
        )


def say_unreached(
    setup: Setup, reached: np.ndarray, diverged: np.ndarray, lowest: np.ndarray
) -> None:
    """Say at every level how many pairs miss an end there, and why.

    Args:
        setup: of the run.
        reached: (pair, level) both ends got there.
        diverged: (pair, level) training of one of them diverged before.
        lowest: (network,) lowest energies reached.
    """
    for level, column, lost in zip(setup.levels, reached.T, diverged.T, strict=True):
        if not column.all():
            also = f"; training diverged in {lost.sum()} of them" if lost.any() else ""
            setup.progress.message(
                f"level {level:g}: not reached by an end of {(~column).sum()} of "
                f"{len(column)} pairs (lowest energy reached by any network: "
                f"{np.nanmin(lowest, initial=np.inf):.3g}{also})"
            )


def known_ends(setup: Setup) -> tuple[np.ndarray, np.ndarray] | None:
    """(pair, param) minima that a closed form knows, twice; None where they are to be found."""
    if not isinstance(setup.model, ClosedForm):
        return None
    return setup.model.ends(setup.pairs, setup.key("ends"))


def joining(
    setup: Setup, pairs: int, levels: int = 1, method: PathMethod | None = None
) -> Joining:
    """Strings of `pairs` at `levels` by `method` (the run's own, unless given), all at once."""
    surface, _ = joined_surface(setup)
    cost = (method or setup.method).cost(surface, pairs, levels)
    if (warm_start := setup.warm_start_for(method)) is None:
        return Joining(pairs * levels, cost)
    first = warm_start.cost(surface, pairs, levels)
    known = cost is not None and first is not None
    return Joining(pairs * levels, cost if known else None, first if known else None)


def estimate(
    setup: Setup, joinings: Sequence[Joining], networks: int, levels: int, trainings: int = 1
) -> Estimate:
    """What a recipe will need.

    Args:
        setup: the parts of the run.
        joinings: of strings, one after another.
        networks: trained at once; 0: none are.
        levels: that they are trained down through.
        trainings: one after another, each of so many networks.
    """
    surface, (joined, _) = surface_of(setup), joined_surface(setup)
    through = joined is surface or surface.batch is None  # gradients go through all statistics
    return Estimate(
        surface=joined, activations=activations(surface),
        engine=engine_line(surface, setup.engine), joinings=tuple(joinings),
        networks=networks, levels=levels, trainings=trainings,
        steps=setup.trainer.most_steps(surface),
        statistics=statistics(surface, gradient=through),
    )  # fmt: skip
