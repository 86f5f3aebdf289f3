"""Feasible strings to begin with: what is counted, what is allowed, what is taken back."""

import numpy as np
import pytest
from zoo import E1

from landscape_cli.core import feasible
from landscape_cli.core.descent import adam
from landscape_cli.core.feasible import Search, Work, sample_strings, try_chords
from landscape_cli.models.base import model_surface
from landscape_cli.models.ring import Ring

SEARCH = Search(optimizer=adam(0.01))


@pytest.fixture
def surface():
    """A ring that nobody has asked for an energy yet."""
    return model_surface(Ring(3))


def sampled(surface, level, **settings):
    """The work of one pair of antipodes, sampled."""
    work = Work(0, 0, E1, -E1, level)
    sample_strings(surface, [work], Search(optimizer=adam(0.01), **settings), lambda *_: None)
    return work


def test_energies_of_a_chord_are_counted(surface):
    work = Work(0, 0, E1, -E1, 2.0)
    try_chords(surface, [work], SEARCH)
    found = work.found()
    assert found.state == "straight"
    assert found.energy_evaluations == surface.count.energies > 0


def test_no_sampled_string_gets_more_beads_than_the_search_allows(surface):
    free = sampled(surface, 0.01).sampled
    assert free.inside and len(free.beads) > 5
    bound = sampled(surface, 0.01, max_beads=4).sampled
    assert not bound.inside and len(bound.beads) == 4, "there is no room for more"


def test_a_shortcut_that_leaves_the_set_between_its_samples_is_taken_back(surface, monkeypatch):
    def cut(surface, strings):
        for string in strings:
            string.beads = string.beads[[0, -1]]

    monkeypatch.setattr(feasible, "shortcut", cut)
    work = sampled(surface, 0.1)
    assert work.sampled.inside and work.best.connected
    np.testing.assert_array_equal(work.best.beads, work.sampled.beads)
