import pytest

from benchmarks.bench import command


def test_only_a_command_that_ends_as_it_should_is_timed():
    assert command("doctr", code=2) > 0
    with pytest.raises(
        SystemExit, match=r"^landscape doctr: exit code 2\nlandscape: doctr: no such"
    ):
        command("doctr")
