"""Galleries show the best and worst samples, equally from all splits, and random samples."""

import pytest

from maniplvm.evaluation.report.folders import read_model_evaluation
from maniplvm.evaluation.report.sections.galleries import (
    MAX_CARDS,
    MAX_COMPARISON_CARDS,
    comparison_galleries,
    quality,
    sample_pairs,
    select_galleries,
)
from maniplvm.tasks import Task


@pytest.fixture(scope="module", params=[Task.AFFORDANCE, Task.TRAJECTORY])
def pairs(request, folders):
    return sample_pairs(
        read_model_evaluation(folders.before), read_model_evaluation(folders.after), request.param
    )


def shown(pairs, seed=0):
    return {gallery.name: gallery.pairs for gallery in select_galleries(pairs, seed=seed)}


def test_best_and_worst_have_the_extreme_scores(pairs):
    found = shown(pairs)
    best, worst = ([quality(p.after) for p in found[name]] for name in ("Best", "Worst"))
    assert max(quality(pair.after) for pair in pairs) == max(best)
    assert min(quality(p.after) for p in pairs if p.after.parsed) == min(worst)
    assert all(pair.after.parsed for pair in found["Worst"])
    assert not any(pair.after.parsed for pair in found["Not parsed"])


def test_splits_are_balanced_and_no_scene_is_repeated(pairs):
    for name, own in shown(pairs).items():
        assert len(own) <= MAX_CARDS
        scenes = [pair.after.scene for pair in own]
        assert len(scenes) == len(set(scenes)), name
    counts = [pair.after.split for pair in shown(pairs)["Random"]]
    assert abs(counts.count("adapt_test") - counts.count("id_test")) <= 1
    assert len(counts) == MAX_CARDS


def test_the_random_gallery_depends_on_the_seed(pairs):
    drawn = [[pair.after.id for pair in shown(pairs, seed)["Random"]] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_two_models_are_sorted_by_their_difference_the_largest_first(pairs):
    closer, farther = (gallery.pairs for gallery in comparison_galleries(pairs, "one", "other"))
    gains, losses = ([pair.gain for pair in own] for own in (closer, farther))
    assert gains == sorted(gains, reverse=True)
    assert losses == sorted(losses)
    assert gains[0] == max(pair.gain for pair in pairs)
    assert losses[0] == min(pair.gain for pair in pairs)
    assert gains[-1] > 0 > losses[-1]
    assert len(gains) == len(losses) == MAX_COMPARISON_CARDS


def test_a_comparison_is_balanced_over_the_splits(pairs):
    gained = [pair for pair in pairs if pair.gain > 0]
    shown = [pair.after.split for pair in comparison_galleries(pairs, "one", "other")[0].pairs]
    for split in ("adapt_test", "id_test"):
        scenes = {pair.after.scene for pair in gained if pair.after.split == split}
        assert shown.count(split) >= min(len(scenes), MAX_COMPARISON_CARDS // 2), split


def test_a_model_that_is_never_better_has_no_gallery(pairs):
    better = [pair for pair in pairs if pair.gain > 0]
    assert [gallery.name for gallery in comparison_galleries(better, "one", "other")] == [
        "other is better"
    ]
    assert (
        f"on {len(better)} of {len(better)} samples"
        in comparison_galleries(better, "one", "other")[0].description
    )


def test_a_single_model_has_no_comparison(folders):
    alone = sample_pairs(None, read_model_evaluation(folders.after), Task.AFFORDANCE)
    assert comparison_galleries(alone, "one", "other") == []


def test_only_the_first_of_several_completions_is_shown(folders):
    pairs = sample_pairs(None, read_model_evaluation(folders.sampled_after), Task.AFFORDANCE)
    assert len(pairs) == 8
    assert all(pair.after.draw == 0 for pair in pairs)
