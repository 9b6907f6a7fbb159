"""Implementations that the shared-prefix benchmark compares: with and without sharing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from maniplvm.models import LoadedModel, build_inputs, chat_messages
from maniplvm.training.shared_prefix import SharedPrefixSettings, group_logprobs
from maniplvm.training.shared_prefix.rollout import shared_prefill
from maniplvm.training.shared_prefix.verification import sample_gradient, sample_parameters
from shared_prefix_models import Size, text_and_image


class Implementation(Protocol):
    """An implementation of a GRPO step for one prompt."""

    def rollout(self) -> Any:
        """Sample the completions of the group."""
        ...

    def policy_pass(self) -> Any:
        """Log-probabilities of the group, forward and backward."""
        ...

    def reference_pass(self) -> Any:
        """Log-probabilities without gradients."""
        ...

    def step(self) -> Any:
        """A complete step. It may return its own time [s]."""
        ...

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities, and the gradient of a fixed weighted sum of them."""
        ...


def lengths_of(size: Size) -> list[int]:
    """Lengths of the completions [tokens], evenly spaced from half of the longest to the longest."""
    half, steps = size.completion // 2, size.group - 1
    return [half + (size.completion - half) * k // steps for k in range(size.group)]


class Batch:
    """One prompt with random completions, and the batch that repeats the prompt."""

    def __init__(self, loaded: LoadedModel, size: Size) -> None:
        self.text, self.image = text_and_image(loaded, size, seed=0)
        device = loaded.device
        self.once = self._encoded(loaded, 1)
        self.repeated = self._encoded(loaded, size.group)
        lengths = torch.tensor(lengths_of(size), device=device)
        self.mask = (torch.arange(size.completion, device=device) < lengths[:, None]).long()
        ids = torch.randint(20, 400, (size.group, size.completion), generator=torch.manual_seed(0))
        self.ids = ids.to(device)
        self.whole: dict[str, Tensor] = {
            **self.repeated,
            "input_ids": torch.cat([self.repeated["input_ids"], self.ids], 1),
            "attention_mask": torch.cat([self.repeated["attention_mask"], self.mask], 1),
            "mm_token_type_ids": torch.cat(
                [self.repeated["mm_token_type_ids"], torch.zeros_like(self.ids)], 1
            ),
        }

    def _encoded(self, loaded: LoadedModel, count: int) -> dict[str, Tensor]:
        inputs = build_inputs(loaded, [chat_messages(self.text)] * count, [self.image] * count)
        return dict(inputs.to(loaded.device))


class WithoutTrainer:
    """Implementation without a trainer, as in a custom training loop."""

    def __init__(self, loaded: LoadedModel, size: Size, shared: bool) -> None:
        self.model, self.size, self.shared = loaded.model, size, shared
        self.batch = Batch(loaded, size)

    def logprobs(self) -> Tensor:
        """`(G, C)`."""
        batch, width = self.batch, self.size.completion
        if self.shared:
            return group_logprobs(self.model, batch.once, batch.ids, batch.mask).logprobs
        output = self.model(**batch.whole, use_cache=False, logits_to_keep=width + 1)
        table = output.logits[:, :-1].float().log_softmax(-1)
        return table.gather(-1, batch.ids[..., None])[..., 0] * batch.mask

    def rollout(self) -> Any:
        """Sample the completions of the group."""
        width = self.size.completion
        options = {"do_sample": True, "min_new_tokens": width, "max_new_tokens": width}
        if not self.shared:
            return self.model.generate(**self.batch.repeated, **options)
        owner = torch.zeros(self.size.group, dtype=torch.long)
        with shared_prefill(self.model, owner):
            return self.model.generate(**self.batch.once, **options)

    def policy_pass(self) -> None:
        """Forward and backward."""
        self.model.zero_grad(set_to_none=True)
        self.logprobs().sum().backward()
        self.model.zero_grad(set_to_none=True)

    @torch.no_grad()
    def reference_pass(self) -> None:
        """Forward only."""
        self.logprobs()

    def step(self) -> None:
        """A whole step."""
        self.rollout()
        self.policy_pass()

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities, and the gradient of a fixed weighted sum of them."""
        scores = self.logprobs()
        return scores.detach(), sample_gradient(scores, sample_parameters(self.model))


def with_trainer(kind: str, loaded: LoadedModel, size: Size, folder: Path) -> Implementation:
    """Implementation with a trainer.

    Args:
        kind: `shared`, `tuned` (TRL in float32 without gradient checkpointing) or `default` (TRL
            in bfloat16 with gradient checkpointing).
        loaded: A model that no other implementation uses.
        size: Lengths of prompt and completions.
        folder: The output folder of TRL.
    """
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    from maniplvm.training.shared_prefix import SharedPrefixTrainer

    class Timer(TrainerCallback):
        """Measures the time of the last step [s]."""

        seconds = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            """Start the timer."""
            self.start = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """Stop the timer."""
            self.seconds = time.perf_counter() - self.start

    class Truncated:
        """Truncates sampled completions to the lengths of `lengths_of`."""

        def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
            found, extra = super()._generate_single_turn(*args, **kwargs)  # type: ignore[misc]
            pairs = zip(found, lengths_of(size), strict=True)
            return [ids[:length] for ids, length in pairs], extra

    parent: Any = SharedPrefixTrainer if kind == "shared" else GRPOTrainer
    batch, timer = Batch(loaded, size), Timer()
    row = {"prompt": [{"role": "user", "content": batch.text}], "image": batch.image}
    overrides: dict[str, Any] = (
        {} if kind == "default" else {"bf16": False, "gradient_checkpointing": False}
    )
    trainer_class: Any = type("TruncatedTrainer", (Truncated, parent), {})
    trainer = trainer_class(
        model=loaded.model,
        reward_funcs=lambda completion_ids, **_: [float(sum(ids) % 7) for ids in completion_ids],
        args=GRPOConfig(
            output_dir=str(folder),
            use_cpu=True,
            per_device_train_batch_size=size.group,
            num_generations=size.group,
            max_completion_length=size.completion,
            generation_kwargs={"min_new_tokens": size.completion},
            max_steps=1,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            **overrides,
        ),
        train_dataset=Dataset.from_list([row]),
        processing_class=loaded.processor,
        callbacks=[timer],
        **({"shared_prefix": SharedPrefixSettings(verify=False)} if kind == "shared" else {}),
    )
    trainer.remove_callback(PrinterCallback)
    return WithTrainer(trainer, batch, size, timer)


class WithTrainer:
    """Calls the methods of a trainer as the trainer calls them."""

    def __init__(self, trainer: Any, batch: Batch, size: Size, timer: Any) -> None:
        self.trainer, self.batch, self.size, self.timer = trainer, batch, size, timer
        prompts = [[{"role": "user", "content": [{"type": "image", "image": batch.image}]}]]
        prompts[0][0]["content"].append({"type": "text", "text": batch.text})  # type: ignore
        self.tokenized = trainer._tokenize_prompts(prompts * size.group)

    def logprobs(self, entropy: bool) -> Tensor:
        """`(G, C)`."""
        whole = self.batch.whole
        return self.trainer._get_per_token_logps_and_entropies(
            self.trainer.model,
            whole["input_ids"],
            whole["attention_mask"],
            self.size.completion,
            compute_entropy=entropy,
            pixel_values=whole["pixel_values"],
            image_grid_thw=whole["image_grid_thw"],
            num_images=[1] * self.size.group,
            mm_token_type_ids=whole["mm_token_type_ids"],
        )[0]

    def rollout(self) -> Any:
        """Sample the completions of the group."""
        return self.trainer._generate_single_turn(*self.tokenized, self.size.group)

    def policy_pass(self) -> None:
        """Forward and backward."""
        self.trainer.model.zero_grad(set_to_none=True)
        self.logprobs(entropy=True).sum().backward()
        self.trainer.model.zero_grad(set_to_none=True)

    @torch.no_grad()
    def reference_pass(self) -> None:
        """Forward only."""
        self.logprobs(entropy=False)

    def step(self) -> float:
        """A whole step."""
        self.trainer.train()
        return self.timer.seconds

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities, and the gradient of a fixed weighted sum of them."""
        scores = self.logprobs(entropy=False)
        trainable = [each for each in self.trainer.model.parameters() if each.requires_grad]
        return scores.detach(), sample_gradient(scores, trainable)
