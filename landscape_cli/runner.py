"""One job: configuration → parts → experiment → records in a run folder.

JAX is imported only after the run-wide settings have been checked, so that a bad value is refused
at once.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from landscape_cli import config, hydra_errors
from landscape_cli.cache import cache_folder
from landscape_cli.errors import UserError

if TYPE_CHECKING:
    from landscape_cli.contracts import Experiment, Setup
    from landscape_cli.rundir import RunDir

# XLA orders the operations of a CPU program so that several may run at once. Here a thread a core
# runs programs of its own, and gradients are up to a quarter slower in that order.
SCHEDULER = "xla_cpu_enable_concurrency_optimized_scheduler"


class Refused(BaseException):
    """A user's error in a single run; not an `Exception`, so that Hydra adds no lines to it."""


@dataclass(frozen=True)
class Job:
    """What Hydra knows about the job besides its configuration."""

    folder: Path
    experiment: str
    overrides: tuple[str, ...]  # what the user typed besides the experiment
    number: int | None  # None outside a multirun
    config_folders: tuple[Path, ...]  # the user's --config-dir
    choices: dict[str, str]  # the name of every part that was chosen

    @classmethod
    def current(cls) -> Job:
        """The job Hydra is running now."""
        hydra = HydraConfig.get()
        sources = [s for s in hydra.runtime.config_sources if s.provider == "command-line"]
        words = map(str, OmegaConf.to_container(hydra.overrides.task) or ())
        given = [word for word in words if not word.startswith("experiment=")]
        return cls(
            folder=Path(hydra.runtime.output_dir),
            experiment=hydra.runtime.choices["experiment"],
            overrides=tuple(given),
            number=hydra.job.num if hydra.mode == RunMode.MULTIRUN else None,
            config_folders=tuple(Path(source.path) for source in sources),
            choices={kind: name for kind, name in hydra.runtime.choices.items() if name},
        )


def run(cfg: DictConfig) -> None:
    """The task Hydra calls for every job. A failure of one job of a multirun is said at once."""
    job = Job.current()
    if job.number is not None:
        print(f"job {job.number}: {' '.join(job.overrides)}", flush=True)
    try:
        run_job(cfg, job)
    except Exception as error:
        reraise(error, job)
    finally:
        with suppress(OSError):
            job.folder.rmdir()  # Hydra made it; it stays empty where the settings were refused


def reraise(error: Exception, job: Job) -> NoReturn:
    """Raise `error` again: as one line where it is the user's, as it is where it is ours."""
    message = hydra_errors.one_line(error)
    if job.number is None:
        if message is None:
            raise error
        raise Refused(message) from error
    # Hydra runs the other jobs before it raises the first failure, and forgets the rest.
    if message is None:
        traceback.print_exception(error)
        raise error
    print(f"landscape: job {job.number}: {message}", file=sys.stderr, flush=True)
    raise UserError(f"job {job.number}: {message}") from error


def rehearse(cfg: DictConfig) -> None:
    """The task of `run --dry-run`: everything is checked and built, one gradient is timed."""
    instead_of_a_run(cfg, dry_run)


def tune(cfg: DictConfig, limit: float) -> None:
    """The task of `landscape tune`: candidates are timed and the fastest is remembered."""
    instead_of_a_run(cfg, partial(tuned, limit))


def instead_of_a_run(cfg: DictConfig, task: Callable[..., None]) -> None:
    """Hand a task the settings, the parts and how to set them up; it leaves no folder."""
    job = Job.current()
    try:
        settings, parts = prepare(cfg, job)
        task(parts, set_up(parts, settings, config.plain(cfg.budget), job.choices))
    except Exception as error:
        reraise(error, job)
    finally:
        with suppress(OSError):
            job.folder.rmdir()


def dry_run(parts: dict[str, Any], setup: Setup) -> None:
    """Print what a run would need."""
    from landscape_cli.measure import free_memory, timed

    estimate = parts["experiment"].plan(setup)
    if estimate is None:
        print("no estimate for this experiment")
        return
    memory = free_memory()
    estimate.check(memory)
    of = "energy" if estimate.cost is None else estimate.cost.of
    print("\n".join(estimate.table(memory, timed(estimate.surface, of))))


def tuned(limit: float, parts: dict[str, Any], setup: Setup) -> None:
    """Time the candidates for the model and its data."""
    from landscape_cli.progress import reporter
    from landscape_cli.tune import tune

    with reporter() as progress:
        lines = tune(replace(setup, progress=progress), limit)
    print("\n".join(lines))


def prepare(cfg: DictConfig, job: Job) -> tuple[config.Settings, dict[str, Any]]:
    """Check the settings, switch JAX, build the parts."""
    settings = config.settings(cfg)
    config.open_plugins(settings.plugins, [Path.cwd(), *job.config_folders])
    configure_jax(settings.precision)
    return settings, config.build_all(cfg, settings.plugins)


def set_up(
    parts: dict[str, Any],
    settings: config.Settings,
    budget: dict[str, Any],
    names: Mapping[str, str],
) -> Setup:
    """What the recipe is handed; its engine knows the plans remembered on this machine."""
    from landscape_cli.contracts import Setup
    from landscape_cli.tune import remembered

    given = {kind: part for kind, part in parts.items() if kind != "experiment"}
    given["engine"] = parts["engine"].recalling(remembered())
    run_wide = {"levels": settings.levels, "pairs": settings.pairs, "seed": settings.seed}
    run_wide |= {"precision": settings.precision, "bn": settings.bn}
    return Setup(**given, **run_wide, budget=budget, names=names)


def run_job(cfg: DictConfig, job: Job) -> None:
    """Check everything, then open the folder, then work."""
    settings, parts = prepare(cfg, job)

    from landscape_cli.manifest import describe
    from landscape_cli.rundir import RunDir

    words = [f"--config-dir={path}" for path in job.config_folders] + list(job.overrides)
    manifest = describe(job.experiment, words, settings.seed, parts)
    setup = set_up(parts, settings, config.plain(cfg.budget), job.choices)
    yaml = OmegaConf.to_yaml(cfg, resolve=True)
    folder = RunDir.create(job.folder, yaml, manifest, settings.figures)
    try:
        with interruptible():
            figures = execute(parts["experiment"], setup, folder)
    except KeyboardInterrupt:  # while working or while drawing
        raise KeyboardInterrupt(kept(folder)) from None
    print(f"run: {job.folder}")
    if figures:
        print(f"figures: {len(figures)} in {figures[0].parent}")
        print(f"figure: {figures[0]}")


def execute(experiment: Experiment, setup: Setup, folder: RunDir) -> list[Path]:
    """Save every record as the recipe yields it, write how it ended, draw unless interrupted."""
    from landscape_cli.measure import compile_seconds, free_memory, shed_programs
    from landscape_cli.progress import reporter

    progress = reporter(folder.path / "run.log")
    setup = replace(setup, progress=progress)
    status, problem, compiled = "failed", None, compile_seconds()
    extra: dict[str, Any] = {"phases": progress.phases}
    try:
        with progress:
            if estimate := experiment.plan(setup):
                memory = free_memory()
                estimate.check(memory)
                progress.message(estimate.line(memory))
                extra["engine"] = estimate.engine
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
        refused = isinstance(sys.exception(), UserError) and folder.discard()
        extra["compile_seconds"] = round(compile_seconds() - compiled, 3)
        figures = [] if refused else folder.finish(status, problem, extra)
    return figures


def kept(folder: RunDir) -> str:
    """What an interrupted run leaves, and how to draw it."""
    said = f"what was finished is kept in {folder.path}"
    draw = f"; draw it with: landscape plot {shlex.quote(str(folder.path))}"
    return said if folder.empty else said + draw


def configure_jax(precision: str) -> None:
    """Set all of JAX's switches, for every job: they outlive a job of a multirun."""
    import jax
    from jax.version import __version_info__

    flags = os.environ.get("XLA_FLAGS", "")
    # XLA ends a process whose flag it does not know: only for versions that were tried.
    if __version_info__ < (0, 11) and SCHEDULER not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{SCHEDULER}=false".strip()
    jax.config.update("jax_enable_x64", precision == "float64")
    jax.config.update("jax_compilation_cache_dir", str(cache_folder("jax")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    logging.getLogger("jax").setLevel(logging.WARNING)  # else it tells of every backend it lacks


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: keep what is finished and say so in the manifest.

    SIGINT is set too, because a shell starts background jobs with it ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
