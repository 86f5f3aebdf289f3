"""The same networks on both splits: for recipes that report train and test energies."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.core.surface import Surface
from landscape_cli.functional import SPLITS
from landscape_cli.models.base import (
    ClosedForm,
    Lift,
    model_surface,
    with_stored_statistics,
)
from landscape_cli.networks import joined_surface
from landscape_cli.setup import Setup


def both_splits(setup: Setup) -> tuple[dict[str, Surface], Lift]:
    """The run's metric on every split that has examples, and what moves end points there.

    Coordinates are the same on all of them. A closed form has one energy, named "energy".

    Returns:
        surfaces by the name of their split, "train" first; and the lift of `joined_surface`.
    """
    own, lift = joined_surface(setup)
    if isinstance(setup.model, ClosedForm):
        return {"energy": own}, lift
    surfaces = {}
    for split in SPLITS:
        functional = replace(setup.functional, split=split)
        if functional == setup.functional:
            surfaces[split] = own
        elif len(functional.examples(setup.dataset)):
            other = model_surface(
                setup.model, setup.dataset, functional, setup.precision,
                engine=setup.engine, reference=setup.bn_examples,
            )  # fmt: skip
            # Statistics come from the training examples on either split: one lift for both.
            stored = setup.bn != "recompute"
            surfaces[split] = with_stored_statistics(other)[0] if stored else other
    return surfaces, lift


def own_split(setup: Setup) -> str:
    """The name that `both_splits` gives to the split of the run's own energy."""
    return "energy" if isinstance(setup.model, ClosedForm) else setup.functional.split
