import json
import typing
from pathlib import Path

import pytest

from maniplvm.cli.simulate import simulate
from maniplvm.experiments.pages.simulation import markdown
from maniplvm.simulation.generation import sampler
from maniplvm.simulation.generation.plan import SPLITS
from maniplvm.simulation.labels import affordance
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization

pytestmark = pytest.mark.sim

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")


def test_the_page_shows_the_measured_figures():
    report = json.loads((ROOT / "results" / "simulation.json").read_text(encoding="utf-8"))
    assert markdown(report) in PAGE


def test_the_page_names_every_split_and_kind_of_randomization():
    for name in (*SPLITS, *vars(DomainRandomization())):
        assert f"| `{name}` |" in PAGE


def test_the_page_names_every_option():
    options = typing.get_type_hints(simulate, include_extras=True)
    hidden = {
        name
        for name, hint in options.items()
        if any(getattr(each, "hidden", False) for each in getattr(hint, "__metadata__", ()))
    }
    assert hidden == {"plain"}
    for name in options:
        if name not in ("return", "name", *hidden):
            assert f"--{name.replace('_', '-')}" in PAGE


def test_the_page_states_the_thresholds_of_the_rule():
    assert f"at least {affordance.MIN_BODY_IMPULSE:.0%}".replace("%", " %") in PAGE
    assert f"more than {affordance.MIN_GEOM_IMPULSE:.0%}".replace("%", " %") in PAGE
    assert f"within {affordance.PATCH_RADIUS * 100:.0f} cm" in PAGE
    assert f"bear {affordance.POINTS_IMPULSE:.0%}".replace("%", " %") in PAGE
    assert f"({affordance.HAND_SIZE * 100:.0f} cm)" in PAGE
    assert f"to {affordance.WHOLE_GEOM_COVERAGE:.0%}".replace("%", " %") in PAGE
    assert f"{sampler.MIN_VISIBLE:.0%} of it".replace("%", " %") in PAGE


def test_the_images_of_the_page_exist():
    for name in ("simulation-tasks.jpg", "simulation-randomization.jpg"):
        assert f"images/{name}" in PAGE
        assert (ROOT / "docs" / "images" / name).stat().st_size < 600_000
