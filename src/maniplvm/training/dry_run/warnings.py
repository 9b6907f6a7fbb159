"""Warnings about a run that could start, but would probably not train well."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from maniplvm.models import ModelInterface, load_interface
from maniplvm.rewards.doctor.diagnose import Diagnosis
from maniplvm.tasks import Sample
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.dry_run.memory import GIB, MemoryEstimate
from maniplvm.training.dry_run.token_lengths import TokenLengths

_MIN_ADAPTER_RATE = 5e-6
_LARGEST_GPU = 80
_LONG_IMAGE = 2000


@dataclass(frozen=True)
class PlannedRun:
    """All that is known about a run before it starts; built by `dry_run.check`."""

    recipe: Recipe
    method: str
    config: Any
    launch: Launch
    dtype: str
    interface: ModelInterface
    samples: Sequence[Sample]
    lengths: TokenLengths
    memory: MemoryEstimate
    diagnoses: Sequence[Diagnosis]
    steps: int


def find_warnings(run: PlannedRun) -> Iterator[str]:
    """The warnings about a run, the most serious kinds first."""
    if run.method == "grpo":
        yield from _rewards(run)
        yield from _completions(run)
        yield from _groups(run)
        yield from _server(run)
    else:
        yield from _sequences(run)
    yield from _precision(run)
    yield from _cluster(run)
    yield from _memory(run)
    yield from _data(run)


def _rewards(run: PlannedRun) -> Iterator[str]:
    preset = run.recipe.preset
    for task in run.recipe.tasks:
        if not any(name != "format" for name in preset.terms(task)):
            yield (
                f"reward {preset.name} has no terms for {task} besides the format: these prompts "
                "reward format only"
            )
    for diagnosis in run.diagnoses:
        for issue in diagnosis.issues:
            yield f"reward {diagnosis.reward} on {diagnosis.task}: {issue.message}"


def _completions(run: PlannedRun) -> Iterator[str]:
    limit = run.config.max_completion_length
    cut = sum(tokens > limit for tokens in run.lengths.target)
    if cut:
        yield (
            f"max_completion_length {limit} cuts off {cut} of {len(run.lengths.target)} reference "
            f"completions (the longest has {max(run.lengths.target)} tokens): a completion that "
            "is cut off gets no reward"
        )
    elif 2 * max(run.lengths.target) > limit:
        yield (
            f"max_completion_length {limit} leaves little room for reasoning: the longest reference "
            f"completion has {max(run.lengths.target)} tokens"
        )


def _groups(run: PlannedRun) -> Iterator[str]:
    config = run.config
    if config.temperature == 0:
        yield "temperature 0 makes all completions of a group equal: there is no gradient"
    elif config.temperature < 0.5:
        yield (
            f"temperature {config.temperature:g} makes completions similar: many groups give no "
            "gradient"
        )
    if config.num_generations < 4:
        yield f"{config.num_generations} completions a prompt give a noisy baseline; 8 are usual"


def _sequences(run: PlannedRun) -> Iterator[str]:
    limit = run.config.max_length
    if limit is None:
        return
    cut = sum(tokens > limit for tokens in run.lengths.together)
    if cut:
        yield (
            f"max_length {limit} cuts off {cut} of {len(run.lengths.together)} sequences (the "
            f"longest has {max(run.lengths.together)} tokens); the answer at the end is lost"
        )


def _server(run: PlannedRun) -> Iterator[str]:
    if not run.config.use_vllm:
        return
    if importlib.util.find_spec("vllm") is None:
        yield 'vLLM is not installed here: pip install "trl[vllm]"'
    model = run.recipe.model
    if model.min_pixels is None and model.max_pixels is None:
        return
    arguments = {**model.interface_arguments(), "min_pixels": None, "max_pixels": None}
    unlimited = load_interface(model.source, **arguments)
    sizes = {sample.image_size for sample in run.samples}
    differing = sum(
        unlimited.image_tokens(size) != run.interface.image_tokens(size) for size in sizes
    )
    if differing:
        yield (
            f"vLLM uses the pixel limits of the checkpoint, the trainer those of the recipe: "
            f"{differing} of {len(sizes)} image sizes differ; start the server with the same "
            "limits (--mm-processor-kwargs), or resize the images at import"
        )


def _precision(run: PlannedRun) -> Iterator[str]:
    recipe, rate = run.recipe, run.config.learning_rate
    has_float32_copies = run.launch.sharding is not Sharding.NONE
    if recipe.model.lora is None and run.dtype == "bfloat16" and not has_float32_copies:
        yield (
            f"bfloat16 weights without float32 copies: most updates at learning rate {rate:g} are "
            "rounded away; set model.dtype to float32, use adapters, or launch with FSDP2 or ZeRO-3"
        )
    if recipe.model.lora is not None and rate < _MIN_ADAPTER_RATE:
        yield f"learning rate {rate:g} is low for adapters; about 1e-5 to 1e-4 is usual"


def _cluster(run: PlannedRun) -> Iterator[str]:
    sharding = run.launch.sharding
    if sharding in (Sharding.ZERO2, Sharding.ZERO3) and not importlib.util.find_spec("deepspeed"):
        yield "DeepSpeed is not installed here: pip install deepspeed"
    if run.method == "grpo" and run.recipe.shared_prefix.enabled:
        yield from _shared_prefix(run)


def _shared_prefix(run: PlannedRun) -> Iterator[str]:
    """What the shared prefix does not support; the run would use TRL's own code."""
    model = run.recipe.model
    if run.launch.sharding is Sharding.ZERO3:
        yield (
            "shared_prefix does not support DeepSpeed ZeRO-3: launch with FSDP2, or set "
            "shared_prefix.enabled to false"
        )
    if model.attn.startswith("flash"):
        yield (
            f"shared_prefix does not support {model.attn}: set model.attn to sdpa, or set "
            "shared_prefix.enabled to false"
        )
    if model.lora is not None and model.lora.dropout > 0:
        yield (
            f"shared_prefix does not support dropout {model.lora.dropout:g} in the adapters: set "
            "model.lora.dropout to 0, or set shared_prefix.enabled to false"
        )


def _memory(run: PlannedRun) -> Iterator[str]:
    peak = run.memory.peak / GIB
    if peak > _LARGEST_GPU * 0.95:
        yield (
            f"about {peak:.0f} GiB on each GPU, more than a GPU of {_LARGEST_GPU} GB has: reduce "
            "per_device_train_batch_size or max_pixels, or use adapters or sharding"
        )
    if max(run.lengths.image) > _LONG_IMAGE:
        yield (f"an image has up to {max(run.lengths.image)} tokens; model.max_pixels limits them")


def _data(run: PlannedRun) -> Iterator[str]:
    tasks = {sample.task for sample in run.samples}
    missing = [str(task) for task in run.recipe.tasks if task not in tasks]
    if missing:
        yield f"the data has no {', '.join(missing)} samples: the run trains the other task only"
    if run.steps < 10:
        yield f"only {run.steps} optimizer steps: too few to train anything"
    targets = {sample.target for sample in run.samples}
    if len(run.samples) > 10 and len(targets) < len(run.samples) / 4:
        yield (
            f"only {len(targets)} different targets in {len(run.samples)} samples: a constant "
            "answer may get a high reward"
        )
