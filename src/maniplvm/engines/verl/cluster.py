"""The machines of a verl run, and the batch sizes of a recipe on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maniplvm.errors import UserError
from maniplvm.training.config.launch import Launch
from maniplvm.training.config.trainer_settings import compute_schedule

ROLLOUTS = ("vllm", "sglang", "trtllm")
"""Engines that generate completions in verl."""


@dataclass(frozen=True)
class Cluster:
    """The machines of a run. Training and generation take turns on every GPU.

    Attributes:
        gpus: GPUs of one machine.
        nodes: Number of machines.
        rollout: The engine that generates completions, one of `ROLLOUTS`.
        tensor_parallel: GPUs that hold one copy of the model while it generates.

    Raises:
        UserError: a number below 1, an unknown engine, or GPUs that cannot be divided.
    """

    gpus: int = 8
    nodes: int = 1
    rollout: str = "vllm"
    tensor_parallel: int = 1

    def __post_init__(self) -> None:
        for option, value in (
            ("--gpus", self.gpus),
            ("--nodes", self.nodes),
            ("--tensor-parallel", self.tensor_parallel),
        ):
            if value < 1:
                raise UserError(f"{option} must be at least 1, got {value}")
        if self.rollout not in ROLLOUTS:
            raise UserError(f"--rollout {self.rollout}: choose from {', '.join(ROLLOUTS)}")
        if self.gpus % self.tensor_parallel:
            raise UserError(
                f"--tensor-parallel {self.tensor_parallel} does not divide the {self.gpus} GPUs of "
                "a machine"
            )

    @property
    def launch(self) -> Launch:
        """The same machines as a launch of our own trainer."""
        return Launch(processes=self.gpus * self.nodes, machines=self.nodes)


@dataclass(frozen=True)
class Batches:
    """Batch sizes and lengths of a run in verl's units.

    Attributes:
        prompts: Prompts of one verl step, which generates once.
        mini_batch: Prompts of one optimizer step.
        micro_batch: Completions of one forward pass on one GPU.
        updates: Optimizer steps of one verl step.
        steps: verl steps of the run.
    """

    prompts: int
    mini_batch: int
    micro_batch: int
    updates: int
    steps: int

    def steps_of(self, optimizer_steps: float) -> int:
        """The number of verl steps that make at least this many optimizer steps."""
        return int(-(-optimizer_steps // self.updates))


def plan_batches(config: Any, cluster: Cluster, epoch_prompts: int, where: str) -> Batches:
    """The batches with which verl makes the same updates as TRL.

    Args:
        config: The `trl.GRPOConfig` of `plan_config` for the launch of the cluster.
        cluster: The machines.
        epoch_prompts: Prompts of one epoch.
        where: The recipe, for messages.

    Raises:
        UserError: an optimizer step that holds no whole number of prompts or of generations.
    """
    group = config.num_generations
    rows = config.per_device_train_batch_size  # of all processes: see `plan_config`
    update = rows * config.gradient_accumulation_steps
    generation = rows * config.steps_per_generation
    if update % group or generation % group:
        raise UserError(
            f"{where}: trainer: one optimizer step has {update} completions on "
            f"{cluster.launch.processes} GPUs, which is no multiple of num_generations {group}; "
            "change gradient_accumulation_steps or --gpus"
        )
    together = max(update, generation)
    if together % update or together % generation:
        raise UserError(
            f"{where}: trainer: gradient_accumulation_steps and steps_per_generation must divide "
            "one another for verl"
        )
    updates = together // update * config.num_iterations
    schedule = compute_schedule(config, "grpo", epoch_prompts)
    return Batches(
        prompts=together // group,
        mini_batch=update // group,
        micro_batch=rows // cluster.launch.processes,
        updates=updates,
        steps=max(1, -(-schedule.steps // updates)),
    )
