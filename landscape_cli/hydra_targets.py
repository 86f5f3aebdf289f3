"""What may be run because the `hydra` node of a configuration names it: as little as may be.

`config.build` makes the parts; callbacks, launchers and sweepers are made by Hydra, of whatever
class a YAML or the command line names. So a configuration is checked as soon as it is composed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from hydra._internal import hydra as internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from landscape_cli.errors import UserError

CALLBACK = "landscape_cli.jobs.Footing"
RUNNERS = {"launcher": Launcher, "sweeper": Sweeper}


class Loader(ConfigLoaderImpl):
    """Hydra's loader, which hands on what has been checked, and composes a run only once."""

    words: list[str] | None = None  # of the run that was composed when Hydra asked for its mode
    composed: DictConfig

    def __init__(self, check_job: Callable[[DictConfig], None], config_search_path: Any) -> None:
        super().__init__(config_search_path)
        self.check_job = check_job

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose, for the command or for one job of a multirun.

        Hydra composes to see `hydra.mode`, only then without validation, and anew for the run,
        which gets what was composed first.

        Raises:
            UserError: as `check` does.
        """
        given = config_name, [*overrides], run_mode, from_shell, validate_sweep_overrides
        if validate_sweep_overrides:
            words = [word for word in overrides if word != "hydra.mode=RUN"]  # Hydra adds it
            kept = run_mode == RunMode.RUN and words == self.words
            cfg = self.composed if kept else super().load_configuration(*given)
            self.words = None
        else:
            try:
                cfg = super().load_configuration(config_name, given[1], RunMode.RUN)
                self.words, self.composed = given[1], cfg
            except Exception:  # values to sweep over, or wrong ones, which the run will meet
                cfg = super().load_configuration(*given)
        check(cfg.hydra)
        return cfg

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Compose a job, as Hydra does for all jobs before the first one, and for each again."""
        cfg = super().load_sweep_config(master_config, sweep_overrides)
        self.check_job(cfg)
        return cfg


@contextmanager
def guarded(check_job: Callable[[DictConfig], None]) -> Iterator[None]:
    """Hydra composes with `Loader`: it has no other place where a composed one could be seen.

    Args:
        check_job: raises where a job of a multirun cannot be.
    """
    hydra: Any = internals  # for pyright, the name below is none of Hydra's to give
    theirs, hydra.ConfigLoaderImpl = hydra.ConfigLoaderImpl, partial(Loader, check_job)
    try:
        yield
    finally:
        hydra.ConfigLoaderImpl = theirs


def check(hydra: DictConfig) -> None:
    """Refuse a `_target_` that is not `allowed`, and any logging but none.

    Raises:
        UserError: a class or function that nobody installed for Hydra, no launcher or sweeper.
    """
    for place in ("callbacks", *RUNNERS):
        node = hydra[place]
        found = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        if place in RUNNERS and "_target_" not in (found or {}):
            raise UserError(f"hydra.{place}: has no _target_; leave it as it is")
        for key, target in targets(found, f"hydra.{place}"):
            if target not in (known := allowed(place)):
                only = " and ".join(known)
                raise UserError(f"{key}={target}: refused; only {only} may be named here")
    check_logging(hydra)


def check_logging(hydra: DictConfig) -> None:
    """Python's logging imports and calls what its configuration names in many ways."""
    written: Any = OmegaConf.to_container(hydra, resolve=False)  # what it comes to may yet change
    for name in ("hydra_logging", "job_logging"):
        node = written[name]
        if node is not None and (isinstance(node, str) or node.get("root", "") is not None):
            raise UserError(f"hydra/{name}: refused; choose none (a run writes run.log itself)")


def targets(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_` in mappings and lists, with its key."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    for name, value in node.items() if isinstance(node, dict) else ():
        if name == "_target_":
            yield f"{key}._target_", value
        yield from targets(value, f"{key}.{name}")


def allowed(place: str) -> list[str]:
    """Our own callback; launchers and sweepers that are installed, with what they registered.

    A sweeper may have parts of its own, such as the samplers of Optuna's.
    """
    if place == "callbacks":
        return [CALLBACK]
    found = Plugins.instance().discover(RUNNERS[place])
    registered = _registered(ConfigStore.instance().repo["hydra"].get(place, {}))
    return sorted({f"{kind.__module__}.{kind.__name__}" for kind in found} | {*registered})


def _registered(node: Any) -> Iterator[str]:
    """The `_target_`s of the configurations in a group of Hydra's store and its subgroups."""
    if isinstance(node, dict):
        for inner in node.values():
            yield from _registered(inner)
    else:
        content = OmegaConf.to_container(node.node, resolve=False)
        yield from (target for _, target in targets(content, ""))
