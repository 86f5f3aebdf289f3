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
READ = ("mnist", "digits", "cifar10")  # from files


def build(name):
    """The part a YAML stands for, at a small budget."""
    with initialize_config_dir(str(CONF.parent), version_base="1.3"):
        config = compose(
            overrides=[
                f"+data={name}",
                "+budget={examples: 100, test_examples: 40, image_size: 28, color_image_size: 32}",
            ]
        )
    settings = OmegaConf.to_container(config.data, resolve=True)
    module, _, cls = settings.pop("_target_").rpartition(".")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return getattr(importlib.import_module(module), cls)(**settings)


@pytest.mark.parametrize("name", NAMES)
def test_yaml_builds_a_part(name):
    assert isinstance(build(name), Data)
    first = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in READ])
def test_made_up_data_load(name):
    data = build(name).load(jax.random.key(0))
    assert data.name == name.removesuffix("_random")
    assert name == "none" or data.train.weights.sum() == pytest.approx(1, abs=1e-12)


def test_mnist_yaml_names_the_mirrors_of_the_class():
    mnist = build("mnist")
    assert mnist.mirrors == type(mnist).mirrors
