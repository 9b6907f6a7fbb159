"""Finished jobs on disk, so that an interrupted run can resume."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from maniplvm.data import open_dataset, write_dataset
from maniplvm.errors import UserError
from maniplvm.files import file_sizes, has_sizes, remove, write_json, writing
from maniplvm.simulation.generation.plan import SPLITS, GenerationJob, Plan
from maniplvm.tasks.sample import Sample

Drops = dict[str, dict[str, int]]
"""Number of dropped images: split -> cause -> count."""

_PLAN = "plan.json"


class JobStore:
    """The finished jobs of one plan, in a folder beside the future data set.

    Args:
        out: Folder of the future data set.
        plan: The plan of the run.

    Raises:
        UserError: The folder holds the jobs of another plan, or its plan is damaged.
    """

    def __init__(self, out: Path, plan: Plan) -> None:
        self.folder = self.folder_of(out)
        wanted = json.loads(json.dumps(plan.to_json()))
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _PLAN
        if not path.exists():
            write_json(path, wanted)
        elif (found := _read(path)) is None:
            raise UserError(f"{path}: damaged; remove the folder {self.folder} and start again")
        elif found != wanted:
            raise UserError(
                f"{self.folder}: holds an unfinished run with other settings; resume that run with "
                "its own settings, or remove the folder"
            )

    @staticmethod
    def folder_of(out: Path) -> Path:
        """The folder of the jobs of a future data set."""
        return out.with_name(out.name + ".parts")

    def has(self, job: GenerationJob) -> bool:
        """Whether a job is finished, and no power loss has cut its files."""
        summary = _read(self._summary(job))
        files = None if summary is None else summary.get("files")
        return files is not None and has_sizes(self.folder / job.name, files)

    def save(self, job: GenerationJob, samples: Sequence[Sample], drops: Mapping[str, Any]) -> None:
        """Save the samples of a job. The summary is written last and marks the job as finished."""
        folder = self.folder / job.name
        with writing(folder):
            remove(folder)  # an earlier attempt, perhaps damaged
            if samples:
                write_dataset(folder, samples, name=job.name)
            content = {"samples": len(samples), "drops": drops, "files": file_sizes(folder)}
            write_json(self._summary(job), content)

    def drops(self, job: GenerationJob) -> Drops:
        """The dropped images of a finished job."""
        return json.loads(self._summary(job).read_text(encoding="utf-8"))["drops"]

    def tables(self, jobs: Sequence[GenerationJob]) -> Iterator[tuple[str, Any]]:
        """All samples as tables: split by split, and scene by scene with the tasks interleaved.

        Yields:
            A split's name, and a `pyarrow.Table` with the next rows of it.
        """
        for name in SPLITS:
            for _, block in groupby(jobs, key=lambda job: job.block):
                tables = [table for job in block if (table := self._table(job, name)) is not None]
                for table in _interleave(tables):
                    yield name, table

    def remove(self) -> None:
        """Remove the folder after the data set is complete."""
        shutil.rmtree(self.folder)

    def _summary(self, job: GenerationJob) -> Path:
        return self.folder / f"{job.name}.json"

    def _table(self, job: GenerationJob, split: str) -> Any | None:
        folder = self.folder / job.name
        if not folder.exists():
            return None
        dataset = open_dataset(folder)
        return dataset.table(split) if split in dataset.splits else None


def _read(path: Path) -> Any:
    """The content of a JSON file; None if it is missing, cut or of an earlier version."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _interleave(tables: Sequence[Any]) -> Iterator[Any]:
    """Slices of the tables, whose rows are in the order of seed, task, view and kind of target."""
    places = list[tuple[tuple[int, str, int, str], int, int]]()
    for number, table in enumerate(tables):
        records = map(json.loads, table.column("provenance").to_pylist())
        for row, (record, kind) in enumerate(
            zip(records, table.column("task").to_pylist(), strict=True)
        ):
            turn = (record["seed"], record["task"], record["view"], kind)
            places.append((turn, number, row))
    ordered = [(number, row) for _, number, row in sorted(places)]
    # Rows that follow each other in one table keep the same distance to their rank.
    for (number, _), run in groupby(
        enumerate(ordered), key=lambda at: (at[1][0], at[1][1] - at[0])
    ):
        rows = [row for _, (_, row) in run]
        yield tables[number].slice(rows[0], len(rows))
