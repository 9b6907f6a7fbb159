"""The interface of the task loader of lmms-eval 0.7.3, and the loader itself if it is installed."""

import importlib.util
import inspect
import json
import math
import os
from dataclasses import replace

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from maniplvm.cli.app import app
from maniplvm.engines.lmms_eval import export_tasks
from maniplvm.errors import UserError
from maniplvm.evaluation import FilePredictor, evaluate
from maniplvm.evaluation.protocols import PROTOCOLS
from maniplvm.tasks import PROMPTS, RegionTarget, Task
from tests.evaluation.scenery import answer_text, predictions_file, right, sample, small_set, stored

datasets = pytest.importorskip("datasets")

PARAMETERS = {
    "doc_to_visual": 1,
    "doc_to_text": 1,
    "doc_to_target": 1,
    "process_docs": 1,
    "process_results": 2,
}
"""Number of arguments that lmms-eval passes to each function."""


class Loader(yaml.SafeLoader):
    """Reads a task file as lmms-eval does: functions come from the module in the same folder."""


def _function(loader, node):
    module, name = loader.construct_scalar(node).split(".")
    path = os.path.join(os.path.dirname(loader.name), f"{module}.py")  # noqa: PTH118, PTH120
    spec = importlib.util.spec_from_file_location(module, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, name)


Loader.add_constructor("!function", _function)


def read(path):
    with path.open("rb") as file:
        return yaml.load(file, Loader)  # noqa: S506, it is a SafeLoader


def tasks_of(folder):
    found = [read(path) for path in sorted(folder.glob("*.yaml"))]
    return {each["task"]: each for each in found if isinstance(each["task"], str)}


def docs_of(task, folder, cache):
    """Rows with their images, and without, as the harness gives them for scoring."""
    files = {k: str(folder / v) for k, v in task["dataset_kwargs"]["data_files"].items()}
    whole = datasets.load_dataset(task["dataset_path"], data_files=files, cache_dir=str(cache))
    docs = task["process_docs"](whole[task["test_split"]])
    images = [k for k, v in docs.features.items() if isinstance(v, datasets.Image)]
    return docs, docs.remove_columns(images)


def scored(task, docs, texts):
    """What the harness prints: every metric, aggregated."""
    rows = [task["process_results"](doc, [texts[doc["id"]].strip()]) for doc in docs]
    json.dumps(rows)  # they go into its log
    return {
        metric["metric"]: metric["aggregation"]([row[metric["metric"]] for row in rows])
        for metric in task["metric_list"]
    }


def regions():
    """Pointing samples, one of which has a mask, which is stored as an image."""
    first, second = (
        replace(
            sample(Task.AFFORDANCE, seed=seed), id=f"point/{seed}", task=Task.POINTING, target=own
        )
        for seed, own in enumerate(
            (
                RegionTarget.of_boxes(np.array([[10.0, 10.0, 30.0, 30.0]])),
                RegionTarget(polygons=(), mask=np.arange(48 * 64).reshape(48, 64) % 64 < 20),
            )
        )
    )
    return [first, second]


def answers(samples):
    """Right, unreadable and wrong ones by turns."""
    wrong = {
        Task.AFFORDANCE: answer_text([5, 5, 25, 25]),
        Task.TRAJECTORY: answer_text([[1, 1], [9, 9], [40, 20]]),
        Task.POINTING: answer_text([[15, 15], [60, 40]]),
    }
    kinds = (lambda s: right(s), lambda s: "I cannot say.", lambda s: wrong[s.task])
    easy = (lambda s: answer_text([[12, 12]]), kinds[1], kinds[2])
    return {
        each.id: (easy if each.task is Task.POINTING else kinds)[number // 2 % 3](each)
        for number, each in enumerate(samples)
    }


@pytest.mark.parametrize("protocol", ["maniplvm", "sharerobot-bench", "point-in-mask"])
def test_every_value_equals_that_of_evaluate(tmp_path, protocol):
    samples = [*small_set(("id_test", "ood-tasks")), *regions()]
    texts = answers(samples)
    data = stored(tmp_path / "data", samples)
    file = predictions_file(tmp_path / "predictions.jsonl", texts)
    ours = evaluate(FilePredictor(file), data, tmp_path / "out", protocol=protocol).splits
    written = export_tasks(data, tmp_path / "tasks", family="pixels", protocol=protocol)
    tasks = tasks_of(tmp_path / "tasks")
    assert set(tasks) == set(written.tasks)
    compared = 0
    for split, own in ours.items():
        for kind, result in own.items():
            (name,) = (n for n in tasks if n.endswith(f"{split.replace('-', '_')}_{kind}"))
            _, docs = docs_of(tasks[name], tmp_path / "tasks", tmp_path / "cache")
            found = scored(tasks[name], docs, texts)
            expected = {
                **{name: value.mean for name, value in result.strict.items()},
                **{f"{name}_published": value.mean for name, value in result.published.items()},
                "parse_rate": result.parse_rate.mean,
                "format_rate": result.format_rate.mean,
                "reward": result.reward["total"].mean,
            }
            assert len(docs) == result.count == written.tasks[name]
            assert found == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
            compared += 1
    assert compared == len(tasks) > 0


def test_the_folder_has_the_form_that_the_loader_expects(tmp_path):
    data = stored(tmp_path / "data", small_set())
    written = export_tasks(data, tmp_path / "tasks", family="qwen2_5_vl")
    group = read(tmp_path / "tasks" / f"{written.group}.yaml")
    tasks = tasks_of(tmp_path / "tasks")
    assert group == {"group": written.group, "task": list(written.tasks)}
    assert len(tasks) == 2
    for name, task in tasks.items():
        assert name.isidentifier()
        assert task["output_type"] == "generate_until"
        assert task["generation_kwargs"]["until"] == [], "the harness would add a blank line"
        for function, count in PARAMETERS.items():
            assert len(inspect.signature(task[function]).parameters) == count
        for metric in task["metric_list"]:
            assert isinstance(metric["higher_is_better"], bool)
            assert list(inspect.signature(metric["aggregation"]).parameters) == ["values"]
        better = {each["metric"]: each["higher_is_better"] for each in task["metric_list"]}
        assert better["success"]
        assert better["success_published"]
        assert not better.get("dfd", False)
        for file in task["dataset_kwargs"]["data_files"].values():
            assert not os.path.isabs(file), "the folder may be moved"  # noqa: PTH117


def test_prompts_are_those_of_the_family(tmp_path):
    data = stored(tmp_path / "data", small_set())
    folder = (tmp_path / "elsewhere").absolute()
    written = export_tasks(
        data, tmp_path / "tasks", family="qwen2_5_vl", min_pixels=56 * 56, max_pixels=112 * 112
    )
    (tmp_path / "tasks").rename(folder)
    name = next(name for name in written.tasks if name.endswith("affordance"))
    task = tasks_of(folder)[name]
    docs, plain = docs_of(task, folder, tmp_path / "cache")
    style = PROMPTS["qwen2_5_vl"]
    frame = replace(
        style.frame,
        resize=replace(style.frame.resize, min_pixels=56 * 56, max_pixels=112 * 112),
    ).bind((64, 48))
    (image,) = task["doc_to_visual"](docs[0])
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert task["doc_to_text"](docs[0]) == style.format(docs[0]["instruction"], "affordance", frame)
    target = task["doc_to_target"](docs[0])
    assert task["process_results"](plain[0], [f"<think>x</think><answer>{target}</answer>"])[
        "iou"
    ] == pytest.approx(1, abs=0.1)


def test_without_parsed_answers_the_published_mean_is_nan(tmp_path):
    data = stored(tmp_path / "data", small_set())
    export_tasks(data, tmp_path / "tasks", family="pixels")
    for task in tasks_of(tmp_path / "tasks").values():
        _, docs = docs_of(task, tmp_path / "tasks", tmp_path / "cache")
        found = scored(task, docs, {doc["id"]: "no" for doc in docs})
        assert math.isnan(found["success_published"])
        assert found["success"] == found["parse_rate"] == 0


def test_the_command_prints_the_written_tasks_and_the_skipped_samples(tmp_path):
    data = stored(tmp_path / "data", [*small_set(), *regions()])
    command = ["export", "lmms-eval", str(data), "--out", str(tmp_path / "tasks")]
    ran = CliRunner().invoke(app, [*command, "--splits", "id_test", "--protocol", "vabench"])
    assert ran.exit_code == 0, ran.output
    assert "wrote group small_qwen2_5_vl_vabench" in ran.output
    measured = PROTOCOLS["vabench"].tasks
    left = sum(each.task not in measured for each in [*small_set(), *regions()])
    assert (f"skipped {left}" in ran.output) == bool(left)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": ("nowhere",)}, "has no split 'nowhere'"),
        ({"family": "nobody"}, "unknown model family 'nobody'"),
        ({"protocol": "none"}, "unknown protocol 'none'"),
        ({"protocol": "execution"}, "cannot measure id_test"),
        ({"family": "qwen3_vl", "min_pixels": 0}, "family qwen3_vl: "),
    ],
)
def test_an_invalid_setting_is_a_one_line_error_and_writes_nothing(tmp_path, options, message):
    data = stored(tmp_path / "data", small_set())
    with pytest.raises(UserError, match=message):
        export_tasks(data, tmp_path / "tasks", **options)
    assert not (tmp_path / "tasks").exists()


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    data = stored(tmp_path / "data", small_set())
    with pytest.raises(UserError, match="is not empty"):
        export_tasks(data, data)


def test_the_loader_of_lmms_eval_reads_the_folder(tmp_path, monkeypatch):
    loader = pytest.importorskip("lmms_eval.tasks")
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "cache"))
    samples = small_set()
    texts = answers(samples)
    data = stored(tmp_path / "data", samples)
    written = export_tasks(data, tmp_path / "tasks", family="pixels")
    manager = loader.TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
    assert set(manager.all_tasks) == {written.group, *written.tasks}
    (loaded,) = loader.get_task_dict([written.group], manager).values()
    assert set(loaded) == set(written.tasks)
    for name, task in loaded.items():
        rows = [task.process_results(doc, [texts[doc["id"]]]) for doc in task.test_docs_no_media()]
        own = tasks_of(tmp_path / "tasks")[name]
        _, docs = docs_of(own, tmp_path / "tasks", tmp_path / "cache2")
        found = {
            metric: mean([row[metric] for row in rows])
            for metric, mean in task.aggregation().items()
        }
        assert found == pytest.approx(scored(own, docs, texts), nan_ok=True)
        (image,) = task.doc_to_visual(task.test_docs()[0])
        assert image.size == (64, 48)
        assert "robot arm" in task.doc_to_text(task.test_docs()[0])
