import pytest

from maniplvm.training.loop.health_checks import WINDOW, HealthChecks

HEALTHY = {"frac_reward_zero_std": 0.2, "parse_rate": 0.95, "kl": 0.02, "answer_diversity": 0.9}


def warnings_of(lines):
    checks = HealthChecks()
    return [
        text
        for step, line in enumerate(lines, 1)
        for text in checks.observe({"step": step, **line})
    ]


def test_a_healthy_run_gets_no_warning():
    assert warnings_of([{**HEALTHY, "loss": 0.1}] * 100) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("frac_reward_zero_std", 1.0, "same reward"),
        ("parse_rate", 0.6, "parse rate fell from 95% to 7"),
        ("kl", 3.0, "KL to the reference"),
        ("answer_diversity", 0.05, "same answer"),
    ],
)
def test_each_warning_is_given_once_and_within_a_window(key, value, message):
    lines = [HEALTHY] * 20 + [{**HEALTHY, key: value}] * 50
    (warning,) = warnings_of(lines)
    assert message in warning
    step = int(warning.removeprefix("step ").split(":")[0])
    assert 20 < step <= 20 + WINDOW


def test_one_bad_step_gives_no_warning():
    bad = {"frac_reward_zero_std": 1.0, "parse_rate": 0.0, "kl": 5.0, "answer_diversity": 0.0}
    assert warnings_of([HEALTHY] * 20 + [bad] + [HEALTHY] * 20) == []


def test_a_parse_rate_that_was_always_low_gives_no_warning():
    assert warnings_of([{"parse_rate": 0.1}] * 40) == []


def test_a_loss_that_is_not_finite_gives_a_warning_at_once():
    (warning,) = warnings_of([{"loss": 0.1}, {"loss": float("nan")}, {"loss": float("nan")}])
    assert warning.startswith("step 2: loss is not finite")
