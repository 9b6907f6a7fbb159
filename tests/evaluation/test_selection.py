import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation.selection import wrong_instructions
from maniplvm.tasks import Task
from tests.evaluation.scenery import sample, small_set


def test_every_sample_gets_an_instruction_of_another_category_of_its_split():
    samples = [
        *small_set(),
        *(sample(Task.AFFORDANCE, c, split="ood_tasks") for c in ("push", "pull", "turn")),
    ]
    wrong = wrong_instructions(samples, 0)
    for each in samples:
        category = wrong[each.id].split()[0]
        assert category != each.category
        assert category in {s.category for s in samples if s.split == each.split}


def test_instructions_depend_on_the_seed_and_not_on_the_order():
    samples = small_set(scenes=8)
    assert wrong_instructions(samples, 1) == wrong_instructions(samples[::-1], 1)
    assert wrong_instructions(samples, 1) != wrong_instructions(samples, 2)


def test_an_instruction_of_two_categories_is_never_the_wrong_one():
    same, other = (sample(Task.AFFORDANCE, c, instruction="close it") for c in ("door", "drawer"))
    third = sample(Task.AFFORDANCE, "cap", instruction="screw it on")
    assert wrong_instructions([same, other, third], 0)[same.id] == "screw it on"


def test_one_category_alone_has_no_wrong_instruction():
    with pytest.raises(UserError, match="split id_test has one category only"):
        wrong_instructions([sample(Task.AFFORDANCE, seed=seed) for seed in range(3)], 0)
