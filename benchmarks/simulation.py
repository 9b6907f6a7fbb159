"""Measure generation: experts, views, boxes and traces of every task, and the throughput.

Run: python benchmarks/simulation.py --out results/simulation.json
Then: python -m maniplvm.experiments.pages simulation
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.boxes import iou
from maniplvm.simulation.generation.generate import generate
from maniplvm.simulation.generation.plan import SPLITS, Plan
from maniplvm.simulation.generation.sampler import EXPERT_FAILED, SceneSampler
from maniplvm.simulation.labels.affordance import find_touched_part, view_part
from maniplvm.simulation.labels.demonstrations import demonstrate
from maniplvm.simulation.labels.instructions import described_tasks
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds import load_world
from maniplvm.tasks.sample import BoxTarget, Sample, TraceTarget

FIRST_SEED = 50_000_000  # above the seeds of every split
SCALE = 3
SCENES = 12  # of each task, in the measurement of throughput


def measure_task(job: tuple[str, str, int, int]) -> dict[str, Any]:
    """One row of the table: a task with many seeds and one image per seed."""
    name, task, seeds, size = job
    world = load_world(name)
    dropped: Counter[str] = Counter()
    samples: list[Sample] = []
    with SceneSampler(
        world.open(task), (size, size), DomainRandomization(), world.versions()
    ) as sampler:
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            scene_samples, drops = sampler.samples(SPLITS["train"], seed, 1)
            samples += scene_samples
            dropped += drops
    boxes, traces = samples[::2], samples[1::2]
    with Checker(name, task, size * SCALE) as checker:
        checked = [checker.compare(sample) for sample in boxes]
    solved = seeds - dropped[EXPERT_FAILED]
    return {
        "task": task,
        "seeds": seeds,
        "expert_success": solved / seeds,
        "usable": len(boxes) / max(solved, 1),
        "dropped": dict(dropped),
        "box_side_percent": _median([_side(sample) * 100 for sample in boxes]),
        "visible_fraction": _median([s.provenance["visible_fraction"] for s in boxes]),
        "iou_patch": _median([pair[0] for pair in checked]),
        "iou_geoms": _median([pair[1] for pair in checked]),
        "fill": _median([pair[2] for pair in checked]),
        "points": float(np.mean([len(_points(sample)) for sample in traces])),
        "points_ok": float(np.mean([_points_ok(sample) for sample in traces])),
        "trace_meets_box": float(
            np.mean(
                [
                    _meets(_points(t), _box(b), b.diagonal)
                    for b, t in zip(boxes, traces, strict=True)
                ]
            )
        ),
        "ious": [pair[0] for pair in checked],
    }


class Checker:
    """Renders the same scenes at a higher resolution to check the stored boxes."""

    def __init__(self, name: str, task: str, size: int) -> None:
        self._scene = load_world(name).open(task)
        self._renderer = Renderer(self._scene.model, (size, size))

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.close()
        self._scene.close()

    def compare(self, sample: Sample) -> tuple[float, float, float]:
        """IoU of the stored box with the bounds of the visible patch and of the visible geoms.

        The third value is the fraction of the box that the visible patch fills.
        """
        record = Provenance.from_json(sample.provenance)
        width, height = record.camera.size
        camera = replace(record.camera, size=(width * SCALE, height * SCALE))
        demonstration = demonstrate(self._scene, record.seed)
        part = find_touched_part(self._scene.model, demonstration)
        if part is None:
            raise RuntimeError(f"{sample.id}: the demonstration cannot be reproduced")
        segmentation = self._renderer.segmentation(demonstration.initial, camera)
        view = view_part(
            self._renderer, self._scene.model, demonstration.initial, camera, part, segmentation
        )
        whole = replace(part, points=self._surface(demonstration.initial, camera, part.geoms))
        whole_view = view_part(
            self._renderer, self._scene.model, demonstration.initial, camera, whole, segmentation
        )
        if view is None or whole_view is None:
            return 0.0, 0.0, 0.0
        stored = _box(sample) * SCALE
        left, top, right, bottom = stored.astype(int)
        fill = float(view.mask[top:bottom, left:right].mean())
        return float(iou(stored, view.box)), float(iou(stored, whole_view.box)), fill

    def _surface(self, initial: Any, camera: Camera, geoms: Sequence[int]) -> FloatArray:
        part_only = self._renderer.segmentation_of(initial, camera, geoms)
        rows, columns = np.nonzero(part_only.geom >= 0)
        rows, columns = rows[::40], columns[::40]
        pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
        return camera.unproject(pixels, part_only.depth[rows, columns])


def measure_throughput(size: int, workers: int, views: int, per_task: int) -> dict[str, Any]:
    """Wall time of a complete run over all training tasks."""
    plan = Plan(scenes={"train": per_task}, views=views, size=size, seed=99)
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), _cpu_seconds()
        report = generate(plan, Path(folder) / "data", name="throughput", workers=workers)
        seconds, cpu = time.perf_counter() - began, _cpu_seconds() - used
    return {
        "size": size,
        "scenes_per_task": per_task,
        "workers": workers,
        "views": views,
        "pictures": report.samples // 2,
        "seconds": round(seconds, 1),
        "pictures_per_second": round(report.samples / 2 / seconds, 2),
        "samples_per_second": round(report.samples / seconds, 2),
        "cpu_seconds_per_picture": round(2 * cpu / report.samples, 4),
    }


def _cpu_seconds() -> float:
    """CPU time of this process and of its finished children."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    ious = [value for row in rows for value in row.pop("ious")]
    scenes = sum(row["seeds"] for row in rows)
    images = [row["seeds"] * row["expert_success"] * row["usable"] for row in rows]
    return {
        "tasks": len(rows),
        "seeds_per_task": rows[0]["seeds"],
        "expert_success": sum(row["expert_success"] * row["seeds"] for row in rows) / scenes,
        "usable": sum(images) / sum(row["expert_success"] * row["seeds"] for row in rows),
        "box_side_percent": _median([row["box_side_percent"] for row in rows]),
        "visible_fraction": _median([row["visible_fraction"] for row in rows]),
        "iou_patch": _median(ious),
        "iou_patch_worst_task": min(row["iou_patch"] for row in rows),
        "iou_geoms": _median([row["iou_geoms"] for row in rows]),
        "tasks_with_iou_geoms_under_half": [r["task"] for r in rows if r["iou_geoms"] < 0.5],
        "points_ok": float(np.average([row["points_ok"] for row in rows], weights=images)),
        "trace_meets_box": float(
            np.average([row["trace_meets_box"] for row in rows], weights=images)
        ),
    }


def _box(sample: Sample) -> FloatArray:
    if not isinstance(sample.target, BoxTarget):
        raise TypeError(f"{sample.id} has no box")
    return sample.target.xyxy


def _points(sample: Sample) -> FloatArray:
    if not isinstance(sample.target, TraceTarget):
        raise TypeError(f"{sample.id} has no trace")
    return sample.target.points


def _side(sample: Sample) -> float:
    box = _box(sample)
    return float(((box[2:] - box[:2]) / np.array(sample.image_size)).mean())


def _points_ok(sample: Sample) -> bool:
    points = _points(sample)
    inside = (points >= 0).all() and (points <= np.array(sample.image_size)).all()
    return bool(inside and 3 <= len(points) <= 10)


def _meets(points: FloatArray, box: FloatArray, diagonal: float) -> bool:
    """Whether the polyline crosses the box or comes within 5 % of the diagonal of its centre."""
    dense = np.concatenate([np.linspace(a, b, 50) for a, b in pairwise(points)])
    crosses = ((dense >= box[:2]) & (dense <= box[2:])).all(axis=1).any()
    centre = (box[:2] + box[2:]) / 2
    return bool(crosses or np.linalg.norm(dense - centre, axis=1).min() <= 0.05 * diagonal)


def _median(values: Sequence[float]) -> float:
    return round(float(np.median(values)), 4) if len(values) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--world", default="metaworld")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--views", type=int, default=4, help="views per scene for the throughput")
    parser.add_argument(
        "--only-throughput",
        action="store_true",
        help="measure only the throughput, on an idle machine",
    )
    options = parser.parse_args()
    if options.only_throughput:
        report = json.loads(options.out.read_text(encoding="utf-8"))
        report["throughput"] = measure_throughput(
            options.size, options.workers, options.views, SCENES
        )
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        return
    os.environ.setdefault("LP_NUM_THREADS", "1")
    jobs = [(options.world, t, options.seeds, options.size) for t in described_tasks(options.world)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, context) as pool:
        rows = []
        for row in pool.map(measure_task, jobs):
            rows.append(row)
            print(f"{len(rows)}/{len(jobs)} {row['task']}", file=sys.stderr, flush=True)
    report = {
        "command": (
            f"python benchmarks/simulation.py --world {options.world} --seeds {options.seeds} "
            f"--out results/{options.out.name}"
        ),
        "seed": FIRST_SEED,
        "versions": dict(load_world(options.world).versions()),
        "summary": summarise(rows),
        "tasks": rows,
    }
    if options.world == "metaworld":
        report["throughput"] = measure_throughput(
            options.size, options.workers, options.views, SCENES
        )
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
