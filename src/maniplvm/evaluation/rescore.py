"""The same completions under other protocols: no model, and nothing of the earlier result is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.evaluate import PACKAGES, Selection, data_digest
from maniplvm.evaluation.folder import EvaluationFolder
from maniplvm.evaluation.measurement import measure_all
from maniplvm.evaluation.protocols import Protocol, resolve_protocol
from maniplvm.evaluation.results import FILE, Evaluation, read_evaluation
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.evaluation.wrong_instruction import wrong_instructions
from maniplvm.files import write_whole
from maniplvm.process import package_versions
from maniplvm.rewards import PRESETS, Preset, resolve_preset

RESCORED = "rescored"
"""The folder in an evaluation's own where other protocols' results lie, each under its name."""


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
        folder: What `evaluate` wrote.
        protocols: Names from `PROTOCOLS`, or protocols of one's own.
        out: Where to: with one protocol the folder itself, with several one folder each under its
            name. None writes to `FOLDER/rescored/NAME`.
        data: The data set, if it has moved.
        preset: What is rewarded; None takes the evaluation's own.
        command: What reproduces this, for the record.

    Returns:
        Each result by its folder, which holds `evaluation.json` and `samples.jsonl` like the
        evaluation's own, so that reports and comparisons read it.

    Raises:
        UserError: the folder is no finished evaluation, its data set has changed, a protocol
            cannot be applied, or a result would replace another one.
    """
    folder = Path(folder)
    if not protocols:
        raise UserError("name at least one protocol")
    measured = [resolve_protocol(protocol) for protocol in protocols]
    earlier = read_evaluation(folder)
    settings = _settings(folder)
    dataset = open_dataset(Path(earlier.data if data is None else data))
    if data_digest(dataset) != settings["data"]:
        raise UserError(
            f"{dataset.folder}: not the data set that was asked ({settings['data']}); name it "
            "with --data"
        )
    rewards = _preset(earlier, preset)
    samples = _selection(settings["selection"]).samples(dataset)
    seed = earlier.wrong_instruction
    wrong = {} if seed is None else wrong_instructions(samples, seed)
    answered = EvaluationFolder(folder, settings)
    predictions, outcomes = answered.predictions(), answered.outcomes()
    draws = 1 + max((prediction.draw for prediction in predictions), default=0)
    places = [_place(folder, out, own, len(measured)) for own in measured]
    for place, own in zip(places, measured, strict=True):
        _require_free(place, own, earlier)
    found = [
        measure_all(predictions, samples, draws, own, rewards, wrong, outcomes) for own in measured
    ]
    results: dict[Path, Evaluation] = {}
    for place, own, scored in zip(places, measured, found, strict=True):
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
        _write(place, result, "".join(sample.to_line() for sample in scored.samples))
        results[place] = result
    return results


def _settings(folder: Path) -> dict[str, Any]:
    """What was asked, as the folder's `settings.json` says."""
    path = folder / "settings.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["asked"])
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name a folder that `maniplvm evaluate` wrote"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the settings of an evaluation ({error})") from error


def _selection(plain: dict[str, Any]) -> Selection:
    splits = plain["splits"]
    return Selection(**{**plain, "splits": None if splits is None else tuple(splits)})


def _preset(earlier: Evaluation, preset: str | Path | Preset | None) -> Preset:
    if preset is not None:
        return resolve_preset(preset)
    if earlier.preset not in PRESETS:
        raise UserError(
            f"it was rewarded by {earlier.preset!r}, a preset from a file: name the file with "
            "--preset"
        )
    return PRESETS[earlier.preset]


def _place(folder: Path, out: str | Path | None, protocol: Protocol, count: int) -> Path:
    if out is None:
        return folder / RESCORED / protocol.name
    return Path(out) if count == 1 else Path(out) / protocol.name


def _require_free(place: Path, protocol: Protocol, earlier: Evaluation) -> None:
    """Only an earlier rescoring of the same completions under the same protocol is replaced."""
    if (place / "settings.json").exists():
        raise UserError(f"{place}: holds an evaluation of its own; choose another --out")
    if (place / FILE).exists():
        there = read_evaluation(place)
        if (there.protocol, there.model) != (protocol.name, earlier.model):
            raise UserError(
                f"{place}: holds {there.model} under protocol {there.protocol}; choose another --out"
            )


def _write(place: Path, result: Evaluation, lines: str) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{place}: cannot be a folder ({error.strerror})") from error
    write_whole(place / "samples.jsonl", lines)
    text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(place / FILE, text + "\n")
