"""The side of Hydra: a command's jobs, the folders it makes for them, and what became of them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from landscape_cli import hydra_errors
from landscape_cli.empties import Ground
from landscape_cli.errors import UserError


class Footing(Callback):
    """Looks at what is there before Hydra makes a folder for its jobs.

    Attributes:
        folder: of the run, or of all jobs of a multirun.
        ground: what was there.
        several: whether it is that of a multirun.
    """

    # Of the class: Hydra makes the callback, and keeps it out of our reach.
    folder: ClassVar[Path | None] = None
    ground: ClassVar[Ground | None] = None
    several: ClassVar[bool] = False

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Before a single run."""
        self._look(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Before the jobs of a multirun."""
        self._look(config, "hydra.sweep.dir")

    @staticmethod
    def _look(config: DictConfig, key: str) -> None:
        Footing.folder = Footing.ground = None
        Footing.several = key == "hydra.sweep.dir"
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
class Asked:
    """What the user asked of a job, besides its configuration."""

    experiment: str
    overrides: tuple[str, ...]  # what the user typed besides the experiment
    config_folders: tuple[Path, ...]  # the user's --config-dir
    choices: dict[str, str]  # the name of every part that was chosen

    @classmethod
    def by(cls, hydra: Any) -> Asked:
        """From the `hydra` node of a composed configuration."""
        sources = [s for s in hydra.runtime.config_sources if s.provider == "command-line"]
        words = map(str, OmegaConf.to_container(hydra.overrides.task) or ())
        given = [word for word in words if not word.startswith("experiment=")]
        return cls(
            experiment=hydra.runtime.choices["experiment"],
            overrides=tuple(given),
            config_folders=tuple(Path(source.path) for source in sources),
            choices={kind: name for kind, name in hydra.runtime.choices.items() if name},
        )


@dataclass(frozen=True)
class Job(Asked):
    """A job that Hydra runs: what was asked, and where it goes."""

    folder: Path
    number: int | None  # None outside a multirun

    @classmethod
    def current(cls) -> Job:
        """The job Hydra is running now."""
        hydra = HydraConfig.get()
        number = hydra.job.num if hydra.mode == RunMode.MULTIRUN else None
        return cls(**vars(Asked.by(hydra)), folder=Path(hydra.runtime.output_dir), number=number)


class Jobs:
    """The task that Hydra calls for every job, and what became of the jobs.

    Errors are kept, not raised: Hydra would add lines to them, and of a multirun tell the first.

    Attributes:
        work: what a job does.
        failed: the errors, each with its line where it is the user's.
    """

    def __init__(self, work: Callable[[DictConfig, Job], None]) -> None:
        self.work = work
        Footing.folder, Footing.ground, Footing.several = None, None, False
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
        except KeyboardInterrupt as error:
            ended = self._begun - 1 - len(self.failed)
            others = f"; {ended} of the jobs before it finished, those after it did not begin"
            raise KeyboardInterrupt(f"{error}{others if self._several else ''}") from None
        finally:
            tidy(job.folder)

    def _fail(self, error: Exception, job: Job) -> None:
        message = hydra_errors.one_line(error)
        self.failed.append((error, message))
        if self._several and message is None:
            traceback.print_exception(error)
        elif self._several:
            print(f"landscape: job {job.number}: {message}", file=sys.stderr, flush=True)

    @property
    def multirun(self) -> Path | None:
        """The folder of all jobs of a multirun, which a YAML may ask for, too; None of a run."""
        return Footing.folder.absolute() if Footing.several and Footing.folder else None

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
