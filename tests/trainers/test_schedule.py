"""Learning rates along a run, by hand; weight decay on a bowl, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hydra import compose, initialize_config_module

from landscape_cli.config import build
from landscape_cli.contracts import Progress
from landscape_cli.core.surface import Surface
from landscape_cli.models.base import model_surface
from landscape_cli.models.quadratic_bowl import QuadraticBowl
from landscape_cli.trainers.schedule import schedule
from landscape_cli.trainers.sgd import Sgd

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("kind", "milestones", "decay", "expected"),
    [
        ("constant", (), 0.1, {0: 0.1, 99: 0.1, 500: 0.1}),
        ("steps", (0.5, 0.75), 0.1, {0: 0.1, 49: 0.1, 50: 0.01, 74: 0.01, 75: 0.001, 500: 0.001}),
        ("steps", (0.501, 0.502), 0.1, {49: 0.1, 50: 0.001}),  # both round to step 50
        # 0.1 (1 - 0.99 (step - 50) / 40) between 50 and 90
        ("linear", (0.5, 0.9), 0.01, {0: 0.1, 50: 0.1, 60: 0.07525, 70: 0.0505, 90: 0.001}),
        ("linear", (0.0, 1.0), 0.0, {0: 0.1, 25: 0.075, 50: 0.05, 100: 0.0, 500: 0.0}),
        ("cosine", (), 0.0, {0: 0.1, 25: 0.0853553391, 50: 0.05, 100: 0.0, 500: 0.0}),
        ("cosine", (), 0.1, {0: 0.1, 50: 0.055, 100: 0.01}),
    ],
)
def test_rates_are_those_computed_by_hand(kind, milestones, decay, expected):
    rate = schedule(kind, 0.1, 100, milestones, decay)
    found = {step: float(rate(step)) if callable(rate) else rate for step in expected}
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


def bowl_run(steps, **settings):
    """(step, param) gradient descent on ½ Σ cᵢ θᵢ² from (1, 1), the end included."""
    form = QuadraticBowl(dimension=2, condition=10.0)
    curvature = np.asarray(jax.hessian(form.energy)(jnp.zeros(2))).diagonal()
    surface, start = model_surface(form), np.array([[1.0, 1.0]])
    ends = []
    for count in range(1, steps + 1):
        # An impossible level: nothing ends early, and the last step is where `lowest` was seen.
        trainer = Sgd(steps=count, **settings)
        found = trainer.descend(surface, start, (1e-300,), KEY, Progress())
        ends.append(found.curve[0][-1])
    return curvature, np.array(ends)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_joins_the_gradient_before_the_momentum(momentum, nesterov):
    settings = {"learning_rate": 0.02, "momentum": momentum, "nesterov": nesterov}
    curvature, energies = bowl_run(6, weight_decay=0.3, **settings)
    theta, velocity, expected = np.ones(2), np.zeros(2), []
    for _ in range(6):
        pull = (curvature + 0.3) * theta  # that of a bowl stiffer by κ in every direction
        velocity = momentum * velocity + pull
        theta = theta - 0.02 * (pull + momentum * velocity if nesterov else velocity)
        expected.append(curvature @ theta**2 / 2)  # but levels are those of the bowl itself
    np.testing.assert_allclose(energies, expected, rtol=1e-12)


def test_decay_without_momentum_shrinks_by_one_factor_a_step():
    """θ ← (1 - η (c + κ)) θ, exactly."""
    curvature, energies = bowl_run(5, learning_rate=0.01, momentum=0.0, weight_decay=0.5)
    shrink = (1 - 0.01 * (curvature + 0.5)) ** np.arange(1, 6)[:, None]
    np.testing.assert_allclose(energies, (shrink**2 @ curvature) / 2, rtol=1e-12)


def test_a_run_follows_its_schedule():
    """On a bowl of curvature c each step multiplies θ by 1 - ηc, with η of that step."""
    settings = {"schedule": "steps", "milestones": (0.5,), "decay": 0.1, "momentum": 0.0}
    form = QuadraticBowl(dimension=2, condition=10.0)
    trainer = Sgd(learning_rate=0.05, steps=4, **settings)
    found = trainer.descend(model_surface(form), np.ones((1, 2)), (1e-300,), KEY, Progress())
    c = np.asarray(jax.hessian(form.energy)(jnp.zeros(2))).diagonal()
    rates = np.array([0.05, 0.05, 0.005, 0.005])
    factors = np.cumprod(np.concatenate([np.ones((1, 2)), 1 - rates[:, None] * c]), axis=0)
    np.testing.assert_allclose(found.curve[0], factors**2 @ c / 2, rtol=1e-12)


class Sum:
    """Σ examples θ² / 2: ten examples that all say the same."""

    def __call__(self, theta, data):
        return data.mean() * theta @ theta / 2


def first(data, key):
    return data[:4]


@pytest.mark.parametrize(
    ("settings", "looks"),
    [
        ({"epochs": 4.0}, [0, 2, 4, 6, 8, 10]),  # 4 · 10 / 4 steps, a look every round(2.5)
        ({"epochs": 4.0, "check": 5}, [0, 5, 10]),
        ({"epochs": 400.0, "steps": 6}, [0, 2, 4, 6]),  # steps are the most in any case
        ({"epochs": 0.01, "check": 1}, [0, 1]),  # one step at least
    ],
)
def test_epochs_are_passes_over_the_examples(settings, looks):
    surface = Surface(Sum(), jnp.ones(10), 2, batch=first)
    trainer = Sgd(**{"check": None, "batch": 4, "learning_rate": 1e-3, **settings})
    found = trainer.descend(surface, np.ones((2, 2)), (1e-9,), KEY, Progress())
    assert found.curve_steps.tolist() == looks


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": "step"}, "schedule must be one of constant, steps, linear, cosine"),
        ({"schedule": "steps"}, "milestones: schedule=steps takes at least one"),
        ({"schedule": "linear", "milestones": (0.5,)}, "schedule=linear takes two"),
        ({"milestones": (0.5,)}, "schedule=constant takes none"),
        ({"schedule": "cosine", "milestones": (0.5,)}, "schedule=cosine takes none"),
        ({"schedule": "steps", "milestones": (80.0,)}, "milestones are fractions of the run"),
        ({"schedule": "steps", "milestones": (0.7, 0.5)}, "milestones must increase"),
        ({"schedule": "steps", "milestones": (0.5, 0.5)}, "milestones must increase"),
        ({"schedule": "steps", "milestones": (0.5,), "decay": 0.0}, "decay must be in"),
        ({"schedule": "cosine", "decay": 1.5}, "decay must be in"),
        ({"weight_decay": -1e-4}, "weight_decay must be at least 0"),
        ({"epochs": 0.0}, "epochs must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Sgd(**values)


@pytest.mark.parametrize(
    ("option", "settings"),
    [
        ("draxler2018", {"schedule": "steps", "milestones": (0.5, 0.75), "epochs": 163.84}),
        (
            "garipov2018",
            {
                **{"schedule": "linear", "milestones": (0.5, 0.9), "decay": 0.01},
                **{"epochs": 150.0, "weight_decay": 3e-4},
            },
        ),
        (
            "fb2016_cifar",
            {"schedule": "steps", "milestones": (0.5,), "epochs": 700.0, "momentum": 0.0},
        ),
    ],
)
def test_published_trainers_are_as_published(option, settings):
    with initialize_config_module("landscape_cli.conf", version_base="1.3"):
        config = compose(overrides=["+budget=paper", f"+trainer={option}"])
    trainer = build(config.trainer, "trainer")
    common = {"learning_rate": 0.1, "batch": 128, "check": None, "steps": 200000}
    assert trainer == Sgd(**common | settings)
    assert hash(trainer) == hash(Sgd(**common | settings))
    # 64,000 steps and drops at 32,000 and 48,000 on 50,000 images
    if option == "draxler2018":
        assert round(trainer.epochs * 50000 / trainer.batch) == 64000
