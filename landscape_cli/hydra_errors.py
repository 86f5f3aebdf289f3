"""Hydra's and OmegaConf's complaints as one line about what the user typed."""

from __future__ import annotations

import errno
import re
import traceback
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from landscape_cli.errors import UserError, nearest
from landscape_cli.schema import unknown

DISK_TROUBLE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
}


def one_line(error: BaseException) -> str | None:
    """The message for an error of the user's, or None where the error is ours."""
    if isinstance(error, UserError):
        return str(error)
    if file := while_in(error, "load_config", "full_path"):
        return f"{file}: cannot be read ({reason(error)})"
    if isinstance(error, MissingConfigException):
        return missing_option(error)
    if isinstance(error, OverrideParseException):
        return unread(str(error.override))
    if isinstance(error, OSError):
        return disk(error)
    if isinstance(error, MemoryError):  # NumPy's say how much was asked for
        return f"not enough memory: {first_line(str(error)) or 'none is left'}"
    if isinstance(error, HydraException) and isinstance(error.__cause__, OmegaConfBaseException):
        return key_error(error.__cause__)
    if isinstance(error, OmegaConfBaseException):
        return key_error(error)
    if isinstance(error, HydraException):
        return composition(first_line(str(error)))
    return unnamed(error)


def unread(override: str) -> str:
    """An override that is none for Hydra, perhaps only for want of quotes."""
    key, equals, value = override.partition("=")
    text = value.replace("'", r"\'")
    quoted = f"{key}{equals}'{text}'"
    try:
        OverridesParser.create().parse_override(quoted)
    except HydraException:
        return f"{override}: cannot be read; write key=value"
    return f'{override}: cannot be read; if the value is a text, quote it: "{quoted}"'


def unnamed(error: BaseException) -> str | None:
    """Complaints of no class of their own."""
    text = first_line(str(error))
    override = while_in(error, "_apply_overrides_to_config", "override")
    if override is not None:  # such as of `model.widths.first=3`
        return f"{override.input_line}: cannot be set ({text})"
    return text if text.startswith("Invalid defaults list in ") else None


def while_in(error: BaseException, function: str, name: str) -> Any:
    """What the variable `name` held in the `function` of Hydra's that failed; None: no such one.

    Errors of Python and of the YAML reader say neither which file nor which setting they are of.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == function and name in frame.f_locals:
            return frame.f_locals[name]
    return None


def reason(error: BaseException) -> str:
    """Why a YAML file cannot be read, and where."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return first_line(str(error))


def missing_option(error: MissingConfigException) -> str:
    """`model=foo`, where there is no foo.yaml."""
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    if not group or not error.options:
        return first_line(str(error))
    options = ", ".join(sorted(error.options))
    return f"{group}={name}: no such {group}; choose from {options}{nearest(name, error.options)}"


def key_error(error: OmegaConfBaseException) -> str:
    """A key that does not exist, or a value that cannot be had."""
    key = error.full_key or str(error.key or "")
    parent = error.parent_node
    if "is not in struct" in str(error) and parent is not None:
        known = [str(name) for name in parent if str(name) != "_target_"]  # type: ignore[union-attr]
        if not known:
            return f"{key}: {key.rpartition('.')[0]} has no settings as it was chosen"
        return unknown(key, "setting", known)
    text = first_line(error.msg or str(error))
    for found, wanted in (("List", "a list"), ("Dict", "a mapping of names to values")):
        if text.startswith("Cannot merge") and text.endswith(f"with {found}Config"):
            text = f"expected {wanted}"
    return f"{key}: {text}" if key else first_line(str(error))


def composition(text: str) -> str:
    """Other complaints of Hydra's, in our words where its own advice would mislead."""
    several = re.fullmatch(r"(?:Ambiguous value for argument|Sweep parameters) '(.+?)'.*", text)
    if several:
        return f"{several[1]}: several values need -m (or write a list as key=[a,b])"
    there = re.fullmatch(r"Could not append to config\. An item is already at '(.+?)'\.", text)
    if there:
        return f"+{there[1]}: is a setting already; change it with {there[1]}=..., without +"
    absent = re.match(r"Could not override '(.+?)'\.", text)
    if absent:
        return f"{absent[1]}: nothing has been chosen there; add it with +{absent[1]}=..."
    drawn = re.fullmatch(r"BasicSweeper does not support sweep type : (\w+)_SWEEP", text)
    if drawn:
        kind = drawn[1].lower()
        return f"-m: {kind}(...) is for sweepers that search; here write key=a,b or key=range(0,5)"
    return text


def disk(error: OSError) -> str | None:
    """A full disk or a folder that cannot be written."""
    making_folder = traceback.extract_tb(error.__traceback__)[-1].name == "mkdir"
    if error.errno not in DISK_TROUBLE and not making_folder:
        return None
    return f"cannot write {error.filename or 'the output'}: {error.strerror}"


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), text)
