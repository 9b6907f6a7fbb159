"""Write the image and the table of docs/shared-prefix.md.

The image shows a packed row of four trajectory answers to one image of the shipped data. Training
uses the same packing code. The table comes from `results/shared_prefix.json`.
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from PIL import Image

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.experiments.pages.blocks import fill_block
from maniplvm.models import build_inputs, chat_messages, load_model, write_tiny_checkpoint
from maniplvm.tasks import Sample, write_reasoning
from maniplvm.tasks.prompts import write_completion
from maniplvm.training.shared_prefix.groups import group_prompts
from maniplvm.training.shared_prefix.packing import (
    PackedRows,
    pack_rows,
    plan_blocks,
    plan_single_rows,
)
from maniplvm.training.shared_prefix.policy import prompt_positions

SOURCE = "results/shared_prefix.json"
PAGE = Path("docs") / "shared-prefix.md"
IMAGE = Path("docs") / "images" / "shared-prefix.png"
PROMPT_COLOURS = {"image": "#4c78a8", "text": "#9ecae9"}
COMPLETION_COLOURS = ("#f58518", "#e45756", "#72b7b2", "#54a24b")


def markdown(report: dict[str, Any]) -> str:
    """The table of the page, as Markdown."""
    lines = [
        "| model | prompt | completion | G | policy pass | reference pass | rollout | step, tuned TRL "
        "| step, TRL's defaults | ideal (policy) | peak memory | log-probs differ by | gradients by |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        default = row["step_ratio_default"]
        lines.append(
            f"| {row['model']} | {row['prompt_tokens']} | {row['completion_tokens']} | {row['group']} "
            f"| {row['policy_pass_ratio']:.1f}x | {row['reference_pass_ratio']:.1f}x "
            f"| {row['rollout_ratio']:.1f}x | {row['step_ratio_tuned']:.1f}x "
            f"| {'-' if default is None else f'{default:.1f}x'} | {row['ideal_ratio']:.1f}x "
            f"| {row['memory_ratio']:.0%} | {row['max_logprob_diff']:.0e} "
            f"| {row['grad_rel_diff']:.0e} |"
        )
    for where, run in report["runs"].items():
        versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
        lines.append("")
        lines.append(
            f"{where.upper()}: {run['device']}, {run['threads']} threads, median of {run['rounds']} "
            f"rounds, {run['seconds']} s in all; {versions}."
        )
    return "\n".join(lines)


def real_batch(root: Path, folder: Path) -> PackedRows:
    """One packed row of four answers to one image of the shipped data."""
    loaded = load_model(write_tiny_checkpoint(folder, "qwen3_vl"), device="cpu")
    samples = open_dataset(root / "datasets" / "sim-small").samples("train", "trajectory")
    by_points: dict[int, Sample] = {}
    for sample in samples:
        by_points.setdefault(len(sample.target.points), sample)
    chosen = [sample for _, sample in sorted(by_points.items())][:4]
    first = chosen[0]
    frame = loaded.frame_for(first.image_size)
    prompt = loaded.prompt.format(first.instruction, first.task, frame)
    image = Image.open(io.BytesIO(first.image or b""))
    prompts = build_inputs(loaded, [chat_messages(prompt)], [image])
    texts = [write_completion(each.target, frame, write_reasoning(each)) for each in chosen]
    answers = loaded.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    groups = group_prompts(prompts, answers["input_ids"], answers["attention_mask"])
    blocks = plan_blocks(
        groups.prompt_lengths.tolist(), groups.completion_lengths.tolist(), [0] * 4, 10**6
    )
    (rows,) = plan_single_rows(blocks, 10**6)
    with torch.no_grad():
        return pack_rows(groups, rows, prompt_positions(loaded.model, groups), 0)


def draw(packed: PackedRows, path: Path) -> None:
    """Draw the computed tokens with and without sharing, and the mask of the packed row."""
    segment = packed.segment_ids[0].numpy()
    if packed.token_type_ids is None:
        raise UserError("the tiny model has no token types of images; the layout cannot be drawn")
    is_image = packed.token_type_ids[0].numpy() == 1
    kind = np.where(segment > 0, segment + 1, np.where(is_image, 0, 1))
    colours = [*PROMPT_COLOURS.values(), *COMPLETION_COLOURS]
    prompt, text = int((segment == 0).sum()), np.flatnonzero(kind == 1)
    before = int((text < is_image.argmax()).sum())
    has_image = int(is_image.sum())

    figure, (bars, matrix) = plt.subplots(
        1, 2, figsize=(12, 5.2), width_ratios=[1.15, 1], layout="constrained"
    )
    parts = [(before, 1), (has_image, 0), (prompt - before - has_image, 1)]
    longest = max(int((segment == k).sum()) for k in range(1, 5))
    for number in range(1, 5):
        left = 0
        for length, colour in [*parts, (longest, number + 1)]:
            bars.barh(number - 1, length, left=left, color=colours[colour], height=0.7)
            left += length
        padding = longest - int((segment == number).sum())
        bars.barh(number - 1, padding, left=left - padding, color="white", hatch="////", height=0.7)
    left = 0
    answers = [(int((segment == k).sum()), k + 1) for k in range(1, 5)]
    for length, colour in [*parts, *answers]:
        bars.barh(5, length, left=left, color=colours[colour], height=0.7)
        left += length
    plain = 4 * (prompt + longest)
    bars.set_yticks([1.5, 5], [f"repeated:\n{plain} tokens", f"shared:\n{left} tokens"])
    bars.invert_yaxis()
    bars.set_xlabel("tokens computed by the language model (vision tower: 4 images, or 1)")
    bars.spines[["top", "right", "left"]].set_visible(False)

    allowed = packed.attention_mask()[0, 0].numpy()
    matrix.imshow(
        np.where(allowed, kind[None, :] + 1, 0),
        cmap=ListedColormap(["white", *colours]),
        vmin=-0.5,
        vmax=len(colours) + 0.5,
        interpolation="nearest",
    )
    matrix.set_xlabel("key token")
    matrix.set_ylabel("query token of the packed row")
    names = ["image tokens", "text tokens of the prompt", *(f"completion {k}" for k in range(1, 5))]
    handles = [Patch(color=colour, label=name) for colour, name in zip(colours, names, strict=True)]
    matrix.legend(handles=handles, loc="upper right", fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write_page(root: Path) -> list[str]:
    """Draw the image and fill the table.

    Args:
        root: The folder of the repository.

    Returns:
        The files that were written.
    """
    with tempfile.TemporaryDirectory() as folder:
        draw(real_batch(root, Path(folder)), root / IMAGE)
    report = json.loads((root / SOURCE).read_text(encoding="utf-8"))
    fill_block(root / PAGE, SOURCE, markdown(report))
    return [str(IMAGE), str(PAGE)]
