"""From YAML to checked Python: run-wide `Settings`, and `build` for the parts.

`build` is deliberately narrower than Hydra's `instantiate`: a `_target_` may only name a class of
the right kind, in this package or in one the user declared in `plugins`, and every value is
checked against the class's own fields before the class is called.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from omegaconf import DictConfig, OmegaConf

from landscape_cli import listing
from landscape_cli.errors import UserError, nearest
from landscape_cli.ranges import LARGEST_SEED
from landscape_cli.schema import Formats, fill, typed, unknown

KINDS = {  # configuration group -> the classes a part of that kind descends from
    "model": ("flax.linen.Module", "landscape_cli.models.base.ClosedForm"),
    "data": ("landscape_cli.contracts.Data",),
    "functional": ("landscape_cli.functional.Functional",),
    "trainer": ("landscape_cli.contracts.Trainer",),
    "method": ("landscape_cli.contracts.PathMethod",),
    "gauge": ("landscape_cli.contracts.Gauge",),
    "engine": ("landscape_cli.core.engine.Engine",),
    "experiment": ("landscape_cli.contracts.Experiment",),
}

SEVERAL = {"methods": "method", "gauges": "gauge"}  # mappings of name to part: key -> kind

HYDRA = Lock()  # for whoever changes its state
STORED = ("hydra", "_dummy_empty_config_.yaml")  # by Hydra itself, not by its users

MOST_PAIRS = 10**6  # far beyond any run, and far below where counts of bytes overflow


@dataclass(frozen=True)
class Settings:
    """The run-wide keys of conf/config.yaml."""

    seed: int  # 0 to LARGEST_SEED
    pairs: int  # 1 to MOST_PAIRS
    levels: tuple[float, ...]  # positive, strictly decreasing
    precision: str  # float64 or float32
    bn: str  # how batch norm is treated along a string
    figures: Formats  # of files
    plugins: tuple[str, ...]  # packages or modules whose classes _target_ may name
    bn_examples: int = 2048  # of its statistics; at least 1

    def __post_init__(self) -> None:
        for name, least, most in (("seed", 0, LARGEST_SEED), ("pairs", 1, MOST_PAIRS)):
            value = getattr(self, name)
            require(value >= least, name, value, f"must be at least {least}")
            require(value <= most, name, value, f"must be at most {most}")
        require(self.bn_examples > 0, "bn_examples", self.bn_examples, "must be at least 1")
        check_levels(self.levels)
        allowed = ("float64", "float32")
        require(
            self.precision in allowed, "precision", self.precision, "choose float64 or float32"
        )
        policies = ("recompute", "interpolate", "coordinates")
        require(self.bn in policies, "bn", self.bn, f"choose {', '.join(policies)}")


def require(condition: bool, key: str, value: object, rule: str) -> None:
    """Refuse `value` of the setting `key` unless `condition`."""
    if not condition:
        raise UserError(f"{key}={typed(value)}: {rule}")


def check_levels(levels: tuple[float, ...]) -> None:
    """Levels are crossed on the way down, so they are positive and strictly decreasing."""
    require(len(levels) > 0, "levels", levels, "give at least one level")
    good = all(math.isfinite(level) and level > 0 for level in levels)
    require(good, "levels", levels, "every level must be a positive, finite number")
    falling = all(high > low for high, low in pairwise(levels))
    require(falling, "levels", levels, "levels must be strictly decreasing")


def settings(cfg: DictConfig) -> Settings:
    """Check the run-wide keys and that nothing unknown stands beside them."""
    names = [field.name for field in dataclasses.fields(Settings)]
    known = {*names, *KINDS, *SEVERAL, "warm_start", "budget"}
    for key in cfg:
        if key not in known:
            raise UserError(unknown(str(key), "setting", known))
    check_budget(cfg)
    return fill(Settings, {name: plain(cfg[name]) for name in names if name in cfg}, "")


def check_budget(cfg: DictConfig) -> None:
    """A budget holds what ours hold, which are counts, and what else the run asks of it."""
    given = cfg.get("budget", {})
    ours = OmegaConf.load(listing.conf_folder() / "budget" / "desk.yaml")
    asked = re.findall(r"\$\{budget\.(\w+)\}", OmegaConf.to_yaml(cfg))
    for key in given:
        if key not in {*ours, *asked}:
            raise UserError(unknown(f"budget.{key}", "setting", {*map(str, ours), *asked}))
    if lacking := sorted({*asked} - {*given}):
        cure = "begin its file with defaults: [desk, _self_]"
        raise UserError(f"budget: has no {', '.join(lacking)}, which this run asks for; {cure}")
    for key, value in plain(given).items():
        kind, rule = (int, "whole number") if key in ours else (int | float, "number")
        good = isinstance(value, kind) and not isinstance(value, bool) and value > 0
        require(good, f"budget.{key}", value, f"must be a positive {rule}")


def plain(node: Any) -> Any:
    """Lists and dictionaries with every interpolation resolved."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def open_plugins(
    names: Iterable[str], folders: Iterable[Path], where: str = "plugins=[{}]"
) -> None:
    """Import the user's own packages; `folders` come last on the path, so they shadow nothing.

    Args:
        names: packages or modules.
        folders: where to look for them besides the installed ones.
        where: how the user named one, for messages.

    Raises:
        UserError: one cannot be imported, or hides behind another of the same name.
    """
    names, folders = list(names), [Path(folder) for folder in folders]
    for folder in folders if names else ():
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    for name in names:
        load_module(name, where.format(name))
        top = name.partition(".")[0]
        file = getattr(sys.modules[top], "__file__", None)
        own = [
            folder.resolve()
            for folder in folders
            if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()
        ]
        if file and own and not any(folder in Path(file).resolve().parents for folder in own):
            raise UserError(
                f"{where.format(name)}: is {file} and not the one in {own[0]}; rename yours"
            )


def plugins_in(folder: Path, names: Iterable[object]) -> list[str]:
    """Those of `names`, read from a file, that are modules or packages in `folder`."""
    found = []
    for name in filter(lambda name: isinstance(name, str), names):
        top, *inner = str(name).split(".")
        here = (folder / f"{top}.py").is_file() or (folder / top).is_dir()
        if here and all(part.isidentifier() for part in (top, *inner)):
            found.append(str(name))
    return found


def build(
    node: Any,
    kind: str,
    key: str | None = None,
    plugins: Iterable[str] = (),
    option: str | None = None,
) -> Any:
    """Make the part that a configuration node describes.

    Args:
        node: a mapping with `_target_` and the part's settings.
        kind: a key of `KINDS`.
        key: the node's name for messages; by default `kind`.
        plugins: packages or modules besides `landscape_cli` whose classes `_target_` may name.
        option: the one that brought the node, for messages.

    Raises:
        UserError: the target is not allowed, or a setting is unknown, missing or wrong.
    """
    key = key or kind
    values = plain(node)
    if not isinstance(values, Mapping) or not isinstance(values.get("_target_"), str):
        if option:
            raise UserError(f"{key}={option}: its YAML file has no _target_, which names a class")
        raise UserError(f"{key}: has no _target_; choose an option with {key}=<name>")
    values = dict(values)
    target = values.pop("_target_")
    return fill(find_class(target, kind, key, plugins), values, key)


def build_all(
    cfg: Any, plugins: Iterable[str] = (), choices: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Every part of a composed configuration, by its key.

    Args:
        cfg: the configuration.
        plugins: as of `build`.
        choices: the options that were chosen, by kind, for messages.

    Raises:
        UserError: as `build` does.
    """
    options = choices or {}
    parts = {
        kind: build(cfg[kind], kind, plugins=plugins, option=options.get(kind)) for kind in KINDS
    }
    for key, kind in SEVERAL.items():
        nodes = (cfg.get(key) or {}).items()
        parts[key] = {
            str(name): build(node, kind, f"{key}.{name}", plugins) for name, node in nodes
        }
    start = cfg.get("warm_start")
    parts["warm_start"] = start and build(start, "method", "warm_start", plugins)
    return parts


def part_named(kind: str, name: str) -> Any:
    """The part of an option's name, with the settings of its YAML file.

    Raises:
        ValueError: there is no such option.
    """
    known = list(listing.options(kind, [listing.conf_folder()]))
    if not isinstance(name, str):
        raise ValueError(f"{kind} must be a name or a part, got {name!r}")
    if name not in known:
        raise ValueError(f"{kind} {name!r}: choose from {', '.join(known)}{nearest(name, known)}")
    return _composed(kind, name)


@cache
def _composed(kind: str, name: str) -> Any:
    """A part is frozen, so that all who ask may have the same one."""
    words = ["experiment=geodesic", f"{kind}={name}"]
    with hydra_of_our_own(), initialize_config_dir(str(listing.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=words)
    return build(cfg[kind], kind)


@contextmanager
def hydra_of_our_own() -> Iterator[None]:
    """Hydra as if nobody used it; the program around us, which may, finds it as it was.

    One thread at a time: Hydra's state is that of the process.
    """
    with HYDRA:
        stored = ConfigStore.instance().repo
        ours: dict[type, Any] = {kind: kind() for kind in (Plugins, SourcesRegistry)}
        theirs, Singleton._instances = Singleton._instances, ours
        ConfigStore.instance().repo = {name: stored[name] for name in STORED}
        try:
            yield
        finally:
            Singleton._instances = theirs


def find_class(target: str, kind: str, key: str, plugins: Iterable[str]) -> type:
    """The class `target` names, refused before any import unless it lies in what is allowed."""
    where = f"{key}._target_={target}"
    allowed = ["landscape_cli", *plugins]
    if not target.startswith(tuple(f"{name}." for name in allowed)):
        raise UserError(
            f"{where}: refused; only classes of {', '.join(allowed)} may be named "
            "(declare your own package with plugins=[name])"
        )
    module_name, _, class_name = target.rpartition(".")
    found = getattr(load_module(module_name, where), class_name, None)
    if found is None:
        raise UserError(f"{where}: module {module_name} has no class {class_name}")
    bases = tuple(load_base(base) for base in KINDS[kind])
    if not (inspect.isclass(found) and issubclass(found, bases)) or inspect.isabstract(found):
        kinds = " or ".join(base.rpartition(".")[2] for base in KINDS[kind])
        raise UserError(f"{where}: refused; a {kind} must be a subclass of {kinds}")
    return found


def load_base(path: str) -> type:
    """One of the base classes named in `KINDS`."""
    module_name, _, class_name = path.rpartition(".")
    return getattr(importlib.import_module(module_name), class_name)


def load_module(name: str, where: str) -> ModuleType:
    """Import a module the user named; whatever it raises becomes one line."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        ours = name.split(".")[0] == "landscape_cli"
        if ours and not isinstance(error, ModuleNotFoundError):
            raise  # our bug: show it
        ended = f"it calls exit({error})" if isinstance(error, SystemExit) else error
        raise UserError(f"{where}: cannot import {name}: {ended}") from error
