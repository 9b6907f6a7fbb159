"""Galleries: extremes that are extremes, even over the splits, and draws by chance."""

import pytest

from maniplvm.evaluation.report.folders import read_measured
from maniplvm.evaluation.report.sections.selection import (
    MOST_CARDS,
    MOST_DUELS,
    duels,
    galleries,
    pairs_of,
    quality,
)
from maniplvm.tasks import Task


@pytest.fixture(scope="module", params=[Task.AFFORDANCE, Task.TRAJECTORY])
def pairs(request, folders):
    return pairs_of(read_measured(folders.before), read_measured(folders.after), request.param)


def shown(pairs, seed=0):
    return {gallery.name: gallery.pairs for gallery in galleries(pairs, seed=seed)}


def test_extremes_come_from_their_end_of_the_scale(pairs):
    found = shown(pairs)
    best, worst = ([quality(p.after) for p in found[name]] for name in ("Best", "Worst"))
    assert max(quality(pair.after) for pair in pairs) == max(best)
    assert min(quality(p.after) for p in pairs if p.after.parsed) == min(worst)
    assert all(pair.after.parsed for pair in found["Worst"])
    assert not any(pair.after.parsed for pair in found["Could not be read"])


def test_every_split_gets_its_share_and_no_scene_comes_twice(pairs):
    for name, own in shown(pairs).items():
        assert len(own) <= MOST_CARDS
        scenes = [pair.after.scene for pair in own]
        assert len(scenes) == len(set(scenes)), name
    counts = [pair.after.split for pair in shown(pairs)["Random draw"]]
    assert abs(counts.count("adapt_test") - counts.count("id_test")) <= 1
    assert len(counts) == MOST_CARDS


def test_the_random_draw_follows_its_seed(pairs):
    drawn = [[pair.after.id for pair in shown(pairs, seed)["Random draw"]] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_two_models_are_sorted_by_their_difference_the_largest_first(pairs):
    closer, farther = (gallery.pairs for gallery in duels(pairs, "one", "other"))
    gains, losses = ([pair.gain for pair in own] for own in (closer, farther))
    assert gains == sorted(gains, reverse=True)
    assert losses == sorted(losses)
    assert gains[0] == max(pair.gain for pair in pairs)
    assert losses[0] == min(pair.gain for pair in pairs)
    assert gains[-1] > 0 > losses[-1]
    assert len(gains) == len(losses) == MOST_DUELS


def test_a_duel_takes_the_same_number_from_every_split_that_has_one(pairs):
    gained = [pair for pair in pairs if pair.gain > 0]
    shown = [pair.after.split for pair in duels(pairs, "one", "other")[0].pairs]
    for split in ("adapt_test", "id_test"):
        scenes = {pair.after.scene for pair in gained if pair.after.split == split}
        assert shown.count(split) >= min(len(scenes), MOST_DUELS // 2), split


def test_the_side_that_is_never_closer_has_no_gallery(pairs):
    better = [pair for pair in pairs if pair.gain > 0]
    assert [gallery.name for gallery in duels(better, "one", "other")] == ["other is closer"]
    assert f"on {len(better)} of {len(better)} samples" in duels(better, "one", "other")[0].phrase


def test_a_model_alone_has_no_duel(folders):
    alone = pairs_of(None, read_measured(folders.after), Task.AFFORDANCE)
    assert duels(alone, "one", "other") == []


def test_several_draws_show_only_the_first(folders):
    pairs = pairs_of(None, read_measured(folders.sampled_after), Task.AFFORDANCE)
    assert len(pairs) == 8
    assert all(pair.after.draw == 0 for pair in pairs)
