"""Score a finished evaluation under other protocols, without the model; the result is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.evaluate import PACKAGES
from maniplvm.evaluation.folder import SETTINGS_FILE, EvaluationFolder, read_settings
from maniplvm.evaluation.protocols import Protocol, resolve_protocol
from maniplvm.evaluation.records import (
    EVALUATION_FILE,
    Evaluation,
    read_evaluation,
    write_evaluation,
)
from maniplvm.evaluation.scoring import score_all
from maniplvm.evaluation.selection import Selection, data_digest, wrong_instructions
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.files import locked
from maniplvm.process import package_versions
from maniplvm.rewards import PRESETS, Preset, resolve_preset

RESCORED = "rescored"
"""The subfolder of an evaluation with the results of other protocols, one folder each."""


def rescore(
    folder: str | Path,
    protocols: Sequence[str | Protocol],
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    preset: str | Path | Preset | None = None,
    command: Sequence[str] = (),
) -> dict[Path, Evaluation]:
    """Score a finished evaluation's completions under other protocols.

    Args:
        folder: A folder that `evaluate` wrote.
        protocols: Names from `PROTOCOLS`, or protocols.
        out: The output folder; with several protocols it has one subfolder each. None writes to
            `FOLDER/rescored/NAME`.
        data: The data set, if it has moved.
        preset: The reward preset; None takes the evaluation's own.
        command: The command line, stored with the results.

    Returns:
        Each result by its folder. Such a folder holds `evaluation.json` and `samples.jsonl`, so
        that reports and comparisons can read it.

    Raises:
        UserError: the folder is not a finished evaluation, its data set has changed, a protocol
            cannot be applied, or a result would overwrite another one.
    """
    folder = Path(folder)
    if not protocols:
        raise UserError("give at least one protocol")
    measured = [resolve_protocol(protocol) for protocol in protocols]
    earlier = read_evaluation(folder)
    settings = read_settings(folder)
    dataset = open_dataset(Path(earlier.data if data is None else data))
    if data_digest(dataset) != settings["data"]:
        raise UserError(
            f"{dataset.folder}: not the data set of the evaluation ({settings['data']}); give that "
            "one with --data"
        )
    rewards = _preset(earlier, preset)
    samples = _selection(settings["selection"]).samples(dataset)
    seed = earlier.wrong_instruction
    wrong = {} if seed is None else wrong_instructions(samples, seed)
    stored = EvaluationFolder(folder, settings)
    stored.check_lines()
    predictions, outcomes = stored.predictions(), stored.outcomes()
    draws = 1 + max((prediction.draw for prediction in predictions), default=0)
    folders = [_output_folder(folder, out, own, len(measured)) for own in measured]
    for target, own in zip(folders, measured, strict=True):
        _require_free(target, own, earlier)
    all_scored = [
        score_all(predictions, samples, draws, own, rewards, wrong, outcomes) for own in measured
    ]
    results: dict[Path, Evaluation] = {}
    for target, own, scored in zip(folders, measured, all_scored, strict=True):
        result = replace(
            earlier,
            data=str(dataset.folder),
            protocol=own.name,
            preset=rewards.name,
            command=tuple(command),
            versions=package_versions(PACKAGES),
            splits=aggregate(scored.samples, own, earlier.seed),
            measures=own.describe(),
            not_measured=scored.not_measured,
            rescored=str(folder),
        )
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{target}: the folder cannot be created ({error.strerror})") from error
        with locked(target):
            write_evaluation(target, result, scored.samples)
        results[target] = result
    return results


def _selection(plain: dict[str, Any]) -> Selection:
    splits = plain["splits"]
    return Selection(**{**plain, "splits": None if splits is None else tuple(splits)})


def _preset(earlier: Evaluation, preset: str | Path | Preset | None) -> Preset:
    if preset is not None:
        return resolve_preset(preset)
    if earlier.preset not in PRESETS:
        raise UserError(
            f"the evaluation used the preset {earlier.preset!r} from a file: give that file with "
            "--preset"
        )
    return PRESETS[earlier.preset]


def _output_folder(folder: Path, out: str | Path | None, protocol: Protocol, count: int) -> Path:
    if out is None:
        return folder / RESCORED / protocol.name
    return Path(out) if count == 1 else Path(out) / protocol.name


def _require_free(target: Path, protocol: Protocol, earlier: Evaluation) -> None:
    """Only an earlier result of the same completions and protocol may be overwritten."""
    if (target / SETTINGS_FILE).exists():
        raise UserError(f"{target}: holds another evaluation; choose another --out")
    if (target / EVALUATION_FILE).exists():
        there = read_evaluation(target)
        if (there.protocol, there.model) != (protocol.name, earlier.model):
            raise UserError(
                f"{target}: holds {there.model} under protocol {there.protocol}; choose another --out"
            )
