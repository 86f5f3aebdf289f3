"""What a recipe is handed: names, things made once, and where strings begin."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from landscape_cli.contracts import PathMethod
from landscape_cli.core.string import Found
from landscape_cli.data.none import NoData
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.gauges.none import NoGauge
from landscape_cli.methods.straight import Straight
from landscape_cli.models.ring import Ring
from landscape_cli.setup import Setup
from landscape_cli.trainers.adam import Adam


@dataclass(frozen=True)
class Told(PathMethod):
    """Says of every string, the last one first, which it is; the one of pair 1 diverged."""

    level_free: ClassVar[bool] = True

    def connect(self, surface, starts, ends, levels, pairs, progress, initial=None, seed=0):
        for row in reversed(range(len(starts))):
            beads = np.full((3, 2), float(pairs[row]) if pairs[row] != 1 else np.nan)
            spent = {"gradient_evaluations": 10 * int(pairs[row]), "seconds": 1.0}
            yield row, Found("loose", beads, levels[row], 0.0, energy_evaluations=2, **spent)


@dataclass(frozen=True)
class Asked(PathMethod):
    """Says what it was begun from."""

    name: str = "own"

    def connect(self, surface, starts, ends, levels, pairs, progress, initial=None, seed=0):
        begun = initial or [None] * len(starts)
        for row, beads in enumerate(begun):
            found = Found(self.name, beads, 0.0, gradient_evaluations=3, seconds=0.5)
            yield row, found
            yield row, found.with_(energy_evaluations=7)


@dataclass(frozen=True)
class Alone(Asked):
    """Cannot be begun from anything."""

    warms: ClassVar[bool] = False


@dataclass(frozen=True)
class Inside(Told):
    """Needs a level."""

    level_free: ClassVar[bool] = False


SETUP = Setup(
    model=Ring(), data=NoData(), functional=Functional("energy"), trainer=Adam(), method=Asked(),
    gauge=NoGauge(), levels=(0.1,), pairs=3, seed=0,
)  # fmt: skip
WARM = replace(SETUP, warm_start=Told())


def begun(setup, method=None, levels=(0.1, 0.1, 0.1)):
    rows = np.zeros((3, 2)), np.ones((3, 2)), np.array(levels), np.array([2, 1, 0])
    found = dict(setup.connect(None, *rows, method))
    initial = [None if one.beads is None else one.beads[0, 0] for one in found.values()]
    return found[0].state, initial if any(each is not None for each in initial) else None


def test_every_string_begins_where_its_own_warm_start_ended():
    assert begun(WARM) == ("own", [2.0, None, 0.0]), "anew where that is not finite"
    assert begun(WARM, Asked("another")) == ("another", [2.0, None, 0.0])
    assert begun(SETUP) == ("own", None)
    assert begun(SETUP, Asked("another")) == ("another", None)


def test_a_string_has_cost_what_its_warm_start_did_too():
    """Nowhere on record, a warm start was free; a better string of the same pair pays it once."""
    rows = np.zeros((3, 2)), np.ones((3, 2)), np.full(3, 0.1), np.array([2, 1, 0])
    found = list(WARM.connect(None, *rows))
    assert [row for row, _ in found] == [0, 0, 1, 1, 2, 2]
    assert [one.gradient_evaluations for _, one in found[::2]] == [23, 13, 3]
    assert [one.energy_evaluations for _, one in found] == [2, 9] * 3
    assert all(one.seconds == 1.5 for _, one in found)


def test_what_does_not_go_together_is_refused_before_anything_is_asked_for():
    with pytest.raises(UserError, match=r"^warm_start: Alone starts from nothing"):
        replace(WARM, method=Alone()).connect(None, *[np.zeros((1, 2))] * 2, np.ones(1), [0])


def test_one_of_several_that_cannot_be_warmed_up_begins_as_always():
    assert begun(WARM, Alone("another")) == ("another", None)
    with pytest.raises(UserError, match=r"^warm_start: Alone starts from nothing"):
        begun(replace(WARM, method=Alone()))


def test_a_warm_start_that_needs_a_level_needs_one_of_every_string():
    inside = replace(WARM, warm_start=Inside())
    assert begun(inside) == ("own", [2.0, None, 0.0])
    with pytest.raises(UserError, match=r"^warm_start=Inside: looks inside a level set"):
        begun(inside, levels=(0.1, np.inf, 0.1))
    named = replace(inside, names={"method@warm_start": "mine"})
    with pytest.raises(UserError, match=r"^warm_start=mine: "):
        named.warm_start_for(anywhere=True)
    assert begun(WARM, levels=(0.1, np.inf, 0.1)) == ("own", [2.0, None, 0.0])


def test_parts_are_called_as_they_were_chosen():
    assert replace(SETUP, method=Straight(), names={"method": "chord"}).called("method") == "chord"
    assert SETUP.called("method") == "Asked"


def test_what_is_asked_for_twice_is_made_once():
    setup, made = replace(SETUP, made={}), []
    make = lambda: made.append("made") or len(made)
    assert setup.once("a", make) == setup.once("a", make) == 1
    assert setup.once("b", make) == 2
