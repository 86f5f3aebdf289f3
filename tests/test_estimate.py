"""What a run may need: arithmetic against what is really spent, and what is refused."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import Normed, images, slow

from landscape_cli import measure, networks
from landscape_cli.contracts import Cost, Data, Dataset, PathMethod, Progress, Trainer
from landscape_cli.core import host_loop, training
from landscape_cli.core.batch import Pull
from landscape_cli.core.descent import adam
from landscape_cli.core.energy import context_of
from landscape_cli.core.engine import Engine
from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.string import reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.threads import workers
from landscape_cli.core.tighten import tighten
from landscape_cli.errors import UserError
from landscape_cli.estimate import (
    Estimate,
    Joining,
    Memory,
    Timing,
    activations,
    data_bytes,
    engine_line,
    repeated,
    statistics,
)
from landscape_cli.estimate_words import line, of_gradients, of_time, of_training, table
from landscape_cli.functional import Functional
from landscape_cli.gauges.none import NoGauge
from landscape_cli.methods.auto_neb import AutoNEB
from landscape_cli.methods.bezier import Bezier
from landscape_cli.methods.dynamic_string import DynamicString
from landscape_cli.methods.neb import NEB
from landscape_cli.methods.straight import Straight
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import model_surface
from landscape_cli.models.energies import MiniBatch
from landscape_cli.models.resnet import ResNet
from landscape_cli.models.ring import Ring
from landscape_cli.path_costs import bead_counts
from landscape_cli.quantities import in_bytes, in_seconds
from landscape_cli.setup import Setup
from landscape_cli.trainers.adam import Adam
from landscape_cli.trainers.sgd import Sgd

GIB = 1 << 30
RESNET110 = 1_730_714  # parameters
NOTHING = Memory(None, None), Timing(1.0, 1.0, 1.0)
COARSE = TautString(
    segments=4, max_beads=129, samples=2, bead_steps=400, depth=6, every_start=False
)


@dataclass(frozen=True)
class Made(Data):
    """A data set that is there already."""

    dataset: Dataset

    def load(self, key):
        return self.dataset


@dataclass(frozen=True)
class Unspoken(Trainer):
    """Says nothing of batches and of steps."""

    def descend(self, surface, thetas, levels, key, progress):
        raise NotImplementedError


def quadratic(theta, data):
    return (theta**2).sum()


def surface(dimension, data=(), **settings):
    return Surface(quadratic, data, dimension, dtype=np.float32, **settings)


def estimate(cost=None, **more):
    """Six strings, of networks that were there already."""
    parts = {
        "surface": surface(10), "activations": GIB // 4, "engine": "by rule: loop",
        "joinings": (Joining(6, cost),), "networks": 0, "levels": 3,
    }  # fmt: skip
    return Estimate(**(parts | more))


@pytest.mark.parametrize("samples", [1, 2])
def test_a_string_of_a_large_network_fits(samples):
    """Issue 3: 128 beads of 1.7 million parameters within 24 GiB."""
    cost = replace(COARSE, samples=samples).cost(surface(RESNET110, strategy="loop"), 1, 1)
    assert cost.bytes < 24 * GIB
    more = replace(COARSE, samples=samples).cost(surface(RESNET110, strategy="loop"), 2, 4)
    assert more.bytes < 1.3 * cost.bytes, "strings that do not fit come one after another"
    assert more.kept == 8 * cost.kept


@pytest.mark.parametrize(
    "method",
    [
        TautString(segments=4, max_beads=33, evaluations=60),
        DynamicString(bead_steps=200),
        Straight(dense=20),
    ],
)
def test_no_string_takes_more_than_is_said(method):
    ring = model_surface(Ring())
    angles = np.array([0.5, 2.0, 3.0])
    starts = np.tile([1.0, 0.0], (3, 1))
    ends = np.stack([np.cos(angles), np.sin(angles)], 1)
    strings = starts, ends, np.full(3, 0.1), np.arange(3)
    cost = method.cost(ring, 3, 1)
    found = [result for _, result in method.connect(ring, *strings, Progress())]
    assert max(result.gradient_evaluations for result in found) <= cost.most
    assert max(result.energy_evaluations for result in found) <= cost.most_energies
    assert cost.gradients <= cost.most
    assert sum(result.beads.nbytes for result in found) <= cost.kept


def test_beads_double_up_to_the_most():
    assert bead_counts(TautString(segments=16, max_beads=129).search) == [16, 32, 64, 128]
    assert bead_counts(TautString(segments=16, max_beads=128).search) == [16, 32, 64]
    assert bead_counts(TautString(segments=4, max_beads=9).search) == [4, 8]


SAMPLED = {"depth": 3, "points": 6, "bead_steps": 50, "dense": 10, "max_beads": 17}


def test_what_sampled_beads_take_by_hand():
    """At most 9 of the 17 beads in three rounds; on the usual way one bead a round."""
    cost = DynamicString(**SAMPLED).cost(surface(10), 2, 3)
    assert (cost.gradients, cost.most) == (3 * 50, 2 * 7 * 50), "every bead is kicked once"
    assert DynamicString(**SAMPLED, kick=False).cost(surface(10), 2, 3).most == 7 * 50
    checks = [11 * (segments - 1 + 3 * 6) + 18 for segments in (4, 9)]  # three chords long
    assert cost.energies == 3 * 2 * 6 + checks[0]
    assert cost.most_energies == (2 * 6 + 32) * 9 + 4 * checks[1]
    assert (cost.kept, cost.bytes) == (2 * 3 * 9 * 40, 2 * 3 * 9 * 40 * 9 / 2)
    apart = DynamicString(**SAMPLED).cost(surface(10, loss=Ring()), 2, 3)
    assert apart.energies == cost.energies + 3 * 50, "the energy does not come with the gradient"
    assert apart.most_energies == cost.most_energies + 2 * 7 * 50


@pytest.mark.parametrize(("all_starts", "starts", "rounds"), [(True, 3, 4), (False, 1, 1)])
def test_what_a_taut_string_takes_by_hand(all_starts, starts, rounds):
    """From the sample, the chord, the level above and the one below, or from the sample alone."""
    settings = {"segments": 4, "samples": 2, "evaluations": 100, **SAMPLED}
    method = TautString(**settings, every_start=all_starts, continuation=all_starts)
    cost, sampled = (m.cost(surface(10), 2, 3) for m in (method, DynamicString(**SAMPLED)))
    first, *doubled = 4 * 2 - 1, 8 * 2 - 1, 16 * 2 - 1  # points of a string
    assert cost.gradients == 100 * (starts * first + 2 * doubled[0])
    assert cost.most == rounds * 100 * (2 * first + 4 * sum(doubled)) + sampled.most
    assert cost.kept == 2 * 3 * 17 * 40
    assert cost.least == replace(method, max_beads=9).cost(surface(10), 2, 3).bytes < cost.bytes


def test_samples_of_many_levels_wait_together_where_every_start_is_tried():
    settings = {"segments": 4, **SAMPLED}
    crowd = DynamicString(**SAMPLED).cost(surface(10), 1, 1000)
    assert TautString(**settings).cost(surface(10), 1, 1000).bytes == crowd.bytes
    first = TautString(**settings, every_start=False).cost(surface(10), 1, 1000)
    assert first.bytes < crowd.bytes / 10, "of the highest level only"


def test_activations_are_those_of_one_program():
    data = (jnp.zeros((100, 2)), jnp.zeros(100), jnp.zeros(100))
    looped = replace(surface(3), data=data, strategy="loop", block=25, chunk=64, work=4000)
    assert activations(looped) == 1000
    assert activations(replace(looped, strategy="vmap")) == 64_000
    assert activations(replace(looped, block=None)) == 4000
    assert activations(replace(looped, block=1000)) == 4000, "there are no more"


NOISE = images(200)


@pytest.mark.parametrize(
    "network",
    [
        Normed(channels=(16, 32)),
        slow(ResNet(8, channels=4, norm="batch")),
        slow(ResNet(20, channels=4, norm="batch")),
    ],
)
def test_statistics_take_as_much_as_their_program(network):
    """They are of all examples at once, whatever `engine.block` and `engine.memory` say."""
    engine = Engine(strategy="loop", block=2, memory=0.001)
    of = model_surface(network, NOISE, Functional("cross_entropy"), "float32", engine=engine)
    theta, reference = jax.ShapeDtypeStruct((of.dimension,), np.float32), of.parts.reference
    context = jax.eval_shape(partial(context_of, of.energy), reference, theta)
    gradient = host_loop._add_through.lower(of.energy, theta, reference, context, theta)
    energy = host_loop._one_context.lower(of.energy, reference, theta)
    taken, least = (
        one.compile().memory_analysis().temp_size_in_bytes for one in (gradient, energy)
    )
    assert taken / 1.5 < statistics(of) < 1.5 * taken
    assert least < 1.5 * statistics(of, gradient=False)
    assert activations(of) < taken / 10, "of two examples"


def test_what_statistics_take_is_in_the_plan():
    make = lambda **how: model_surface(
        Normed(), NOISE, Functional("cross_entropy"), engine=Engine(**how)
    )
    of = make(strategy="vmap", block=8, chunk=4)
    assert statistics(of) == 4 * of.context, "of every point of a program"
    alone = replace(of, context=0)
    bare = model_surface(Normed(norm="layer"), NOISE, Functional("cross_entropy"))
    assert bare.context == statistics(bare) == 0
    need = lambda surface: Estimate(
        surface, activations(surface), "as set", (), 2, 1, statistics=statistics(surface)
    )
    more = need(of).need(Memory(None, None))[0] - need(alone).need(Memory(None, None))[0]
    assert more == workers() * statistics(of)
    assert any(row.startswith("batch norm ") for row in table(need(of), *NOTHING))
    assert not any(row.startswith("batch norm ") for row in table(need(alone), *NOTHING))
    with pytest.raises(UserError, match=r"; lower bn_examples, or choose model.norm=layer$"):
        need(of).check(Memory(None, 1000))


def test_stored_statistics_take_less_where_training_draws_mini_batches():
    """Their gradient is not taken; those of full batches are in training."""
    setup = Setup(
        model=Normed(), data=Made(NOISE), functional=Functional("cross_entropy"),
        trainer=Sgd(batch=8), method=Straight(), gauge=NoGauge(), levels=(1.0,), pairs=1, seed=0,
        engine=Engine(strategy="loop"),
    )  # fmt: skip
    full = replace(setup, trainer=Sgd(batch=None), made={})
    said = lambda setup, bn: networks.estimate(replace(setup, bn=bn, made={}), [], 2, 1).statistics
    whole = said(setup, "recompute")
    assert whole == said(full, "interpolate")
    assert said(setup, "interpolate") == whole // 3
    fewer = said(replace(setup, bn_examples=50), "recompute")
    assert fewer == pytest.approx(whole / 4, rel=0.2), "of 50 examples, not 200"


def test_what_does_not_fit_is_refused_in_one_line():
    cost = Cost(90 * GIB, 50 * GIB, GIB, 10, 20, 30, 40, "method.max_beads or pairs")
    much = estimate(cost)
    with pytest.raises(UserError) as refused:
        much.check(Memory(None, 20 * GIB))
    said = str(refused.value)
    assert "\n" not in said
    assert said.startswith("not enough memory: this run needs 5")
    assert "(strings 50 GiB" in said
    assert said.endswith("20 GiB are free; lower method.max_beads or pairs")
    much.check(Memory(None, 60 * GIB))  # though not if strings need all their beads
    timing = Timing(1.0, 0.1, 5.0)
    said = line(much, Memory(None, 60 * GIB), timing)
    assert "94 GiB needed at most, 60 GiB free" in said
    assert "; 6 strings, gradients 10 a string on its usual way, 20 at most; " in said
    none = estimate(replace(cost, gradients=0, most=0))
    assert "; 6 strings, gradients none; " in line(none, Memory(None, None), timing)
    much.check(Memory(None, None))  # nobody knows what is free


def test_what_takes_memory_and_where():
    cost = Cost(6 * GIB, 5 * GIB, 3 * GIB, 10, 20, 30, 40)
    here = replace(estimate(cost), surface=surface(10, data=(jnp.zeros(8, jnp.float32),)))
    needs = {need.name: need.bytes for need in here.needs()}
    point = 10 * 4
    assert needs == {
        "data": 2 * 8 * 4,
        "activations": workers() * GIB // 4,
        "end points": 2 * 4 * 3 * point,  # of four networks at three levels, twice
        "strings": 6 * GIB,
        "results": 9 * GIB,
    }
    there = lambda some: {need.name for need in some.needs() if need.on_device}
    assert there(here) == {"data", "activations", "strings"}
    waiting = replace(here, surface=surface(10, data=(np.zeros(8, np.float32),)))
    assert there(waiting) == {"activations", "strings"}
    few = {need.name: need.bytes for need in here.needs(least=True)}
    assert few["strings"] == 5 * GIB and "results" not in few
    brief = (Joining(6, replace(cost, bytes=99)),)
    short = {need.name for need in replace(here, joinings=brief, networks=4).needs()}
    assert short == {*needs, "training"} - {"strings"}, "they take turns"


def test_data_that_are_used_twice_count_once():
    shared, more = jnp.zeros(4, jnp.float32), jnp.zeros(2, jnp.float32)
    assert data_bytes(surface(3, (shared,), loss_data=(shared, more), reference=(shared,))) == 24


def test_the_engine_in_words():
    examples = jnp.zeros((9, 1)), jnp.zeros(9), jnp.zeros(9)
    said = lambda **how: engine_line(surface(3, **how), Engine())
    assert said() == "by rule: vmap, 256 points at a time"
    assert said(chunk=1) == said(strategy="loop").replace("loop", "vmap")
    assert said(strategy="loop") == "by rule: loop, 1 point at a time"
    assert said(data=examples, chunk=2).endswith("vmap, all examples of 2 points at a time")
    assert said(data=examples, block=3, chunk=1).endswith("3 examples of 1 point at a time")


def test_a_device_has_memory_of_its_own():
    cost = Cost(6 * GIB, 5 * GIB, 3 * GIB, 10, 20, 30, 40)
    both = estimate(cost)
    both.check(Memory(device=8 * GIB, host=7 * GIB))
    with pytest.raises(UserError, match=r"\(end points 960 B\) and 959 B are free"):
        both.check(Memory(device=8 * GIB, host=959))
    both.check(Memory(device=8 * GIB, host=960))
    there, *_ = both.need(Memory(device=0, host=None), least=True)
    both.check(Memory(device=there, host=None))  # all of it may be taken
    with pytest.raises(UserError, match=r"5\.0 GiB are free; lower pairs"):
        both.check(Memory(device=5 * GIB, host=100 * GIB))
    with pytest.raises(UserError, match=r"lower engine.memory, engine.block or engine.chunk"):
        estimate().check(Memory(None, 1000))


@pytest.mark.parametrize(("networks", "levels"), [(8, 8), (32, 8), (20, 1)])
def test_training_takes_as_much_as_its_program(networks, levels):
    """Crossings of full batches stay on the device, and XLA holds them twice."""
    bowl, optimizer = surface(10_000), adam(0.01)
    lanes = jax.eval_shape(
        lambda: training._lanes(optimizer, np.zeros((networks, 10_000), np.float32), levels)
    )
    program = training.Program(optimizer, quadratic, quadratic, None, True)
    data, bounds = ((), bowl.slope_parts), jnp.zeros(levels, np.float32)
    lowered = training._advance.lower(
        program, data, bounds, lanes, jax.random.key(0), 0, 5, 5, bowl.chunk
    )
    found = lowered.compile().memory_analysis()
    taken = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    asked = Estimate(bowl, 0, "by rule", (), networks, levels)
    (need,) = [need for need in asked.needs() if need.name == "training"]
    assert need.on_device and need.change == "pairs or levels"
    assert need.bytes == pytest.approx(taken, rel=0.02)


def test_the_host_keeps_crossings_of_mini_batches_and_of_loops():
    copies = lambda kind: Estimate(kind, 0, "by rule", (), 16, 8).copies
    data = jnp.zeros((9, 1)), jnp.zeros(9), jnp.zeros(9)
    drawn = lambda size: surface(3, data=data, batch=MiniBatch(size))
    assert copies(surface(3)) == copies(drawn(9)) == (7 + 2 * 8) * 16
    assert copies(drawn(4)) == copies(replace(drawn(9), strategy="loop")) == 7 * 16


def test_the_table_and_the_line():
    cost = Cost(5 * GIB, GIB, 3 * GIB, 1000, 20_000, 30, 40)
    memory, timing = Memory(None, 64 * GIB), Timing(gradient=0.01, energy=0.001, compiling=2.0)
    rows = table(estimate(cost), memory, timing)
    assert len(rows) == 9
    assert len({row.index(row[12:].lstrip()[0], 12) for row in rows}) == 1, "aligned"
    assert rows[0] == "parameters   10 (float32)"
    assert rows[4].startswith("strings      6, 5.0 GiB while they are moved, 3.0")
    assert rows[-2].endswith("gradient 10 ms, energy 1.0 ms; compiled in 2.0 s")
    assert rows[-1] == "time         strings 60 s, about 20 min at most; and compiling"
    trained = table(estimate(cost, networks=4, steps=500), memory, timing)
    assert trained[-1].startswith("time         training 20 s at most; strings 60 s, about ")
    assert trained[4] == "training     4 networks through 3 levels, 500 steps at most"
    assert "unknown" not in rows[5] and "may not fit" not in rows[5]
    assert "5.0 GiB free: it may not fit" in line(estimate(cost), Memory(None, 5 * GIB), timing)
    unknown = table(estimate(), memory, timing)
    assert len(unknown) == 7 and unknown[-1] == "time         no estimate of 6 strings"
    said = line(estimate(cost), memory, timing)
    assert said.endswith("; strings 60 s, about 20 min at most; and compiling")
    assert said.startswith("estimate: 10 parameters, 0 examples; engine by rule: loop; memory ")
    assert "needed at most, 64 GiB free; " in said
    assert "unknown free" in line(estimate(cost), Memory(None, None), timing)


def two_splits(test=640, train=64, **more):
    """Levels of one split, and descents on another, half as many times as there are examples."""
    split = lambda count: (jnp.zeros((count, 1)), jnp.zeros(count))
    return surface(10, data=split(test), loss=quadratic, loss_data=split(train), **more)


SPENT = Cost(GIB, GIB, GIB, 1000, 20_000, 0, 0)
SECOND = Timing(gradient=1.0, energy=1.0, compiling=0.0)


@pytest.mark.parametrize(
    ("drawn", "of", "seconds"),
    [
        (None, "loss", 1.0), (None, "energy", 0.1), (16, "loss", 0.25), (16, "batch", 1.0),
        (16, "energy", 1 / 40), (64, "energy", 0.1),
    ],
)  # fmt: skip
def test_a_step_of_training_is_as_long_as_its_examples_are_many(drawn, of, seconds):
    """It was taken for a gradient of the energy's own split, and a batch for a part of that."""
    batch = drawn and MiniBatch(drawn)
    asked = estimate(
        replace(SPENT, of=of), surface=two_splits(batch=batch), networks=4, trainings=3, steps=50
    )
    assert asked.of == of, "strings take most of the gradients, and theirs is timed"
    assert asked.training(SECOND) == pytest.approx(3 * 4 * 50 * seconds)
    assert asked.seconds(SECOND) == (6 * 1000, 6 * 20_000)


def test_training_is_timed_where_there_are_no_strings():
    """A gradient of the energy said nothing of it, and a 0-1 error has none."""
    for batch, of, seconds in ((None, "loss", 100), (MiniBatch(16), "batch", 100)):
        lines = estimate(surface=two_splits(batch=batch), joinings=(), networks=2, steps=50)
        assert lines.of == of and lines.training(SECOND) == seconds
    assert estimate().of == "energy", "nothing is descended"


def test_methods_keep_what_their_gradients_are_of():
    """Together they were said to follow the loss."""
    each = [Joining(6, replace(SPENT, of=of)) for of in ("energy", "loss", "batch")]
    asked = estimate(surface=two_splits(batch=MiniBatch(16)), joinings=tuple(each))
    assert asked.of == "energy", "640 examples each"
    assert asked.seconds(SECOND)[0] == pytest.approx(6 * 1000 * (1 + 64 / 640 + 16 / 640))
    few = replace(asked, joinings=(each[0]._replace(strings=1), *each[1:2] * 3))
    assert few.of == "loss"


def test_strings_of_several_methods_are_counted_apart():
    cheap, dear = replace(SPENT, gradients=10, most=40, bytes=2 * GIB, kept=1), SPENT
    asked = estimate(joinings=(Joining(30, cheap), Joining(10, dear), Joining(5, None)))
    assert asked.strings == 45 and asked.points == 60
    said = "258 a string on its usual way, 5,030 at most (mean of all methods)"
    assert of_gradients(asked) == said
    needs = {need.name: need.bytes for need in asked.needs()}
    assert needs["strings"] == 2 * GIB and needs["results"] == 3 * (GIB + 1)
    assert of_time(asked, SECOND)[-1] == "no estimate of 5 strings"
    twice = repeated(asked.joinings, 2)
    assert [joining.strings for joining in twice] == [30, 10, 5] * 2
    kept = [joining.cost and joining.cost.kept for joining in twice]
    assert kept == [1, GIB, None, 0, 0, None], "those of one time"


def test_a_warm_start_is_part_of_what_strings_take():
    first = replace(SPENT, gradients=10, most=30, bytes=2 * GIB, kept=GIB)
    asked = estimate(joinings=(Joining(6, SPENT, first),))
    assert asked.strings == 6
    assert of_gradients(asked) == "1,010 a string on its usual way, 20,030 at most"
    assert asked.seconds(SECOND)[0] == 6 * (1010 + first.energies + SPENT.energies)
    needs = {need.name: need.bytes for need in asked.needs()}
    assert needs["strings"] == 2 * GIB and needs["results"] == 3 * (GIB + SPENT.kept)
    assert of_time(asked, SECOND)[1:] == ["and compiling"], "all of them are known"


def test_a_trainer_that_does_not_say_how_long_it_trains():
    unknown = estimate(SPENT, networks=4)
    assert of_time(unknown, SECOND)[0] == "no estimate of training"
    assert of_training(unknown) == "4 networks through 3 levels"


@pytest.mark.parametrize(
    ("trainer", "steps"),
    [
        (Sgd(steps=200_000, epochs=1, batch=50), 4),
        (Sgd(steps=3, epochs=1, batch=50), 3),
        (Sgd(steps=200_000, epochs=2.5), 2),
        (Sgd(steps=70), 70),
        (Adam(steps=70, batch=50), 70),
        (Unspoken(), None),
    ],
)
def test_the_plan_has_the_steps_that_training_takes(trainer, steps):
    """`epochs` were not asked for."""
    setup = Setup(
        model=Normed(norm="layer"), data=Made(NOISE), functional=Functional("cross_entropy"),
        trainer=trainer, method=Straight(), gauge=NoGauge(), levels=(1.0,), pairs=1, seed=0,
    )  # fmt: skip
    assert networks.estimate(setup, [], 2, 1).steps == steps


def test_words_for_numbers():
    assert [in_bytes(n) for n in (0, 999, 1000, 1500, 10 << 10, 30 << 20, 3 << 40)] == [
        "0 B", "999 B", "1.0 KiB", "1.5 KiB", "10 KiB", "30 MiB", "3,072 GiB",
    ]  # fmt: skip
    assert [in_seconds(s) for s in (2e-6, 0.035, 1.5, 10, 60, 600, 6000, 9000, 1e5, 1e6)] == [
        "2.0 µs", "35 ms", "1.5 s", "10 s", "60 s", "10 min", "100 min", "2.5 h", "28 h",
        "12 days",
    ]  # fmt: skip


def test_what_is_free(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 9 kB\nMemAvailable:    1234 kB\n")
    assert measure._host_memory(file) == 1234 * 1024
    found = measure._host_memory(tmp_path / "absent")
    assert found is None or found > 1 << 20
    assert measure.free_memory().device is None, "a CPU has none of its own"


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_an_evaluation_is_timed(strategy):
    timing = measure.timed(surface(50, strategy=strategy, chunk=4))
    assert 0 < timing.energy < 1
    assert 0 < timing.gradient < 1
    assert measure.points_of(surface(5, chunk=4)).shape == (workers(), 4, 5)


def test_as_many_points_are_timed_as_keep_everybody_busy(monkeypatch):
    """Of a program no more than a thread is handed; of a loop a point a device at least."""
    monkeypatch.setattr(measure, "local_devices", lambda: 99 * [None])
    assert measure.points_of(surface(5, chunk=1 << 14)).shape == (workers(), 127, 5)
    assert measure.points_of(surface(5, strategy="loop")).shape == (99, 1, 5)


def test_a_timing_is_of_one_point_and_compiling_is_what_the_first_took_more(monkeypatch):
    taken = iter([(8.0, 6.0), (4.0, 3.0)])
    monkeypatch.setattr(measure, "seconds_of", lambda *_: next(taken))
    points = 4 * workers()
    assert measure.timed(surface(5, chunk=4)) == Timing(6.0 / points, 3.0 / points, 3.0)


def test_the_fastest_of_enough_calls_counts(monkeypatch):
    def seconds(durations, *settings):
        ticks = iter(np.repeat(np.cumsum([0.0, *durations]), 2)[1:])
        monkeypatch.setattr(measure.time, "perf_counter", lambda: next(ticks))
        return *measure.seconds_of(lambda: None, *settings), len(list(ticks)) // 2

    assert seconds([8.0, 3.0, 1.0, 2.0, 0.5], 3) == (8.0, 1.0, 1), "the first is apart, one left"
    assert seconds([8.0, 3.0, 1.0, 2.0, 0.5], 3, 4.0) == (8.0, 1.0, 2), "enough after two"
    assert seconds([8.0, 3.0, 1.0], 3, 0.0) == (8.0, 3.0, 1), "one at least"


def some(data, key):
    return jax.tree.map(lambda leaf: leaf[:2], data)


@pytest.mark.parametrize(("of", "examples"), [("energy", 9), ("loss", 5), ("batch", 2)])
def test_what_strings_follow_is_timed(of, examples, monkeypatch):
    """Levels are stated in one split, and gradients are of the other, or of a part of it."""
    seen = []
    count, rough, loss = (lambda theta, data: (theta @ theta) * len(data) for _ in range(3))
    two_splits = Surface(
        count, jnp.zeros(9), 3, rough=rough, loss=loss, loss_data=jnp.zeros(5), batch=some,
        dtype=np.float32,
    )  # fmt: skip
    gradients, followed = measure.gradients, rough if of == "energy" else loss

    def spy(surface, points):
        seen.append(len(surface.data))
        assert surface.steep is followed
        return gradients(surface, points)

    monkeypatch.setattr(measure, "gradients", spy)
    assert measure.timed(two_splits, of).gradient > 0
    assert set(seen) == {examples}


def test_a_case_is_timed_once_on_a_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path))
    seen = []

    def timed(surface, of):
        seen.append((surface.dimension, surface.strategy, of))
        return Timing(float(len(seen)), 1.0, 1.0)

    monkeypatch.setattr(measure, "timed", timed)
    known = lambda of, examples=3, **words: measure.known_timing(
        Surface(Ring(), jnp.zeros(examples), 3, dtype=np.float32, **words), of
    )
    assert known("energy") == known("energy") == Timing(1.0, 1.0, 1.0)
    assert known("loss").gradient == 2
    assert known("energy", strategy="loop").gradient == 3
    assert known("energy", 4).gradient == 4
    assert known("energy", rough=Ring(4)).gradient == 5
    assert known("energy", loss_data=jnp.zeros(4)).gradient == 6
    for file in tmp_path.glob("timing/*"):
        file.write_text("{")
    assert known("loss").gradient == 7, "what cannot be read is timed anew"
    (tmp_path / "timing").rename(tmp_path / "away")
    (tmp_path / "timing").touch()
    assert known("loss").gradient == 8, "and what cannot be kept"
    assert known("loss").gradient == 9


def test_what_has_no_name_is_timed_every_time(monkeypatch, tmp_path):
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path))
    monkeypatch.setattr(measure, "timed", lambda surface, of: Timing(1.0, 1.0, 1.0))
    assert measure.known_timing(surface(3)).gradient == 1
    assert not list(tmp_path.iterdir())


def test_costs_say_what_strings_follow():
    drawn = surface(3, batch=some)
    assert TautString().cost(drawn, 1, 1).of == "energy"
    assert NEB().cost(drawn, 1, 1).of == "loss"
    for method in (DynamicString(), Bezier(), AutoNEB()):
        assert method.cost(drawn, 1, 1).of == "loss"
        noisy = replace(method, batch=True)
        assert noisy.cost(drawn, 1, 1).of == "batch"
    looks = [DynamicString(batch=True, check=check).cost(drawn, 1, 1) for check in (10, 20)]
    assert looks[0].energies > looks[1].energies and looks[0].gradients == looks[1].gradients


def test_programs_are_forgotten_before_they_take_too_many_mappings(tmp_path, monkeypatch):
    traced = []

    @jax.jit
    def program(x):
        traced.append(x)
        return x + 1.0

    monkeypatch.setattr(jax, "clear_caches", program.clear_cache)  # those of other tests stay
    maps = tmp_path / "maps"
    maps.write_text("a mapping\n" * 5)
    for most, forgotten in ((5, False), (4, True)):
        program(1.0)
        assert measure.shed_programs(most, maps) == forgotten
    program(1.0)
    assert len(traced) == 2, "traced again after it was forgotten"
    assert not measure.shed_programs(0, tmp_path / "absent"), "not every system has the file"


def test_compiling_is_counted():
    before = measure.compile_seconds()
    jax.jit(lambda x: jnp.sin(x) * before)(1.0)
    assert measure.compile_seconds() > before


def test_nothing_but_compiling_is_counted_as_such():
    before = measure.compile_seconds()
    jax.monitoring.record_event_duration_secs("/jax/something/else", 1e6)
    assert measure.compile_seconds() < before + 1e6


def test_a_method_need_not_know():
    assert PathMethod.cost(Straight(), surface(3), 1, 1) is None


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_a_large_string_is_pulled(strategy):
    """17 beads of 1.7 million parameters; fewer pairs are remembered than were asked for."""
    size = 1_700_000
    bowl = surface(size, strategy=strategy)
    settings = Tightening(samples=1, check=10)
    assert settings.fitted(15 * size * 4).memory < settings.memory
    start, end = np.zeros((2, size), np.float32)
    start[:2], end[:2] = (1.0, 0.0), (-1.0, 0.0)
    bent = np.stack([start, (start + end) / 2, end])
    bent[1, 1] = 0.9
    pull = Pull(reparametrized(bent, 16).astype(np.float32), 1.1, 1e-3, evaluations=30)
    tighten(bowl, [pull], settings)
    assert pull.residual < 0.01
    assert pull.violation < 1e-3
    np.testing.assert_array_equal(pull.beads[[0, -1]], [start, end])
