"""Further commands that write, from the outputs of the larger ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.faults.commands import (
    Writer,
    different_bytes,
    files_of,
    interruptible_commands,
    leftovers,
)
from benchmarks.reliability.faults.inputs import Inputs


@dataclass(frozen=True)
class Finished:
    """Finished outputs, which other commands read.

    Attributes:
        inputs: The inputs.
        folder: Folder with `NAME/out` for every command.
    """

    inputs: Inputs
    folder: Path

    def output(self, writer: Writer) -> Path:
        """The finished output of a command."""
        return self.folder / writer.name / writer.output

    @property
    def run(self) -> Path:
        """The run folder of SFT."""
        return self.folder / "sft" / "out"

    @property
    def evaluation(self) -> Path:
        """The evaluation of the shipped model."""
        return self.folder / "evaluate" / "out"


def small_commands(at: Finished) -> dict[str, Writer]:
    """The commands, by name."""
    data, evaluation = str(at.inputs.data), str(at.evaluation)
    predictions = str(at.evaluation / "predictions.jsonl")
    image = str(next(at.inputs.source.parent.glob("images/*.jpg")))

    def to_file(*words: str, option: str = "--out") -> Callable[[Path], Sequence[str]]:
        return lambda out: (*words, option, str(out))

    box = ("push the puck", "--task", "affordance")
    writers = (
        Writer(
            "interpolate",
            to_file("interpolate", "embedded", str(at.run / "model")),
            different_models,
        ),
        Writer(
            "export",
            to_file("export", "lmms-eval", data, "--splits", "adapt_test"),
            different_bytes,
            "is not empty",
        ),
        Writer("rescore", to_file("rescore", evaluation, "--protocol", "vabench"), different_text),
        Writer(
            "score",
            to_file("score", predictions, "--data", data),
            different_text,
            output="scores.jsonl",
        ),
        Writer(
            "sheet",
            to_file("score", predictions, "--data", data, option="--sheet"),
            different_text,
            output="sheet.png",
        ),
        Writer("show", to_file("data", "show", data), different_text, output="sheet.jpg"),
        Writer(
            "predict",
            to_file("predict", "embedded", image, *box, "--max-new-tokens", "60"),
            different_text,
            output="answer.png",
        ),
        Writer(
            "report",
            to_file("report", "--after", evaluation, "--data", data, "--run", str(at.run)),
            different_text,
            output="report.html",
        ),
        Writer("compare", to_file("compare", evaluation), different_text, output="table.md"),
        Writer(
            "pretrain",
            to_file("pretrain-embedded", "--data", data, "--steps", "2", "--batch", "2"),
            different_models,
        ),
    )
    return {writer.name: writer for writer in writers}


def all_commands(at: Finished) -> dict[str, Writer]:
    """All commands that write, those first that others need."""
    large = interruptible_commands(at.inputs)
    first = {name: large[name] for name in ("sft", "evaluate")}
    return {**first, **small_commands(at), **large}


def different_text(out: Path, expected: Path) -> str | None:
    """Compare two outputs, apart from the name of their own folder."""
    mine, theirs = (
        {
            path.relative_to(place.parent).as_posix(): _without_folder(path, place.parent)
            for path in ([place] if place.is_file() else files_of(place))
        }
        for place in (out, expected)
    )
    names = sorted(mine.keys() ^ theirs.keys()) or [n for n in mine if mine[n] != theirs[n]]
    return f"{', '.join(names[:3])} differ" if names else leftovers(out)


def different_models(out: Path, expected: Path) -> str | None:
    """Compare the weights of two outputs and the names of their files."""
    from safetensors.numpy import load_file

    mine, theirs = ({p.relative_to(f) for p in files_of(f)} for f in (out, expected))
    if mine != theirs:
        return f"files differ: {', '.join(sorted(map(str, mine ^ theirs))[:3])}"
    for name in (path for path in mine if path.suffix == ".safetensors"):
        if (out / name).read_bytes() != (expected / name).read_bytes():
            weights, others = load_file(out / name), load_file(expected / name)
            changed = [key for key, value in weights.items() if (value != others[key]).any()]
            return f"{name}: {len(changed)} weights differ"
    return leftovers(out)


def _without_folder(path: Path, folder: Path) -> bytes:
    return path.read_bytes().replace(str(folder).encode(), b"FOLDER")
