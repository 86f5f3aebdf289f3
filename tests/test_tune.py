"""Engines that were timed are remembered and used; nothing else is led astray."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli import doctor, tune
from landscape_cli.core.engine import Engine, Plan
from landscape_cli.core.threads import processor
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.errors import UserError
from landscape_cli.estimate import engine_line
from landscape_cli.functional import Functional
from landscape_cli.gauges.none import NoGauge
from landscape_cli.methods.straight import Straight
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.mlp import MLP
from landscape_cli.models.ring import Ring
from landscape_cli.schema import fill
from landscape_cli.setup import Setup
from landscape_cli.trainers.adam import Adam
from landscape_cli.tune import Row, fastest, forget, remember, remembered

RULE = Plan("vmap", 128, None)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def setup():
    return Setup(
        model=MLP(widths=(3,)), data=Polynomial((0.0, 1.0), train=48), functional=Functional(),
        trainer=Adam(), method=Straight(), gauge=NoGauge(), levels=(0.1,), pairs=1, seed=0,
    )  # fmt: skip


def surface_of(setup, engine):
    return model_surface(setup.model, setup.dataset, setup.functional, engine=engine)


def test_the_fastest_is_remembered_and_used(setup):
    lines = tune.tune(setup, limit=60.0)
    assert lines[0].split() == ["engine", "ms", "a", "gradient", "ratio"]
    assert any("(by rule)" in line for line in lines)
    assert any(line.startswith("loop, ") for line in lines)
    assert lines[1].endswith(" 1.00"), "the fastest is the first"
    assert lines[-1].startswith("remembered for MLP on ")
    ((case, plan),) = remembered().items()
    engine = Engine().recalling(remembered())
    surface = surface_of(setup, engine)
    assert (surface.strategy, surface.chunk, surface.block) == (
        plan.strategy, plan.chunk, plan.block,
    )  # fmt: skip
    assert engine_line(surface, engine).startswith(f"tuned: {plan.strategy}, ")
    assert engine_line(surface, Engine()).startswith("by rule: ")
    assert engine_line(surface, Engine(block=7)).startswith("as set: ")
    assert engine.case(surface.energy, surface.data, surface.reference, surface.dtype) == case


def test_numbers_stay_the_same_to_rounding(setup):
    surface = surface_of(setup, Engine())
    case = Engine().case(surface.energy, surface.data, surface.reference, surface.dtype)
    engine = Engine().recalling({case: Plan("loop", 1, 16)})
    planned = surface_of(setup, engine)
    assert (planned.strategy, planned.block) == ("loop", 16)
    thetas = initial_thetas(setup.model, setup.dataset, setup.key("networks"), 3)
    np.testing.assert_allclose(planned.energies(thetas), surface.energies(thetas), rtol=1e-12)
    again = surface_of(setup, engine)
    np.testing.assert_array_equal(planned.energies(thetas), again.energies(thetas))


def test_only_what_is_left_open_is_decided(setup):
    surface = surface_of(setup, Engine())
    for engine in (Engine(strategy="vmap"), Engine(block=5), Engine(chunk=3)):
        case = engine.case(surface.energy, surface.data, surface.reference, surface.dtype)
        knowing = engine.recalling({case: Plan("loop", 1, 16)})
        assert knowing == engine
        assert surface_of(setup, knowing).strategy == "vmap"
        assert surface_of(setup, knowing).block == engine.block


def test_what_is_remembered_stays_with_the_engine_and_is_no_setting():
    engine = Engine().recalling({"a": RULE})
    assert replace(engine, memory=2.0).source("a") == "tuned"
    assert engine == Engine() and hash(engine) == hash(Engine()) and repr(engine) == repr(Engine())
    with pytest.raises(UserError, match=r"^engine\.remembered: no such setting of Engine"):
        fill(Engine, {"remembered": {"a": RULE}}, "engine")


def test_a_case_is_all_that_speed_depends_on():
    form, data = Ring(), (jnp.zeros((3, 2)),)
    case = Engine().case(form, data, (), np.float32)
    assert case == Engine().case(form, data, (), "float32")
    other = [
        Engine(memory=2.0).case(form, data, (), np.float32),
        Engine().case(form, (jnp.zeros((4, 2)),), (), np.float32),
        Engine().case(form, data, data, np.float32),
        Engine().case(form, data, (), np.float64),
        Engine().case(RULE, data, (), np.float32),
    ]
    assert len({case, *other}) == 6


def test_a_case_is_of_one_machine_and_one_version(monkeypatch):
    other = {
        "jax.__version__": "0",
        "jax.devices": lambda: [SimpleNamespace(device_kind="another")],
        "landscape_cli.core.engine.local_devices": lambda: [None] * 99,
        "landscape_cli.core.engine.workers": lambda: 99,
        "landscape_cli.core.engine.processor": lambda: "another CPU",
    }
    case = lambda: Engine().case(Ring(), (), (), np.float32)
    found = {case()}
    for name, value in other.items():
        with monkeypatch.context() as patch:
            patch.setattr(name, value)
            found.add(case())
    assert len(found) == 6


def test_a_processor_has_a_name():
    """In a home that machines share, a plan of one CPU was taken for another."""
    assert processor() == processor().strip() not in ("", "cpu")


def test_a_case_has_the_same_name_in_another_process(setup):
    surface = surface_of(setup, Engine())
    here = Engine().case(surface.energy, surface.data, surface.reference, surface.dtype)
    code = """
import jax; jax.config.update("jax_enable_x64", True)
from landscape_cli.core.engine import Engine
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.models.base import model_surface
from landscape_cli.models.mlp import MLP
data = Polynomial((0.0, 1.0), train=48).load(jax.random.key(0))
s = model_surface(MLP(widths=(3,)), data, Functional())
print(Engine().case(s.energy, s.data, s.reference, s.dtype))
"""
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert there.stdout.strip() == here, there.stderr


def test_the_rule_stays_where_nothing_is_faster():
    rows = [Row(RULE, 1.02), Row(Plan("loop", 1, 16), 1.0), Row(Plan("vmap", 1, 16), None, "slow")]
    timed = rows[:2]
    assert fastest(timed, RULE) is rows[0], "2 % are noise"
    assert fastest([Row(RULE, 1.1), rows[1]], RULE) is rows[1]
    table = tune.table(rows, RULE)
    assert table[1].endswith("1.00")
    assert table[2].startswith("vmap, all examples of 128 points (by rule)")
    assert table[3].endswith("left out: slow")


def test_what_is_left_out_says_why(setup):
    surface = surface_of(setup, Engine())
    each = 1 << 20
    row = tune._timed(surface, RULE, each, 16 * each, 60.0)
    assert row.note == "needs 6.0 GiB, engine.memory grants 16 MiB"
    row = tune._timed(surface, Plan("loop", 1, 16), each, 16 * each, 0.0)
    assert row.note.startswith("its first gradients took ")
    with pytest.raises(
        UserError, match=r"^no candidate is left: \d+ took longer than --limit 1e-09; "
    ):
        tune.tune(setup, limit=1e-9)
    assert remembered() == {}


def test_where_all_are_left_out_every_reason_is_counted(setup, monkeypatch):
    """It blamed --limit whatever the reason was."""
    timed = tune._timed

    def crowded(surface, plan, each, room, limit):
        return timed(surface, plan, each, 0 if plan.strategy == "vmap" else room, limit)

    monkeypatch.setattr(tune, "_timed", crowded)
    engine = Engine(memory=0.25)
    with pytest.raises(UserError) as caught:
        tune.tune(replace(setup, engine=engine), limit=1e-9)
    assert re.fullmatch(
        r"no candidate is left: \d+ would need more than 0 B \(engine\.memory\), "
        r"\d+ took longer than --limit 1e-09; nothing is remembered",
        str(caught.value),
    )
    assert remembered() == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": Ring()}, "model: Ring is a closed form; there is nothing to tune"),
        ({"engine": Engine(strategy="loop")}, "engine.strategy=loop: tune is to find it"),
        ({"engine": Engine(block=3)}, "engine.block=3: tune is to find it"),
        ({"engine": Engine(chunk=3)}, "engine.chunk=3: tune is to find it"),
        ({"engine": Engine(memory=1e-8)}, "engine.memory=1e-08: a program of one example"),
    ],
)
def test_refused(setup, changes, message):
    with pytest.raises(UserError, match=message):
        tune.tune(replace(setup, **changes), limit=1.0)


def test_plans_are_kept_side_by_side_and_forgotten():
    remember("a", Row(RULE, 0.1), "one")
    remember("b", Row(Plan("loop", 1, 16), 0.2), "two")
    assert remembered() == {"a": RULE, "b": Plan("loop", 1, 16)}
    assert any(line.startswith("tuned: 2 plans in ") for line in doctor.report())
    assert sorted(path.name for path in tune.store().iterdir()) == ["a.json", "b.json"]
    assert forget() == 2
    assert remembered() == {}
    assert forget() == 0


def test_plans_that_are_found_at_once_are_all_kept():
    cases = [f"case {number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda case: remember(case, Row(RULE, 0.1), "one"), cases))
    assert set(remembered()) == set(cases)


def test_a_damaged_file_is_as_good_as_none():
    remember("a", Row(RULE, 0.1), "one")
    wrong = '{"plan": {"strategy": "fast", "chunk": 1, "block": null}}'
    for name, text in {"b": "3", "c": "{}", "d": wrong, "e": "{", "f": "[]", "g": ""}.items():
        (tune.store() / f"{name}.json").write_text(text)
    assert list(remembered()) == ["a"]
    assert forget() == 1 and not list(tune.store().iterdir())
