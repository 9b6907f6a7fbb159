"""Time and size of a report of 5,000 samples, and the time to open and search it.

The images and targets are those of the shipped data set, repeated under new names. The completions are
targets with random offsets, scored by `maniplvm evaluate`. If Chromium is installed, opening and searching
are measured as its CPU time beyond that of an empty page.

Run: python benchmarks/report_speed.py --out results/report_speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset, write_dataset
from maniplvm.evaluation import FilePredictor, evaluate
from maniplvm.tasks import Sample, Task

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "datasets" / "sim-small"
SPLITS = ("adapt_test", "id_test", "ood_tasks", "ood_robot")
ERRORS = {"before": 0.12, "after": 0.06}
"""Standard deviation of the offsets, as a fraction of the diagonal."""
UNPARSED = 0.02
"""Fraction of completions without coordinates."""
SEARCHED = "drawer"
REPEATS = 3


def many(number: int) -> Iterator[Sample]:
    """The samples of the test splits, repeated as new scenes."""
    dataset = open_dataset(DATA)
    known = [sample for split in SPLITS for sample in dataset.samples(split)]
    copies = (
        replace(
            sample,
            id=f"{sample.id}/{copy}",
            scene=f"{sample.scene}/{copy}",
        )
        for copy in count()
        for sample in known
    )
    yield from islice(copies, number)


def completion(sample: Sample, error: float, rng: np.random.Generator) -> str:
    """The target with a random offset; sometimes a sentence without coordinates."""
    words = " ".join(["look", "for", sample.part or "the part"])
    words += ", then move it" * int(rng.integers(0, 4))
    if rng.uniform() < UNPARSED:
        return f"<think>{words}</think><answer>I cannot tell</answer>"
    moved = sample.target.points + rng.normal(0, error * sample.diagonal / 2, 2)
    moved += rng.normal(0, error * sample.diagonal / 6, moved.shape)
    if sample.task is Task.AFFORDANCE:
        low, high = moved.min(axis=0), moved.max(axis=0)
        answer: Any = [*low.round(1).tolist(), *np.maximum(high, low + 1).round(1).tolist()]
    else:
        answer = moved.round(1).tolist()
    return f"<think>{words}</think><answer>{json.dumps(answer)}</answer>"


def evaluated(work: Path, samples: list[Sample]) -> None:
    """Write the data set and two scored evaluations of it."""
    write_dataset(work / "data", samples, name="many")
    for seed, (name, error) in enumerate(ERRORS.items()):
        rng = np.random.default_rng(seed)
        lines = [
            json.dumps({"id": each.id, "text": completion(each, error, rng)}) for each in samples
        ]
        path = work / f"{name}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        evaluate(FilePredictor(path), str(work / "data"), work / name)


def timed(command: list[str]) -> tuple[dict[str, float], str]:
    """Wall and CPU time [s] of a command, and its output."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}, done.stdout


def browsed(page: Path, work: Path, samples: int) -> dict[str, Any] | None:
    """CPU time of Chromium to open and search the page; None if it is not installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return None
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command.append(f"--user-data-dir={work / 'profile'}")
    places = {
        "empty": "about:blank",
        "opened": page.as_uri(),
        "searched": f"{page.as_uri()}#find={SEARCHED}",
    }
    found: dict[str, list[float]] = {name: [] for name in places}
    printed = ""
    for _ in range(REPEATS):
        for name, place in places.items():
            spent, printed = timed([*command, place])
            found[name].append(spent["cpu_seconds"])
    match = re.search(r"of ([\d,]+) that match, of ([\d,]+) samples", printed)
    if match is None or match[2] != f"{samples:,}":
        raise SystemExit("the search found nothing; check the script of the page")
    least = {name: min(values) for name, values in found.items()}
    return {
        "searched_for": SEARCHED,
        "matches": int(match[1].replace(",", "")),
        "open_cpu_seconds": round(least["opened"] - least["empty"], 2),
        "open_and_search_cpu_seconds": round(least["searched"] - least["empty"], 2),
        "best_of": REPEATS,
    }


def main() -> None:
    """Write the report, open it, and store times and sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--page", type=Path, help="copy the report to this file")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "report_speed.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        evaluated(work, list(many(options.samples)))
        page = work / "report.html"
        report = [str(Path(sys.executable).with_name("maniplvm")), "report"]
        report += ["--data", str(work / "data"), "--before", str(work / "before")]
        report += ["--after", str(work / "after"), "--out", str(page)]
        spent, _ = timed(report)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        text = page.read_text(encoding="utf-8")
        content = {
            "command": "python " + " ".join(["benchmarks/report_speed.py", *sys.argv[1:]]),
            "seed": 0,
            "versions": {name: version(name) for name in ("maniplvm", "numpy", "pillow")},
            "samples": options.samples,
            "evaluations": len(ERRORS),
            "load_average": round(os.getloadavg()[0], 1),
            "make": spent | {"peak_rss_mb": round(peak)},
            "page_mb": round(len(text.encode()) / 1e6, 2),
            "cards": text.count('<article class="card"'),
            "pictures": text.count("<symbol "),
            "browser": browsed(page, work, options.samples),
        }
        if options.page is not None:
            shutil.copy(page, options.page)
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
