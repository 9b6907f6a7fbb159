import itertools
import re

import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.generation.plan import SCENES_PER_SEED, SEEDS_PER_SPLIT, SPLITS, split
from maniplvm.simulation.labels.instructions import MIN_PHRASINGS, described_tasks, instructions

COLOURS = "red|green|blue|yellow|orange|purple|pink|black|white|grey|brown"
TASKS = [(world, task) for world in ("metaworld", "robosuite") for task in described_tasks(world)]


def test_the_splits_have_their_names_and_task_counts():
    assert list(SPLITS) == ["train", "id_test", "adapt", "adapt_test", "ood_tasks", "ood_robot"]
    assert [len(SPLITS[name].tasks) for name in SPLITS][:5] == [34, 34, 6, 6, 8]


def test_no_task_is_both_trained_on_and_held_out():
    train, adapt, ood = (set(SPLITS[name].tasks) for name in ("train", "adapt", "ood_tasks"))
    assert not train & adapt
    assert not train & ood
    assert not adapt & ood
    assert train | adapt | ood == set(described_tasks("metaworld"))


def test_test_splits_have_the_tasks_of_their_training_split():
    assert SPLITS["id_test"].tasks == SPLITS["train"].tasks
    assert SPLITS["adapt_test"].tasks == SPLITS["adapt"].tasks


def test_the_seeds_of_two_splits_never_meet():
    last = SEEDS_PER_SPLIT // SCENES_PER_SEED - 1
    ranges = [
        (each.scene_seed(0, 0), each.scene_seed(last, SCENES_PER_SEED - 1))
        for each in SPLITS.values()
    ]
    for (_, end), (start, _) in itertools.pairwise(sorted(ranges)):
        assert end < start


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (100, 0), (0, SCENES_PER_SEED)])
def test_a_scene_outside_of_the_split_is_refused(seed, index):
    with pytest.raises(UserError, match="--seed"):
        SPLITS["train"].scene_seed(seed, index)


def test_two_seeds_of_a_run_share_no_scene():
    first = {SPLITS["train"].scene_seed(0, index) for index in range(100)}
    second = {SPLITS["train"].scene_seed(1, index) for index in range(100)}
    assert not first & second


def test_an_unknown_split_lists_the_known_ones():
    with pytest.raises(UserError, match="id_test"):
        split("validation")


@pytest.mark.parametrize(("world", "task"), TASKS)
def test_a_task_has_enough_phrasings_and_keeps_some_for_tests(world, task):
    known = instructions(world, task)
    assert len({*known.seen, *known.held_out}) >= MIN_PHRASINGS
    assert len(known.held_out) >= 2
    assert known.part_name.startswith("the ")


def test_no_phrasing_is_used_twice_or_for_two_tasks():
    phrasings = [
        phrasing
        for world, task in TASKS
        for phrasing in (*instructions(world, task).seen, *instructions(world, task).held_out)
    ]
    assert len(phrasings) == len(set(phrasings))


def test_no_phrasing_names_a_colour():
    named = re.compile(rf"\b({COLOURS})\b")
    for world, task in TASKS:
        known = instructions(world, task)
        assert not named.search(" ".join((known.part_name, *known.seen, *known.held_out)))


def test_a_task_without_instructions_lists_those_that_have_some():
    with pytest.raises(UserError, match="drawer-open-v3"):
        instructions("metaworld", "reach-v3")
