"""The `landscape` command: verbs, flags and exit codes.

Nothing here imports Hydra or JAX before a verb needs it, so `--help` answers at once.
Exit codes: 0 done, 1 a bug of ours, 2 the user's input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli import completion, listing, overrides
from landscape_cli.errors import UserError, nearest
from landscape_cli.flags import Parser, hydra_flags, run_parser, tune_parser, with_experiment
from landscape_cli.interrupts import interruptible
from landscape_cli.schema import Formats, convert

if TYPE_CHECKING:
    from landscape_cli.jobs import Jobs

OVERVIEW = """\
Strings, level sets and geodesics on the loss surfaces of neural networks.

  landscape run <experiment> [key=value ...]     one run; -m for a multirun over a,b,c
  landscape run <experiment> --dry-run           memory and time it would take
  landscape sweep <experiment> [key=a,b,c ...]   the same as run -m
  landscape list [models|datasets|...]           what there is to choose from
  landscape show <folder>                        settings, headline numbers, references
  landscape plot <folder>                        redraw the figures from the saved files
  landscape tune [experiment] [key=value ...]    find and remember the fastest engine
  landscape doctor                               devices, versions, data, cache

Start with: landscape run geodesic
Completion: eval "$(landscape -sc install=bash)"
"""

FOOTING = "+hydra.callbacks.landscape._target_=landscape_cli.jobs.Footing"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return the exit code; that of the process ends it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us, as by `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):  # a letter that cannot be written ends no run
            stream.reconfigure(errors="backslashreplace")
    code = outcome(list(sys.argv[1:] if argv is None else argv))
    if argv is None and code:
        leave(code)
    return code


def leave(code: int) -> None:
    """End the process at once: Python would wait for threads that still compute."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def outcome(argv: list[str]) -> int:
    """Do what the words say, and say what went wrong in a line."""
    debug = "--debug" in argv
    try:
        with interruptible():
            code = dispatch([word for word in argv if word != "--debug"])
            sys.stdout.flush()
            return code
    except UserError as error:
        if debug:
            traceback.print_exc()
        print(f"landscape: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("; ".join(filter(None, ["landscape: interrupted", str(error)])), file=sys.stderr)
        return 130
    except BrokenPipeError:  # `landscape list | head`: nobody reads on, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if not (said := surroundings(error)):
            raise
        with suppress(OSError):  # Python would try once more to write what could not be written
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"landscape: {said}", file=sys.stderr)
        return 2


def surroundings(error: OSError) -> str | None:
    """What is wrong around the command, where that is the trouble."""
    try:
        os.getcwd()
    except OSError:
        return "the current folder is no longer there; go to another one"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
        return f"the output cannot be written ({error.strerror})"
    return None


def dispatch(argv: list[str]) -> int:
    """Hand the words after the verb to the verb."""
    if argv[:1] in (["-sc"], ["--shell-completion"]):
        return complete(argv)
    if argv[:1] in (["-m"], ["--multirun"]):
        known = ", ".join(listing.options("experiment", [listing.conf_folder()]))
        raise UserError(
            f"{argv[0]}: which experiment? write `landscape run <experiment> -m key=a,b`; "
            f"choose from {known}"
        )
    parser = Parser(prog="landscape", description=OVERVIEW, usage=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"landscape {listing.version()}")
    parser.add_argument("--debug", action="store_true", help="show a traceback for every error")
    parser.add_argument("verb", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.verb is None:
        parser.print_help()
        return 0
    if chosen.verb not in VERBS:
        hint = nearest(chosen.verb, VERBS)
        raise UserError(f"{chosen.verb}: no such verb; choose from {', '.join(VERBS)}{hint}")
    VERBS[chosen.verb](chosen.words)
    return 0


def run(words: list[str], multirun: bool = False) -> None:
    """Compose the configuration with Hydra and run the experiment."""
    parser = run_parser("sweep" if multirun else "run")
    chosen = parser.parse_intermixed_args(words)
    folders = listing.conf_folders(chosen.config_dir)
    if chosen.help and chosen.experiment is None:
        parser.print_help()
        print("\nexperiments:\n" + "\n".join(listing.lines("experiment", folders)))
        return
    check_experiment(chosen.experiment, folders)
    name = chosen.experiment
    several = multirun or chosen.multirun
    flags = hydra_flags(chosen, several)
    given = [overrides.spelled_out(word, folders) for word in chosen.overrides]
    overrides.check(given, folders, several)
    words = [*flags, FOOTING, f"experiment={name}", f"hydra.job.name={name}", *given]
    every = composed(words, "rehearse" if chosen.dry_run else "run")
    if every.multirun is not None:
        show_together(every.multirun)
    every.settle()


def show_together(folder: Path) -> None:
    """Tables and figures of all jobs of a multirun, from the files they left."""
    from landscape_cli import multiruns

    jobs = multiruns.jobs_inside(folder)
    for line in multiruns.tables(jobs):
        print(line)
    if written := multiruns.compare(jobs, folder, complain=left_out):
        print(f"\ncomparison: {written[0].parent}")


def left_out(trouble: str) -> None:
    """Say which file could not be read, and go on with the others."""
    print(f"landscape: left out: {trouble}", file=sys.stderr)


def check_experiment(name: str | None, folders: list[Path]) -> None:
    """Refuse a missing or unknown experiment before Hydra is even imported."""
    known = list(listing.options("experiment", folders))
    if name is None:
        raise UserError(f"which experiment? choose from {', '.join(known)}")
    if name not in known:
        hint = nearest(name, known)
        raise UserError(f"{name}: no such experiment; choose from {', '.join(known)}{hint}")


def composed(words: list[str], task: str = "run", **known) -> Jobs:
    """Let Hydra parse `words` and call a task of the runner, its complaints turned into ours.

    Returns:
        What became of the jobs, to be settled.
    """
    sys.argv = ["landscape", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise instead of printing and exiting
    import hydra

    from landscape_cli import hydra_errors, hydra_targets, jobs, runner

    conf = str(listing.conf_folder())
    application = hydra.main(version_base="1.3", config_path=conf, config_name="config")
    every = jobs.Jobs(partial(getattr(runner, task), **known))
    part = words[words.index("--package") + 1] if "--package" in words else None
    try:
        said = redirect_stderr(io.StringIO() if part else sys.stderr)
        with hydra_targets.guarded(runner.check_ahead), said:
            application(every)()
    except SystemExit as error:
        if not (part and error.code):
            raise
        raise UserError(f"--package {part}: no such part of the configuration") from error
    except Exception as error:
        message = hydra_errors.one_line(error)
        if message is None:
            raise
        raise UserError(message) from error
    finally:
        jobs.tidy()
    return every


def complete(argv: list[str]) -> int:
    """Shell completion: verbs, experiments and folders here, the rest by Hydra."""
    flags = argv[1:]
    shells = "(install|uninstall|query)=(bash|zsh|fish)"
    if len(flags) != 1 or not re.fullmatch(shells, flags[0]):
        allowed = "install=bash, install=zsh, install=fish or the same with uninstall="
        raise UserError(f"{' '.join(argv)}: write {argv[0]} with {allowed}")
    if flags[:1] == ["query=bash"]:
        answer = completion.offered(os.environ.get("COMP_LINE", ""), VERBS)
        if isinstance(answer, list):
            print(" ".join(answer))
            return 0
        os.environ["COMP_LINE"] = answer.line
        flags += answer.flags
    composed(["--shell-completion", *flags]).settle()
    return 0


def sweep(words: list[str]) -> None:
    """`run -m`."""
    run(words, multirun=True)


def show_list(words: list[str]) -> None:
    """Print what there is to choose from."""
    parser = Parser(prog="landscape list", description="What there is to choose from.")
    parser.add_argument("what", nargs="*", help=", ".join(listing.KINDS))
    parser.add_argument("--config-dir", metavar="DIR", help="a folder with your own YAML files")
    chosen = parser.parse_intermixed_args(words)
    listing.print_options(chosen.what, listing.conf_folders(chosen.config_dir))


def show(words: list[str]) -> None:
    """Print a run's settings, headline numbers and references; a multirun in brief."""
    parser = Parser(prog="landscape show", description="What a run was and what it found.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(words).folder
    from landscape_cli import multiruns, past_runs

    print((multiruns if multiruns.runs_inside(folder) else past_runs).show(folder))


def plot(words: list[str]) -> None:
    """Draw a run's figures again from its saved files; of a multirun all, and its comparison."""
    parser = Parser(prog="landscape plot", description="Redraw a run's figures.")
    add = parser.add_argument
    add("folder", type=Path)
    add(
        "--config-dir",
        metavar="DIR",
        help="your folder: the plug-ins of the run are taken from it",
    )
    add("--plugin", action="append", default=[], metavar="NAME", help="a module to import for it")
    add("--format", metavar="png,svg,pdf", help="of the files; those of the run unless given")
    chosen = parser.parse_args(words)
    from landscape_cli import multiruns, past_runs

    given = chosen.format
    formats = None if given is None else convert(given.split(","), Formats, "--format")
    figures, several = [], multiruns.runs_inside(chosen.folder)
    for run in several or [chosen.folder]:
        try:
            past_runs.read_manifest(run)
            if chosen.config_dir or chosen.plugin:
                trust_plugins(run, chosen.config_dir, chosen.plugin)
            figures += past_runs.redraw(run, formats, left_out)
        except UserError as error:
            if not several:
                raise
            left_out(str(error))
    if not figures:
        raise UserError(f"{chosen.folder}: there is nothing to draw (its data have no figures)")
    for path in figures:
        print(f"figure: {path}")
    jobs = multiruns.jobs_inside(chosen.folder) if several else ()
    for path in multiruns.compare(jobs, chosen.folder, formats):
        print(f"comparison: {path}")


def trust_plugins(run: Path, folder: str | None, names: list[str]) -> None:
    """Import the plug-ins `names`, and those of a run that lie in the user's own `folder`.

    A run folder may come from anywhere. Its configuration says which plug-ins it used, but never
    chooses alone what is imported: the user does, by name or by folder.
    """
    from landscape_cli import config, past_runs

    extra = [Path(place).resolve() for place in listing.conf_folders(folder)[:-1]]
    declared = past_runs.read_config(run / "config.yaml").get("plugins")
    used = declared if isinstance(declared, list) else []
    for place in extra:
        config.open_plugins(config.plugins_in(place, used), [place], "--config-dir")
    config.open_plugins(names, [Path.cwd(), *extra], "--plugin {}")


def tune(words: list[str]) -> None:
    """Time the engines for a model, or forget what was timed."""
    chosen = tune_parser().parse_intermixed_args(words)
    if chosen.forget:
        if chosen.words:
            raise UserError(f"{chosen.words[0]}: --forget takes no settings, it forgets all")
        from landscape_cli.tune import forget

        print(f"forgotten: {forget()} plans")
        return
    if not 0 < chosen.limit < float("inf"):
        raise UserError(f"--limit {chosen.limit:g}: must be a positive number of seconds")
    folders = listing.conf_folders(chosen.config_dir)
    name, *given = with_experiment(chosen.words)
    check_experiment(name, folders)
    overrides.check(given, folders)
    words = ["--config-dir", chosen.config_dir] if chosen.config_dir else []
    words += [FOOTING, f"experiment={name}", "hydra.job.name=tune", *given]
    composed(words, "tune", limit=chosen.limit).settle()


def doctor(words: list[str]) -> None:
    """Print devices, versions, data found and cache."""
    Parser(prog="landscape doctor", description="What this machine offers.").parse_args(words)
    from landscape_cli.doctor import report

    print("\n".join(report()))


VERBS = {
    "run": run,
    "sweep": sweep,
    "list": show_list,
    "show": show,
    "plot": plot,
    "tune": tune,
    "doctor": doctor,
}
