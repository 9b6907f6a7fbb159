"""`maniplvm evaluate`: evaluate a model on a data set, and compare with an earlier evaluation."""

from __future__ import annotations

import sys

from rich.progress import TaskID

from maniplvm.cli import evaluate_options as options
from maniplvm.cli.deprecated import renamed_option
from maniplvm.cli.evaluation_tables import comparison_table, headline, result_tables
from maniplvm.cli.progress import progress_bar
from maniplvm.cli.server_options import (
    announcement,
    read_extra,
    read_prices,
    refuse_local_options,
    refuse_served_options,
    usage_line,
)
from maniplvm.cluster import ray_address
from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.evaluation import (
    ExecutionOptions,
    FilePredictor,
    ModelPredictor,
    Predictor,
    Selection,
    compare,
    evaluate,
    read_evaluation,
)
from maniplvm.evaluation.predictors.baselines import PREFIX, resolve_baseline
from maniplvm.evaluation.predictors.local import BATCH_SIZE
from maniplvm.evaluation.predictors.server import (
    CONCURRENCY,
    RetryPolicy,
    ServerPredictor,
    record_usage,
)
from maniplvm.models import Decoding


def evaluate_model(
    data: options.Data,
    out: options.Out,
    model: options.Model = None,
    splits: options.Splits = None,
    task: options.OneTask = None,
    limit: options.Limit = None,
    limit_seed: options.LimitSeed = 0,
    wrong_instruction: options.WrongInstruction = False,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    draws: options.Draws = 1,
    seed: options.Seed = 0,
    max_new_tokens: options.MaxNewTokens = 256,
    family: options.FamilyName = None,
    max_pixels: options.MaxPixels = None,
    protocol: options.ProtocolName = "maniplvm",
    preset: options.PresetName = "paper",
    execute: options.Execute = True,
    execute_splits: options.ExecuteSplits = None,
    ray: options.Ray = None,
    workers: options.Workers = 2,
    batch_size: options.BatchSize = BATCH_SIZE,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    server: options.Server = None,
    key_env: options.KeyEnv = None,
    concurrency: options.Concurrency = CONCURRENCY,
    requests_per_minute: options.RequestsPerMinute = None,
    retries: options.Retries = RetryPolicy.max_retries,
    timeout: options.Timeout = RetryPolicy.timeout_s,
    connect_timeout: options.ConnectTimeout = RetryPolicy.connect_timeout_s,
    max_consecutive_failures: options.MaxConsecutiveFailures = (
        RetryPolicy.max_consecutive_failures
    ),
    give_up_after: options.GiveUpAfter = None,
    extra: options.Extra = None,
    price_in: options.PriceIn = None,
    price_out: options.PriceOut = None,
    predictions: options.Predictions = None,
    frame: options.FrameName = None,
    baseline_data: options.BaselineData = None,
    against: options.Against = None,
) -> None:
    """Evaluate a model on all tasks and splits, with 95 % confidence intervals.

    An interrupted evaluation resumes with the same command. A finished one is only shown.
    """
    if (model is None) == (predictions is None):
        raise UserError("give either a model or --predictions")
    if server is not None and model is None:
        raise UserError("--server needs the name of the model on the server")
    if server is None:
        refuse_served_options(
            {
                "--key-env": key_env is not None,
                "--requests-per-minute": requests_per_minute is not None,
                "--extra": extra is not None,
                "--price-in": price_in is not None,
                "--price-out": price_out is not None,
            },
        )
    prices = read_prices(price_in, price_out)
    console, bar = SafeConsole(), _StageProgress()
    decoding = Decoding(temperature, top_p, max_new_tokens)
    predictor: Predictor
    if predictions is not None:
        predictor = FilePredictor(predictions, frame)
    elif server is not None:
        refuse_local_options(adapter=adapter, dtype=dtype, device=device, batch_size=batch_size)
        predictor = ServerPredictor(
            str(model),
            server,
            decoding,
            draws=draws,
            seed=seed,
            family=family,
            max_pixels=max_pixels,
            concurrency=concurrency,
            per_minute=requests_per_minute,
            retry_policy=RetryPolicy(
                max_retries=retries,
                timeout_s=timeout,
                connect_timeout_s=connect_timeout,
                max_consecutive_failures=renamed_option(
                    "--give-up-after",
                    give_up_after,
                    "--max-consecutive-failures",
                    max_consecutive_failures,
                ),
            ),
            key_variable=key_env,
            extra=read_extra(extra),
            notice=bar.print,
        )
        bar.print(announcement(predictor))
    elif model is not None and model.startswith(PREFIX):
        predictor = resolve_baseline(model, baseline_data, seed)
    else:
        predictor = ModelPredictor(
            str(model),
            decoding,
            draws=draws,
            seed=seed,
            batch_size=batch_size,
            family=family,
            adapter=adapter,
            max_pixels=max_pixels,
            dtype=dtype,
            device=device,
        )
    if against is not None:
        read_evaluation(against)
    selection = Selection(
        _listed(splits),
        None if task is None else task.value,
        limit,
        limit_seed,
    )
    with bar:
        result = evaluate(
            predictor,
            data,
            out,
            selection=selection,
            protocol=protocol,
            preset=preset,
            execution=ExecutionOptions(workers, _listed(execute_splits), ray_address(ray))
            if execute
            else None,
            wrong_instruction=seed if wrong_instruction else None,
            command=["maniplvm", *sys.argv[1:]],
            progress=bar.advance,
        )
    if not bar.advanced:
        console.print(f"{out}: already finished; this is the stored result")
    console.print(headline(result))
    for table in result_tables(result):
        console.print(table)
    if isinstance(predictor, ServerPredictor):
        usage = record_usage(out, predictor.name, prices)
        console.print(usage_line(usage, prices), markup=False)
    if against is not None:
        console.print(comparison_table(compare(against, out)))


class _StageProgress:
    """A progress bar for each stage on standard error, if it is a terminal."""

    def __init__(self) -> None:
        self.advanced = False
        self._tasks: dict[str, TaskID] = {}
        self._progress = progress_bar()

    def __enter__(self) -> _StageProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, stage: str, done: int, total: int) -> None:
        """Update the bar of a stage."""
        self.advanced = True
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def print(self, message: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)


def _listed(names: str | None) -> tuple[str, ...] | None:
    """The names in a comma-separated list."""
    return None if names is None else tuple(name.strip() for name in names.split(","))
