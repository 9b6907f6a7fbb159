import pytest

from maniplvm.training.loop.health_checks import WINDOW, CollapseWatch

HEALTHY = {"groups_without_signal": 0.2, "parse_rate": 0.95, "kl": 0.02, "answer_variety": 0.9}


def watched(lines):
    watch = CollapseWatch()
    return [
        text for step, line in enumerate(lines, 1) for text in watch.observe({"step": step, **line})
    ]


def test_a_healthy_run_gets_no_warning():
    assert watched([{**HEALTHY, "loss": 0.1}] * 100) == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("groups_without_signal", 1.0, "same reward"),
        ("parse_rate", 0.6, "parse rate fell from 95% to 7"),
        ("kl", 3.0, "KL to the reference"),
        ("answer_variety", 0.05, "same answer"),
    ],
)
def test_each_sign_is_said_once_and_within_a_window(key, value, says):
    lines = [HEALTHY] * 20 + [{**HEALTHY, key: value}] * 50
    (warning,) = watched(lines)
    assert says in warning
    step = int(warning.removeprefix("step ").split(":")[0])
    assert 20 < step <= 20 + WINDOW


def test_one_bad_step_is_no_collapse():
    bad = {"groups_without_signal": 1.0, "parse_rate": 0.0, "kl": 5.0, "answer_variety": 0.0}
    assert watched([HEALTHY] * 20 + [bad] + [HEALTHY] * 20) == []


def test_a_model_that_never_could_parse_is_not_said_to_have_lost_it():
    assert watched([{"parse_rate": 0.1}] * 40) == []


def test_a_loss_that_is_not_finite_is_said_at_once():
    (warning,) = watched([{"loss": 0.1}, {"loss": float("nan")}, {"loss": float("nan")}])
    assert warning.startswith("step 2: loss is not finite")
