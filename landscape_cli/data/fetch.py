"""Download a file once: mirrors, resume, check, and only then its final name.

Bytes go to `<name>.part`. A cut connection leaves that file behind, and the next try asks for
the rest of it with an HTTP Range. The final name appears by an atomic rename after the content
was checked, so a file that is there is whole.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.contracts import Progress
from landscape_cli.errors import UserError

CHUNK = 1 << 16  # bytes
TIMEOUT = 15.0  # seconds without a byte
TRIES = 3  # per mirror
LARGEST = 1 << 28  # bytes
# All that urllib lets through; ValueError, where an address is none: http://[bad, http://a..b
NETWORK = (OSError, http.client.HTTPException, ValueError)


class Unavailable(Exception):
    """No mirror gave the file; the message says what each of them answered."""


class _Refused(Exception):
    """This mirror has nothing for us."""


class _Cut(Exception):
    """The connection ended early; asking again may help."""


def fetch(
    urls: Sequence[str],
    target: Path,
    check: Callable[[Path], object],
    progress: Progress,
) -> Path:
    """Make sure `target` exists, downloading it from the first of `urls` that works.

    Args:
        urls: addresses of the same file, best first.
        target: final name.
        check: raises UserError if the downloaded file is not the right one.
        progress: told what is going on.

    Raises:
        Unavailable: no mirror gave a file that passes `check`.
        UserError: the folder cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(target.name + ".lock")):
            if not target.exists():
                _from_mirrors(urls, part, check, progress)
                os.replace(part, target)
    except OSError as error:  # network trouble never gets here: see NETWORK
        raise UserError(
            f"cannot write {target} ({error.strerror or error}); "
            "LANDSCAPE_CACHE chooses another folder"
        ) from None
    return target


def _from_mirrors(
    urls: Sequence[str],
    part: Path,
    check: Callable[[Path], object],
    progress: Progress,
) -> None:
    """Fill `part` with a checked file, or raise Unavailable with everybody's answer."""
    answers = []
    for url in urls:
        for _ in range(TRIES):
            resumed = part.exists() and part.stat().st_size > 0
            try:
                _append(url, part, progress)
                check(part)
                return
            except _Refused as error:
                answer, again = error, False
            except _Cut as error:
                answer, again = error, True
            except UserError as error:
                part.unlink()
                # The beginning may have come from another mirror: give this one a fresh start.
                answer, again = error, resumed
            host = url.split("/")[2]  # urlsplit would raise for an address that is none
            answers.append(f"{host}: {answer}")
            progress.message(answers[-1])
            if not again:
                break
    raise Unavailable("; ".join(dict.fromkeys(answers)) or "no mirrors are set")


def _append(url: str, part: Path, progress: Progress) -> None:
    """Add to `part` what is missing; start over if the server does not do ranges."""
    done = part.stat().st_size if part.exists() else 0
    response = _connect(url, done)
    with response, part.open("r+b" if done else "wb") as file:
        if not str(response.headers["Content-Range"]).startswith(f"bytes {done}-"):
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        file.truncate(done)
        file.seek(done)
        verb, name = "resuming" if done else "downloading", url.rpartition("/")[2]
        progress.phase(f"{verb} {name}", _megabytes(total or 0), "MB")
        _copy(response, file, done, total, progress)
        os.fsync(file.fileno())


def _connect(url: str, done: int) -> Any:
    """Ask for the file from byte `done` on."""
    headers = {"User-Agent": "landscape-cli", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done:  # what we have is as long as their file, or longer
            return _connect(url, 0)
        raise _Refused(f"HTTP {error.code} {error.reason}") from None
    except NETWORK as error:
        raise _Refused(_reason(error)) from None


def _reason(error: Exception) -> str:
    """The few words of a network error that mean something to a reader."""
    inner = getattr(error, "reason", error)
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def _megabytes(count: int) -> int:
    """Bytes in whole MB, rounded up."""
    return -(-count // 10**6)


def _copy(response: Any, file: Any, done: int, total: int | None, progress: Progress) -> None:
    """Copy the response to `file`; `done` bytes are there already."""
    while True:
        progress.update(_megabytes(done))
        if max(done, total or 0) > LARGEST:
            raise _Refused(f"file of more than {LARGEST / 1e6:.0f} MB")
        try:
            block = response.read(CHUNK)
        except NETWORK as error:
            raise _Cut(_reason(error)) from None
        if not block:
            break
        file.write(block)
        done += len(block)
    file.flush()
    if total is not None and done < total:
        raise _Cut(f"connection ended after {done} of {total} bytes")


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time download a file, so that the jobs of a sweep share it."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where a sweep's jobs would each download
        yield
        return
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
