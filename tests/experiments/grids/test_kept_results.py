"""Stored results files stay valid: their settings equal those of the shipped grid."""

import json
from pathlib import Path

import pytest

from maniplvm.experiments import read_grid, rounded
from maniplvm.experiments.grids.kept_results import keep_earlier, read_results
from maniplvm.experiments.grids.results import settings_of

ROOT = Path(__file__).parents[3]
STORED = sorted((ROOT / "results" / "evidence").glob("*.json"))


@pytest.fixture(scope="module")
def shipped():
    return read_grid(ROOT / "recipes/experiments/evidence.yaml")


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_arms_have_the_settings_of_the_shipped_grid(path, shipped):
    arms = read_results(path, shipped)["arms"]
    assert arms
    for name, arm in arms.items():
        settings = rounded(settings_of(shipped, shipped.arms[name]))
        assert {key: arm[key] for key in settings} == settings, name


def test_an_arm_stored_under_the_old_key_is_kept(shipped):
    path = ROOT / "results" / "evidence" / "algorithms.json"
    assert all("blend" in arm for arm in json.loads(path.read_text())["arms"].values())
    earlier = read_results(path, shipped)
    new = {"arms": {}, "pairs": [], "versions": earlier["versions"]}
    settings = {name: rounded(settings_of(shipped, shipped.arms[name])) for name in earlier["arms"]}
    assert keep_earlier(shipped, new, earlier, settings) == list(earlier["arms"])
    assert all(arm["alpha"] == 0.75 for arm in new["arms"].values())


def test_an_arm_stored_with_another_alpha_is_not_kept(shipped):
    earlier = read_results(ROOT / "results" / "evidence" / "algorithms.json", shipped)
    new = {"arms": {}, "pairs": [], "versions": earlier["versions"]}
    settings = {
        name: {**settings_of(shipped, shipped.arms[name]), "alpha": 0.5} for name in earlier["arms"]
    }
    assert keep_earlier(shipped, new, earlier, settings) == []
