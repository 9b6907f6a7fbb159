"""Write a task folder that lmms-eval takes with `--include_path`."""

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
from maniplvm.tasks import Task

DATA = "data"
"""The folder of the data set inside a task folder."""
SPLIT = "test"
"""What lmms-eval calls the split of every task: its names must be Python words, ours need not."""

_MODULE = '''\
"""What the tasks of this folder call; all of it is the installed package's.

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
    """A task folder that was written.

    Attributes:
        group: Runs all of its tasks.
        tasks: The name of each task, and how many samples it has.
        skipped: Samples that the protocol does not measure from completions alone.
    """

    group: str
    tasks: Mapping[str, int]
    skipped: int


class _Function(str):
    """A function of the folder's module, by name."""


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
    """Write a data set as tasks of lmms-eval, one for each split and task, and a group of them all.

    The folder may be moved as a whole. Scoring needs this package where lmms-eval runs.

    Args:
        data: A stored data set.
        out: The folder; must not exist, or be empty.
        splits: Their names; None takes all.
        family: As in `Harness`, like the five below.
        protocol: See `family`.
        preset: See `family`.
        min_pixels: See `family`.
        max_pixels: See `family`.
        max_new_tokens: Where a completion is cut.

    Raises:
        UserError: a bad name, a folder that holds something, or nothing that can be measured.
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
            f"{dataset.folder}: protocol {protocol} measures nothing of {', '.join(chosen)} from "
            "completions alone; choose another --protocol or other --splits"
        )
    _require_free(out)
    _copy(dataset, out / DATA, tasks)
    group = _word(f"{dataset.info.name}_{family}_{protocol}")
    named = {place: f"{group}_{_word(place[0])}_{place[1]}" for place in tasks}
    for (split, task), name in named.items():
        description = _task(name, split, task, harness, settings, max_new_tokens)
        _write(out / f"{name}.yaml", description)
    _write(out / f"{group}.yaml", {"group": group, "task": list(named.values())})
    lines = "".join(f"    {k}={v!r},\n" for k, v in settings.items() if v is not None)
    module = _MODULE.format(data=DATA, settings=lines)
    for task in dict.fromkeys(task for _, task in tasks):
        module += _FILTER.format(task=task)
    (out / "utils.py").write_text(module, encoding="utf-8")
    total = sum(sum(dataset.info.counts[split].values()) for split in chosen)
    return Export(
        group,
        {named[place]: count for place, count in tasks.items()},
        total - sum(tasks.values()),
    )


def _copy(dataset: Dataset, folder: Path, tasks: Collection[tuple[str, Task]]) -> None:
    """Store the samples of these splits and tasks once more."""
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
    """A task's description; its files are named relative to it."""
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


def _word(name: str) -> str:
    """A name that a command line and a list of tasks take as one word."""
    return re.sub(r"\W+", "_", name)


def _require_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: already holds something; choose another --out, or remove it")
