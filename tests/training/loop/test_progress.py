import io

import pytest
from rich.console import Console

from maniplvm.training.loop import progress
from maniplvm.training.loop.progress import Progress, duration


class StoppedClock:
    seconds = 0.0


def shown(lines, steps, terminal=False, time_limit=None):
    clock = StoppedClock()
    console = Console(file=io.StringIO(), force_terminal=terminal, width=40)
    with Progress(console, clock, time_limit) as bar:
        for line in lines:
            clock.seconds = line["seconds"]
            bar.show(line, steps)
        bar.print("a line that stays, longer than the terminal is wide")
    return console.file.getvalue()


def lines_of(count, seconds_per_step=2.0):
    return [
        {"step": step, "seconds": seconds_per_step * step, "reward": step / 10, "parse_rate": 0.5}
        for step in range(1, count + 1)
    ]


def test_without_a_terminal_there_is_a_line_now_and_then_and_one_at_the_end():
    text = shown(lines_of(50), 50).splitlines()
    assert [line.split(" · ")[0] for line in text[:-1]] == ["step 1/50", "step 50/50"]
    assert text[-1] == "a line that stays, longer than the terminal is wide"


def test_a_line_holds_reward_speed_and_time_left(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    text = shown(lines_of(20), 50).splitlines()
    assert text[19] == "step 20/50 · reward 2.000 · parse rate 50% · 2.00 s/step · 1 min left"


def test_a_time_limit_bounds_the_time_left(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    text = shown(lines_of(20), 5000, time_limit=55).splitlines()
    assert text[19].endswith("15 s left")


def test_a_resumed_run_reports_its_own_speed(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    text = shown(lines_of(20)[10:], 50).splitlines()
    assert "s a step" not in text[0]
    assert "2.00 s/step" in text[1]


def test_a_terminal_shows_one_live_line():
    text = shown(lines_of(3), 3, terminal=True)
    assert "step 3/3" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12, "12 s"), (200, "3 min"), (3600, "1 h 0 min"), (7900, "2 h 12 min")]
)
def test_a_duration_is_rounded_for_reading(seconds, text):
    assert duration(seconds) == text
