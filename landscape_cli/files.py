"""Files that are whole: written under a temporary name, and then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from landscape_cli.errors import UserError


def try_writing(folder: Path) -> None:
    """Make a folder and, for a moment, a file in it.

    Raises:
        OSError: that cannot be done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


def write(target: Path, content: bytes | memoryview) -> None:
    """Write a whole file or none, replacing `target` at once.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    temporary = target.with_name(f".{target.name}.tmp{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else a power cut can leave the new name on an empty file
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error
