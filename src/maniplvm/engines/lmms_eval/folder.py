"""Write a task folder for `--include_path` of lmms-eval."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import maniplvm
from maniplvm.data import Dataset, DatasetWriter, open_dataset
from maniplvm.engines.lmms_eval.harness import Harness
from maniplvm.errors import UserError
from maniplvm.files import replacing, writing
from maniplvm.tasks import Task

DATA = "data"
"""The folder of the data set inside a task folder."""
SPLIT = "test"
"""The split's name in every lmms-eval task, where a name must be a Python identifier."""

_MODULE = '''\
"""The functions of this folder's tasks; they call the installed package.

Written by `maniplvm export lmms-eval`.
"""

from pathlib import Path

from maniplvm.engines.lmms_eval import Harness

HARNESS = Harness(
    Path(__file__).parent / "{data}",
{settings})


def doc_to_visual(doc):
    return HARNESS.visual(doc)


def doc_to_text(doc):
    return HARNESS.text(doc)


def doc_to_target(doc):
    return HARNESS.target(doc)


def process_results(doc, results):
    return HARNESS.results(doc, results)


def mean(values):
    return HARNESS.mean(values)
'''

_FILTER = """

def {task}_docs(docs):
    return HARNESS.docs(docs, "{task}")
"""


@dataclass(frozen=True)
class Export:
    """A written task folder.

    Attributes:
        group: The name of the group of all tasks.
        tasks: The number of samples by the name of the task.
        skipped: Number of samples that the protocol cannot measure from completions alone.
    """

    group: str
    tasks: Mapping[str, int]
    skipped: int


class _Function(str):
    """The name of a function in the folder's module."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Function, lambda dumper, name: dumper.represent_scalar("!function", str(name))
)


def export_tasks(
    data: str | Path,
    out: str | Path,
    *,
    splits: Sequence[str] | None = None,
    family: str = "qwen2_5_vl",
    protocol: str = "maniplvm",
    preset: str = "paper",
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    max_new_tokens: int = 256,
) -> Export:
    """Write a data set as lmms-eval tasks, one for each split and task, and a group of all.

    The folder can be moved. Scoring needs this package in the environment of lmms-eval.

    Args:
        data: A stored data set.
        out: The output folder, which must be new or empty.
        splits: The names of the splits; None takes all.
        family: As in `Harness`.
        protocol: As in `Harness`.
        preset: As in `Harness`.
        min_pixels: As in `Harness`.
        max_pixels: As in `Harness`.
        max_new_tokens: Maximum number of new tokens.

    Raises:
        UserError: an invalid name, a folder that is not empty or that another process writes, or
            no sample can be measured.
    """
    dataset, out = open_dataset(Path(data)), Path(out)
    settings = {
        "family": family,
        "protocol": protocol,
        "preset": preset,
        "min_pixels": min_pixels,
        "max_pixels": max_pixels,
    }
    harness = Harness(out / DATA, **settings)
    chosen = tuple(dict.fromkeys(splits or dataset.splits))
    for split in chosen:
        dataset.samples(split)  # an unknown one is an error before anything is written
    tasks = {
        (split, Task(name)): count
        for split in chosen
        for name, count in dataset.info.counts[split].items()
        if count and harness.measures(Task(name))
    }
    if not tasks:
        raise UserError(
            f"{dataset.folder}: protocol {protocol} cannot measure {', '.join(chosen)} from "
            "completions alone; choose another --protocol or other --splits"
        )
    _require_free(out)
    group = _identifier(f"{dataset.info.name}_{family}_{protocol}")
    names = {key: f"{group}_{_identifier(key[0])}_{key[1]}" for key in tasks}
    out.parent.mkdir(parents=True, exist_ok=True)
    with writing(out), replacing(out) as unfinished:
        unfinished.mkdir()
        _copy(dataset, unfinished / DATA, tasks)
        for (split, task), name in names.items():
            description = _task(name, split, task, harness, settings, max_new_tokens)
            _write(unfinished / f"{name}.yaml", description)
        _write(unfinished / f"{group}.yaml", {"group": group, "task": list(names.values())})
        lines = "".join(f"    {k}={v!r},\n" for k, v in settings.items() if v is not None)
        module = _MODULE.format(data=DATA, settings=lines)
        for task in dict.fromkeys(task for _, task in tasks):
            module += _FILTER.format(task=task)
        (unfinished / "utils.py").write_text(module, encoding="utf-8")
    total = sum(sum(dataset.info.counts[split].values()) for split in chosen)
    return Export(
        group,
        {names[key]: count for key, count in tasks.items()},
        total - sum(tasks.values()),
    )


def _copy(dataset: Dataset, folder: Path, tasks: Collection[tuple[str, Task]]) -> None:
    """Write the samples of these splits and tasks to another folder."""
    info = dataset.info
    with DatasetWriter(
        folder,
        name=info.name,
        description=info.description,
        license=info.license,
        homepage=info.homepage,
    ) as writer:
        for split in dict.fromkeys(split for split, _ in tasks):
            for sample in dataset.samples(split):
                if (split, sample.task) in tasks:
                    writer.add(sample)


def _task(
    name: str,
    split: str,
    task: Task,
    harness: Harness,
    settings: Mapping[str, Any],
    max_new_tokens: int,
) -> dict[str, Any]:
    """The configuration of a task; its paths are relative to it."""
    return {
        "task": name,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {SPLIT: f"{DATA}/{split}.parquet"}},
        "test_split": SPLIT,
        "process_docs": _Function(f"utils.{task}_docs"),
        "output_type": "generate_until",
        "doc_to_visual": _Function("utils.doc_to_visual"),
        "doc_to_text": _Function("utils.doc_to_text"),
        "doc_to_target": _Function("utils.doc_to_target"),
        "process_results": _Function("utils.process_results"),
        "generation_kwargs": {
            "max_new_tokens": max_new_tokens,
            "temperature": 0,
            "do_sample": False,
            "until": [],
        },
        "metric_list": [
            {"metric": metric, "aggregation": _Function("utils.mean"), "higher_is_better": higher}
            for metric, higher in harness.metrics(task).items()
        ],
        "metadata": {
            "version": maniplvm.__version__,
            **{name: value for name, value in settings.items() if value is not None},
        },
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def _identifier(name: str) -> str:
    """The name with all other characters replaced by underscores."""
    return re.sub(r"\W+", "_", name)


def _require_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not empty; choose another --out, or remove it")
