import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.rewards import PRESETS, resolve_preset, score, score_batch
from maniplvm.rewards.doctor.diagnose import diagnose
from maniplvm.tasks import RegionTarget, Sample, Task, write_completion
from tests.rewards.test_scoring import BOX, TRACE, wrap
from tests.tasks.parsing.test_reading import FRAGMENTS

REGION = Sample(
    "region",
    Task.POINTING,
    "hold the cup",
    (640, 480),
    RegionTarget.of_boxes([[100, 100, 200, 180], [300, 300, 320, 320]]),
)
ALL_PRESETS = pytest.mark.parametrize("preset", PRESETS)


@ALL_PRESETS
@pytest.mark.parametrize("family", FRAMES)
def test_the_reference_answer_gets_the_maximum_reward(preset, family):
    frame = FRAMES[family].bind(REGION.image_size)
    text = write_completion(REGION.target, frame, "the rim")
    result = score(text, REGION, preset, frame)
    assert result.total == pytest.approx(PRESETS[preset].max_reward(Task.POINTING))
    assert list(result.terms) == ["format", "inside"]


@ALL_PRESETS
def test_the_reward_is_the_fraction_of_points_inside(preset):
    result = score(wrap([[110, 110], [310, 310], [5, 5], [200, 180]]), REGION, preset)
    assert result.terms["inside"] == pytest.approx(0.75)
    assert score(wrap([[5, 5]]), REGION, preset).terms["inside"] == 0
    assert score("no idea", REGION, preset).total == 0
    assert score(json.dumps([100, 100, 200, 180]), REGION, preset).total == 0


@given(text=FRAGMENTS)
def test_no_text_exceeds_the_maximum_reward_or_raises(text):
    total = score(text, REGION).total
    assert np.isfinite(total)
    assert 0 <= total <= PRESETS["paper"].max_reward(Task.POINTING)


@given(order=st.permutations(range(3)))
def test_three_tasks_may_be_mixed_in_a_batch(order):
    asked = [
        (REGION, wrap([[110, 110]])),
        (BOX, wrap(BOX.target.xyxy)),
        (TRACE, wrap(TRACE.target.points)),
    ]
    mixed = [asked[index] for index in order]
    scores = score_batch([text for _, text in mixed], [sample for sample, _ in mixed])
    for (sample, text), found in zip(mixed, scores, strict=True):
        assert found.total == score(text, sample).total


def test_a_custom_preset_may_weight_or_omit_pointing():
    mine = {"name": "mine", "pointing": {"inside": {"weight": 3}}}
    assert score(wrap([[110, 110]]), REGION, mine).total == 3
    assert resolve_preset({"name": "none"}).terms(Task.POINTING) == {}
    with pytest.raises(UserError, match="unknown key 'iou'; choose from format, inside"):
        resolve_preset({"name": "bad", "pointing": {"iou": {}}})


def test_the_doctor_rejects_pointing_samples():
    with pytest.raises(ValueError, match="boxes and traces, not for pointing"):
        diagnose([REGION], PRESETS["paper"], np.random.default_rng(0))
