"""Lanes: what several threads do is what one does; ends, errors and depth included."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.core import lanes


def counted(first, count, told):
    """Numbers from `first` on; says so when it is closed."""
    try:
        yield from range(first, first + count)
    finally:
        told.append(first)


@pytest.mark.parametrize("sources", [0, 1, 2, 3])
def test_all_that_sources_yield_arrives(sources):
    told = []
    found = list(lanes.interleaved([counted(100 * i, 20, told) for i in range(sources)]))
    assert sorted(found) == [100 * i + j for i in range(sources) for j in range(20)]
    for i in range(sources):  # of one source in its order
        own = [number for number in found if number // 100 == i]
        assert own == sorted(own)
    assert sorted(told) == [100 * i for i in range(sources)]


def test_an_error_in_one_source_reaches_the_caller():
    def broken():
        yield 1
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        list(lanes.interleaved([broken(), iter(range(5))]))


def test_sources_stop_when_nobody_listens():
    told = []
    merged = lanes.interleaved([counted(0, 10**9, told), counted(-(10**9), 10**9, told)])
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

    merged = lanes.interleaved([slow(), slow()])
    assert next(merged) == 0
    merged.close()
    assert not done.is_set()
    go_on.set()


def test_side_by_side_inside_side_by_side_does_not_wait_for_itself():
    square = lambda i: int(jnp.asarray(i) ** 2)
    rows = lanes.side_by_side(lambda i: lanes.side_by_side(square, range(i)), range(6))
    assert rows == [[j * j for j in range(i)] for i in range(6)]
    assert lanes.hands() == lanes.workers(), "free again"


def test_who_listens_may_share_out_work_before_the_sources_end():
    answered = threading.Event()

    def waiting():
        yield None
        yield answered.wait(10)

    merged = lanes.interleaved([waiting() for _ in range(max(2, lanes.workers()))])
    assert next(merged) is None
    assert lanes.side_by_side(abs, [-1, -2, -3]) == [1, 2, 3]
    answered.set()
    assert all(found for found in merged if found is not None)
    assert lanes.hands() == lanes.workers()


def test_threads_compute_in_the_width_of_the_caller():
    def width(_):
        yield jnp.asarray(1.0).dtype

    with jax.enable_x64(True):
        assert set(lanes.interleaved([width(0), width(1)])) == {np.dtype("float64")}
    with jax.enable_x64(False):
        assert set(lanes.interleaved([width(0), width(1)])) == {np.dtype("float32")}


@pytest.mark.parametrize("count", [0, 1, 8, 9, 37, 40])
def test_pieces_without_a_real_lane_are_not_computed(count):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    square = jax.vmap(lambda row: (row @ row, 2 * row))
    for most in (8, 7):  # pieces of 8 and of 7, the last one padded
        look = jax.jit(lambda rows, real, most=most: lanes.in_pieces(square, rows, real, most))
        values, slopes = look(rows, count)
        done = min(-(-count // most) * most, 40)
        np.testing.assert_allclose(values[:done], (rows[:done] ** 2).sum(1), rtol=1e-12)
        np.testing.assert_allclose(slopes[:done], 2 * rows[:done], rtol=1e-12)
        assert not np.any(values[done:]) and not np.any(slopes[done:])
    (all_at_once,) = lanes.in_pieces(lambda some: (some[0] + 1,), (jnp.ones(32),), count)
    np.testing.assert_array_equal(all_at_once, 2.0)


def test_shares_are_put_together_in_order():
    rows = np.arange(300.0).reshape(100, 3)
    found = lanes.in_shares(lambda share: (share[0] + 1, share[1]), (rows, np.arange(100)), 8)
    np.testing.assert_array_equal(found[0], rows + 1)
    np.testing.assert_array_equal(found[1], np.arange(100))
