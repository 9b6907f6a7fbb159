"""docs/servers.md agrees with the code."""

import inspect
import re
from pathlib import Path

from maniplvm.cli.evaluate import evaluate_model
from maniplvm.cli.predict import predict
from maniplvm.evaluation.predictors.server import CONCURRENCY, RetryPolicy, served_family

PAGE = (Path(__file__).parents[4] / "docs" / "servers.md").read_text(encoding="utf-8")
OF_SERVERS = {
    *("--generation-config", "--limit-mm-per-prompt", "--mm-processor-kwargs"),
    *("--model-path", "--sampling-defaults"),
}


def test_every_option_on_the_page_exists():
    known = {
        f"--{name.replace('_', '-')}"
        for command in (evaluate_model, predict)
        for name in inspect.signature(command).parameters
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - OF_SERVERS <= known


def test_the_defaults_on_the_page_are_those_of_the_code():
    policy = RetryPolicy()
    for phrase in (
        f"`--retries` times ({policy.max_retries})",
        f"after {policy.initial_wait_s:g} s, 2 s, 4 s, ... up to {policy.max_wait_s:g} s",
        f"more than {policy.max_retry_after_s / 60:g} minutes",
        f"`--timeout` ({policy.timeout_s:g} s)",
        f"`--connect-timeout` ({policy.connect_timeout_s:g} s)",
        f"`--max-consecutive-failures` ({policy.max_consecutive_failures})",
        f"`--concurrency` ({CONCURRENCY})",
    ):
        assert phrase in PAGE


def test_every_name_on_the_page_has_a_family():
    listed = PAGE.split("3. the name itself, for ")[1].split(".\n")[0]
    names = re.findall(r"`([^`]+)`", listed)
    assert len(names) == 10
    for name in names:
        assert "read from its name" in served_family(f"someone/{name}-7b", None).reason
