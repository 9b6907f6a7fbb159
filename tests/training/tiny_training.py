"""A tiny model, a tiny data set, and rewards that a model with random weights can get."""

import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from maniplvm.data import write_dataset
from maniplvm.models import write_tiny_checkpoint
from maniplvm.rewards import score_batch
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget
from maniplvm.training import build_recipe, read_recipe, train
from maniplvm.training.loop import trainers
from maniplvm.training.rewards import reward_function

SIDE = 56


@dataclass(frozen=True)
class TinySetup:
    model: Path
    data: Path

    def recipe(self, method, trainer=None, **sections):
        settings = {
            "name": "tiny",
            "model": {"source": str(self.model), **sections.pop("model", {})},
            "data": {"path": str(self.data), "split": "train", **sections.pop("data", {})},
            "monitor": sections.pop("monitor", {"samples_every": 0}),
            "prompts": {task.value: "{instruction}?" for task in Task},
            "trainer": {**(GRPO if method == "grpo" else SFT), **(trainer or {})},
            **sections,
        }
        return build_recipe(settings, "tiny.yaml")


SFT = {
    "per_device_train_batch_size": 4,
    "max_steps": 6,
    "save_steps": 2,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
}
GRPO = {
    **SFT,
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 6,
}


def make_image(seed):
    import io

    pixels = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tiny_samples(scenes=6, categories=("open", "push"), split="train"):
    box, trace = BoxTarget([10, 12, 30, 40]), TraceTarget([[5, 5], [20, 30], [50, 40]])
    return [
        Sample(
            f"{split}/{category}/{scene}/{task}",
            task,
            f"{category} thing {scene}",
            (SIDE, SIDE),
            box if task is Task.AFFORDANCE else trace,
            image=make_image(scene),
            split=split,
            category=category,
            scene=f"w/{category}/{scene}",
            part="the handle",
            provenance={"seed": scene},
        )
        for category in categories
        for scene in range(scenes)
        for task in (Task.AFFORDANCE, Task.TRAJECTORY)
    ]


def write_tiny_setup(folder):
    samples = [*tiny_samples(), *tiny_samples(3, ("pull",), "other")]
    write_dataset(folder / "data", samples, name="tiny")
    return TinySetup(write_tiny_checkpoint(folder / "model", "qwen2_5_vl"), folder / "data")


def pseudorandom_scores(texts, samples, preset="paper", frame=None):
    """The real scores with a pseudorandom total that depends on the text only."""
    scores = score_batch(texts, samples, preset, frame)
    return [
        replace(score, total=zlib.crc32(text.encode()) % 997 / 997)
        for text, score in zip(texts, scores, strict=True)
    ]


def scripted_completions(self, prompt_ids, *_, **__):
    """Completions that depend only on the step and on the row of the global batch."""
    rows, end = len(prompt_ids), self.processing_class.tokenizer.eos_token_id
    first = self.accelerator.process_index * rows
    written = []
    for row in range(first, first + rows):
        rng = np.random.default_rng([self.state.global_step, row])
        written.append([*rng.integers(20, 400, rng.integers(2, 6)).tolist(), end])
    return written, None


def use_pseudorandom_rewards(patch=setattr):
    """Use pseudorandom rewards; `patch` is `setattr` or that of pytest's `monkeypatch`."""
    patch(reward_function, "score_batch", pseudorandom_scores)
    patch(trainers, "score_batch", pseudorandom_scores)


def use_scripted_completions(patch=setattr):
    """Use the same completions however many processes generate them."""
    from maniplvm.training.shared_prefix import SharedPrefixTrainer

    patch(SharedPrefixTrainer, "_generate_single_turn", scripted_completions)


if __name__ == "__main__":
    from maniplvm.training.loop.cpu_processes import leave_process_group, start_missing_processes

    start_missing_processes(sys.argv[1:], "tests.training.tiny_training")
    use_pseudorandom_rewards()
    if sys.argv[1] == "scripted":
        use_scripted_completions()
        del sys.argv[1]
    for number in range(1, len(sys.argv), 3):
        method, recipe, out = sys.argv[number : number + 3]
        train(read_recipe(recipe), method, out)
    leave_process_group()
