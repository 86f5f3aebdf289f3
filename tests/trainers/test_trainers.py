"""Adam and Sgd: settings refused or passed on; real networks brought below real levels."""

import jax
import numpy as np
import pytest
from compositions import composed
from hydra import compose, initialize_config_module

from landscape_cli.config import build
from landscape_cli.contracts import Progress
from landscape_cli.core import training
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.mlp import MLP
from landscape_cli.models.ring import Ring
from landscape_cli.trainers.adam import Adam
from landscape_cli.trainers.sgd import Sgd

KEY = jax.random.key(0)
LEVELS = (0.05, 0.02, 0.005)


@pytest.fixture(scope="module")
def cubic():
    coefficients = (0.0, 3.0, -10.0, 8.0)
    data = Polynomial(coefficients=coefficients, low=0.0, high=1.0, rule="gauss", train=32, test=8)
    return data.load(KEY)


def descend(trainer, dataset, count=8, levels=LEVELS):
    network = MLP(widths=(4, 4))
    surface = model_surface(network, dataset, Functional("mse"), batch=trainer.batch)
    thetas = initial_thetas(network, dataset, KEY, count)
    return surface, trainer.descend(surface, thetas, levels, KEY, Progress())


@pytest.mark.parametrize(
    "trainer",
    [
        Adam(),
        Adam(batch=8),
        Sgd(learning_rate=0.1, steps=40000),
        Sgd(learning_rate=0.1, nesterov=True, steps=9000),
        pytest.param(Sgd(learning_rate=0.05, batch=16, steps=40000), marks=pytest.mark.slow),
    ],
)
def test_tanh_networks_reach_the_levels_of_the_cubic(cubic, trainer):
    surface, found = descend(trainer, cubic)
    # A cubic needs more than luck: most networks arrive, stuck ones are reported as such.
    assert found.reached[:, -1].mean() >= 0.75 and not found.diverged.any()
    reached = found.reached
    energies = surface.energies(found.thetas[reached])
    np.testing.assert_allclose(energies, found.energies[reached], rtol=1e-10)
    assert (energies <= np.broadcast_to(LEVELS, reached.shape)[reached]).all()
    steps = np.where(reached, found.steps, trainer.steps)
    assert (np.diff(steps, axis=1) >= 0).all()


def test_sgd_without_momentum_is_plain_gradient_descent():
    form = Ring(dimension=2)
    surface = model_surface(form)
    trainer = Sgd(learning_rate=0.01, momentum=0.0, steps=5)
    theta = np.array([1.5, 0.0])
    energies = []
    for _ in range(5):
        energies.append((theta @ theta - 1) ** 2)
        theta = theta - 0.01 * 4 * (theta @ theta - 1) * theta
    found = trainer.descend(surface, np.array([[1.5, 0.0]]), (1e-9,), KEY, Progress())
    np.testing.assert_allclose(found.curve[0], [*energies, (theta @ theta - 1) ** 2], rtol=1e-12)


def test_equal_trainers_share_their_compiled_program(cubic):
    descend(Adam(learning_rate=0.02, steps=300), cubic)
    compiled = training._advance._cache_size()
    descend(Adam(learning_rate=0.02, steps=200), cubic)
    assert training._advance._cache_size() == compiled


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        (Adam, {"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        (Adam, {"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
        (Adam, {"b1": 1.0}, r"b1 must be in \[0, 1\), got 1.0"),
        (Adam, {"b2": -0.1}, r"b2 must be in \[0, 1\), got -0.1"),
        (Adam, {"eps": 0.0}, "eps must be positive, got 0.0"),
        (Adam, {"steps": 0}, "steps must be at least 1, got 0"),
        (Adam, {"check": 0}, "check must be at least 1, got 0"),
        (Adam, {"batch": 0}, "batch must be at least 1, got 0"),
        (Sgd, {"learning_rate": -1.0}, "learning_rate must be positive, got -1.0"),
        (Sgd, {"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        (Sgd, {"steps": -5}, "steps must be at least 1, got -5"),
        (Sgd, {"batch": -1}, "batch must be at least 1, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(part, values, message):
    with pytest.raises(ValueError, match=message):
        part(**values)


def test_a_batch_larger_than_the_data_is_refused(cubic):
    with pytest.raises(UserError, match=r"trainer\.batch=33: the data has 32 examples"):
        descend(Adam(batch=33), cubic)


@pytest.mark.parametrize(("option", "part"), [("adam", Adam), ("sgd", Sgd)])
def test_yaml_composes_and_builds(option, part):
    with initialize_config_module("landscape_cli.conf", version_base="1.3"):
        config = compose(overrides=["+budget=smoke", f"+trainer={option}"])
    trainer = build(config.trainer, "trainer")
    assert trainer == part(steps=config.budget.train_steps)


@pytest.mark.parametrize(
    "name", ["fb2016_cubic", "fb2016_quadratic", "fb2016_mnist", "plateau_shift"]
)
def test_another_trainer_brings_its_own_settings_into_a_published_recipe(name):
    """A recipe that set `trainer.learning_rate` itself would leave it behind, even here."""
    published = composed(f"experiment={name}").trainer
    other = composed(f"experiment={name}", "trainer=sgd").trainer
    plain = composed("experiment=geodesic", "trainer=sgd").trainer
    assert other == plain
    wanted = (1e-4, 100, 10) if name == "fb2016_mnist" else (1e-3, None, 100)
    assert (published.learning_rate, published.batch, published.check) == wanted
