"""One mesh, one code path: four devices give the numbers of one."""

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
from landscape_cli.core.descent import adam, descend
from landscape_cli.core.report import Progress
from landscape_cli.core.surface import Surface
from landscape_cli.core.training import train
from landscape_cli.methods.taut_string import TautString

def ring(theta, data):
    return (theta @ theta - data) ** 2

assert jax.local_device_count() == int(sys.argv[1])
surface = Surface(ring, jnp.ones(()), 3)
points = np.random.default_rng(0).normal(size=(10, 3))
energies, gradients = surface.energies_and_gradients(jnp.asarray(points))
pool = descend(surface, adam(0.01), points, np.full(10, 0.05), 200)
trained = train(surface, adam(0.01), points, (0.1, 0.01), 200, 50, jax.random.key(0))
starts = np.eye(3)
ends = -np.roll(starts, 1, axis=0)
levels, pairs = np.repeat([0.2, 0.05], 3), np.tile(np.arange(3), 2)
method = TautString(evaluations=40, bead_steps=300, segments=8, max_beads=17)
found = dict(method.connect(
    surface, np.tile(starts, (2, 1)), np.tile(ends, (2, 1)), levels, pairs, Progress()))
print(json.dumps({
    "energies": surface.energies(points).tolist(),
    "gradients": np.asarray(gradients).tolist(),
    "pool": pool.thetas.tolist(),
    "trained": trained.thetas.tolist(),
    "lengths": [found[i].normalized_length for i in range(6)],
    "peaks": [found[i].peak for i in range(6)],
}))
"""


def run(devices: int) -> dict:
    """What the program finds on that many virtual devices, in a process of its own."""
    words = [sys.executable, "-c", PROGRAM, str(devices)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_four_devices_give_the_numbers_of_one():
    one, four = run(1), run(4)
    for name in ("energies", "gradients", "pool", "trained"):
        np.testing.assert_allclose(four[name], one[name], rtol=1e-8, atol=1e-10, err_msg=name)
    # Fewer lanes to a device round otherwise, which a search amplifies; tolerances bound it.
    np.testing.assert_allclose(four["lengths"], one["lengths"], rtol=1e-4)
    assert (np.array(four["peaks"]) <= np.repeat([0.2, 0.05], 3)).all()
