"""A run while it trains: its parts put together, its end written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from maniplvm.models import LoadedModel, load_model
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.data.pool import SamplePool, open_pool
from maniplvm.training.loop.checkpoints import (
    Checkpoints,
    generation_boundary,
    latest_checkpoint,
    remove_others,
)
from maniplvm.training.loop.clock import Clock
from maniplvm.training.loop.methods import Method, build_grpo, build_sft
from maniplvm.training.loop.progress import Progress, duration
from maniplvm.training.loop.run_folder import RunFolder, read_record, write_record
from maniplvm.training.loop.run_log import RunLog, cut_log
from maniplvm.training.loop.sample_logger import CompletionSheets
from maniplvm.training.loop.saving import save_reference, save_trained
from maniplvm.training.loop.schedule import Schedule, schedule
from maniplvm.training.loop.time_limit import TimeLimit
from maniplvm.training.packages import is_sharded, transformers
from maniplvm.training.rewards.reward_function import ScoredBatch


class Session:
    """The parts of one run, put together once and executed once."""

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
        self._start = latest_checkpoint(folder.checkpoints)
        self._first_step = 0 if self._start is None else self._start.step
        self._clock = Clock(0.0 if self._start is None else self._start.seconds)
        self._facts: dict[str, Any] = {}

    def execute(self) -> dict[str, Any]:
        """Train, save, and give back the record."""
        folder, config = self._folder, self._config
        self._clean()
        pool = open_pool(self._recipe)
        plan = schedule(config, self._method, pool.order.epoch_length)
        config.max_steps = plan.steps
        loaded = self._load()
        self._facts = {"samples": pool.own_count, "parameters": str(loaded.parameters)}
        build = build_grpo if self._method == "grpo" else build_sft
        method = build(self._recipe, loaded, config, pool, plan)
        limit = self._recipe.time_limit_minutes
        progress = Progress(self._console, self._clock, None if limit is None else 60 * limit)
        log = RunLog(folder.log, self._clock, progress.show, lambda text: progress.say(f"! {text}"))
        for callback in self._callbacks(method, log, plan):
            method.trainer.add_callback(callback)
        if self._is_main:
            self._record(self._first_step, log)
            self._announce(progress.say, pool, plan)
        with progress:
            self._clock.start()
            method.trainer.train(resume_from_checkpoint=self._start and str(self._start.folder))
        steps = method.trainer.state.global_step
        self._facts |= _trust(method.trainer)
        saved = save_trained(method.trainer, loaded, folder, is_sharded())
        if self._is_main:
            self._record(steps, log, finished=True)
            took = duration(self._clock.seconds)
            progress.say(f"{steps} of {plan.steps} steps in {took} · model in {saved}")
        config.distributed_state.wait_for_everyone()
        return read_record(folder.root)

    def _clean(self) -> None:
        """Remove what lies after the point from which the run goes on."""
        self._config.distributed_state.wait_for_everyone()
        if self._is_main:
            remove_others(self._folder.checkpoints, self._start)
            cut_log(self._folder.log, self._first_step)
        self._config.distributed_state.wait_for_everyone()

    def _load(self) -> LoadedModel:
        settings = self._recipe.model
        arguments = settings.load_arguments()
        if self._config.use_cpu or is_sharded():
            arguments["device"] = "cpu"
        transformers().set_seed(self._recipe.seed)  # adapters start at random
        loaded = load_model(settings.source, **arguments)
        if self._is_main:
            self._folder.claim(self._recipe)  # not before data and model are known to be there
        self._config.distributed_state.wait_for_everyone()
        needs_reference = self._method == "grpo" and self._config.beta != 0
        if needs_reference and settings.adapter is not None and settings.lora is None:
            if self._is_main:
                save_reference(loaded, self._folder)
            self._config.distributed_state.wait_for_everyone()
            loaded.model.config._name_or_path = str(self._folder.reference)
        return loaded

    def _callbacks(self, method: Method, log: RunLog, plan: Schedule) -> list[Any]:
        config, recipe = self._config, self._recipe
        boundary = generation_boundary(config) if self._method == "grpo" else 1
        keep = config.save_total_limit
        every = max(1, round(config.save_steps * (plan.steps if config.save_steps < 1 else 1)))

        def whole(step: int) -> None:
            self._record(step, log)

        made: list[Any] = [Checkpoints(every, boundary, keep, self._clock, whole)]
        if recipe.monitor.samples_every and not (self._method == "sft" and is_sharded()):

            def latest() -> ScoredBatch | None:
                batch = method.latest()
                if batch is not None:
                    log.extra = method.numbers(batch)
                return batch

            sheets = self._folder.completions
            count = recipe.monitor.samples
            made.append(CompletionSheets(sheets, recipe.monitor.samples_every, count, latest))
        if recipe.time_limit_minutes is not None:
            made.append(TimeLimit(60 * recipe.time_limit_minutes, self._clock))
        return [*made, log]

    def _record(self, step: int, log: RunLog, finished: bool = False) -> None:
        progress = {
            **self._facts,
            "steps": step,
            "wall_seconds": round(self._clock.seconds, 2),
            "finished": finished,
            "warnings": log.warnings,
        }
        write_record(self._folder, self._recipe, self._method, self._command, progress)

    def _announce(self, say: Callable[[str], None], pool: SamplePool, plan: Schedule) -> None:
        say(f"{self._method} · {self._recipe.name} · {self._facts['parameters']}")
        mixed = len(pool) - pool.own_count
        mix = f", {mixed} more mixed in" if mixed else ""
        say(f"{pool.own_count} samples{mix} · {plan.steps} steps · {self._folder.root}")
        if self._method == "sft" and self._recipe.monitor.samples_every and is_sharded():
            say("no sheets of completions: no process holds all the weights to write them with")
        if self._start is not None:
            say(f"going on after step {self._start.step}")


def _trust(trainer: Any) -> dict[str, Any]:
    """What a trainer that shares prefixes found out about itself, for the record."""
    if not hasattr(trainer, "verification_results"):
        return {}
    verified = {part: str(result) for part, result in trainer.verification_results.items()}
    return {"shared_prefix": {"verified": verified, "fallbacks": dict(trainer.fallbacks)}}
