"""Evaluate a predictor on a data set: predict, execute, score, and write it all down."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from maniplvm.data import limit_samples, open_dataset
from maniplvm.data.store import Dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.execution import can_be_executed, execute_answers
from maniplvm.evaluation.folder import EvaluationFolder
from maniplvm.evaluation.measurement import measure_all
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.predictors.predictor import FilePredictor, LeavesOut, Predictor
from maniplvm.evaluation.protocols import MANIPLVM, Protocol, resolve_protocol
from maniplvm.evaluation.results import FILE, Evaluation, read_evaluation
from maniplvm.evaluation.scored import Outcome
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.evaluation.wrong_instruction import wrong_instructions
from maniplvm.files import write_whole
from maniplvm.process import package_versions, peak_rss_mb
from maniplvm.rewards import Preset, resolve_preset
from maniplvm.simulation.provenance import task_of
from maniplvm.simulation.worlds import require_mujoco
from maniplvm.tasks import Sample

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and how much it has."""

PACKAGES = ("numpy", "torch", "transformers", "mujoco", "metaworld", "robosuite")


@dataclass(frozen=True)
class Selection:
    """Which samples of a data set are asked.

    Attributes:
        splits: Their names; None takes all.
        task: Only this one; None takes both.
        limit: Samples of each task and split at most: whole scenes, even over the categories.
        limit_seed: Which scenes a limit takes.
    """

    splits: tuple[str, ...] | None = None
    task: str | None = None
    limit: int | None = None
    limit_seed: int = 0

    def samples(self, dataset: Dataset) -> list[Sample]:
        """The samples, without their images.

        Raises:
            UserError: an unknown split or task, or no sample at all.
        """
        chosen = list[Sample]()
        for split in dict.fromkeys(self.splits or dataset.splits):
            own = list(dataset.samples(split, self.task, images=False))
            if self.limit is not None:
                own = limit_samples(own, self.limit, self.limit_seed)
            chosen += own
        if not chosen:
            raise UserError(
                f"{dataset.folder}: no sample is chosen; ask for other splits, another task or a "
                "larger limit"
            )
        return chosen


@dataclass(frozen=True)
class Physics:
    """Which traces are executed, and how.

    Attributes:
        workers: Processes.
        splits: Only traces of these; None executes all that can be.
    """

    workers: int = 2
    splits: tuple[str, ...] | None = None

    def judges(self, sample: Sample) -> bool:
        """Whether executing an answer to this sample is wanted, and says something about it."""
        from maniplvm.simulation.execution import UNRELIABLE_TASKS

        chosen = self.splits is None or sample.split in self.splits
        reliable = task_of(sample) not in UNRELIABLE_TASKS
        return chosen and reliable and can_be_executed(sample)


def evaluate(
    predictor: Predictor,
    data: str | Path,
    out: str | Path,
    *,
    selection: Selection | None = None,
    protocol: str | Protocol = MANIPLVM.name,
    preset: str | Path | Mapping[str, Any] | Preset = "paper",
    physics: Physics | None = None,
    wrong_instruction: int | None = None,
    seed: int = 0,
    command: Sequence[str] = (),
    progress: Progress = lambda stage, done, total: None,
) -> Evaluation:
    """Evaluate a predictor, or continue where an earlier call was interrupted.

    A folder whose evaluation is finished is only read, whatever it once cost.

    Args:
        predictor: What is measured.
        data: A stored data set.
        out: The evaluation's folder; see docs/evaluation.md.
        selection: Which samples; all if None.
        protocol: A name from `PROTOCOLS`, or one of your own.
        preset: As in `rewards.resolve_preset`.
        physics: Whether and how traces of simulated samples are executed; None does not.
        wrong_instruction: A seed: each sample is then asked with the instruction of another
            category, to see whether language is used.
        seed: Of the bootstrap.
        command: What reproduces this, for the record.
        progress: Told about every step that takes time.

    Returns:
        The content of `evaluation.json`.

    Raises:
        UserError: bad settings, another evaluation in the folder, a missing simulator, or whatever
            the predictor raises.
    """
    started = time.monotonic()
    measured, rewards = resolve_protocol(protocol), resolve_preset(preset)
    selection = selection or Selection()
    dataset = open_dataset(Path(data))
    samples = selection.samples(dataset)
    by_id = {sample.id: sample for sample in samples}
    executable = physics is not None and any(map(physics.judges, samples))
    if executable:
        require_mujoco()
    wrong = {} if wrong_instruction is None else wrong_instructions(samples, wrong_instruction)
    folder = EvaluationFolder(
        Path(out),
        {
            "model": predictor.name,
            "decoding": predictor.settings,
            "data": data_digest(dataset),
            "selection": asdict(selection),
            "wrong_instruction": wrong_instruction,
        },
    )
    scoring = {
        "protocol": measured.name,
        "preset": asdict(rewards),
        "executed": executable,
        "executed_splits": physics.splits if executable and physics is not None else None,
        "seed": seed,
    }
    if folder.is_scored(scoring):
        return read_evaluation(folder.folder)

    answerable = _answerable(predictor, by_id, measured)
    resumed = _predict(predictor, dataset, answerable, wrong, folder, progress)
    predictions = _in_order(folder.predictions(), samples)
    outcomes: Mapping[tuple[str, int], Outcome] = {}
    if physics is not None and executable:
        outcomes = _execute(predictions, by_id, physics, folder, progress)
    progress("scoring", 0, len(predictions))
    scored = measure_all(predictions, samples, predictor.draws, measured, rewards, wrong, outcomes)
    result = Evaluation(
        model=predictor.name,
        data=str(data),
        protocol=measured.name,
        decoding=predictor.settings,
        selection=asdict(selection),
        wrong_instruction=wrong_instruction,
        preset=rewards.name,
        command=tuple(command),
        seed=seed,
        versions=package_versions(PACKAGES),
        seconds=time.monotonic() - started,
        resumed=resumed,
        peak_rss_mb=peak_rss_mb(),
        splits=aggregate(scored.samples, measured, seed),
        measures=measured.describe(),
        not_measured=scored.not_measured,
    )
    write_whole(folder.samples_path, "".join(sample.to_line() for sample in scored.samples))
    text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder.folder / FILE, text + "\n")
    folder.finish(scoring)
    progress("scoring", len(predictions), len(predictions))
    return result


def _answerable(
    predictor: Predictor, samples: Mapping[str, Sample], protocol: Protocol
) -> Mapping[str, Sample]:
    """What is asked of the predictor: of a file only what it answers, if it may be partial."""
    if not (protocol.may_be_partial and isinstance(predictor, FilePredictor)):
        return samples
    held = {id: sample for id, sample in samples.items() if predictor.answers(id)}
    if not held:
        raise UserError(f"{predictor.name}: answers none of the {len(samples)} samples")
    return held


def _predict(
    predictor: Predictor,
    dataset: Dataset,
    samples: Mapping[str, Sample],
    wrong: Mapping[str, str],
    folder: EvaluationFolder,
    progress: Progress,
) -> int:
    """Add what is missing to the folder's predictions; how many were there already."""
    with folder.journal(folder.predictions_path.name) as journal:
        known = {prediction.key for prediction in folder.predictions()}
        before, total = len(known), len(samples) * predictor.draws
        wanted = range(predictor.draws)
        missing = {id for id in samples if any((id, draw) not in known for draw in wanted)}
        progress("predicting", len(known), total)
        if not missing:
            return before
        if isinstance(predictor, LeavesOut):
            predictor.leave_out(known)
        for prediction in predictor.predict(_asked(dataset, samples, missing, wrong)):
            if prediction.id not in missing:
                raise ValueError(
                    f"{predictor.name} answers {prediction.id}, which it was not asked"
                )
            if prediction.key not in known:
                known.add(prediction.key)
                journal.append(prediction.to_line())
                progress("predicting", len(known), total)
    if len(known) != total:
        raise ValueError(f"{predictor.name} gave {len(known)} of {total} completions")
    return before


def _asked(
    dataset: Dataset,
    samples: Mapping[str, Sample],
    missing: set[str],
    wrong: Mapping[str, str],
) -> Iterator[Sample]:
    """The samples that are still to be answered, with their images, as they are asked."""
    splits = dict.fromkeys(samples[id].split for id in samples if id in missing)
    for split in splits:
        for sample in dataset.samples(split):
            if sample.id in missing:
                yield replace(sample, instruction=wrong.get(sample.id, sample.instruction))


def _in_order(predictions: Sequence[Prediction], samples: Sequence[Sample]) -> list[Prediction]:
    """Completions in the order of the samples: what is written does not depend on interruptions."""
    place = {sample.id: number for number, sample in enumerate(samples)}
    return sorted(predictions, key=lambda prediction: (place[prediction.id], prediction.draw))


def _execute(
    predictions: Sequence[Prediction],
    samples: Mapping[str, Sample],
    physics: Physics,
    folder: EvaluationFolder,
    progress: Progress,
) -> dict[tuple[str, int], Outcome]:
    """Add what is missing to the folder's executions."""
    with folder.journal("executions.jsonl") as journal:
        outcomes = folder.outcomes()
        judged = [p for p in predictions if physics.judges(samples[p.id])]
        missing = [p for p in judged if p.key not in outcomes]
        done = len(judged) - len(missing)
        progress("executing", done, len(judged))

        def advance(finished: int) -> None:
            nonlocal done
            done += finished
            progress("executing", done, len(judged))

        asked = [samples[prediction.id] for prediction in missing]
        for said, execution in execute_answers(missing, asked, physics.workers, progress=advance):
            outcome = Outcome(execution.success, str(execution.reason))
            outcomes[said.key] = outcome
            journal.append(json.dumps({"id": said.id, "draw": said.draw, **asdict(outcome)}) + "\n")
    return outcomes


def data_digest(dataset: Dataset) -> str:
    """Tells data sets apart by their description and the sizes of their files."""
    digest = hashlib.sha256((dataset.folder / "dataset.json").read_bytes())
    for path in sorted(dataset.folder.glob("*.parquet")):
        digest.update(f"{path.name}:{path.stat().st_size}".encode())
    return f"{dataset.info.name} {digest.hexdigest()[:12]}"
