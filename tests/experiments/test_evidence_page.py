"""Tables and figures come from the JSON alone, and the same JSON gives the same bytes."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPLITS = ("adapt_test", "id_test", "ood_tasks", "ood_robot")


@pytest.fixture
def page(benchmark):
    return benchmark("evidence_page")


def interval(mean):
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}


def arm(method, mean, fraction=None):
    tasks = {
        "affordance": {"iou": interval(mean), "area_ratio": 1.25},
        "trajectory": {"dfd_diagonal": interval(0.2), "execution": interval(0.5)},
    }
    changes = {
        task: {name: {"difference": interval(0.05)} for name in own if name != "area_ratio"}
        for task, own in tasks.items()
    }
    point = {"seconds": 60, "samples": 16, "reward/trajectory/solved": 0.3}
    return {
        "about": "made up",
        "method": method,
        "fraction": fraction,
        "cost": {"wall_seconds_in_all": [600, 1200], "samples_seen_in_all": [1000, 3000]},
        "splits": dict.fromkeys(SPLITS, tasks),
        "against_base": dict.fromkeys(SPLITS, changes),
        "curves": [{"seed": 0, "points": [point, {**point, "seconds": 120}]}],
    }


def tier(**arms):
    pair = {"before": "dense", "after": "paper", "splits": arm("grpo", 0.6)["against_base"]}
    return {"base": "base", "arms": arms, "pairs": [pair]}


@pytest.fixture
def found():
    arms = {"base": arm(None, 0.5)}
    arms |= {f"grpo-{n}": arm("grpo", 0.7, n / 100) for n in (50, 100)}
    arms |= {f"sft-{n}": arm("sft", 0.6, n / 100) for n in (50, 100)}
    others = {"dense": arm("grpo", 0.6), "paper": arm("grpo", 0.6)}
    return {name: tier(**(arms if name == "main" else others)) for name in TIERS}


TIERS = ("main", "rewards", "physics", "forgetting")


def test_tables_show_means_intervals_and_what_it_cost(page, found):
    text = page.page_text(found["main"])
    assert "| `grpo-50`: made up | 0.700 (0.690 to 0.710) | 0.200 (0.190 to 0.210) |" in text
    assert "50.0 (49.0 to 51.0) | 2,000 | 15 |" in text
    assert "`paper` - `dense` | id_test | **+0.050 (+0.040 to +0.060)**" in text


def test_the_same_results_draw_the_same_five_figures(page, found, tmp_path):
    (tmp_path / "again").mkdir()
    first = page.draw(found, tmp_path)
    assert len(first) == len(page.FIGURES) == 5
    again = page.draw(found, tmp_path / "again")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert page.draw({"rewards": found["rewards"]}, tmp_path)[0].name == "evidence-changes.svg"
