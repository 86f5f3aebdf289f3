"""MD5 of files, compared with what is published: finds damage and mix-ups, not forgery."""

from __future__ import annotations

import hashlib
from pathlib import Path

from landscape_cli.errors import UserError


class WrongChecksum(UserError):
    """A file that can be read, but is not the published one."""


def check_content(path: Path, content: bytes, expected: str) -> None:
    """Raise WrongChecksum unless `content`, decompressed from `path`, is the right one."""
    _compare(path, "its content", hashlib.md5(content, usedforsecurity=False), expected)


def check_file(path: Path, expected: str) -> None:
    """Raise WrongChecksum unless the file, compressed as it is, is the right one.

    Raises:
        UserError: the file cannot be read; WrongChecksum is one, too.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    _compare(path, "the file", found, expected)


def _compare(path: Path, what: str, digest: hashlib._Hash, expected: str) -> None:
    if digest.hexdigest() != expected:
        raise WrongChecksum(
            f"{path}: MD5 of {what} is {digest.hexdigest()}, expected {expected}: "
            "damaged, or other data"
        )
