"""What an engine decides: by memory, by device, by what was asked for."""

import numpy as np
import pytest

from landscape_cli.core.engine import Engine

MIB = 1 << 20


def test_everything_at_once_where_it_fits():
    plan = Engine().plan(size=MIB // 100, examples=100, convolves=False)
    assert (plan.strategy, plan.block) == ("vmap", None)
    assert plan.chunk == 64, "no more on a CPU"
    plan = Engine().plan(size=MIB, examples=100, convolves=False)
    assert (plan.chunk, plan.block) == (16, None), "of 1 MiB each, within the cache of 24"


def test_examples_are_cut_where_one_point_does_not_fit():
    for memory, block in ((0.5, 11), (2**-7, 3)):  # 24 MiB of the cache, 8 MiB of the memory
        plan = Engine(memory=memory).plan(size=2048 * MIB, examples=1000, convolves=False)
        assert (plan.block, plan.chunk) == (block, 1)


def test_a_host_loop_keeps_its_activations_in_the_cache():
    plan = Engine().plan(size=300 * MIB, examples=300, convolves=True)
    assert plan.strategy == "loop"
    assert plan.block == 24  # of 1 MiB each


def test_what_is_asked_for_is_done():
    engine = Engine(strategy="vmap", block=7, chunk=3)
    plan = engine.plan(size=MIB, examples=100, convolves=True)
    assert (plan.strategy, plan.block, plan.chunk) == ("vmap", 7, 3)
    assert Engine(block=100).plan(MIB, 100, convolves=False).block is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "map"}, "strategy must be auto, vmap, loop, got 'map'"),
        ({"gradients": "float16"}, "gradients must be one of full, tensorfloat32, bfloat16"),
        ({"block": 0}, "block must be at least 1, got 0"),
        ({"memory": 0.0}, "memory must be positive"),
        ({"memory": np.inf}, "memory must be positive"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Engine(**settings)
