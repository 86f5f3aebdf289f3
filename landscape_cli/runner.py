"""One job: configuration → parts → experiment → records in a run folder.

JAX is imported only after the run-wide settings have been checked, so that a bad value is refused
at once.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from landscape_cli import config, hydra_errors
from landscape_cli.cache import cache_folder
from landscape_cli.empties import Ground
from landscape_cli.errors import UserError
from landscape_cli.files import try_writing

if TYPE_CHECKING:
    from landscape_cli.contracts import Experiment
    from landscape_cli.rundir import RunDir
    from landscape_cli.setup import Setup

# XLA orders the operations of a CPU program so that several may run at once. Here a thread a core
# runs programs of its own, and gradients are up to a quarter slower in that order.
SCHEDULER = "xla_cpu_enable_concurrency_optimized_scheduler"


class Footing(Callback):
    """Looks at what is there before Hydra makes a folder for its jobs.

    Attributes:
        folder: of the run, or of all jobs of a multirun.
        ground: what was there.
    """

    # Of the class: Hydra makes the callback, and keeps it out of our reach.
    folder: ClassVar[Path | None] = None
    ground: ClassVar[Ground | None] = None

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Before a single run."""
        self._look(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Before the jobs of a multirun."""
        self._look(config, "hydra.sweep.dir")

    @staticmethod
    def _look(config: DictConfig, key: str) -> None:
        Footing.folder = Footing.ground = None
        HydraConfig.instance().set_config(config)  # the folder's name may ask Hydra for parts
        with suppress(OmegaConfBaseException):  # Hydra will say it
            Footing.folder = Path(str(OmegaConf.select(config, key)))
            Footing.ground = Ground.under(Footing.folder)


def tidy(folder: Path | None = None) -> None:
    """Remove what Hydra made and no run filled: the folder of a job, or that of the command."""
    if Footing.ground is None or Footing.folder is None:
        return
    if folder is None:
        with suppress(OSError):
            left = [file for file in Footing.folder.iterdir() if Footing.ground.new(file)]
            if [file.name for file in left] == ["multirun.yaml"]:  # Hydra's, before any job
                left[0].unlink()
    Footing.ground.clear(folder or Footing.folder)


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


class Jobs:
    """The task that Hydra calls for every job, and what became of the jobs.

    Errors are kept, not raised: Hydra would add lines to them, and of a multirun tell the first.

    Attributes:
        work: what a job does.
        failed: the errors, each with its line where it is the user's.
    """

    def __init__(self, work: Callable[[DictConfig, Job], None]) -> None:
        self.work = work
        self.failed: list[tuple[Exception, str | None]] = []
        self._begun = 0
        self._several = False

    def __call__(self, cfg: DictConfig) -> None:
        """Do one job. A failure of one job of a multirun is said at once."""
        job = Job.current()
        self._begun += 1
        self._several = job.number is not None
        if self._several:
            print(f"job {job.number}: {' '.join(job.overrides)}", flush=True)
        try:
            self.work(cfg, job)
        except Exception as error:
            self._fail(error, job)
        finally:
            tidy(job.folder)

    def _fail(self, error: Exception, job: Job) -> None:
        message = hydra_errors.one_line(error)
        self.failed.append((error, message))
        if self._several and message is None:
            traceback.print_exception(error)
        elif self._several:
            print(f"landscape: job {job.number}: {message}", file=sys.stderr, flush=True)

    def settle(self) -> None:
        """Raise what the command ends with, if any job failed.

        Raises:
            UserError: a job failed through what the user gave.
            SystemExit: a job of a multirun failed through a bug of ours, which has been shown.
        """
        if not self.failed:
            return
        error, message = self.failed[0]
        if not self._several:
            if message is None:
                raise error
            raise UserError(message) from error
        said = f"{len(self.failed)} of {self._begun} jobs failed"
        if all(message is not None for _, message in self.failed):
            raise UserError(said)
        print(f"landscape: {said}", file=sys.stderr)
        sys.exit(1)


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
        if estimate.examples:
            check_batch(estimate.surface, getattr(setup.trainer, "batch", None))
        progress.phase("timing")
        timing = timed(estimate.surface, estimate.of)
    print("\n".join(estimate.table(memory, timing)))


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
    from landscape_cli.setup import Setup
    from landscape_cli.tune import remembered

    given = {kind: part for kind, part in parts.items() if kind != "experiment"}
    given["engine"] = parts["engine"].recalling(remembered())
    run_wide = {"levels": settings.levels, "pairs": settings.pairs, "seed": settings.seed}
    run_wide |= {"precision": settings.precision, "bn": settings.bn}
    run_wide |= {"bn_examples": settings.bn_examples}
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
                progress.message(estimate.line(memory, timing))
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
        refused = isinstance(sys.exception(), UserError) and folder.discard()
        extra["compile_seconds"] = round(compile_seconds() - compiled, 3)
        # Trouble with writing how it ended must not hide what ended it.
        hidden = () if status == "finished" else (UserError,)
        with suppress(*hidden):
            figures = [] if refused else folder.finish(status, problem, extra)
    return figures


def kept(folder: RunDir) -> str:
    """What an interrupted run leaves, and how to draw it."""
    said = f"what was finished is kept in {folder.path}"
    draw = f"; draw it with: landscape plot {shlex.quote(str(folder.path))}"
    return said if folder.empty else said + draw


@cache
def kept_programs(folder: Path) -> str | None:
    """The folder of compiled programs; says once where none can be kept, as JAX would of each."""
    try:
        try_writing(folder)
        return str(folder)
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror}), so every run compiles anew"
        print(f"landscape: {text}; LANDSCAPE_CACHE names another folder", file=sys.stderr)
        return None


def configure_jax(precision: str) -> None:
    """Set all of JAX's switches, for every job: they outlive a job of a multirun."""
    import jax
    from jax.version import __version_info__

    flags = os.environ.get("XLA_FLAGS", "")
    # XLA ends a process whose flag it does not know: only for versions that were tried.
    if __version_info__ < (0, 11) and SCHEDULER not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{SCHEDULER}=false".strip()
    jax.config.update("jax_enable_x64", precision == "float64")
    jax.config.update("jax_compilation_cache_dir", kept_programs(cache_folder("jax")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    logging.getLogger("jax").setLevel(logging.WARNING)  # else it tells of every backend it lacks
