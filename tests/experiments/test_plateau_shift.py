"""The recipe `plateau_shift`: the same networks for every alpha."""

from dataclasses import dataclass

import numpy as np
from landscape_cli.experiments.geodesic import Geodesic
from landscape_cli.experiments.plateau_shift import PlateauShift
from setups import CUBIC, cubic

from landscape_cli.data.polynomial import Polynomial
from landscape_cli.estimate_words import of_gradients
from landscape_cli.methods.dynamic_string import DynamicString
from landscape_cli.trainers.adam import Adam

asked = []  # what was computed, in order
BRIEF = DynamicString(bead_steps=200, max_beads=9)


@dataclass(frozen=True)
class Watched(Adam):
    """Says that it trains."""

    def descend(self, *arguments):
        asked.append("trained")
        return super().descend(*arguments)


@dataclass(frozen=True)
class Loaded(Polynomial):
    """Says that it is loaded."""

    def load(self, key):
        asked.append("loaded")
        return super().load(key)


def test_networks_are_trained_once_and_joined_for_every_alpha():
    asked.clear()
    parts = {"trainer": Watched(steps=2000), "data": Loaded(CUBIC, train=16, test=8)}
    setup = cubic(method=BRIEF, **parts)
    recipe = PlateauShift(alphas=(0.9, 1.0))
    records = {record.name: record for record in recipe.run(setup)}
    assert asked == ["loaded", "trained"]
    lengths = records["plateau_shift"].data["normalized_length"]
    assert lengths.sizes == {"alpha": 2, "pair": 2, "level": 2} and np.isfinite(lengths).any()


def test_a_plan_counts_the_strings_of_every_alpha():
    setup = cubic(method=BRIEF)
    one, plan = Geodesic().plan(setup), PlateauShift(alphas=(0.8, 0.9, 1.0)).plan(setup)
    assert plan.strings == 3 * one.strings == 3 * 2 * 2
    assert of_gradients(plan) == of_gradients(one), "of a string, which is of one alpha"
    assert plan.needs() == one.needs(), "strings of one alpha are let go"
    assert (plan.networks, plan.trainings) == (4, 1)
