"""Files are written every few seconds, however long the writing takes."""

from landscape_cli.pace import Pace


def test_it_is_due_after_some_seconds_of_work():
    times = iter([0.0, 3.0, 5.5, 100.0, 104.0, 105.5, 106.0])  # writing took until 100
    pace = Pace(5.0, lambda: next(times))
    assert [pace.due() for _ in range(6)] == [False, True, False, False, True, False]
