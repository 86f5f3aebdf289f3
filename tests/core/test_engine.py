"""What an engine decides: by memory, by device, by what was asked for."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from landscape_cli.core.engine import Engine
from landscape_cli.errors import UserError

MIB, GIB = 1 << 20, 1 << 30


def on_gpus(monkeypatch, *stats):
    """As if there were GPUs that say this of their memory."""
    devices = [SimpleNamespace(memory_stats=lambda each=each: each) for each in stats]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: devices)


def test_everything_at_once_where_it_fits():
    plan = Engine().plan(size=MIB // 100, examples=100, convolves=False)
    assert (plan.strategy, plan.block) == ("vmap", None)
    assert plan.chunk == 64, "no more on a CPU"
    plan = Engine().plan(size=MIB, examples=100, convolves=False)
    assert (plan.chunk, plan.block) == (16, None), "of 1 MiB each, within the cache of 24"


def test_examples_are_cut_where_one_point_does_not_fit():
    for memory, block in ((0.5, 8), (2**-7, 3)):  # 24 MiB of the cache, 8 MiB of the memory
        plan = Engine(memory=memory).plan(size=2048 * MIB, examples=1000, convolves=False)
        assert (plan.block, plan.chunk) == (block, 1)


def test_a_host_loop_keeps_its_activations_in_the_cache():
    plan = Engine().plan(size=300 * MIB, examples=300, convolves=True)
    assert plan.strategy == "loop"
    assert plan.block == 16  # of 1 MiB each; 24 would leave 12 places in the last block, not 4


@pytest.mark.parametrize(("examples", "block"), [(128, 8), (96, 8), (10, 5), (9, None), (7, None)])
def test_blocks_of_a_cpu_are_whole_vectors(examples, block):
    """Nine would fit; two blocks of ten examples are halves all the same."""
    plan = Engine().plan(size=examples * 2.6 * MIB, examples=examples, convolves=True)
    assert plan.block == block
    assert Engine(block=9).plan(size=MIB, examples=96, convolves=True).block == 9, "as asked for"


def test_points_are_batched_until_a_gpu_is_full(monkeypatch):
    """A network on 512 examples: one point at a time, and 74 examples of it, with 0.5 GiB."""
    network = dict(size=3200 * MIB, examples=512, convolves=False)
    on_gpus(monkeypatch, {"bytes_limit": 78 * GIB, "bytes_in_use": GIB})
    plan = Engine().plan(**network)
    assert (plan.strategy, plan.block, plan.chunk) == ("vmap", None, 8)
    assert Engine().granted == 30.5 * GIB, "0.4 of 77 GiB, by half GiB"
    set_by_hand = Engine(memory=0.5).plan(**network)
    assert (set_by_hand.block, set_by_hand.chunk) == (74, 1), "seven blocks, of 81 at most"


@pytest.mark.parametrize(("examples", "chunk"), [(50_000, 1), (512, 1), (256, 2), (64, 8)])
def test_a_gpu_convolves_the_images_of_one_point_unless_they_are_few(monkeypatch, examples, chunk):
    on_gpus(monkeypatch, {"bytes_limit": 78 * GIB})
    plan = Engine().plan(size=examples * MIB // 100, examples=examples, convolves=True)
    assert (plan.strategy, plan.block, plan.chunk) == ("vmap", None, chunk)
    assert Engine(chunk=32).plan(MIB, examples, convolves=True).chunk == 32, "as asked for"
    assert Engine().plan(MIB, 0, convolves=True).chunk == 1, "nobody knows how many"


@pytest.mark.parametrize(
    ("stats", "gib"),
    [
        ([{"bytes_limit": 80 * GIB}, {"bytes_limit": 80 * GIB, "bytes_in_use": 70 * GIB}], 4),
        ([{"bytes_limit": GIB}], 0.5),
        ([None], 0.5),
        ([{"bytes_limit": 80 * GIB}, {}], 0.5),
    ],
)
def test_the_fullest_device_decides_what_is_granted(monkeypatch, stats, gib):
    on_gpus(monkeypatch, *stats)
    assert Engine().granted == gib * GIB
    assert Engine(memory=3).granted == 3 * GIB, "what is set is set"


def test_a_cpu_grants_as_much_as_ever(monkeypatch):
    said = [SimpleNamespace(memory_stats=lambda: {"bytes_limit": 80 * GIB})]
    monkeypatch.setattr(jax, "local_devices", lambda: said)
    assert Engine().granted == GIB / 2
    for size in (MIB // 100, MIB, 300 * MIB, 2048 * MIB):
        for convolves in (False, True):
            case = size, 300, convolves
            assert Engine().plan(*case) == Engine(memory=0.5).plan(*case)


def test_what_is_asked_for_is_done():
    engine = Engine(strategy="vmap", block=7, chunk=3)
    plan = engine.plan(size=MIB, examples=100, convolves=True)
    assert (plan.strategy, plan.block, plan.chunk) == ("vmap", 7, 3)
    assert Engine(block=100).plan(MIB, 100, convolves=False).block is None


def test_a_memory_for_less_than_one_example_is_refused():
    """It was overrun without a word; 100 examples of 1 MiB each."""
    job = dict(size=100 * MIB, examples=100, convolves=True)
    for strategy in ("vmap", "loop"):
        assert Engine(strategy, memory=1 / 1024).plan(**job).block == 1
        said = "engine.memory=0.0009: a program of one example and one point takes 0.000986 GiB"
        with pytest.raises(UserError, match=f"^{said} of activations; allow as much$"):
            Engine(strategy, memory=0.0009).plan(**job)
    assert Engine(memory=0.000986).plan(**job).block == 1, "as much as was said"


@pytest.mark.parametrize(
    ("settings", "least", "words"),
    [
        ({"strategy": "loop", "block": 8}, 8, "engine.block=8 and one point"),
        ({"strategy": "loop", "block": 8, "chunk": 4}, 8, "engine.block=8 and one point"),
        ({"strategy": "vmap", "block": 8, "chunk": 4}, 32, "engine.block=8 and engine.chunk=4"),
        ({"strategy": "vmap", "chunk": 4}, 4, "one example and engine.chunk=4"),
    ],
)
def test_what_is_asked_for_has_to_fit_a_memory_that_was_set(settings, least, words):
    job = dict(size=100 * MIB, examples=100, convolves=True)
    plan = Engine(memory=least / 1024, **settings).plan(**job)
    points = 1 if plan.strategy == "loop" else plan.chunk
    assert plan.block * points == least
    with pytest.raises(UserError, match=f"a program of {words} takes"):
        Engine(memory=0.99 * least / 1024, **settings).plan(**job)
    assert Engine(**settings).plan(**job), "nothing was promised"


def test_a_context_leaves_less_for_examples_and_points(monkeypatch):
    """Half of the memory at least: no fewer examples would make a context smaller."""
    crowded = Engine("vmap", memory=1 / 16).plan(960 * MIB, 960, False, context=60 * MIB)
    assert crowded.block == 24, "the cache of a CPU is less than half of 64 MiB"
    on_gpus(monkeypatch, {"bytes_limit": 80 * GIB})
    case = dict(size=1000 * MIB, examples=1000, convolves=True)
    plan = lambda **how: Engine(memory=0.5).plan(**case, **how)
    assert (plan().block, plan(context=100 * MIB).block) == (500, 334)
    assert plan(context=8 * GIB).block == 250
    points = lambda context: Engine().plan(MIB, 10, False, context=context).chunk
    assert points(0) == 2**14 and points(63 * MIB) == 512, "of 32 GiB"
    looped = Engine(strategy="loop", memory=0.5).plan(**case, context=100 * MIB)
    assert looped.block == 500, "a program of its own"


def test_examples_do_not_wait_for_one_program(monkeypatch):
    """With strategy=vmap all of them would be sent for every program."""
    on_gpus(monkeypatch, {"bytes_limit": 8 * GIB})
    assert Engine().waits(5 * GIB) and Engine(strategy="loop").waits(5 * GIB)
    assert not Engine().waits(3 * GIB)
    assert not Engine(strategy="vmap").waits(5 * GIB)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "map"}, "strategy must be one of auto, vmap, loop, got 'map'.*vmap"),
        ({"gradients": "float16"}, "gradients must be one of full, tensorfloat32, bfloat16"),
        ({"block": 0}, "block must be at least 1, got 0"),
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"memory": 0.0}, "memory must be positive"),
        ({"memory": np.inf}, "memory must be positive"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Engine(**settings)


@pytest.mark.parametrize("there", [1, 4, 6])
def test_a_mesh_takes_a_divisor_of_the_devices(monkeypatch, there):
    on_gpus(monkeypatch, *[None] * there)
    monkeypatch.setattr(jax, "local_device_count", lambda: there)
    Engine().check()
    fit = [n for n in range(1, 13) if there % n == 0]
    said = ", ".join(map(str, fit))
    for count in range(1, 13):
        if count in fit:
            Engine(devices=count).check()
            continue
        with pytest.raises(UserError) as error:
            Engine(devices=count).check()
        assert str(error.value) == (
            f"engine.devices={count}: does not divide the {there} gpu device{'s' * (there > 1)} "
            f"of this process; choose {said}"
        )
    with pytest.raises(ValueError, match=r"^devices must be at least 1, got 0$"):
        Engine(devices=0)
