"""docs/servers.md tells what the code does."""

import inspect
import re
from pathlib import Path

from maniplvm.cli.evaluate import evaluate_model
from maniplvm.cli.predict import predict
from maniplvm.evaluation.predictors.server import CONCURRENCY, Patience, served_family

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
    patience = Patience()
    for said in (
        f"`--retries` times ({patience.retries})",
        f"after {patience.first_wait_s:g} s, 2 s, 4 s, ... up to {patience.longest_wait_s:g} s",
        f"more than {patience.longest_asked_wait_s / 60:g} minutes",
        f"`--timeout` ({patience.timeout_s:g} s)",
        f"`--connect-timeout` ({patience.connect_timeout_s:g} s)",
        f"`--give-up-after` ({patience.give_up_after})",
        f"`--concurrency` ({CONCURRENCY})",
    ):
        assert said in PAGE


def test_every_name_that_tells_a_family_does():
    listed = PAGE.split("3. the name itself, for ")[1].split(".\n")[0]
    names = re.findall(r"`([^`]+)`", listed)
    assert len(names) == 10
    for name in names:
        assert "read from its name" in served_family(f"someone/{name}-7b", None).reason
