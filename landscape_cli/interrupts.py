"""Ctrl-C, SIGTERM, a closed terminal as a KeyboardInterrupt, put off while a module is imported.

C extensions may swallow what is raised while they are imported, or make an ImportError of it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LOOK = 0.05  # seconds between two looks whether the import is over


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, SIGTERM, SIGHUP: at once, or once an import is over.

    A second signal is not put off. SIGINT is set too, because a shell starts background jobs with
    it ignored; SIGHUP is not where it is ignored, as by `nohup`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal waiting
        asked_again = waiting and number != signal.SIGALRM
        if importing(frame) and not asked_again:
            waiting = True
            signal.setitimer(signal.ITIMER_REAL, LOOK)
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGALRM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def importing(frame: FrameType | None) -> bool:
    """Whether `frame` runs on behalf of an import statement."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
