"""Every YAML of the group composes, names an existing class and fills it."""

import importlib
from pathlib import Path

import jax
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from landscape_cli.contracts import Data

CONF = Path(__file__).parents[2] / "conf" / "data"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
READ = ("cifar10", "cifar100", "fashion_mnist", "kmnist", "mnist")  # from files


def build(name, budget="smoke"):
    """The part a YAML stands for, at a small budget."""
    with initialize_config_dir(str(CONF.parent), version_base="1.3"):
        config = compose(overrides=[f"+data={name}", f"+budget={budget}"])
    settings = OmegaConf.to_container(config.data, resolve=True)
    module, _, cls = settings.pop("_target_").rpartition(".")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return getattr(importlib.import_module(module), cls)(**settings)


@pytest.mark.parametrize("name", NAMES)
def test_yaml_builds_a_part(name):
    assert isinstance(build(name), Data)
    first = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*READ, "digits")])
def test_made_up_data_load(name):
    data = build(name).load(jax.random.key(0))
    assert data.name == name.removesuffix("_random")
    assert name == "none" or data.train.weights.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", READ)
def test_yaml_names_the_mirrors_of_the_class(name):
    part = build(name)
    assert part.mirrors and part.mirrors == type(part).mirrors


@pytest.mark.parametrize("name", READ)
def test_the_largest_budget_asks_for_all_there_is_at_full_size(name):
    part = build(name, "paper")
    train, size = (50_000, 32) if name.startswith("cifar") else (60_000, 28)
    assert (part.train, part.test, part.size) == (train, 10_000, size)
