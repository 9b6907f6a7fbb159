"""docs/evaluation.md explains every field of an evaluation and every option."""

from dataclasses import fields
from pathlib import Path

import pytest

from maniplvm.evaluation import BASELINES, PROTOCOLS, TaskResult

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
UNDERSTOOD = {"count", "scenes", "parse_rate", "format_rate", "strict", "published", "categories"}


@pytest.mark.parametrize(
    "name",
    [
        *PROTOCOLS,
        *(f"baseline:{name}" for name in BASELINES),
        *(f.name for f in fields(TaskResult) if f.name not in UNDERSTOOD),
        *sorted({m for p in PROTOCOLS.values() for t in p.tasks.values() for m in t.worst}),
    ],
)
def test_the_page_explains_every_name(name):
    assert f"`{name}`" in PAGE


def test_every_option_on_the_page_exists():
    import inspect
    import re

    from maniplvm.cli.evaluate import evaluate_model
    from maniplvm.cli.predict import predict
    from maniplvm.cli.rescore import rescore_folder

    known = {
        f"--{name.replace('_', '-')}"
        for command in (evaluate_model, predict, rescore_folder)
        for name in inspect.signature(command).parameters
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known
