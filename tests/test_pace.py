"""Files are written every few seconds, however long the writing takes, and nothing waits long."""

import threading

import jax
import numpy as np
import pytest

from landscape_cli.core.threads import awaited, hands, workers
from landscape_cli.pace import Pace


def saved(came, writing=0.0):
    """When what was written, of results that come at given seconds."""
    now, found = 0.0, []

    def results():
        nonlocal now
        for number, second in enumerate(came):
            now = max(now, second)
            yield number

    pace = Pace(5.0, lambda: now)
    for number in pace.through(results()):
        if pace.due():
            found.append((number, now))
            now += writing
    return found


def test_what_comes_quickly_is_written_every_few_seconds():
    assert saved(np.arange(0.0, 20.0)) == [(5, 5.0), (10, 10.0), (15, 15.0)]


def test_what_comes_slowly_is_written_at_once():
    """It used to be every second one: a killed run lost those between."""
    assert saved([8.0, 16.0, 24.0]) == [(0, 8.0), (1, 16.0), (2, 24.0)]


def test_writing_is_not_counted():
    assert saved([6.0, 103.0, 106.0, 108.0], writing=95.0) == [(0, 6.0), (2, 106.0)]


def test_what_has_come_is_written_while_the_next_is_awaited():
    going, seen = threading.Event(), []

    def results():
        yield "quick"
        assert going.wait(20)
        yield "slow"

    pace = Pace(0.05)
    for news in pace.through(results()):
        if pace.due():
            seen.append(news)
            going.set()
    assert seen[0] is None, "before the slow one came"


def test_a_source_is_worked_on_only_while_it_is_waited_for():
    asked = []
    source = awaited(map(asked.append, range(9)), 5.0)
    assert [next(source) for _ in range(3)] == [None] * 3  # what append returns
    assert asked == [0, 1, 2]


def test_it_is_said_again_and_again_that_nothing_has_come():
    going = threading.Event()
    source = awaited((going.wait(20) for _ in range(1)), 0.01)
    assert [next(source) for _ in range(3)] == [None] * 3
    going.set()
    assert [news for news in source if news is not None] == [True]


def test_a_source_in_a_thread_computes_as_its_caller_would():
    def one():
        yield jax.numpy.ones(1).dtype, hands()

    with jax.enable_x64(True):
        assert list(awaited(one(), 5.0)) == [(np.float64, workers())]
    with jax.enable_x64(False):
        assert list(awaited(one(), 5.0)) == [(np.float32, workers())]


def test_errors_of_a_source_come_out():
    def broken():
        yield 1
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        list(awaited(broken(), 0.1))
