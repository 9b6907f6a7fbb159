"""Script of `test_distributed`: trains with both trainers in two processes that share groups."""

import sys
import warnings
from pathlib import Path

import trl.trainer.grpo_trainer as trl_trainer

import maniplvm.training.shared_prefix.trainer as shared_trainer
from maniplvm.models import load_model
from maniplvm.training.loop.cpu_processes import leave_process_group
from tests.training.shared_prefix.test_trainer import (
    SharedTrainer,
    TrlTrainer,
    trainer_of,
    weights_of,
)

warnings.simplefilter("ignore")
trl_trainer.shuffle_sequence_dict = lambda batch: batch
shared_trainer.shuffle_groups = lambda batch, _: batch
checkpoint, folder = map(Path, sys.argv[1:])
changes = []
for kind in (TrlTrainer, SharedTrainer):
    loaded = load_model(checkpoint, device="cpu")
    before = weights_of(loaded.model)
    trainer = trainer_of(
        kind, loaded, folder, per_device_train_batch_size=4, num_generations=8, max_steps=1
    )
    trainer.train()
    changes.append(weights_of(loaded.model) - before)
assert trainer.accelerator.num_processes == 2
assert not trainer.fallbacks, trainer.fallbacks
plain, shared = changes
assert plain.norm() > 0
assert (shared - plain).norm() / plain.norm() < 1e-4
(folder / f"same-{trainer.accelerator.process_index}").touch()
leave_process_group()
