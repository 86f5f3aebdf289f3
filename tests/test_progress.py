import io
import os
import pty
import subprocess
import sys
import time

import pytest

from landscape_cli.progress import Reporter, duration, reporter, speed


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_plain_lines_come_every_few_seconds(tmp_path):
    clock, stream = Clock(), io.StringIO()
    with reporter(tmp_path / "run.log", stream, every=5, clock=clock) as progress:
        progress.message("hello [bold]you[/bold]")
        progress.phase("training", 100, "steps")
        for done in range(0, 101, 10):
            progress.update(done, f"lowest {done}")
            clock.now += 1
        progress.phase("connecting")
        clock.now += 2
    assert stream.getvalue().splitlines() == [
        "hello [bold]you[/bold]",
        "training: 100 steps",
        "training: 50/100 steps, 10/s, 5 s left, lowest 50",
        "training: 100/100 steps, 10/s, lowest 100",
        "training: 11.0 s, 100/100 steps, lowest 100",
        "connecting ...",
        "connecting: 2.0 s",
    ]
    assert progress.phases == {"training": 11.0, "connecting": 2.0}
    log = (tmp_path / "run.log").read_text().splitlines()
    assert [line[20:] for line in log] == stream.getvalue().splitlines()


def test_what_was_found_is_said_with_all_that_is_said_of_a_phase():
    clock, stream = Clock(), io.StringIO()
    with reporter(None, stream, every=5, clock=clock) as progress:
        progress.phase("strings", 8, "strings")
        progress.found("2 connected, level 0.1")
        progress.update(3)
        clock.now = 10
        progress.update(4, "3 of 8 bent strings")  # a method's own words
        clock.now = 20
        progress.beat()
        progress.phase("drawing")
        clock.now = 30
        progress.beat()
    assert stream.getvalue().splitlines() == [
        "strings: 8 strings",
        "strings: 4/8, 0.1/s, 40 s left, 2 connected, level 0.1, 3 of 8 bent strings",
        "strings: 4/8, 20 s each, 1 min 20 s left, 2 connected, level 0.1, 3 of 8 bent strings, "
        "20 s so far",
        "strings: 20.0 s, 4/8 strings, 2 connected, level 0.1, 3 of 8 bent strings",
        "drawing ...",
        "drawing: ..., 10 s so far",
        "drawing: 10.0 s",
    ]


def test_one_is_singular(tmp_path):
    stream = io.StringIO()
    with reporter(tmp_path / "run.log", stream, clock=Clock()) as progress:
        progress.phase("strings", 1, "strings")
        progress.update(1)
    assert stream.getvalue() == "strings: 1 string\nstrings: 0.0 s, 1/1 string\n"


def test_silent_work_is_said_to_go_on(tmp_path):
    clock, stream = Clock(), io.StringIO()
    with reporter(tmp_path / "run.log", stream, every=5, clock=clock) as progress:
        progress.phase("strings", 3, "strings")
        for clock.now in (4, 6, 8, 250):
            progress.beat()
        progress.update(1)
        clock.now = 260
        progress.beat()
    assert stream.getvalue().splitlines() == [
        "strings: 3 strings",
        "strings: 0/3, 6 s so far",
        "strings: 0/3, 4 min 10 s so far",
        "strings: 1/3, 4 min 20 s so far",
        "strings: 260.0 s, 1/3 strings",
    ]
    log = (tmp_path / "run.log").read_text().splitlines()
    assert [line[20:] for line in log] == stream.getvalue().splitlines()


def test_nobody_has_to_ask_for_it():
    stream = io.StringIO()
    with reporter(None, stream, every=0.01) as progress:
        progress.phase("thinking")
        for _ in range(1000):
            time.sleep(0.01)
            if "so far" in stream.getvalue():
                break
    assert "thinking: ..., 0 s so far" in stream.getvalue()


def test_the_rate_leaves_out_what_came_before_the_first_update():
    clock, stream = Clock(), io.StringIO()
    with reporter(None, stream, every=1, clock=clock) as progress:
        progress.phase("relaxing", 40, "strings")
        clock.now = 100  # compiling
        progress.update(0)
        clock.now = 110
        progress.update(20)
    assert "relaxing: 20/40 strings, 2/s, 10 s left" in stream.getvalue()


def test_a_thread_that_goes_on_after_the_end_says_nothing(tmp_path):
    shown = io.StringIO()
    progress = reporter(tmp_path / "run.log", shown, every=0.0)
    progress.phase("strings", total=2)
    progress.update(1)
    progress.close()
    before = shown.getvalue()
    progress.update(2)
    assert shown.getvalue() == before and "1/2" in before


def test_a_phase_met_twice_adds_up():
    clock = Clock()
    progress = reporter(None, io.StringIO(), clock=clock)
    for name in ("a", "b", "a"):
        progress.phase(name)
        clock.now += 1
    progress.close()
    progress.close()
    assert progress.phases == {"a": 2.0, "b": 1.0}


def test_a_stream_that_fails_stops_nothing(tmp_path):
    stream = io.StringIO()
    stream.close()
    with reporter(tmp_path / "nowhere" / "run.log", stream) as progress:
        progress.phase("training", 3)
        progress.update(1)
        progress.message("still here")
    assert isinstance(progress, Reporter) and "training" in progress.phases


def test_a_name_that_is_no_text_stops_nothing(tmp_path):
    """Linux allows any bytes in the name of a file."""
    with reporter(tmp_path / "run.log", io.StringIO()) as progress:
        progress.message(os.fsdecode(b"a\xff"))
        progress.message("still here")
    log = (tmp_path / "run.log").read_text().splitlines()
    assert [line[20:] for line in log] == [r"a\udcff", "still here"]


def test_words_for_rates_and_times():
    said = ["1,660/s", "100/s", "3.1/s", "25 s each"]
    assert [speed(x) for x in (1660.4, 99.7, 3.14, 0.04)] == said
    assert [duration(x) for x in (37, 250, 7500)] == ["37 s", "4 min 10 s", "2 h 5 min"]


SCRIPT = """
import time
from landscape_cli.progress import reporter
with reporter() as progress:
    progress.phase("training", 5, "steps")
    for done in range(6):
        progress.update(done, "[low] λ")
        time.sleep(0.06)
    progress.message("a message")
print("result")
"""


@pytest.mark.parametrize("terminal", ["xterm-256color", "dumb"])
def test_on_a_real_terminal(terminal):
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": terminal, "COLUMNS": "100"}
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        environment.pop(name, None)
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], stderr=slave, stdout=subprocess.PIPE, env=environment
    )
    os.close(slave)
    shown = os.read(master, 10**6).decode()
    os.close(master)
    assert process.returncode == 0
    assert process.stdout == b"result\n"
    assert "a message" in shown and "5/5 steps, [low] λ" in shown
    assert ("\x1b" in shown) == (terminal != "dumb")
    if terminal != "dumb":
        assert shown.rstrip().endswith("steps, [low] λ") and "\x1b[?25h" in shown  # cursor is back
