"""Threads: what several threads do is what one does; ends, errors and depth included."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.core import threads


def counted(first, count, told):
    """Numbers from `first` on; says so when it is closed."""
    try:
        yield from range(first, first + count)
    finally:
        told.append(first)


@pytest.mark.parametrize("sources", [0, 1, 2, 3])
def test_all_that_sources_yield_arrives(sources):
    told = []
    found = list(threads.interleaved([counted(100 * i, 20, told) for i in range(sources)]))
    assert sorted(found) == [100 * i + j for i in range(sources) for j in range(20)]
    for i in range(sources):  # of one source in its order
        own = [number for number in found if number // 100 == i]
        assert own == sorted(own)
    assert sorted(told) == [100 * i for i in range(sources)]


def test_every_source_has_a_thread_of_its_own_and_a_single_one_the_callers():
    together = threading.Barrier(4, timeout=30)

    def meeting():
        yield together.wait()

    assert sorted(threads.interleaved([meeting() for _ in range(4)])) == [0, 1, 2, 3]
    where = (threading.current_thread() for _ in range(1))
    assert list(threads.interleaved([where])) == [threading.current_thread()]


def test_an_error_in_one_source_reaches_the_caller():
    def broken():
        yield 1
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        list(threads.interleaved([broken(), iter(range(5))]))


def test_sources_stop_when_nobody_listens():
    told = []
    merged = threads.interleaved([counted(0, 10**9, told), counted(-(10**9), 10**9, told)])
    assert next(merged) in (0, -(10**9))
    merged.close()  # returns, although there were two billion numbers to come
    for thread in threading.enumerate():
        if thread.name.startswith("landscape-source"):
            thread.join(30)
            assert not thread.is_alive()


def test_who_ends_early_does_not_wait_for_a_source_that_is_at_work():
    go_on, done = threading.Event(), threading.Event()

    def slow():
        yield 0
        go_on.wait(10)
        done.set()

    merged = threads.interleaved([slow(), slow()])
    assert next(merged) == 0
    merged.close()
    assert not done.is_set()
    go_on.set()


def test_as_many_compute_at_a_time_as_there_are_cores():
    count = threads.workers()
    together = threading.Barrier(count, timeout=30)
    found = threads.side_by_side(lambda _: together.wait(), range(count))
    assert sorted(found) == list(range(count))


def test_who_has_worked_is_at_home_again():
    with threads.at_work(True, jax.devices()[0]):
        assert not threads.at_home() and threads.device_here() == jax.devices()[0]
    assert threads.at_home() and threads.device_here() is None


def test_side_by_side_inside_side_by_side_does_not_wait_for_itself():
    square = lambda i: int(jnp.asarray(i) ** 2)
    rows = threads.side_by_side(lambda i: threads.side_by_side(square, range(i)), range(6))
    assert rows == [[j * j for j in range(i)] for i in range(6)]
    assert threads.hands() == threads.workers(), "free again"


def test_who_listens_may_share_out_work_before_the_sources_end():
    answered = threading.Event()

    def waiting():
        yield None
        yield answered.wait(10)

    merged = threads.interleaved([waiting() for _ in range(max(2, threads.workers()))])
    assert next(merged) is None
    assert threads.side_by_side(abs, [-1, -2, -3]) == [1, 2, 3]
    answered.set()
    assert all(found for found in merged if found is not None)
    assert threads.hands() == threads.workers()


def test_threads_compute_in_the_width_of_the_caller():
    def width(_):
        yield jnp.asarray(1.0).dtype

    with jax.enable_x64(True):
        assert set(threads.interleaved([width(0), width(1)])) == {np.dtype("float64")}
    with jax.enable_x64(False):
        assert set(threads.interleaved([width(0), width(1)])) == {np.dtype("float32")}
        found = threads.side_by_side(lambda _: jnp.asarray(1.0).dtype, range(2))
        assert set(found) == {np.dtype("float32")}


def test_shares_are_put_together_in_order():
    rows = np.arange(300.0).reshape(100, 3)
    found = threads.in_shares(lambda share: (share[0] + 1, share[1]), (rows, np.arange(100)), 8)
    np.testing.assert_array_equal(found[0], rows + 1)
    np.testing.assert_array_equal(found[1], np.arange(100))


@pytest.mark.parametrize(
    ("lanes", "sizes"), [(40, [10, 10, 10, 10]), (23, [11, 12]), (16, [8, 8]), (15, [15])]
)
def test_shares_are_equal_and_none_is_too_small(monkeypatch, lanes, sizes):
    monkeypatch.setattr(threads, "hands", lambda: 4)
    seen = []
    threads.in_shares(lambda share: seen.append(len(share)) or share, np.zeros(lanes), 8)
    assert sorted(seen) == sizes


@pytest.mark.parametrize(
    ("name", "value"), [("local_devices", lambda: [None] * 4), ("default_backend", lambda: "gpu")]
)
def test_only_a_single_cpu_device_is_computed_on_side_by_side(monkeypatch, name, value):
    assert threads.one_cpu.__wrapped__()
    monkeypatch.setattr(jax, name, value)
    monkeypatch.setattr(threads, "one_cpu", threads.one_cpu.__wrapped__)
    assert not threads.one_cpu() and threads.workers.__wrapped__() == 1
