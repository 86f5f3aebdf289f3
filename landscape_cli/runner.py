"""One job: configuration → parts → experiment → records in a run folder.

JAX is imported only after the run-wide settings have been checked, so that a bad value is refused
at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from landscape_cli import config, hydra_errors
from landscape_cli.cache import cache_folder
from landscape_cli.errors import UserError
from landscape_cli.files import try_writing
from landscape_cli.jax_settings import configure_jax
from landscape_cli.jobs import Asked, Job
from landscape_cli.overrides import check_used

if TYPE_CHECKING:
    from landscape_cli.contracts import Experiment
    from landscape_cli.rundir import RunDir
    from landscape_cli.setup import Setup


def rehearse(cfg: DictConfig, job: Job) -> None:
    """The job of `run --dry-run`: everything is checked and built, one gradient is timed."""
    instead_of_a_run(cfg, job, dry_run)


def tune(cfg: DictConfig, job: Job, limit: float) -> None:
    """The job of `landscape tune`: candidates are timed and the fastest is remembered."""
    folder = cache_folder("tune")
    try:
        try_writing(folder)
    except OSError as error:
        trouble = f"{folder}: cannot be written ({error.strerror})"
        raise UserError(f"{trouble}; LANDSCAPE_CACHE names another folder") from error
    instead_of_a_run(cfg, job, partial(tuned, limit))


def instead_of_a_run(cfg: DictConfig, job: Job, task: Callable[..., None]) -> None:
    """Hand a task the settings, the parts and how to set them up; it leaves no folder."""
    settings, parts = prepare(cfg, job)
    task(parts, set_up(parts, settings, config.plain(cfg.budget), job.choices))


def dry_run(parts: dict[str, Any], setup: Setup) -> None:
    """Print what a run would need."""
    from landscape_cli import estimate_words
    from landscape_cli.core.training import check_batch
    from landscape_cli.measure import free_memory, timed
    from landscape_cli.progress import reporter

    with reporter() as progress:
        estimate = parts["experiment"].plan(replace(setup, progress=progress))
        if estimate is None:
            print("no estimate for this experiment")
            return
        memory = free_memory()
        estimate.check(memory)
        if estimate.networks:
            check_batch(estimate.surface, setup.trainer.batch)
        progress.phase("timing")
        timing = timed(estimate.surface, estimate.of)
    print("\n".join(estimate_words.table(estimate, memory, timing)))


def tuned(limit: float, parts: dict[str, Any], setup: Setup) -> None:
    """Time the candidates for the model and its data."""
    from landscape_cli.progress import reporter
    from landscape_cli.tune import tune

    with reporter() as progress:
        lines = tune(replace(setup, progress=progress), limit)
    print("\n".join(lines))


def prepare(cfg: DictConfig, job: Job) -> tuple[config.Settings, dict[str, Any]]:
    """Check the settings, switch JAX, build the parts."""
    settings, parts = checked(cfg, job)

    from landscape_cli.core.threads import compute_on

    compute_on(parts["engine"].devices)
    return settings, parts


def checked(cfg: DictConfig, asked: Asked) -> tuple[config.Settings, dict[str, Any]]:
    """The settings and the parts of a job, which is refused where they cannot be."""
    settings = config.settings(cfg)
    config.open_plugins(settings.plugins, [Path.cwd(), *asked.config_folders])
    configure_jax(settings.precision)
    parts = config.build_all(cfg, settings.plugins, asked.choices)
    check_used(asked.overrides, asked.experiment, parts["experiment"].unused)
    parts["engine"].check()
    return settings, parts


def check_ahead(cfg: DictConfig) -> None:
    """Refuse a job of a multirun as it will be composed, before the first one begins."""
    HydraConfig.instance().set_config(cfg.copy())  # which makes it read-only; settings may ask it
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    checked(own, Asked.by(cfg.hydra))


def set_up(
    parts: dict[str, Any],
    settings: config.Settings,
    budget: dict[str, Any],
    names: Mapping[str, str],
) -> Setup:
    """What the recipe is handed; its engine knows the plans remembered on this machine."""
    from landscape_cli.setup import Setup
    from landscape_cli.tune import remembered

    given = {kind: part for kind, part in parts.items() if kind != "experiment"}
    given["engine"] = parts["engine"].recalling(remembered())
    names_of_all = ("levels", "pairs", "seed", "precision", "bn", "bn_examples")
    run_wide = {name: getattr(settings, name) for name in names_of_all}
    return Setup(**given, **run_wide, budget=budget, names=names)


def run(cfg: DictConfig, job: Job) -> None:
    """Check everything, then open the folder, then work."""
    settings, parts = prepare(cfg, job)

    from landscape_cli.manifest import describe
    from landscape_cli.rundir import RunDir

    words = [f"--config-dir={path}" for path in job.config_folders] + list(job.overrides)
    manifest = describe(job.experiment, words, settings.seed, parts, job.choices)
    setup = set_up(parts, settings, config.plain(cfg.budget), job.choices)
    yaml = OmegaConf.to_yaml(cfg, resolve=True)
    folder = RunDir.create(job.folder, yaml, manifest, settings.figures)
    try:
        figures = execute(parts["experiment"], setup, folder)
    except KeyboardInterrupt:  # while working or while drawing
        raise KeyboardInterrupt(kept(folder)) from None
    for line in folder.headlines:
        print(line)
    print(f"run: {job.folder}")
    if figures:
        print(f"figures: {len(figures)} in {figures[0].parent}")
        print(f"figure: {figures[0]}")


def execute(experiment: Experiment, setup: Setup, folder: RunDir) -> list[Path]:
    """Save every record as the recipe yields it, write how it ended, draw unless interrupted."""
    from landscape_cli import estimate_words
    from landscape_cli.measure import compile_seconds, free_memory, known_timing, shed_programs
    from landscape_cli.progress import reporter

    progress = reporter(folder.path / "run.log")
    setup = replace(setup, progress=progress)
    status, problem, compiled = "failed", None, compile_seconds()
    extra: dict[str, Any] = {"phases": progress.phases}
    folder.about["budget"] = setup.names.get("budget", "")
    figures: list[Path] = []
    try:
        with progress:
            if estimate := experiment.plan(setup):
                memory = free_memory()
                estimate.check(memory)
                progress.phase("timing")
                timing = known_timing(estimate.surface, estimate.of)
                progress.message(estimate_words.line(estimate, memory, timing))
                extra["engine"] = estimate.engine
                folder.about |= estimate.about
            for record in experiment.run(setup):
                folder.save(record)
                shed_programs()
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except BaseException as error:
        problem = hydra_errors.one_line(error) or f"{type(error).__name__}: {error}"
        raise
    finally:
        # Settings that do not fit each other may show only when the recipe puts them together.
        refused = isinstance(sys.exception(), UserError | MemoryError) and folder.discard()
        extra["compile_seconds"] = round(compile_seconds() - compiled, 3)
        # Trouble with writing how it ended must not hide what ended it.
        hidden = () if status == "finished" else (UserError,)
        with suppress(*hidden):
            figures = [] if refused else folder.finish(status, problem, extra)
    return figures


def kept(folder: RunDir) -> str:
    """What an interrupted run leaves, and how to draw it."""
    if folder.empty:
        return f"nothing was finished; settings and log are in {folder.path}"
    draw = f"draw it with: landscape plot {shlex.quote(str(folder.path))}"
    return f"what was finished is kept in {folder.path}; {draw}"
