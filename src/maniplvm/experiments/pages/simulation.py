"""The results in docs/simulation.md, from `results/simulation.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maniplvm.experiments.pages.blocks import fill_block

SOURCE = "results/simulation.json"
PAGE = Path("docs") / "simulation.md"


def markdown(report: dict[str, Any]) -> str:
    """The results as Markdown."""
    total, speed = report["summary"], report["throughput"]
    lines = [
        f"- experts solve {total['expert_success']:.1%} of {total['tasks'] * total['seeds_per_task']} "
        f"episodes; {total['usable']:.1%} of those give a usable image",
        f"- boxes: median IoU {total['iou_patch']:.2f}, worst task {total['iou_patch_worst_task']:.2f}; "
        f"against whole geoms {total['iou_geoms']:.2f}, under .5 for "
        f"{', '.join(task.removesuffix('-v3') for task in total['tasks_with_iou_geoms_under_half'])}",
        f"- traces: {total['points_ok']:.1%} have 3 to 10 points, all inside the image; "
        f"{total['trace_meets_box']:.1%} meet their box",
        f"- throughput: {speed['pictures_per_second']:.1f} images a second with both targets, that is "
        f"{speed['samples_per_second']:.1f} samples ({speed['size']} px, {speed['views']} views a scene, "
        f"{speed['workers']} processes, compiling and writing included; "
        f"{speed['cpu_seconds_per_picture'] * 1000:.0f} ms of CPU an image)",
        "",
        "| task | expert | usable | side % | visible | IoU | whole | fill | points | meets |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["tasks"]:
        lines.append(
            f"| {row['task'].removesuffix('-v3')} | {row['expert_success']:.0%} | {row['usable']:.0%} "
            f"| {row['box_side_percent']:.1f} | {row['visible_fraction']:.2f} | {row['iou_patch']:.2f} "
            f"| {row['iou_geoms']:.2f} | {row['fill']:.2f} | {row['points']:.1f} "
            f"| {row['trace_meets_box']:.0%} |"
        )
    return "\n".join(lines)


def write_block(root: Path) -> list[str]:
    """Fill the block of the page.

    Args:
        root: The folder of the repository.

    Returns:
        The page that was written.
    """
    report = json.loads((root / SOURCE).read_text(encoding="utf-8"))
    fill_block(root / PAGE, SOURCE, markdown(report))
    return [str(PAGE)]
