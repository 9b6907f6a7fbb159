"""Small inputs for the real commands: a data set, recipes, a grid and a source to import."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.faults.forked import ROOT

from maniplvm.data import open_dataset, write_dataset
from maniplvm.tasks import Sample

SHIPPED = ROOT / "datasets" / "sim-small"
_COPIES = 8
"""How often the source repeats each sample, so that an import takes about a second."""
TRAINED, TESTED = 12, 2
"""Samples of each task in splits for training and in test splits."""

_RECIPE = """name: small-{method}
seed: 0
model: {{source: embedded}}
data: {{path: {data}, split: adapt, task: joint}}
monitor: {{samples_every: {samples_every}, samples: 2}}
trainer:
  max_steps: 6
  save_steps: 2
  save_total_limit: 2
  learning_rate: 1.0e-3
  lr_scheduler_type: constant
  per_device_train_batch_size: 4
  logging_steps: 1
{more}"""
_GRPO = """  num_generations: 2
  max_completion_length: 12
  beta: 0.04
rewards: {preset: dense}
"""
_GRID = """name: small
data: {data}
seeds: [0]
base: base
evaluate: {{splits: [adapt_test], execute: [], sampled: [adapt_test], limit: 2, max_new_tokens: 40}}
arms:
  base: {{about: the shipped model}}
  sft:
    about: SFT
    method: sft
    recipe: {recipe}
    set: {{trainer.max_steps: 2, trainer.save_steps: 1}}
    alpha: 0.5
pairs: [[sft, base]]
"""


@dataclass(frozen=True)
class Inputs:
    """Paths of the inputs.

    Attributes:
        folder: The folder that holds them.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """A data set with the splits of the shipped one."""
        return self.folder / "data"

    @property
    def source(self) -> Path:
        """A file in the format `jsonl`, to import."""
        return self.folder / "source" / "samples.jsonl"

    @property
    def grid(self) -> Path:
        """A grid file."""
        return self.folder / "grid.yaml"

    def recipe(self, method: str) -> Path:
        """The recipe of `sft` or `grpo`."""
        return self.folder / f"{method}.yaml"


def write_inputs(folder: Path) -> Inputs:
    """Write all inputs."""
    inputs = Inputs(folder)
    folder.mkdir(parents=True)
    samples = _few_samples()
    write_dataset(inputs.data, samples, name="small")
    _write_source(inputs.source, samples)
    for method, more, every in (("sft", "", 0), ("grpo", _GRPO, 2)):
        text = _RECIPE.format(method=method, data=inputs.data, samples_every=every, more=more)
        inputs.recipe(method).write_text(text, encoding="utf-8")
    grid = _GRID.format(data=inputs.data, recipe=inputs.recipe("sft"))
    inputs.grid.write_text(grid, encoding="utf-8")
    return inputs


def _few_samples() -> list[Sample]:
    """The first samples of each split and task of the shipped data set."""
    counts: Counter[tuple[str, str]] = Counter()
    samples = list[Sample]()
    dataset = open_dataset(SHIPPED)
    for split in dataset.splits:
        wanted = TRAINED if split in ("train", "adapt") else TESTED
        for sample in dataset.samples(split):
            if counts[split, sample.task] < wanted:
                counts[split, sample.task] += 1
                samples.append(sample)
    return samples


def _write_source(path: Path, samples: list[Sample]) -> None:
    images = path.parent / "images"
    images.mkdir(parents=True)
    lines = list[str]()
    for number, sample in enumerate(samples * _COPIES):
        name = f"{number}.jpg"
        (images / name).write_bytes(sample.image or b"")
        target = {"box": sample.target.points.reshape(-1).tolist()}
        if sample.task == "trajectory":
            target = {"trace": sample.target.points.tolist()}
        record = {"id": str(number), "image": name, "task": sample.task, "split": sample.split}
        lines.append(json.dumps({**record, "instruction": sample.instruction, **target}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
