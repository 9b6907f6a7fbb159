"""One training run, from a recipe to a trained model. It can resume at any time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.files import locked
from maniplvm.models import LoadedModel, load_model
from maniplvm.optional import transformers
from maniplvm.training.config.launch import is_sharded
from maniplvm.training.config.recipe import METHODS, Recipe
from maniplvm.training.config.trainer_settings import (
    Schedule,
    build_config,
    compute_schedule,
    runs_on_cpu,
)
from maniplvm.training.data.pool import SamplePool, open_pool
from maniplvm.training.loop.checkpoints import (
    generation_boundary,
    latest_checkpoint,
    remove_unusable_checkpoints,
    save_reference,
    save_trained,
)
from maniplvm.training.loop.cpu_processes import is_missing_processes
from maniplvm.training.loop.progress import Clock, Progress, duration
from maniplvm.training.loop.run_folder import RunFolder, read_record, write_record
from maniplvm.training.loop.run_log import cut_log
from maniplvm.training.rewards.reward_function import ScoredBatch

if TYPE_CHECKING:
    from maniplvm.training.loop.callbacks import LogCallback
    from maniplvm.training.loop.trainers import TrainerSetup


def train(
    recipe: Recipe,
    method: str,
    out: str | Path | None = None,
    *,
    command: Sequence[str] = (),
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a model. An unfinished run of the same recipe in the same folder is resumed.

    Args:
        recipe: The recipe, from `read_recipe`.
        method: `sft` or `grpo`.
        out: The run folder; None is `runs/` and the recipe's name.
        command: The command line that started the run, for its record.
        console: The console for progress; None is standard output.

    Returns:
        The content of the run's `run.json`. For a finished run nothing else is done.

    Raises:
        UserError: the recipe, its data or its model cannot be used, the folder holds another run,
            or a package is not installed.
    """
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    folder = RunFolder(Path(out) if out is not None else Path("runs") / recipe.name)
    config = build_config(recipe, method, folder.root, runs_on_cpu(recipe))
    if config.n_gpu > 1:
        raise UserError(
            f"one process sees {config.n_gpu} GPUs; start with `accelerate launch`, or set "
            "CUDA_VISIBLE_DEVICES to one of them"
        )
    if is_missing_processes(os.environ) and config.world_size == 1:
        raise UserError("accelerate launch --cpu started only one process; start with `torchrun`")
    output = console if console is not None else SafeConsole()
    is_main = config.process_index == 0
    if is_main:
        folder.check(recipe, method)
    config.distributed_state.wait_for_everyone()
    if folder.is_finished():
        record = read_record(folder.root)
        if is_main:
            done = f"{folder.root}: already finished after {record['steps']} steps; nothing to do"
            output.print(done, soft_wrap=True, markup=False)
        return record
    _silence_transformers()
    with warnings.catch_warnings():
        # transformers has renamed activation checkpointing and still uses the old name itself
        warnings.filterwarnings("ignore", r"`is_gradient_checkpointing`", FutureWarning)
        run = _Run(recipe, method, folder, config, list(command), output)
        with run.lock:
            return run.execute()


class _Run:
    """A run of this process: builds the trainer, trains, and saves."""

    def __init__(
        self,
        recipe: Recipe,
        method: str,
        folder: RunFolder,
        config: Any,
        command: list[str],
        console: Console,
    ) -> None:
        self._recipe = recipe
        self._method = method
        self._folder = folder
        self._config = config
        self._command = command
        self._console = console
        self._is_main = config.process_index == 0
        self._facts: dict[str, Any] = {}
        self.lock = ExitStack()
        self._is_locked = False
        self._lock_folder()
        self._checkpoint = latest_checkpoint(folder.checkpoints)
        self._first_step = 0 if self._checkpoint is None else self._checkpoint.step
        self._clock = Clock(0.0 if self._checkpoint is None else self._checkpoint.seconds)

    def execute(self) -> dict[str, Any]:
        """Train, save, and return the record of the run."""
        from maniplvm.training.loop.callbacks import LogCallback
        from maniplvm.training.loop.trainers import build_trainer

        folder, config = self._folder, self._config
        self._clean_folder()
        pool = open_pool(self._recipe)
        schedule = compute_schedule(config, self._method, pool.order.epoch_length)
        config.max_steps = schedule.steps
        loaded = self._load_model()
        self._facts = {"samples": pool.own_count, "parameters": str(loaded.parameters)}
        setup = build_trainer(self._method, self._recipe, loaded, config, pool, schedule)
        limit = self._recipe.time_limit_minutes
        progress = Progress(self._console, self._clock, None if limit is None else 60 * limit)
        log = LogCallback(
            folder.log, self._clock, progress.show, lambda text: progress.print(f"! {text}")
        )
        for callback in self._callbacks(setup, log, schedule):
            setup.trainer.add_callback(callback)
        if self._is_main:
            self._write_record(self._first_step, log)
            self._announce(progress.print, pool, schedule)
        checkpoint = None if self._checkpoint is None else str(self._checkpoint.folder)
        with progress:
            self._clock.start()
            try:
                setup.trainer.train(resume_from_checkpoint=checkpoint)
            except UserError as error:
                if self._is_main:
                    self._facts["error"] = str(error)
                    self._write_record(setup.trainer.state.global_step, log)
                raise
        steps = setup.trainer.state.global_step
        self._facts |= _shared_prefix_facts(setup.trainer)
        saved = save_trained(setup.trainer, loaded, folder, is_sharded())
        if self._is_main:
            self._write_record(steps, log, finished=True)
            took = duration(self._clock.seconds)
            progress.print(f"{steps} of {schedule.steps} steps in {took} · model in {saved}")
        config.distributed_state.wait_for_everyone()
        return read_record(folder.root)

    def _lock_folder(self) -> None:
        """Keep other runs out of the folder, as soon as it exists."""
        if self._is_main and not self._is_locked and self._folder.root.is_dir():
            self.lock.enter_context(locked(self._folder.root))
            self._is_locked = True

    def _clean_folder(self) -> None:
        """Remove checkpoints and log lines after the step at which the run resumes."""
        self._config.distributed_state.wait_for_everyone()
        if self._is_main:
            lines = 0 if self._checkpoint is None else self._checkpoint.log_lines
            cut_log(self._folder.log, self._first_step, lines)
            remove_unusable_checkpoints(self._folder.checkpoints, self._checkpoint)
        self._config.distributed_state.wait_for_everyone()

    def _load_model(self) -> LoadedModel:
        settings = self._recipe.model
        arguments = settings.load_arguments()
        if self._config.use_cpu or is_sharded():
            arguments["device"] = "cpu"
        transformers().set_seed(self._recipe.seed)  # adapters are initialised at random
        loaded = load_model(settings.source, **arguments)
        if self._is_main:
            self._folder.claim(self._recipe)  # only now are data and model known to be readable
            self._lock_folder()
        self._config.distributed_state.wait_for_everyone()
        needs_reference = self._method == "grpo" and self._config.beta != 0
        if needs_reference and settings.adapter is not None and settings.lora is None:
            if self._is_main:
                save_reference(loaded, self._folder)
            self._config.distributed_state.wait_for_everyone()
            loaded.model.config._name_or_path = str(self._folder.reference)
        return loaded

    def _callbacks(self, setup: TrainerSetup, log: LogCallback, schedule: Schedule) -> list[Any]:
        from maniplvm.training.loop.callbacks import CheckpointCallback, TimeLimitCallback
        from maniplvm.training.loop.finite import FiniteCheck
        from maniplvm.training.loop.sample_logger import SampleLogger

        config, monitor = self._config, self._recipe.monitor
        boundary = generation_boundary(config) if self._method == "grpo" else 1
        every = max(1, round(config.save_steps * (schedule.steps if config.save_steps < 1 else 1)))

        def write_record_at(step: int) -> None:
            self._write_record(step, log)

        callbacks: list[Any] = [
            FiniteCheck(setup.trainer, self._folder),
            CheckpointCallback(
                every,
                boundary,
                config.save_total_limit,
                self._clock,
                self._folder.log,
                write_record_at,
            ),
        ]
        if self._logs_samples():

            def latest() -> ScoredBatch | None:
                batch = setup.latest()
                if batch is not None:
                    log.extra = setup.metrics(batch)
                return batch

            folder = self._folder.completions
            callbacks.append(SampleLogger(folder, monitor.samples_every, monitor.samples, latest))
        if self._recipe.time_limit_minutes is not None:
            callbacks.append(TimeLimitCallback(60 * self._recipe.time_limit_minutes, self._clock))
        return [*callbacks, log]

    def _logs_samples(self) -> bool:
        """Whether completions are logged; SFT cannot generate them from sharded weights."""
        is_possible = self._method == "grpo" or not is_sharded()
        return bool(self._recipe.monitor.samples_every) and is_possible

    def _write_record(self, step: int, log: LogCallback, finished: bool = False) -> None:
        progress = {
            **self._facts,
            "steps": step,
            "wall_seconds": round(self._clock.seconds, 2),
            "finished": finished,
            "warnings": log.warnings,
        }
        write_record(self._folder, self._recipe, self._method, self._command, progress)

    def _announce(
        self, print_line: Callable[[str], None], pool: SamplePool, schedule: Schedule
    ) -> None:
        print_line(f"{self._method} · {self._recipe.name} · {self._facts['parameters']}")
        mixed = len(pool) - pool.own_count
        mix = f" + {mixed} of the mix" if mixed else ""
        print_line(f"{pool.own_count} samples{mix} · {schedule.steps} steps · {self._folder.root}")
        if self._recipe.monitor.samples_every and not self._logs_samples():
            print_line("no sample completions: no process holds all weights to generate them")
        if self._checkpoint is not None:
            print_line(f"resuming after step {self._checkpoint.step}")


def _shared_prefix_facts(trainer: Any) -> dict[str, Any]:
    """For the record: what the shared-prefix trainer verified, and what it did not share."""
    if not hasattr(trainer, "verification_results"):
        return {}
    verified = {part: str(result) for part, result in trainer.verification_results.items()}
    return {"shared_prefix": {"verified": verified, "fallbacks": dict(trainer.fallbacks)}}


def _silence_transformers() -> None:
    logging = transformers().utils.logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
