"""For every test: CPU, float64, a compilation cache shared between test runs."""

import gc
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("LANDSCAPE_CACHE", str(Path.home() / ".cache" / "landscape-tests"))

import jax
import pytest
from jaxtyping import install_import_hook

from landscape_cli import jax_settings, measure

gc.set_threshold(100_000)  # looking for garbage after every 700 objects takes a tenth of the time

# Every array annotation of the numerical core is checked while the tests run.
install_import_hook("landscape_cli.core", "beartype.beartype")


def pytest_collection_modifyitems(items):
    """The file that takes longest comes first: at the end no process waits for it."""
    items.sort(key=lambda item: item.path.name != "test_recipes.py")


@pytest.fixture(autouse=True)
def float64():
    """A job may switch to float32; the next test starts from float64 again."""
    jax_settings.configure_jax("float64")
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """One process runs all tests: see `measure.shed_programs`. A module's fixtures are float64."""
    jax_settings.configure_jax("float64")
    yield
    measure.shed_programs()


TOY = '''
"""Parts a user might write, small enough to follow by hand."""
from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import flax.linen as nn
import numpy as np
import xarray

from landscape_cli.contracts import Data, Experiment, PathMethod, Record, Trainer
from landscape_cli.core.threads import side_by_side
from landscape_cli.errors import UserError
from landscape_cli.plots import new_figure


class Net(nn.Module):
    widths: tuple[int, ...] = (4, 4)
    scale: float = 1.0
    bias: bool | None = None
    depth: int = 2

    def __post_init__(self):
        super().__post_init__()
        if self.depth < 1:
            raise ValueError(f"depth must be at least 1, got {self.depth}")


@dataclass(frozen=True)
class Points(Data):
    points: int = 3

    def load(self, key):
        return None


@dataclass(frozen=True)
class Descent(Trainer):
    steps: int

    def descend(self, surface, thetas, levels, key, progress):
        return None


@dataclass(frozen=True)
class Straight(PathMethod):
    alpha: float = 0.5

    def connect(self, surface, starts, ends, levels, pairs, progress, initial=None, seed=0):
        return iter(())


class Numbers(Record):
    name = "numbers"

    def summary(self):
        return {"largest": float(self.data["value"].max())}

    def headline(self):
        return f"the largest is {self.data['value'].values.max():g}"

    def figures(self):
        if self.data.attrs.get("slow"):
            print("drawing", flush=True)
            time.sleep(60)
        return {"numbers": new_figure(1.0, 1.0)}


@dataclass(frozen=True)
class Count(Experiment):
    reference: ClassVar[str] = "@misc{toy, title={A toy}}"
    then: str = "end"  # end | wait | work | draw | refuse, early or late | crash | full | block

    def run(self, setup):
        if self.then == "early":
            raise UserError("model and data do not fit")
        yield Numbers(xarray.Dataset({"value": ("pair", np.arange(float(setup.pairs)))}))
        if self.then == "draw":
            yield Numbers(xarray.Dataset({"value": ("pair", [1.0])}, attrs={"slow": 1}))
        if self.then == "wait":
            print("waiting", flush=True)
            time.sleep(60)
        if self.then == "work":
            print("working", flush=True)
            side_by_side(time.sleep, [60, 60])
        if self.then == "block":
            (place,) = Path.cwd().glob("outputs/*/*")
            (place / "plots").touch()
            (place / "data" / "numbers.nc").unlink()
            (place / "data" / "numbers.nc").mkdir()
            yield Numbers(xarray.Dataset({"value": ("pair", [1.0])}))
        if self.then == "refuse":
            raise UserError("model and data do not fit")
        if self.then == "crash":
            raise RuntimeError("boom")
        if self.then == "full":
            raise OSError(28, "No space left on device")
'''

YAML = {
    "model/toy.yaml": "# a toy network\n_target_: toy.Net\nwidths: [3, 3]\nscale: 2\ndepth: 2\n",
    "model/evil.yaml": "_target_: os.system\ncommand: touch evil\n",
    "data/toy.yaml": "_target_: toy.Points\n",
    "trainer/toy.yaml": "_target_: toy.Descent\nsteps: 1\n",
    "method/toy.yaml": "_target_: toy.Straight\nalpha: 0.5\n",
    "experiment/toy.yaml": """\
# @package _global_
# counts pairs
defaults:
  - override /data: toy
  - override /trainer: toy
  - override /method: toy
  - override /model: toy
  - _self_
levels: [0.2, 0.1]
experiment:
  _target_: toy.Count
  then: end
""",
}


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    """A user's own folder: one Python file with parts and the YAML that names them."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "toy.py").write_text(TOY)
    for name, text in YAML.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder
