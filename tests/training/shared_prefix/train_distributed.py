"""Script of `test_distributed`: trains in one of two processes, with DDP and then with FSDP2.

accelerate shards weights only on GPUs. Here it is told that two CPU processes are GPUs, so that the
real FSDP2 of PyTorch runs over gloo. Each scenario writes what this process saw to a JSON file.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as distributed
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor
from trl import GRPOTrainer

from maniplvm.models import LoraSettings, load_model
from maniplvm.training.shared_prefix import SharedPrefixSettings, SharedPrefixTrainer
from maniplvm.training.shared_prefix import policy as policy_module
from maniplvm.training.shared_prefix import rollout as rollout_module
from maniplvm.training.shared_prefix import trainer as trainer_module
from maniplvm.training.shared_prefix.processes import process_count
from maniplvm.training.shared_prefix.verification import VerificationResult
from tests.training.shared_prefix.test_trainer import trainer_of

ROWS, GROUP, STEPS = 8, 2, 2
"""Rows of the global batch, rows of a prompt, and optimizer steps."""
LEARNS = {"learning_rate": 0.05, "beta": 0.1, "max_completion_length": 40, "max_steps": STEPS}
ENDS_OFTEN = {"generation_kwargs": {"eos_token_id": list(range(100))}, "temperature": 5.0}
SHORT_PASSES = SharedPrefixSettings(max_batch_tokens=150)


class CompletionsOfGlobalRows:
    """Replaces sampling. A row gets the same completion however many processes there are.

    The first half of the rows is short, so two processes have completions of unequal length.
    """

    def _generate_single_turn(self, prompt_ids, *_, **__):
        count, self.calls = len(prompt_ids), getattr(self, "calls", 0) + 1
        first, written = count * self.accelerator.process_index, []
        for row in range(first, first + count):
            generator = torch.Generator().manual_seed(1000 * self.calls + row)
            length = int(torch.randint(1, 5, (1,), generator=generator))
            length += 30 if row >= ROWS // 2 else 0
            ids = torch.randint(20, 400, (length,), generator=generator)
            written.append([*ids.tolist(), self.eos_token_ids[0]])
        return written, None


class PlainTrainer(CompletionsOfGlobalRows, GRPOTrainer):
    pass


class SharedTrainer(CompletionsOfGlobalRows, SharedPrefixTrainer):
    pass


def rows_of_one_process(processes):
    """Batch settings with which all processes together have `ROWS` rows in two micro-batches."""
    return {
        "per_device_train_batch_size": ROWS // processes // 2,
        "gradient_accumulation_steps": 2,
        "num_generations": GROUP,
    }


def full_weights(model):
    """All weights as one vector, gathered from all processes."""
    parts = [
        each.detach().full_tensor() if isinstance(each, DTensor) else each.detach()
        for each in model.parameters()
    ]
    return torch.cat([each.flatten() for each in parts]).clone()


def train(kind, checkpoint, folder, *, load=None, **options):
    """Train one scenario. Returns the trainer, the change of weights, and what was counted.

    The change is None for adapters.
    """
    torch.manual_seed(0)
    loaded = load_model(checkpoint, device="cpu", **(load or {}))
    before = full_weights(loaded.model)
    counts = {"idle_steps": 0, "additional_passes": 0}
    waits, adds = rollout_module.any_process, policy_module.additional_passes

    def any_process(flag, device):
        answer = waits(flag, device)
        counts["idle_steps"] += answer and not flag
        return answer

    def additional_passes(model, passes):
        added = adds(model, passes)
        counts["additional_passes"] += added
        return added

    rollout_module.any_process = any_process
    policy_module.additional_passes = additional_passes
    try:
        options = {**rows_of_one_process(process_count()), **LEARNS, **options}
        trainer = trainer_of(kind, loaded, folder, **options)
        trainer.train()
    finally:
        rollout_module.any_process, policy_module.additional_passes = waits, adds
    return trainer, None if load else full_weights(trainer.model) - before, counts


def report(folder, name, trainer, counts, change=None):
    rank = distributed.get_rank()
    seen = {
        **counts,
        "fsdp2": trainer.accelerator.is_fsdp2,
        "processes": trainer.accelerator.num_processes,
        "fallbacks": trainer.fallbacks,
        "verified": {key: vars(each) for key, each in trainer.verification_results.items()},
        "steps": trainer.state.global_step,
    }
    (folder / f"{name}-{rank}.json").write_text(json.dumps(seen))
    if change is not None and rank == 0:
        torch.save(change, folder / f"{name}.pt")


def use_fsdp2():
    """Make accelerate use FSDP2 from now on, with the settings of `recipes/accelerate`."""
    for state in (AcceleratorState, GradientState):
        state._reset_state()
    PartialState._reset_state()
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    PartialState.set_device = lambda self: setattr(self, "device", torch.device("cpu"))
    PartialState.wait_for_everyone = lambda _: distributed.barrier()
    os.environ.update(
        ACCELERATE_USE_FSDP="true",
        FSDP_VERSION="2",
        FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP",
        FSDP_RESHARD_AFTER_FORWARD="true",
        FSDP_STATE_DICT_TYPE="FULL_STATE_DICT",
    )


def fail_on_second_process(name):
    """Let verification fail in one process only."""
    real = getattr(trainer_module, name)

    def verify(*args, **options):
        result = real(*args, **options)
        return VerificationResult(9.0, 9.0, None, False) if distributed.get_rank() else result

    setattr(trainer_module, name, verify)
    return real


class UnsupportedInOneProcess(SharedPrefixTrainer):
    def _rollout_unsupported_reason(self, *_):
        return "a reason" if self.accelerator.process_index else None


def main(checkpoint, folder):
    distributed.init_process_group("gloo")
    trainer, change, counts = train(SharedTrainer, checkpoint, folder)
    report(folder, "ddp", trainer, counts, change)
    use_fsdp2()
    trainer, change, counts = train(SharedTrainer, checkpoint, folder, shared_prefix=SHORT_PASSES)
    report(folder, "fixed", trainer, counts, change)
    trainer, _, counts = train(SharedPrefixTrainer, checkpoint, folder, **ENDS_OFTEN)
    report(folder, "sampled", trainer, counts)
    trainer, _, counts = train(
        SharedPrefixTrainer,
        checkpoint,
        folder,
        load={"lora": LoraSettings(rank=4)},
        gradient_checkpointing=True,
        bf16=True,
        **ENDS_OFTEN,
    )
    report(folder, "adapters", trainer, counts)
    real = fail_on_second_process("verify_policy")
    trainer, change, counts = train(UnsupportedInOneProcess, checkpoint, folder, **ENDS_OFTEN)
    report(folder, "fallback", trainer, counts)
    trainer_module.verify_policy = real
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*map(Path, sys.argv[1:]))
