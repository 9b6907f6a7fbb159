import pytest

from maniplvm.errors import UserError
from maniplvm.rewards import PRESETS, Preset, resolve_preset, score
from maniplvm.rewards.presets import TERMS
from maniplvm.rewards.terms import DistanceTerm, FractionTerm, NearMissTerm
from maniplvm.tasks import Task
from tests.rewards.test_scoring import BOX, TRACE, wrap

CUSTOM = """
name: mine
affordance:
  format: {weight: 0.5}
  giou: {weight: 2}
trajectory:
  format: {}
  dfd: {weight: 1, k: 0.1, unit: px, squared: true, shape: rational}
"""


def test_a_preset_comes_from_a_yaml_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(CUSTOM)
    preset = resolve_preset(path)
    assert preset == resolve_preset(str(path))
    assert preset.name == "mine"
    assert score(wrap(BOX.target.xyxy), BOX, preset).terms == {"format": 0.5, "giou": 2}
    shifted = score(wrap(TRACE.target.points + [3, 4]), TRACE, preset)
    assert shifted.terms == pytest.approx({"format": 1, "dfd": 1 / (1 + 0.1 * 25)})


def test_a_preset_is_read_from_a_mapping_of_a_recipe():
    preset = resolve_preset({"name": "a", "affordance": {"iou": {}, "near_miss": {}}})
    assert preset.terms(Task.TRAJECTORY) == {}
    assert preset.max_reward(Task.AFFORDANCE) == 1
    assert resolve_preset(preset) is preset
    assert score(wrap(TRACE.target.points), TRACE, preset).total == 0


@pytest.mark.parametrize(
    "text",
    [
        "name: a\nname: b\n",
        "name: a\naffordance: {}\naffordance: {iou: {}}\n",
        "name: a\naffordance: {iou: {weight: 1}, 'iou': {weight: 2}}\n",
        "name: a\naffordance: {iou: {weight: 1, weight: 2}}\n",
    ],
)
def test_a_preset_file_with_a_duplicate_key_is_refused(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml: .* appears twice"):
        resolve_preset(path)


HUGE = [10**400, -(10**400), 10**5000, float("inf"), float("nan"), "9" * 5000, [1] * 5000]


@pytest.mark.parametrize("value", HUGE, ids=range(len(HUGE)))
def test_a_huge_value_is_one_short_line_in_python_and_in_a_mapping(value):
    for build in (
        lambda: FractionTerm(value),
        lambda: NearMissTerm(until=value),
        lambda: DistanceTerm(k=value),
        lambda: Preset("a", {"iou": {"weight": value}}),
        lambda: Preset.from_mapping({"name": "a", "affordance": {"iou": {"weight": value}}}),
        lambda: Preset("a", {"x" * 5000: FractionTerm()}),
    ):
        with pytest.raises(UserError) as caught:
            build()
        assert len(str(caught.value)) < 300
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_weight_of_hundreds_of_digits_in_a_file_is_one_short_line(tmp_path, digits):
    path = tmp_path / "mine.yaml"
    path.write_text("name: a\naffordance: {iou: {weight: " + "9" * digits + "}}\n")
    with pytest.raises(UserError, match=r"^preset .*mine\.yaml: ") as caught:
        resolve_preset(path)
    assert len(str(caught.value).replace(str(path), "")) < 300
    assert "\n" not in str(caught.value)


def test_the_largest_weights_give_a_finite_reward():
    perfect = wrap(BOX.target.xyxy)
    for name in ("iou", "giou", "format"):
        preset = Preset("a", {name: FractionTerm(1.7e308)})
        assert score(perfect, BOX, preset).total == 1.7e308
    names = ("dfd", "hd", "rmse", "end", "start", "dtw")
    for shape in ("exp", "rational"):
        for unit in ("px", "diagonal"):
            terms = {name: DistanceTerm(2e307, 1e308, unit, shape, True) for name in names}
            preset = Preset("a", trajectory=terms)
            target = TRACE.target.points
            assert score(wrap(target), TRACE, preset).total == pytest.approx(1.2e308)
            far = score(wrap(target + [30, 4]), TRACE, preset).total
            assert 0 <= far < 1e4
    preset = Preset("a", {"iou": FractionTerm(1e308), "near_miss": NearMissTerm(1e307, 1e308)})
    assert 0 <= score(wrap([1, 2, 3, 4]), BOX, preset).total <= 1e308


def test_every_known_term_can_be_configured():
    for task, terms in TERMS.items():
        settings = {name: {"weight": 0.1} for name in terms} | (
            {"iou": {"weight": 1}} if task is Task.AFFORDANCE else {}
        )
        assert list(Preset.from_mapping({"name": "all", task: settings}).terms(task))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"affordance": {}}, "name: missing"),
        ({"name": "a", "box": {}}, "unknown key 'box'; choose from name, affordance, trajectory"),
        ({"name": "a", "affordance": {"dfd": {}}}, "unknown key 'dfd'; choose from format, iou"),
        (
            {"name": "a", "trajectory": {"dfd": {"scale": 1}}},
            r"trajectory\.dfd: unknown key 'scale'",
        ),
        ({"name": "a", "trajectory": {"dfd": {"k": "x"}}}, r"dfd\.k: expected a number, got 'x'"),
        ({"name": "a", "trajectory": {"dfd": {"k": True}}}, "expected a number"),
        (
            {"name": "a", "trajectory": {"dfd": {"k": -1}}},
            r"trajectory\.dfd\.k: must not be negative",
        ),
        ({"name": "a", "trajectory": {"dfd": {"k": float("nan")}}}, "expected a finite number"),
        ({"name": "a", "trajectory": {"dfd": {"unit": "m"}}}, "choose from diagonal, px; got 'm'"),
        ({"name": "a", "trajectory": {"dfd": {"squared": 1}}}, "expected a boolean, got 1"),
        ({"name": "a", "trajectory": {"dfd": 5}}, "expected a mapping"),
        ({"name": "a", "trajectory": [1]}, "expected a mapping"),
        ({"name": "a", "affordance": {"near_miss": {}}}, "more overlap could score lower"),
        (
            {"name": "a", "affordance": {"iou": {}, "near_miss": {"weight": 0.6}}},
            "more overlap could score lower",
        ),
        (
            {"name": "a", "affordance": {"iou": {}, "near_miss": {"until": 2}}},
            "above 0 and at most 1",
        ),
        ("pper", "unknown preset 'pper'; choose from paper, weighted, dense"),
    ],
)
def test_an_invalid_preset_is_a_user_error(settings, message):
    with pytest.raises(UserError, match=message):
        resolve_preset(settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"- 1", "expected a mapping"),
        (None, "cannot be read"),
    ],
)
def test_the_error_of_an_invalid_preset_file_names_the_file(tmp_path, content, message):
    path = tmp_path / "bad.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"bad\.yaml: {message}"):
        resolve_preset(path)


def test_the_shipped_presets_score_both_tasks():
    for preset in PRESETS.values():
        assert preset.max_reward(Task.AFFORDANCE) > 1
        assert preset.max_reward(Task.TRAJECTORY) > 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Preset("a", {"iuo": FractionTerm()}),
            "affordance: unknown key 'iuo'; did you mean iou",
        ),
        (
            lambda: Preset("a", {"iou": DistanceTerm()}),
            r"affordance\.iou: expected FractionTerm, got DistanceTerm",
        ),
        (lambda: Preset("a", {"iou": 1.0}), r"affordance\.iou: expected a mapping, got 1\.0"),
        (lambda: Preset("a", {"iou": FractionTerm(-1)}), "weight: must not be negative, got -1"),
        (
            lambda: Preset("a", {"iou": FractionTerm(float("inf"))}),
            "weight: expected a finite number",
        ),
        (lambda: Preset("a", {"iou": FractionTerm("1")}), "weight: expected a number, got '1'"),
        (
            lambda: Preset("a", trajectory={"dfd": DistanceTerm(shape="cos")}),
            "choose from exp, rat",
        ),
        (lambda: Preset("a", {"near_miss": NearMissTerm()}), "more overlap could score lower"),
        (
            lambda: Preset("a", {"iou": FractionTerm(1e308), "giou": FractionTerm(1e308)}),
            "sum of the weights",
        ),
        (lambda: Preset(3), "name: expected a string, got 3"),
        (lambda: Preset("a", [FractionTerm()]), "affordance: expected a mapping"),
    ],
)
def test_a_preset_from_python_is_validated_like_a_file(build, message):
    with pytest.raises(UserError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_a_preset_of_terms_equals_a_preset_of_mappings():
    terms = {"dfd": DistanceTerm(2.0, 5.0, squared=True), "format": FractionTerm(0.5)}
    settings = {"dfd": {"weight": 2, "k": 5, "squared": True}, "format": {"weight": 0.5}}
    built = Preset("a", trajectory=terms)
    assert built == Preset.from_mapping({"name": "a", "trajectory": settings})
    assert list(built.trajectory) == ["dfd", "format"]


def test_numbers_and_keys_of_a_preset_file_are_read_as_in_a_recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntrajectory: {dfd: {k: 1e1}}\n")
    assert resolve_preset(path).trajectory["dfd"] == DistanceTerm(k=10.0)
    path.write_text("name: mine\naffordance: {iou: {}}\naffordance: {giou: {}}\n")
    with pytest.raises(UserError, match=r"mine\.yaml: not YAML \(line 3: key 'affordance' appears"):
        resolve_preset(path)
