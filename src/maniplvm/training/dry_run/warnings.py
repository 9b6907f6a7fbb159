"""What is likely to go wrong in a run that would start."""

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

_ADAPTER_RATE = 5e-6
_LARGEST_CARD = 80
_LONG_IMAGE = 2000


@dataclass(frozen=True)
class Forecast:
    """All that is known before a run: see `dry_run.check`."""

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


def foresee(run: Forecast) -> Iterator[str]:
    """The warnings about a run, the gravest kinds first."""
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


def _rewards(run: Forecast) -> Iterator[str]:
    preset = run.recipe.preset
    for task in run.recipe.tasks:
        if not any(name != "format" for name in preset.terms(task)):
            yield f"reward {preset.name} has no terms for {task}: those prompts teach the form only"
    for diagnosis in run.diagnoses:
        for finding in diagnosis.findings:
            yield f"reward {diagnosis.reward} on {diagnosis.task}: {finding.message}"


def _completions(run: Forecast) -> Iterator[str]:
    limit = run.config.max_completion_length
    cut = sum(tokens > limit for tokens in run.lengths.target)
    if cut:
        yield (
            f"max_completion_length {limit} cuts off {cut} of {len(run.lengths.target)} right "
            f"answers, the longest of {max(run.lengths.target)} tokens: they cannot earn a reward"
        )
    elif 2 * max(run.lengths.target) > limit:
        yield (
            f"max_completion_length {limit} leaves little room for reasoning: the longest right "
            f"answer alone takes {max(run.lengths.target)} tokens"
        )


def _groups(run: Forecast) -> Iterator[str]:
    config = run.config
    if config.temperature == 0:
        yield "temperature 0 makes all completions of a group equal: nothing can be learned"
    elif config.temperature < 0.5:
        yield f"temperature {config.temperature:g} makes completions alike: many groups teach nothing"
    if config.num_generations < 4:
        yield f"{config.num_generations} completions a prompt make a rough baseline; 8 are usual"


def _sequences(run: Forecast) -> Iterator[str]:
    limit = run.config.max_length
    if limit is None:
        return
    cut = sum(tokens > limit for tokens in run.lengths.together)
    if cut:
        yield (
            f"max_length {limit} cuts off {cut} of {len(run.lengths.together)} sequences, the "
            f"longest of {max(run.lengths.together)} tokens, at the end where the answer is"
        )


def _server(run: Forecast) -> Iterator[str]:
    if not run.config.use_vllm:
        return
    if importlib.util.find_spec("vllm") is None:
        yield 'vLLM is not installed here: pip install "trl[vllm]"'
    model = run.recipe.model
    if model.min_pixels is None and model.max_pixels is None:
        return
    own = {**model.interface_arguments(), "min_pixels": None, "max_pixels": None}
    stock = load_interface(model.source, **own)
    sizes = {sample.image_size for sample in run.samples}
    differing = sum(stock.image_tokens(size) != run.interface.image_tokens(size) for size in sizes)
    if differing:
        yield (
            f"vLLM resizes images by the checkpoint's own limits, the trainer by the recipe's: "
            f"{differing} of {len(sizes)} image sizes differ; start the server with the same "
            "limits (--mm-processor-kwargs), or resize the images at import"
        )


def _precision(run: Forecast) -> Iterator[str]:
    recipe, rate = run.recipe, run.config.learning_rate
    masters = run.launch.sharding is not Sharding.NONE
    if recipe.model.lora is None and run.dtype == "bfloat16" and not masters:
        yield (
            f"bfloat16 weights without float32 copies: updates at learning rate {rate:g} are mostly "
            "rounded away; set model.dtype float32, use adapters, or launch with FSDP2 or ZeRO-3"
        )
    if recipe.model.lora is not None and rate < _ADAPTER_RATE:
        yield f"learning rate {rate:g} is low for adapters; about 1e-5 to 1e-4 is usual"


def _cluster(run: Forecast) -> Iterator[str]:
    sharding = run.launch.sharding
    if sharding in (Sharding.ZERO2, Sharding.ZERO3) and not importlib.util.find_spec("deepspeed"):
        yield "DeepSpeed is not installed here: pip install deepspeed"
    if run.method == "grpo" and run.recipe.shared_prefix.enabled and sharding.splits_weights:
        yield (
            f"shared_prefix has not been tried with weights that {sharding} splits: set "
            "shared_prefix.enabled false, or look for its line in the log"
        )
    if run.recipe.shared_prefix.enabled and run.recipe.model.attn.startswith("flash"):
        yield f"shared_prefix cannot use {run.recipe.model.attn}: set model.attn sdpa or disable it"


def _memory(run: Forecast) -> Iterator[str]:
    peak = run.memory.peak / GIB
    if peak > _LARGEST_CARD * 0.95:
        yield (
            f"about {peak:.0f} GiB on each GPU, more than a card of {_LARGEST_CARD} GB holds: "
            "smaller per_device_train_batch_size, fewer max_pixels, adapters, or sharding"
        )
    if max(run.lengths.image) > _LONG_IMAGE:
        yield (
            f"an image takes up to {max(run.lengths.image)} tokens: model.max_pixels limits that"
        )


def _data(run: Forecast) -> Iterator[str]:
    tasks = {sample.task for sample in run.samples}
    missing = [str(task) for task in run.recipe.tasks if task not in tasks]
    if missing:
        yield f"the data holds no {', '.join(missing)} samples: the run learns the other task only"
    if run.steps < 10:
        yield f"{run.steps} optimizer steps in all: hardly anything can be learned"
    targets = {sample.target for sample in run.samples}
    if len(run.samples) > 10 and len(targets) < len(run.samples) / 4:
        yield (
            f"only {len(targets)} different targets in {len(run.samples)} samples: a constant "
            "answer may pay well"
        )
