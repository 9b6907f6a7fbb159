"""Tables and figures depend only on the JSON, and the same JSON gives the same bytes."""

import pytest

from maniplvm.errors import UserError
from maniplvm.experiments.pages import evidence as page
from maniplvm.experiments.pages import evidence_figures as figures

SPLITS = ("adapt_test", "id_test", "ood_tasks", "ood_robot")


def interval(mean):
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}


def arm(method, mean, fraction=None):
    tasks = {
        "affordance": {"iou": interval(mean), "area_ratio": 1.25},
        "trajectory": {"dfd_diagonal": interval(0.2), "execution": interval(0.5)},
    }
    changes = {
        task: {
            name: {"before": 0.5, "difference": interval(0.05), "p": 0.02, "seeds": [0.04, 0.06]}
            for name in own
            if name != "area_ratio"
        }
        for task, own in tasks.items()
    }
    points = [
        {
            "seconds": 60 * n,
            "samples": 16 * n,
            "reward/trajectory/solved": n / 20,
            "groups_without_signal" if n < 10 else "frac_reward_zero_std": n / 20,
        }
        for n in range(20)
    ]
    return {
        "about": "an arm",
        "set": {"rewards.physics": {"solved": 1.0, "touch": 0.5}},
        "seeds": [0, 1],
        "method": method,
        "fraction": fraction,
        "cost": {"wall_seconds_in_all": [600, 1200], "samples_seen_in_all": [1000, 3000]},
        "splits": dict.fromkeys(SPLITS, tasks),
        "against_base": dict.fromkeys(SPLITS, changes),
        "curves": [{"seed": 0, "points": points}],
    }


def tier(before, after, **arms):
    pair = {"before": before, "after": after, "splits": arm("grpo", 0.6)["against_base"]}
    for split, tasks in pair["splits"].items():
        for task, measures in tasks.items():
            for name, own in measures.items():
                for side in ("before", "after"):
                    own[side] = arms[pair[side]]["splits"][split][task][name]["mean"]
    return {"tier": "any", "seed": [0, 1], "base": "base", "arms": arms, "pairs": [pair]}


@pytest.fixture
def found():
    arms = {"base": arm(None, 0.5)}
    arms |= {f"grpo-{n}": arm("grpo", 0.7, n / 100) for n in (50, 100)}
    arms |= {f"sft-{n}": arm("sft", 0.6, n / 100) for n in (50, 100)}
    others = {"dense": arm("grpo", 0.6), "paper": arm("grpo", 0.6)}
    main = tier("sft-100", "grpo-50", **arms)
    return {"main": main} | {name: tier("dense", "paper", **others) for name in TIERS[1:]}


TIERS = ("main", "rewards", "physics", "forgetting")


def test_tables_show_means_intervals_and_costs(found):
    text = "\n".join(page.SECTIONS["id_test"](found["main"]))
    assert "| `grpo-50`: an arm | 0.700 (0.690 to 0.710) | 0.200 (0.190 to 0.210) |" in text
    assert "50.0 (49.0 to 51.0) | 2,000 | 15 |" in text
    text = "\n".join(page.SECTIONS["pairs-short"](found["rewards"]))
    assert "| `paper` - `dense` | `id_test` | **+0.050 (+0.040 to +0.060)**" in text
    text = "\n".join(page.SECTIONS["claim"](found["main"]))
    assert (
        "| box: IoU | 0.500 | 0.600 | 0.700 | 0.700 | **+0.050 (+0.040 to +0.060)** | +8.3 |"
        in text
    )
    assert "| trace: DFD / diagonal | 0.200 | 0.200 | 0.200 | 0.200 | **+0.050" in text
    assert text.count("| -25.0 |") == 4, "farther away is worse"


def test_stars_are_corrected_for_multiple_comparisons(found):
    star = "** * |"
    pair = found["main"]["pairs"][0]["splits"]["id_test"]
    assert star not in "\n".join(page.SECTIONS["pairs"](found["main"]))
    pair["affordance"]["iou"]["p"] = 0.001
    rows = [row for row in page.SECTIONS["pairs"](found["main"]) if "`id_test`" in row]
    assert [row.count(star) for row in rows] == [3], "two of 0.02 stay below 0.05 as well"
    pair["trajectory"]["execution"]["p"] = 0.2
    rows = [row for row in page.SECTIONS["pairs"](found["main"]) if "`id_test`" in row]
    assert [row.count(star) for row in rows] == [2]


def test_fewer_seeds_are_marked_and_one_seed_gets_no_star(found):
    assert "seed" not in "\n".join(page.SECTIONS["pairs"](found["main"]))
    found["main"]["arms"]["grpo-50"]["seeds"] = [1]
    own = found["main"]["pairs"][0]["splits"]["id_test"]["affordance"]["iou"]
    own |= {"seeds": [0.05], "p": 0.0001}
    assert "| `grpo-50`: an arm (1 seed) | 0.700" in "\n".join(
        page.SECTIONS["id_test"](found["main"])
    )
    (row,) = [row for row in page.SECTIONS["pairs"](found["main"]) if "`id_test`" in row]
    assert row.startswith("| `grpo-50` - `sft-100` (1 seed) | `id_test` | **+0.050")
    assert "** * |" in row.split("|", 4)[4]
    assert "** * |" not in row.split("|", 4)[3] + "|"


def test_a_pair_from_other_runs_than_its_arm_is_marked(found):
    assert "rerun" not in "\n".join(page.SECTIONS["pairs"](found["main"]))
    own = found["main"]["pairs"][0]["splits"]["id_test"]["affordance"]["iou"]
    own["after"] += 0.002
    (row,) = [row for row in page.SECTIONS["pairs"](found["main"]) if "`id_test`" in row]
    assert row.startswith("| `grpo-50` - `sft-100` (`grpo-50` rerun) | `id_test` |")


def test_holm_corrects_in_order():
    assert page.holm([0.03, 0.01, 0.6, 0.03]) == pytest.approx([0.09, 0.04, 0.6, 0.09])
    assert page.holm([0.9, 0.8]) == [1, 1]
    assert page.holm([]) == []


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("main grpo-50 id_test affordance.iou level", "0.700 (0.690 to 0.710)"),
        ("main grpo-50 id_test affordance.area_ratio mean", "1.250"),
        ("main sft-100>grpo-50 id_test affordance.iou change", "+0.050 (+0.040 to +0.060)"),
        ("main base>grpo-50 id_test trajectory.execution difference", "+5.0"),
        ("main sft-100>grpo-50 id_test affordance.iou gain", "+8.3 % (+6.7 to +10.0)"),
        ("main sft-100>grpo-50 id_test affordance.iou p", "0.020"),
        ("main grpo-50 cost minutes", "15"),
        ("physics dense curve reward/trajectory/solved last", "0.85"),
        ("physics dense curve frac_reward_zero_std first", "0.10"),
        ("physics dense curve groups_without_signal last", "0.85"),
    ],
)
def test_a_query_gives_the_value_in_the_results(found, query, value):
    assert page.evidence_value(found, query) == value


@pytest.mark.parametrize(
    "query",
    [
        "main nobody id_test affordance.iou level",
        "main dense>grpo-50 id_test affordance.iou change",
        "nowhere grpo-50 cost minutes",
        "main grpo-50 id_test affordance.iou guess",
        "main grpo-50",
    ],
)
def test_an_invalid_query_is_refused(found, query):
    with pytest.raises(UserError, match=r"not a pair|no value for"):
        page.evidence_value(found, query)


def test_the_same_results_draw_the_same_five_figures(found, tmp_path):
    (tmp_path / "again").mkdir()
    first = figures.draw(found, tmp_path)
    assert len(first) == len(figures.FIGURES) == 5
    again = figures.draw(found, tmp_path / "again")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert figures.draw({"rewards": found["rewards"]}, tmp_path)[0].name == "evidence-changes.svg"
