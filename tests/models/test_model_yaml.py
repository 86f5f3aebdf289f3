"""Model YAMLs: they build, and a model's data, functional and levels give way to the command."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from compositions import composed
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from small import slow

from landscape_cli import config, listing

CONF = Path(__file__).parents[2] / "conf"
MODELS = list(listing.options("model", [CONF]))
FUNCTIONALS = list(listing.options("functional", [CONF]))


@pytest.fixture
def probed(tmp_path):
    """Compose as the command does, with an experiment that chooses nothing unless told to."""
    (tmp_path / "experiment").mkdir()

    def compose_words(*words, experiment=""):
        text = f"# @package _global_\n{experiment}\nexperiment: {{}}\n"
        (tmp_path / "experiment" / "probe.yaml").write_text(text)
        for group, name in (("trainer", "adam"), ("method", "geodesic")):
            (tmp_path / group).mkdir(exist_ok=True)
            (tmp_path / group / f"{name}.yaml").write_text("{}\n")
        path = f"hydra.searchpath=[file://{tmp_path}]"
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=["experiment=probe", path, *words])

    return compose_words


@pytest.mark.parametrize("name", MODELS)
def test_model_yaml_builds_with_its_data_and_levels(name):
    cfg = composed("experiment=geodesic", f"model={name}")  # which chooses nothing itself
    model = config.build(cfg.model, "model")
    assert hash(model) == hash(config.build(cfg.model, "model"))
    config.build(cfg.data, "data")
    config.check_levels(tuple(cfg.levels))
    functional = config.build(cfg.functional, "functional")
    assert (functional.metric == "energy") == cfg.data._target_.endswith("NoData")
    lines = (CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_" and lines[1].startswith("# ")


@pytest.mark.parametrize(
    "name",
    [  # deep ones are as many blocks of those that are not
        slow(name) if re.search(r"\d\d\d|56|40", name) else name
        for name in MODELS
        if re.match("cifar|resnet|vgg|dense|alex", name)
    ],
)
def test_networks_for_cifar_have_as_many_parameters_as_their_yaml_says(name):
    cfg = composed("experiment=geodesic", f"model={name}")
    network = config.build(cfg.model, "model").clone(outputs=10)
    images = jnp.zeros((1, cfg.data.size, cfg.data.size, 3), jnp.float32)
    params = jax.eval_shape(lambda: network.init(jax.random.key(0), images))["params"]
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    comment = listing.first_comment(CONF / "model" / f"{name}.yaml")
    assert re.search(r"([\d,]+) parameters", comment)[1] == f"{count:,}"


@pytest.mark.parametrize("norm", ["none", "layer", "group", "batch"])
@pytest.mark.parametrize("name", ["alexnet", "cifar_cnn_fb2016", "mnist_cnn", "mnist_cnn_fb2016"])
def test_plain_convolutions_take_any_norm(name, norm):
    """As all other networks for images do."""
    cfg = OmegaConf.create(
        OmegaConf.to_container(composed("experiment=geodesic", f"model={name}").model)
    )
    assert cfg.norm == "none", "by itself"
    cfg.norm = norm
    network = config.build(cfg, "model")
    images = jnp.zeros((1, 16, 16, 1), jnp.float32)
    arrays = jax.eval_shape(lambda: network.init(jax.random.key(0), images))
    assert ("norm_0" in arrays["params"]) == (norm != "none")
    assert ("batch_stats" in arrays) == (norm == "batch")


@pytest.mark.parametrize("name", FUNCTIONALS)
def test_functional_yaml_builds(name):
    cfg = composed("experiment=geodesic", f"functional={name}")
    config.build(cfg.functional, "functional")


def test_the_command_line_has_the_last_word(probed):
    cfg = probed("model=mnist_cnn", "data=digits", "levels=[0.3]", "precision=float64")
    assert cfg.data._target_.endswith("Digits")
    assert (cfg.levels, cfg.precision) == ([0.3], "float64")
    assert cfg.functional.metric == "cross_entropy"
    assert probed("functional=mae").functional.metric == "mae"  # the default model says mse


def test_experiment_over_model_over_default(probed):
    defaults = "defaults: [override /model: quintic_tanh, override /functional: mae, _self_]"
    chosen = f"{defaults}\nlevels: [0.5]"
    cfg = probed(experiment=chosen)
    assert len(cfg.data.coefficients) == 6
    assert (cfg.functional.metric, cfg.levels, cfg.model.widths) == ("mae", [0.5], [8, 8])
    cfg = probed("model=cubic_tanh", "data=quadratic", experiment=chosen)
    assert len(cfg.data.coefficients) == 3
    assert (cfg.functional.metric, cfg.model.widths) == ("mae", [4, 4])
