"""Evaluate a predictor on a data set: predict, execute, score and store the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from maniplvm.data import open_dataset
from maniplvm.data.store import Dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.execution import ExecutionOptions, execute_answers
from maniplvm.evaluation.folder import AppendOnlyFile, EvaluationFolder
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.predictors.predictor import FilePredictor, Predictor, Resumable
from maniplvm.evaluation.protocols import MANIPLVM, Outcome, Protocol, resolve_protocol
from maniplvm.evaluation.records import (
    Evaluation,
    is_intact,
    read_evaluation,
    write_evaluation,
)
from maniplvm.evaluation.scoring import score_all
from maniplvm.evaluation.selection import Selection, data_digest, wrong_instructions
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.files import locked
from maniplvm.process import package_versions, peak_rss_mb
from maniplvm.rewards import Preset, resolve_preset
from maniplvm.simulation.worlds import require_mujoco
from maniplvm.tasks import Sample

Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, its finished steps and its total steps."""

PACKAGES = ("numpy", "torch", "transformers", "mujoco", "metaworld", "robosuite")
"""Packages whose versions are stored with a result."""


def evaluate(
    predictor: Predictor,
    data: str | Path,
    out: str | Path,
    *,
    selection: Selection | None = None,
    protocol: str | Protocol = MANIPLVM.name,
    preset: str | Path | Mapping[str, Any] | Preset = "paper",
    execution: ExecutionOptions | None = None,
    wrong_instruction: int | None = None,
    seed: int = 0,
    command: Sequence[str] = (),
    progress: Progress = lambda stage, done, total: None,
) -> Evaluation:
    """Evaluate a predictor, or resume an interrupted evaluation.

    A finished evaluation is only read.

    Args:
        predictor: The predictor.
        data: A stored data set.
        out: The evaluation's folder; see docs/evaluation.md.
        selection: Which samples are evaluated; all if None.
        protocol: A name from `PROTOCOLS`, or a protocol.
        preset: As in `rewards.resolve_preset`.
        execution: Which traces of simulated samples are executed; none if None.
        wrong_instruction: A seed. If given, each sample gets the instruction of another category,
            to test whether the model uses language.
        seed: Seed of the bootstrap.
        command: The command line, stored with the result.
        progress: Called during every stage.

    Returns:
        The content of `evaluation.json`.

    Raises:
        UserError: invalid settings, another evaluation in the folder, a missing simulator, or an
            error of the predictor.
    """
    started = time.monotonic()
    measured, rewards = resolve_protocol(protocol), resolve_preset(preset)
    selection = selection or Selection()
    dataset = open_dataset(Path(data))
    samples = selection.samples(dataset)
    by_id = {sample.id: sample for sample in samples}
    executable = execution is not None and any(map(execution.includes, samples))
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
        "executed_splits": execution.splits if executable and execution is not None else None,
        "seed": seed,
    }
    if folder.is_scored(scoring) and is_intact(folder.folder):
        return read_evaluation(folder.folder)
    with locked(folder.folder):
        requested = _requested(predictor, by_id, measured)
        resumed = _predict(predictor, dataset, requested, wrong, folder, progress)
        predictions = _in_sample_order(folder.predictions(), samples)
        outcomes: Mapping[tuple[str, int], Outcome] = {}
        if execution is not None and executable:
            outcomes = _execute(predictions, by_id, execution, folder, progress)
        progress("scoring", 0, len(predictions))
        scored = score_all(
            predictions, samples, predictor.draws, measured, rewards, wrong, outcomes
        )
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
        folder.reopen()
        write_evaluation(folder.folder, result, scored.samples)
        folder.finish(scoring)
        progress("scoring", len(predictions), len(predictions))
        return result


def _requested(
    predictor: Predictor, samples: Mapping[str, Sample], protocol: Protocol
) -> Mapping[str, Sample]:
    """The samples to predict: for a file that may be partial, only those of the file."""
    if not (protocol.may_be_partial and isinstance(predictor, FilePredictor)):
        return samples
    found = {id: sample for id, sample in samples.items() if predictor.has(id)}
    if not found:
        raise UserError(f"{predictor.name}: has no completion of any of the {len(samples)} samples")
    return found


def _predict(
    predictor: Predictor,
    dataset: Dataset,
    samples: Mapping[str, Sample],
    wrong: Mapping[str, str],
    folder: EvaluationFolder,
    progress: Progress,
) -> int:
    """Add the missing predictions to the folder; return how many it had before."""
    with AppendOnlyFile(folder.predictions_path) as file:
        known = {prediction.key for prediction in folder.predictions()}
        before, total = len(known), len(samples) * predictor.draws
        draws = range(predictor.draws)
        missing = {id for id in samples if any((id, draw) not in known for draw in draws)}
        progress("predicting", len(known), total)
        if not missing:
            return before
        if isinstance(predictor, Resumable):
            predictor.skip_completed(known)
        for prediction in predictor.predict(_with_images(dataset, samples, missing, wrong)):
            if prediction.id not in missing:
                raise ValueError(
                    f"{predictor.name} returned {prediction.id}, which was not requested"
                )
            if prediction.key not in known:
                known.add(prediction.key)
                file.append(prediction.to_line())
                progress("predicting", len(known), total)
    if len(known) != total:
        raise ValueError(f"{predictor.name} returned {len(known)} of {total} completions")
    return before


def _with_images(
    dataset: Dataset,
    samples: Mapping[str, Sample],
    missing: set[str],
    wrong: Mapping[str, str],
) -> Iterator[Sample]:
    """The samples without a prediction, with their images and the instructions to use."""
    splits = dict.fromkeys(samples[id].split for id in samples if id in missing)
    for split in splits:
        for sample in dataset.samples(split):
            if sample.id in missing:
                yield replace(sample, instruction=wrong.get(sample.id, sample.instruction))


def _in_sample_order(
    predictions: Sequence[Prediction], samples: Sequence[Sample]
) -> list[Prediction]:
    """Predictions in the order of the samples, so that interruptions do not change the output."""
    position = {sample.id: number for number, sample in enumerate(samples)}
    return sorted(predictions, key=lambda each: (position[each.id], each.draw))


def _execute(
    predictions: Sequence[Prediction],
    samples: Mapping[str, Sample],
    options: ExecutionOptions,
    folder: EvaluationFolder,
    progress: Progress,
) -> dict[tuple[str, int], Outcome]:
    """Add the missing executions to the folder, and return all outcomes."""
    with AppendOnlyFile(folder.executions_path) as file:
        outcomes = folder.outcomes()
        included = [p for p in predictions if options.includes(samples[p.id])]
        missing = [p for p in included if p.key not in outcomes]
        done = len(included) - len(missing)
        progress("executing", done, len(included))

        def advance(finished: int) -> None:
            nonlocal done
            done += finished
            progress("executing", done, len(included))

        own = [samples[prediction.id] for prediction in missing]
        for prediction, execution in execute_answers(
            missing, own, options.workers, progress=advance, ray=options.ray
        ):
            outcome = Outcome(execution.success, str(execution.reason))
            outcomes[prediction.key] = outcome
            record = {"id": prediction.id, "draw": prediction.draw, **asdict(outcome)}
            file.append(json.dumps(record) + "\n")
    return outcomes
