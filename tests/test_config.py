"""YAML nodes to parts, without a process: what `build` and `Settings` accept and refuse."""

import copy
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from unittest import mock

import hydra
import jax
import jax.numpy as jnp
import pytest
from compositions import composed
from hydra import compose, initialize_config_dir, version
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from omegaconf import OmegaConf
from small import slow

from landscape_cli import config, listing
from landscape_cli.core.random import named_key
from landscape_cli.errors import UserError
from landscape_cli.manifest import flat
from landscape_cli.methods.straight import Straight
from landscape_cli.schema import fill

CONF = listing.conf_folder()


@dataclass(frozen=True)
class Sample:
    count: int = 1
    size: float = 1.0
    sizes: tuple[float, ...] = ()
    shape: tuple[int, int] = (1, 1)
    step: tuple[float, int] = (1.0, 1)
    limit: int | None = None
    bounds: tuple[float, int] | None = None
    kind: Literal["a", "b"] = "a"
    on: bool = False


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"size": 3}, Sample(size=3.0)),
        ({"sizes": [1, 2.5]}, Sample(sizes=(1.0, 2.5))),
        ({"shape": [2, 3]}, Sample(shape=(2, 3))),
        ({"step": [1, 2]}, Sample(step=(1.0, 2))),
        ({"bounds": [1, 2]}, Sample(bounds=(1.0, 2))),
        ({"limit": None}, Sample(limit=None)),
        ({"limit": 4, "kind": "b", "on": True}, Sample(limit=4, kind="b", on=True)),
    ],
)
def test_good_values(values, expected):
    made = fill(Sample, values, "part")
    assert made == expected
    assert hash(made) == hash(expected)
    assert repr(made) == repr(expected), "an integer where one is asked for, a float likewise"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": True}, "part.count=true: expected an integer"),
        ({"count": 1e3}, "part.count=1000.0: expected an integer"),
        ({"size": "big"}, "part.size=big: expected a number"),
        ({"size": None}, "part.size=null: expected a number"),
        ({"sizes": [1, "x"]}, "part.sizes=[1,x]: expected a list, each a number"),
        ({"shape": [1, 2, 3]}, "part.shape=[1,2,3]: expected a list"),
        ({"step": [1, 2.5]}, "part.step=[1,2.5]: expected a list of a number, an integer"),
        ({"limit": "x"}, "part.limit=x: expected an integer or null"),
        ({"kind": "c"}, "part.kind=c: expected one of a, b"),
        ({"on": 1}, "part.on=1: expected true or false"),
        ({"cuont": 1}, "part.cuont: no such setting of Sample"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(UserError) as caught:
        fill(Sample, values, "part")
    assert str(caught.value).startswith(message)


@pytest.fixture
def plugin(toy_folder, monkeypatch):
    """The toy package, importable for one test."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(toy_folder)])
    yield ["toy"]
    sys.modules.pop("toy", None)


def test_build_makes_hashable_parts(plugin):
    node = OmegaConf.create({"_target_": "toy.Net", "widths": [3, 3]})
    net = config.build(node, "model", plugins=plugin)
    assert net.widths == (3, 3)
    assert hash(net) == hash(config.build(node, "model", plugins=plugin))


def test_a_module_of_a_package_may_be_a_plugin(tmp_path, monkeypatch):
    (tmp_path / "mypkg").mkdir()
    for name in ("nets", "others"):
        text = "import flax.linen as nn\n\n\nclass Net(nn.Module):\n    pass\n"
        (tmp_path / "mypkg" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    net = config.build({"_target_": "mypkg.nets.Net"}, "model", plugins=["mypkg.nets"])
    assert type(net).__name__ == "Net"
    for target in ("mypkg.others.Net", "mypkg.nets"):
        with pytest.raises(UserError, match=r"only classes of landscape_cli, mypkg\.nets may"):
            config.build({"_target_": target}, "model", plugins=["mypkg.nets"])


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("os.system", "model", "refused; only classes of landscape_cli, toy may be named"),
        ("toy", "model", "refused"),
        ("toyX.Net", "model", "refused"),
        ("landscape_cliX.Net", "model", "refused"),
        ("toy.nn", "model", "a model must be a subclass of Module"),
        ("toy.Path", "model", "a model must be a subclass of Module"),
        ("toy.Absent", "model", "module toy has no class Absent"),
        ("toy.Net", "data", "a data must be a subclass of Data"),
        ("landscape_cli.contracts.Data", "data", "a data must be a subclass of Data"),
        ("landscape_cli.absent.Thing", "data", "cannot import landscape_cli.absent"),
    ],
)
def test_targets_that_are_refused(plugin, target, kind, message):
    with pytest.raises(UserError, match=message):
        config.build({"_target_": target}, kind, plugins=plugin)


def test_the_largest_seed_draws_and_no_larger_is_taken():
    names = {"levels": [0.1], "precision": "float32", "bn": "recompute", "figures": []}
    given = names | {"seed": 2**32 - 1, "pairs": 10**6, "plugins": []}
    jax.config.update("jax_enable_x64", False)
    keys = [named_key(seed, "data") for seed in (config.settings(given).seed, 0)]
    assert not jnp.array_equal(*map(jax.random.key_data, keys))
    for key, most in (("seed", 2**32 - 1), ("pairs", 10**6)):
        with pytest.raises(UserError, match=f"^{key}={most + 1}: must be at most {most}$"):
            config.settings(given | {key: most + 1})
    assert config.settings(given).bn_examples == 2048
    with pytest.raises(UserError, match=r"^bn_examples=0: must be at least 1$"):
        config.settings(given | {"bn_examples": 0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": [0.1, 0.0]}, "levels=[0.1,0.0]: every level must be a positive, finite"),
        ({"levels": [math.inf]}, "levels=[inf]: every level must be a positive, finite"),
        ({"levels": [0.1, 0.1]}, "levels=[0.1,0.1]: levels must be strictly decreasing"),
        ({"bn": "train"}, "bn=train: choose recompute, interpolate, coordinates"),
        ({"budget": {"pairs": 0}}, "budget.pairs=0: must be a positive whole number"),
        ({"budget": {"pairs": True}}, "budget.pairs=true: must be a positive whole number"),
    ],
)
def test_run_wide_settings_that_are_refused(changes, message):
    given = {"levels": [0.1], "precision": "float64", "bn": "recompute", "figures": []}
    with pytest.raises(UserError) as caught:
        config.settings(given | {"seed": 0, "pairs": 1, "plugins": []} | changes)
    assert str(caught.value).startswith(message)


def test_folders_of_plugins_come_last_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", before := [*sys.path])
    config.open_plugins([], [tmp_path])
    assert sys.path == before, "nobody asks for them"
    known = [*before]
    config.open_plugins(["json"], [tmp_path, tmp_path])
    assert sys.path == [*known, str(tmp_path)]


def test_a_plugin_behind_another_module_of_its_name_is_said_to_be(tmp_path, monkeypatch):
    """What is installed comes first on the path."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "json.py").write_text("class Net: ...\n")
    (tmp_path / "own_net.py").write_text("class Net: ...\n")
    (tmp_path / "elsewhere").mkdir()
    config.open_plugins(["json"], [tmp_path / "elsewhere"])  # there is none to be hidden
    (tmp_path / "elsewhere" / "own_net").mkdir()  # no package
    config.open_plugins(["own_net"], [tmp_path / "elsewhere", tmp_path])
    del sys.modules["own_net"]
    with pytest.raises(UserError, match=r"^plugins=\[json\]: is .*json.* and not the one in "):
        config.open_plugins(["json"], [tmp_path])


def test_only_what_lies_in_a_folder_is_a_plugin_of_it(tmp_path):
    (tmp_path / "one.py").touch()
    (tmp_path / "two").mkdir()
    names = ["one", "two.nets", "json", "one.a-b", "..", "", 3, None]
    assert config.plugins_in(tmp_path, names) == ["one", "two.nets"]


def test_a_bug_of_ours_is_not_the_users_mistake(monkeypatch):
    monkeypatch.setattr(
        config.importlib, "import_module", mock.Mock(side_effect=RuntimeError("a bug"))
    )
    with pytest.raises(RuntimeError):
        config.load_module("landscape_cli.models.mlp", "here")
    with pytest.raises(UserError, match=r"^here: cannot import theirs: a bug$"):
        config.load_module("theirs", "here")


def test_further_parts_are_built_and_named():
    words = ["experiment=geodesic", "method@warm_start=straight", "+method@methods.chord=straight"]
    cfg = composed(*words)
    config.settings(cfg)
    parts = config.build_all(cfg)
    assert parts["warm_start"] == parts["methods"]["chord"] == Straight()
    named = flat(parts)
    assert named["methods.chord"] == Straight() and "gauges" not in named
    cfg = OmegaConf.merge(cfg, {"methods": {"chord": {"dense": 0}}})
    with pytest.raises(UserError, match=r"^methods\.chord\.dense must be"):
        config.build_all(cfg)


@pytest.fixture
def a_program_of_its_own(tmp_path, monkeypatch):
    """Hydra in use, with a schema of the name of our configuration, and nothing composed yet."""
    config._composed.cache_clear()
    (tmp_path / "main.yaml").write_text("mine: 3\n")
    Plugins.instance()  # Hydra's own are stored for good
    store = ConfigStore.instance()
    monkeypatch.setattr(store, "repo", copy.deepcopy(store.repo))
    store.store("config", {"mine": 0})
    with initialize_config_dir(str(tmp_path), job_name="mine", version_base="1.2"):
        yield
        assert compose("main") == {"mine": 3}
        assert JobRuntime().get("name") == "mine" and version.getbase() == version._get_version(
            "1.2"
        )


def test_a_program_that_uses_hydra_may_name_parts(a_program_of_its_own):
    assert config.part_named("method", "straight") == Straight()
    with pytest.raises(hydra.errors.HydraException):
        config._composed("method", "absent")


def test_threads_may_name_parts_at_once(a_program_of_its_own):
    names = listing.options("gauge", [CONF])
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(lambda name: config.part_named("gauge", name), names))
    assert found == [config.part_named("gauge", name) for name in names]


def test_a_missing_value_is_named(plugin):
    with pytest.raises(UserError, match=r"trainer\.steps: Descent needs a value"):
        config.build({"_target_": "toy.Descent"}, "trainer", plugins=plugin)


def choices():
    """Every option of every group of parts."""
    return [
        (group, name)
        for group in ("budget", *config.KINDS)
        for name in listing.options(group, [CONF])
    ]


@pytest.mark.parametrize(("group", "name"), choices())
def test_every_yaml_composes_builds_and_says_what_it_is(group, name):
    words = [*([] if group == "experiment" else ["experiment=geodesic"]), f"{group}={name}"]
    cfg = composed(*words)
    config.settings(cfg)
    config.build_all(cfg)
    assert listing.first_comment(CONF / group / f"{name}.yaml")


@pytest.mark.parametrize(
    ("experiment", "parameters", "examples"),
    [
        ("draxler2018_resnet20", 272_474, 50_000),  # ResNet-20 with shortcut B: 0.27 M
        slow("garipov2018_resnet", 1_703_258, 50_000),  # ResNet-164, long to trace
        ("fb2016_cifar", 1_068_298, 50_000),
        ("fb2016_mnist", 3_274_634, 60_000),
    ],
)
def test_the_paper_budget_of_a_recipe_is_the_published_size(experiment, parameters, examples):
    recipe = f"experiment={experiment}"
    desk, paper = composed(recipe), composed(recipe, "budget=paper")
    mine = composed(recipe, "budget=paper", "data.train=77")
    assert paper.data.train == examples > desk.data.train
    assert mine.data.train == 77, "the command line has the last word"
    size = paper.data.size
    channels = 1 if experiment == "fb2016_mnist" else 3
    model = config.build(paper.model, "model").clone(outputs=10)
    images = jnp.zeros((1, size, size, channels), jnp.float32)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == parameters
