"""Cut every file that a command wrote, then run the commands that read it.

A cut file must be redone, or named in one line. A command that succeeds must give the result of the
whole file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.reliability.faults.commands import (
    Writer,
    different_experiments,
    files_of,
    interruptible_commands,
)
from benchmarks.reliability.faults.forked import run
from benchmarks.reliability.faults.judging import Attempts, bad_end, difference
from benchmarks.reliability.faults.small_commands import Finished, small_commands

_LOGS = (".txt", ".log", ".lock")


@dataclass(frozen=True)
class Reader:
    """A command that reads an output folder.

    Attributes:
        name: A short name.
        arguments: The arguments of `maniplvm` for that folder.
        compare: Compares the folder after a success with the whole one; None compares what the
            command printed.
        expected: The folder to compare with; None for the one that was copied and cut.
    """

    name: str
    arguments: Callable[[Path], Sequence[str]]
    compare: Callable[[Path, Path], str | None] | None = None
    expected: Path | None = None


def readers(at: Finished) -> dict[str, tuple[Path, list[Reader], tuple[float, ...]]]:
    """For each kind of output: a whole one, its readers, and the shares that are kept of a file."""
    large, small = interruptible_commands(at.inputs), small_commands(at)

    def again(writer: Writer) -> Reader:
        return Reader(f"{writer.name} again", writer.arguments, writer.difference)

    data, evaluation = str(at.inputs.data), str(at.evaluation)
    box = ("push the puck", "--task", "affordance", "--max-new-tokens", "60")
    image = str(next(at.inputs.source.parent.glob("images/*.jpg")))
    return {
        "data": (
            at.inputs.data,
            [
                Reader("info", lambda out: ("data", "info", str(out))),
                Reader(
                    "show", lambda out: ("data", "show", str(out), "--out", str(out / "../x.png"))
                ),
                Reader(
                    "score",
                    lambda out: ("score", f"{evaluation}/predictions.jsonl", "--data", str(out)),
                ),
            ],
            (0.0, 0.5, 0.999),
        ),
        "evaluation": (
            at.evaluation,
            [
                again(large["evaluate"]),
                Reader("compare", lambda out: ("compare", str(out))),
                Reader("rescore", lambda out: ("rescore", str(out), "--protocol", "vabench")),
                Reader(
                    "report",
                    lambda out: (
                        *("report", "--after", str(out), "--data", data),
                        *("--out", str(out / "../x.html")),
                    ),
                ),
            ],
            (0.0, 0.4, 0.999),
        ),
        "model": (
            at.run / "model",
            [Reader("predict", lambda out: ("predict", str(out), image, *box))],
            (0.0, 0.5),
        ),
        "run": (
            at.folder / "sft-half" / "out",
            [replace(again(large["sft"]), expected=at.run)],
            (0.6,),
        ),
        "finished run": (
            at.run,
            [
                Reader("sft again", large["sft"].arguments, _same_record),
                Reader(
                    "report",
                    lambda out: (
                        *("report", "--after", evaluation, "--data", data, "--run", str(out)),
                        *("--out", str(out / "../x.html")),
                    ),
                ),
            ],
            (0.0, 0.5),
        ),
        "interpolation": (
            at.output(small["interpolate"]),
            [again(small["interpolate"])],
            (0.0, 0.5),
        ),
        "pretraining": (
            at.output(small["pretrain"]),
            [again(small["pretrain"])],
            (0.5,),
        ),
        "experiment": (
            at.output(large["experiment"]),
            [Reader("experiment again", large["experiment"].arguments, different_experiments)],
            (0.5,),
        ),
    }


def cut_files(at: Finished, kind: str, folder: Path) -> Attempts:
    """Cut the files of one kind of output, one at a time.

    Args:
        at: The finished outputs.
        kind: A key of `readers`.
        folder: Folder for copies and logs.
    """
    whole, all_readers, shares = readers(at)[kind]
    attempts = Attempts(f"cut {kind}")
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    for reader in all_readers:
        copy = folder / "whole" / "out"
        shutil.copytree(whole, copy)
        printed = _printed(reader, copy, log)
        shutil.rmtree(copy.parent)
        for path, share in _cuts(whole, kind, shares):
            out = folder / "cut" / "out"
            shutil.copytree(whole, out)
            name = path.relative_to(whole)
            content = path.read_bytes()
            (out / name).write_bytes(content[: int(share * len(content))])
            command = run(reader.arguments(out), log)
            failure = bad_end(command, (0, 1, 2))
            if failure is None and command.wait(0) == 0:
                failure = _difference(reader, out, whole, log, printed)
            attempts.record(command, failure, f"{reader.name}, {name} cut to {share:.0%}")
            shutil.rmtree(out.parent)
    return attempts


def _is_cut(path: Path, whole: Path, kind: str) -> bool:
    """Whether a file of an output is read again; checkpoints that are not used are not."""
    parts = path.relative_to(whole).parts
    if path.name.endswith(_LOGS) or not path.stat().st_size:
        return False
    if kind == "experiment":
        return path.name in ("stages.json", "small.json")
    if kind == "run":
        return parts[0] != "checkpoints" or parts[1] == "checkpoint-4"
    return kind != "finished run" or len(parts) == 1


def _cuts(whole: Path, kind: str, shares: Sequence[float]) -> Iterator[tuple[Path, float]]:
    for path in files_of(whole):
        if _is_cut(path, whole, kind):
            yield from ((path, share) for share in shares)


def _printed(reader: Reader, out: Path, log: Path) -> str:
    if reader.compare is None:
        run(reader.arguments(out), log)
    return _text(log, out)


def _difference(reader: Reader, out: Path, whole: Path, log: Path, printed: str) -> str | None:
    if reader.compare is None:
        return None if _text(log, out) == printed else "another result without an error"
    writer = Writer(reader.name, reader.arguments, reader.compare)
    return difference(writer, out, reader.expected or whole)


def _text(log: Path, out: Path) -> str:
    """What a command printed, without the folder's path and the size of a page."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return text.replace(str(out.parent), "FOLDER").replace("whole", "cut")


def _same_record(out: Path, expected: Path) -> str | None:
    """A finished run is only read; its files are not compared."""
    return (
        None if (out / "run.json").is_file() and (expected / "run.json").is_file() else "no record"
    )
