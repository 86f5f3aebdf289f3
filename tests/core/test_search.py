"""The search of one pair, answered by hand: what it asks for, and what it concludes."""

from dataclasses import replace

import numpy as np
import pytest

from landscape_cli.core import search
from landscape_cli.core.batch import Pull
from landscape_cli.core.descent import adam
from landscape_cli.core.feasible import Search, Work
from landscape_cli.core.sampling import Sampled
from landscape_cli.core.search import Look, Sample, Verdict, search_pair, shorter_below
from landscape_cli.core.string import Found, length
from landscape_cli.core.verdict import Peak

START, END = np.array([0.0, 0.0]), np.array([1.0, 0.0])
SEARCH = Search(optimizer=adam(0.01), segments=4, every_start=False)
LONG, SHORT = 0.5, 0.2  # heights of a detour


@pytest.fixture(autouse=True)
def strings_begin_where_they_were_found(monkeypatch):
    monkeypatch.setattr(search, "ASIDE", 0.0)


def detour(height, segments=4):
    """START to END over (0.5, height)."""
    x = np.linspace(0, 1, segments + 1)
    return np.stack([x, height * (1 - np.abs(2 * x - 1))], axis=1)


def works(*levels):
    return [Work(i, 0, START, END, level) for i, level in enumerate(levels)]


def answered(searched, pull, outside=(), above=2):
    """Run a search: `pull(string)` moves it. What it told.

    Levels in `outside` fail every look, with `above` times the level.
    """
    told, answer = [], None
    try:
        while True:
            ask = searched.send(answer)
            answer = None
            if isinstance(ask, Verdict):
                told.append(("verdict", ask.work.level, ask.work.best.state))
            elif isinstance(ask, Sample):
                told.append(("sample", ask.work.level))
                ask.work.sampled = Sampled(detour(LONG), ask.work.level, bad=[])
            elif isinstance(ask, Pull):
                told.append(("pull", ask.level, ask.segments))
                pull(ask)
                ask.multipliers, ask.rho, ask.spent = np.zeros(3 * ask.segments - 1), 1.0, 10
                answer = ask
            else:
                assert isinstance(ask, Look)
                level = ask.work.level
                high = level * (above if level in outside else 0.5)
                answer = Peak(high, 0, np.full(len(ask.beads) - 1, high), len(ask.beads))
    except StopIteration:
        return told


def taut(pull):
    """A string that is pulled as far as its hill lets it: it stays on its side."""
    pull.residual = pull.violation = 0.0


def test_levels_follow_one_another_and_each_begins_from_the_one_above():
    pair = works(0.2, 0.4)  # in any order
    told = answered(search_pair(pair, SEARCH), taut)
    assert told == [
        ("sample", 0.4), ("pull", 0.4, 4), ("pull", 0.4, 8), ("verdict", 0.4, "taut"),
        ("pull", 0.2, 4), ("pull", 0.2, 8), ("verdict", 0.2, "taut"),
    ]  # fmt: skip
    assert pair[0].gradients == 10 * 11 + 10 * 23, "of both pulls"


def test_from_every_start_the_shortest_string_goes_on():
    begun = []

    def pull(string):
        taut(string)
        begun.append((string.segments, np.abs(string.beads[:, 1]).max()))
        if begun[-1] == (4, 0.0):  # the chord is pushed aside, and the lower it is the less
            string.beads = detour(SHORT if string.level == 0.2 else 2 * LONG)

    pair = works(0.4, 0.2)
    told = answered(search_pair(pair, replace(SEARCH, every_start=True)), pull)
    assert [(n, pytest.approx(height)) for n, height in begun] == [
        (4, LONG), (4, 0.0), (8, LONG),  # sample and chord, of which the sample is shorter
        (4, LONG), (4, 0.0), (8, SHORT),  # the taut string above, and the chord
        (4, SHORT), (8, SHORT),  # above again, as the lower level found it
    ]  # fmt: skip
    assert [each for each in told if each[0] == "verdict"][-1] == ("verdict", 0.4, "taut")
    assert all(
        work.best.normalized_length == pytest.approx(np.hypot(1, 2 * SHORT)) for work in pair
    )


def test_a_start_that_ends_outside_loses_to_a_longer_one_inside():
    def pull(string):
        taut(string)
        if string.segments == 4 and np.abs(string.beads[:, 1]).max() == 0:
            string.violation = np.nan if string.level == 0.4 else 0.5  # the chord, short as it is

    pair = works(0.4, 0.2)
    answered(search_pair(pair, replace(SEARCH, every_start=True)), pull)
    assert all(
        work.best.normalized_length == pytest.approx(np.hypot(1, 2 * LONG)) for work in pair
    )


def test_a_shorter_way_below_is_tried_above_from_the_lowest_up():
    def pull(string):
        taut(string)
        if string.level == 0.1:  # here the long way is closed, and another opens
            string.beads = detour(SHORT, string.segments)

    pair = works(0.4, 0.2, 0.1)
    told = answered(search_pair(pair, SEARCH), pull)
    verdicts = [level for kind, level, *_ in told if kind == "verdict"]
    assert verdicts == [0.4, 0.2, 0.1, 0.2, 0.4]
    lengths = [work.best.normalized_length for work in pair]
    assert lengths == pytest.approx([np.hypot(1, 2 * SHORT)] * 3)
    assert all(shorter_below(work, pair) is None for work in pair), "nothing left to try"


def test_a_string_that_peeks_out_gets_wider_margins_twice_and_its_sample_is_tried():
    told = []

    def pull(string):
        taut(string)
        told.append(string.margin)

    pair = works(0.4, 0.2)
    asked = answered(search_pair(pair, SEARCH), pull, outside=(0.2,))
    assert ("verdict", 0.2, "not connected") in asked
    assert [each for each in asked if each[0] == "sample"] == [("sample", 0.4), ("sample", 0.2)]
    wider = told[3:6]  # of the doubled string at 0.2; each look was 100 % above the level
    np.testing.assert_allclose(np.diff(wider), 1.5)
    assert pair[1].best.beads.shape == detour(LONG).shape, "a failure keeps its sample"


def test_a_straight_pair_asks_for_nothing_and_helps_the_level_below():
    pair = works(0.4, 0.2)
    pair[0].best, pair[0].ended = Found("straight", np.stack([START, END]), 0.4), True
    told = answered(search_pair(pair, SEARCH), taut)
    assert told[0] == ("pull", 0.2, 4), "no sample is needed"
    assert [each[1] for each in told if each[0] == "verdict"] == [0.2]


def doubled_to(heights, residual=0.0):
    """A pull that is as balanced as said; the first string and its doubles get these heights."""
    left = iter(heights)

    def pull(string):
        taut(string)
        string.residual = residual
        string.beads = detour(next(left), string.segments)

    return pull


@pytest.mark.parametrize(
    ("residual", "height", "state"),
    [
        (0.0, LONG, "taut"),
        (0.02, LONG, "loose"),
        (np.nan, LONG, "loose"),
        (0.0, 0.8 * LONG, "loose"),
        (0.0, 1.2 * LONG, "loose"),
        (0.02, 0.8 * LONG, "loose"),
    ],
)
def test_taut_is_who_is_balanced_and_as_long_as_with_half_the_beads(residual, height, state):
    (work,) = works(0.4)
    pull = doubled_to([LONG, height], residual)
    answered(search_pair([work], replace(SEARCH, max_beads=9)), pull)
    change = abs(length(detour(height)) / length(detour(LONG)) - 1)
    assert work.best.state == state and work.best.length_change == pytest.approx(change)


@pytest.mark.parametrize(("most", "segments"), [(16, [4, 8]), (17, [4, 8, 16])])
def test_beads_double_as_long_as_the_length_changes_up_to_the_most(most, segments):
    pull = doubled_to(LONG * 0.8 ** np.arange(9))
    told = answered(search_pair(works(0.4), replace(SEARCH, max_beads=most)), pull)
    assert [each[2] for each in told if each[0] == "pull"] == segments


@pytest.mark.parametrize(("height", "tried"), [(0.22, False), (0.25, True)])
def test_two_percent_shorter_is_shorter(height, tried):
    """Lengths over a chord of 1: 1.077 below, and 1.093 or 1.118."""
    high, low = works(0.4, 0.2)
    high.best, low.best = Found("taut", detour(height), 0.4), Found("taut", detour(SHORT), 0.2)
    assert (shorter_below(high, [high, low]) is low.best.beads) == tried


@pytest.mark.parametrize(("above", "state"), [(2, "not connected"), (np.nan, "diverged")])
def test_a_sample_without_a_value_is_diverged(above, state):
    (work,) = works(0.4)
    answered(search_pair([work], SEARCH), taut, outside=(0.4,), above=above)
    assert (work.best.state, work.best.worst_segment) == (state, 0)
