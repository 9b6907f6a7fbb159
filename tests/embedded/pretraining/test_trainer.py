import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from maniplvm.embedded import Shape
from maniplvm.embedded.pretraining import Schooling, make_embedded, school
from maniplvm.embedded.pretraining.distributed import Team, run_team
from maniplvm.embedded.pretraining.trainer import _epoch, finished_weights
from maniplvm.errors import UserError
from maniplvm.models import load_model
from tests.embedded.pretraining.conftest import SHIPPED

SHORT = Schooling(steps=4, batch=4, warmup=2, save_every=2, log_every=1)


def taught(untrained, lessons, folder, settings=SHORT, until=None):
    folder.mkdir(exist_ok=True)
    loaded = load_model(untrained, dtype="float32", device="cpu")

    def report(line):
        if until is not None and line["step"] == until:
            raise KeyboardInterrupt

    school(loaded, lessons, settings, folder, report)
    return {name: value.clone() for name, value in loaded.model.state_dict().items()}


def test_a_course_that_was_interrupted_ends_with_the_same_weights(untrained, lessons, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = taught(untrained, lessons, whole)
    with pytest.raises(KeyboardInterrupt):
        taught(untrained, lessons, broken, until=3)
    resumed = taught(untrained, lessons, broken)
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)


def test_losses_fall_and_are_logged_by_name(untrained, lessons, tmp_path):
    settings = replace(SHORT, steps=30, batch=8, warmup=4, save_every=30, learning_rate=5e-3)
    taught(untrained, lessons, tmp_path, settings)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 31))
    for name in ("text", "box", "trace"):
        first, last = (np.mean([line[name] for line in part]) for part in (lines[:3], lines[-3:]))
        assert last < 0.95 * first, name


def test_a_state_of_other_settings_is_refused(untrained, lessons, tmp_path):
    taught(untrained, lessons, tmp_path)
    with pytest.raises(UserError, match="other settings"):
        taught(untrained, lessons, tmp_path, replace(SHORT, seed=1))


def test_a_course_may_be_lengthened_until_its_decay_starts(untrained, lessons, tmp_path):
    taught(untrained, lessons, tmp_path / "long", replace(SHORT, steps=20, save_every=20))
    with pytest.raises(KeyboardInterrupt):
        taught(untrained, lessons, tmp_path / "short", replace(SHORT, steps=8), until=5)
    longer = taught(untrained, lessons, tmp_path / "short", replace(SHORT, steps=20))
    whole = torch.load(tmp_path / "long" / "state.pt", weights_only=True)["model"]
    for name, value in longer.items():
        torch.testing.assert_close(whole[name], value, atol=1e-6, rtol=1e-5, msg=name)
    with pytest.raises(UserError, match="other settings"):
        taught(untrained, lessons, tmp_path / "short", replace(SHORT, steps=24))


def test_the_model_is_the_average_over_the_ends_of_its_cycles(untrained, lessons, tmp_path):
    both = replace(SHORT, steps=8, cycles=2, last_share=0.75)
    last = taught(untrained, lessons, tmp_path / "both", both)
    first = taught(untrained, lessons, tmp_path / "one", SHORT)
    for name, value in finished_weights(tmp_path / "both", both).items():
        torch.testing.assert_close(value, 0.25 * first[name] + 0.75 * last[name], msg=name)
    for name, value in finished_weights(tmp_path / "one", SHORT).items():
        torch.testing.assert_close(value, first[name], msg=name)


def test_a_course_that_was_interrupted_in_its_second_cycle_goes_on(untrained, lessons, tmp_path):
    both = replace(SHORT, steps=8, cycles=2, save_every=3)
    taught(untrained, lessons, tmp_path / "whole", both)
    for stop in (5, 8):
        with pytest.raises(KeyboardInterrupt):
            taught(untrained, lessons, tmp_path / "broken", both, until=stop)
    taught(untrained, lessons, tmp_path / "broken", both)
    whole = finished_weights(tmp_path / "whole", both)
    for name, value in finished_weights(tmp_path / "broken", both).items():
        torch.testing.assert_close(value, whole[name], atol=1e-6, rtol=1e-5, msg=name)


def test_only_the_last_cycle_asks_for_what_is_not_in_the_image():
    course = Schooling(steps=30, cycles=3, absent=0.5)
    assert [course.absent_at(step) for step in (0, 10, 19, 20, 29)] == [0, 0, 0, 0.5, 0.5]
    assert Schooling(steps=10, absent=0.5).absent_at(9) == 0
    assert course.shares() == pytest.approx([0.2, 0.2, 0.6])


def test_the_learning_rate_rises_and_falls_in_every_cycle():
    course = Schooling(steps=200, cycles=2, warmup=10, decay=0.5, learning_rate=1.0)
    rates = [course.rate(step) for step in range(200)]
    assert rates[:100] == rates[100:]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == [1.0] * 42
    assert rates[99] == pytest.approx(0.02)


def test_an_epoch_shows_every_lesson_once_and_groups_traces_of_like_length():
    rng = np.random.default_rng(0)
    points = tuple(rng.integers(3, 11, 640).tolist())
    batches = _epoch(points, 16, 0, 0)
    assert sorted(batches.ravel().tolist()) == list(range(640))
    spread = np.ptp(np.array(points)[batches], axis=1).mean()
    by_chance = np.ptp(np.array(points)[rng.permutation(640)].reshape(-1, 16), axis=1).mean()
    assert spread < 0.5 * by_chance
    assert not np.array_equal(batches, _epoch(points, 16, 0, 1))


def test_the_auxiliary_heads_do_not_ship(untrained, lessons, tmp_path):
    before = set(load_model(untrained, device="cpu").model.state_dict())
    assert set(taught(untrained, lessons, tmp_path)) == before


def quiet(line):
    assert line["step"] > 0


def test_two_processes_make_a_checkpoint_that_plain_transformers_loads(tmp_path):
    shape = Shape(vision_width=32, vision_depth=2, width=32, depth=2, heads=2, vocabulary=400)
    settings = replace(SHORT, steps=2, save_every=2)
    folder = make_embedded(
        SHIPPED, "adapt_test", settings, tmp_path / "two", quiet, processes=2, shape=shape
    )
    plain = AutoModelForImageTextToText.from_pretrained(folder)
    assert plain.dtype == torch.bfloat16
    state = torch.load(tmp_path / "two" / "state.pt", weights_only=True)
    assert state["step"] == 2


def test_each_process_takes_its_own_part_of_a_batch_and_gradients_are_averaged():
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.tensor([1.0, 2.0, 3.0])
    Team().average_gradients([parameter])
    assert parameter.grad.tolist() == [1.0, 2.0, 3.0]
    assert Team().share([4, 5, 6]) == [4, 5, 6]


def _averaged(folder):
    team = Team()
    used, unused = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    used.grad = torch.tensor([1.0, 3.0]) * (team.rank + 1)
    team.average_gradients([used, unused])
    values = [*used.grad.tolist(), *unused.grad.tolist(), *team.share(range(5))]
    (folder / str(team.rank)).write_text(json.dumps(values))


def test_two_processes_average_their_gradients(tmp_path):
    run_team(2, _averaged, tmp_path)
    first, second = (json.loads((tmp_path / name).read_text()) for name in "01")
    assert first[:3] == second[:3] == [1.5, 4.5, 0.0]
    assert first[3:] == [0, 2, 4]
    assert second[3:] == [1, 3]
