"""What the real verl makes of an exported folder: the prompts of its rows, and rewards.

    python -m tests_engines.verl.read_export CONFIG COMPLETIONS OUT

Runs with the interpreter of verl's environment. CONFIG is the output of `run.sh --cfg job`,
COMPLETIONS a JSON list of completions by row. OUT gets what verl reads and scores, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset


def main(config_path: str, completions_path: str, out: str) -> None:
    config: Any = OmegaConf.load(config_path)
    completions = json.loads(Path(completions_path).read_text(encoding="utf-8"))
    model = config.actor_rollout_ref.model.path
    tokenizer, processor = hf_tokenizer(model), hf_processor(model)
    config.data.cache_dir = str(Path(out).parent / "cache")
    dataset = RLHFDataset([config.data.train_files], tokenizer, config.data, processor)
    rows = [dataset[index] for index in range(len(dataset))]
    content = {
        "prompts": [_prompt(row, processor, config) for row in rows],
        "rewards": _rewards(rows, completions, tokenizer, config),
    }
    Path(out).write_text(json.dumps(content), encoding="utf-8")


def _prompt(row: dict[str, Any], processor: Any, config: Any) -> dict[str, Any]:
    """Tokens and image of a row, prepared as verl's agent loop does."""
    messages = row["raw_prompt"]
    images, _, _ = asyncio.run(
        RLHFDataset.process_multi_modal_info(
            messages, processor.image_processor.patch_size, config.data
        )
    )
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=[text], images=images, return_tensors="pt")
    return {
        "ids": inputs["input_ids"][0].tolist(),
        "grid": inputs["image_grid_thw"].tolist(),
        "image_size": list(images[0].size),
        "ground_truth": row["reward_model"]["ground_truth"],
    }


def _rewards(
    rows: list[dict[str, Any]], completions: list[str], tokenizer: Any, config: Any
) -> list[dict[str, Any]]:
    """The completions, and their rewards by verl's reward worker with its configured manager."""
    worker = RewardLoopWorker(config)
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in completions]
    longest = max(map(len, ids))
    responses = torch.full((len(ids), longest), tokenizer.pad_token_id)
    mask = torch.zeros((len(ids), longest), dtype=torch.long)
    for index, each in enumerate(ids):
        responses[index, : len(each)] = torch.tensor(each)
        mask[index, : len(each)] = 1
    names = ("data_source", "reward_model", "extra_info")
    batch = DataProto.from_dict(
        tensors={"responses": responses, "attention_mask": mask},
        non_tensors={name: np.array([row[name] for row in rows], dtype=object) for name in names},
    )
    scored = worker.loop.run_until_complete(worker.compute_score_batch(batch))
    return [
        {"text": tokenizer.decode(each, skip_special_tokens=True), **result}
        for each, result in zip(ids, scored, strict=True)
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
