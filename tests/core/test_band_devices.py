"""Bands on four virtual devices give the numbers of one, in a process of their own."""

import json
import os
import subprocess
import sys

import numpy as np

PROGRAM = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
import jax.numpy as jnp
import numpy as np
from landscape_cli.core.relax import relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.surface import Surface

def valley(theta, data):
    return data[0] @ (theta[1] - jnp.sin(theta[0]) - data[1]) ** 2 + 0.1 * (theta @ theta)

def some(data, key):
    chosen = jax.random.choice(key, 6, (3,), replace=False)
    return data[0][chosen] * 2, data[1][chosen]

assert jax.local_device_count() == int(sys.argv[1])
surface = Surface(valley, (jnp.full(6, 1 / 6), jnp.linspace(-0.1, 0.1, 6)), 2, batch=some)
strings = [np.linspace([-3.0, 0.0], [3.0, 1.0], n) for n in (7, 4, 12)]
rates, key = np.full(30, 0.01), jax.random.key(0)
full = relax(surface, strings, Relaxing(), rates)
noisy = relax(surface, strings, Relaxing(), rates, draw=some, key=key)
print(json.dumps([beads.tolist() for beads in full.strings + noisy.strings]))
"""


def run(devices: int) -> list:
    words = [sys.executable, "-c", PROGRAM, str(devices)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_four_devices_give_the_strings_of_one():
    one, four = run(1), run(4)
    for mine, theirs in zip(one, four, strict=True):
        np.testing.assert_allclose(theirs, mine, atol=1e-10)
    for exact, noisy in zip(one[:3], one[3:], strict=True):
        assert np.abs(np.subtract(exact, noisy)).max() > 1e-4
