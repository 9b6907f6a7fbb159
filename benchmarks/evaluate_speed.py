"""The speed-up of `maniplvm evaluate` over a loop with one sample at a time.

Run by `make bench-evaluate`. The embedded model completes 1,000 samples of the shipped data set in
both ways, alternately; the result is the median of the ratios. "ours" is the time of the commands
`evaluate` and `report` after loading the model: reading data, predicting, scoring, intervals and the
HTML page. "naive" is stock transformers: `processor` and `model.generate` for each sample, greedy,
with the same maximum number of new tokens. Only its predictions are timed. Each way runs with its fastest
number of threads. Writes results/evaluate_speed.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from maniplvm.data import open_dataset
from maniplvm.evaluation import ModelPredictor, Selection, evaluate
from maniplvm.evaluation.report import Sources, build_report
from maniplvm.models import LoadedModel, chat_messages
from maniplvm.tasks import Sample

DATA = Path("datasets/sim-small")
SPLITS = ("id_test", "adapt_test", "ood_tasks", "ood_robot")
NEW_TOKENS = 256
TRIAL = 32
"""Number of samples for finding the fastest number of threads."""


def chosen(count: int) -> tuple[Selection, list[Sample]]:
    """At least `count` samples, evenly from splits and tasks, in complete scenes."""
    dataset = open_dataset(DATA)
    cells = len(SPLITS) * 2
    for limit in range(max(1, count // cells), len(dataset)):
        selection = Selection(SPLITS, None, limit)
        ids = {sample.id for sample in selection.samples(dataset)}
        if len(ids) >= count:
            has_image = (each for split in SPLITS for each in dataset.samples(split))
            return selection, [each for each in has_image if each.id in ids]
    raise SystemExit(f"{DATA} holds fewer than {count} samples in {', '.join(SPLITS)}")


def ours(predictor: ModelPredictor, selection: Selection) -> tuple[float, dict[str, str]]:
    """The time of evaluation and report [s], and the completions by id."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "evaluation"
        start = time.perf_counter()
        evaluate(predictor, DATA, out, selection=selection)
        page = build_report(Sources(after=out, data=DATA), command=["maniplvm", "report"])
        (Path(folder) / "report.html").write_text(page, encoding="utf-8")
        taken = time.perf_counter() - start
        lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return taken, {record["id"]: record["text"] for record in map(json.loads, lines)}


def naive(loaded: LoadedModel, samples: Sequence[Sample]) -> tuple[float, dict[str, str]]:
    """The time of predictions one sample at a time [s], and the completions by id."""
    start = time.perf_counter()
    texts = dict(_one_by_one(loaded, samples))
    return time.perf_counter() - start, texts


def _one_by_one(loaded: LoadedModel, samples: Sequence[Sample]) -> Iterator[tuple[str, str]]:
    processor, model = loaded.processor, loaded.model
    for sample in samples:
        assert sample.image is not None
        image = Image.open(io.BytesIO(sample.image)).convert("RGB")
        frame = loaded.frame_for(sample.image_size)
        chat = chat_messages(loaded.prompt.format(sample.instruction, sample.task, frame))
        text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        inputs = processor(text=[text], images=[image], return_tensors="pt")
        with torch.no_grad():
            output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        new_tokens = output[:, inputs["input_ids"].shape[1] :]
        yield sample.id, processor.batch_decode(new_tokens, skip_special_tokens=True)[0]


def fastest_threads(work: Any, offered: Sequence[int]) -> int:
    """The number of threads with which some work is fastest, after one warm-up call."""
    work()
    if len(offered) == 1:
        torch.set_num_threads(offered[0])
        return offered[0]
    times: dict[int, float] = {}
    for threads in offered:
        torch.set_num_threads(threads)
        start = time.perf_counter()
        work()
        times[threads] = time.perf_counter() - start
    return min(times, key=lambda threads: times[threads])


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/evaluate_speed.json"))
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    arguments = parser.parse_args()
    selection, samples = chosen(arguments.samples)
    trial, few = chosen(min(TRIAL, arguments.samples))
    predictor = ModelPredictor("embedded", batch_size=arguments.batch_size, device="cpu")
    loaded = predictor.loaded
    offered = sorted(set(arguments.threads))
    threads = {
        "ours": fastest_threads(lambda: ours(predictor, trial), offered),
        "naive": fastest_threads(lambda: naive(loaded, few), offered),
    }
    pairs = list[tuple[float, float]]()
    same = 0.0
    for number in range(arguments.rounds):
        torch.set_num_threads(threads["naive"])
        slow, theirs = naive(loaded, samples)
        torch.set_num_threads(threads["ours"])
        fast, own = ours(predictor, selection)
        pairs.append((slow, fast))
        same = sum(own[id] == text for id, text in theirs.items()) / len(theirs)
        print(f"round {number + 1}: naive {slow:.1f} s, ours {fast:.1f} s", file=sys.stderr)
    result = {
        "ratio": round(statistics.median(slow / fast for slow, fast in pairs), 2),
        "ratios": [round(slow / fast, 2) for slow, fast in pairs],
        "ours_seconds": round(statistics.median(fast for _, fast in pairs), 1),
        "naive_seconds": round(statistics.median(slow for slow, _ in pairs), 1),
        "same_text": round(same, 4),
    }
    report = {
        "what": "maniplvm evaluate and report of the embedded model, after loading, against the "
        "predictions of stock processor and generate, one sample at a time",
        "command": " ".join(["python", "benchmarks/evaluate_speed.py", *sys.argv[1:]]),
        "seed": selection.limit_seed,
        "samples": len(samples),
        "pictures": len({sample.image for sample in samples}),
        "splits": list(SPLITS),
        "batch_size": arguments.batch_size,
        "max_new_tokens": NEW_TOKENS,
        "cores": os.cpu_count(),
        "threads": threads,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("maniplvm", "numpy", "torch", "transformers")},
        },
        **result,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
