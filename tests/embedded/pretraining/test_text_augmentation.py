import numpy as np
import pytest

from maniplvm.embedded.pretraining.text_augmentation import SYNONYMS, augment_text
from maniplvm.simulation.labels.instructions import described_tasks, instructions

TASKS = described_tasks("metaworld")


@pytest.mark.parametrize("task", TASKS)
def test_no_augmented_instruction_is_a_held_out_one(task):
    rng = np.random.default_rng(0)
    held_out = {text for each in TASKS for text in instructions("metaworld", each).held_out}
    for seen in instructions("metaworld", task).seen:
        for is_clear in (False, True):
            texts = {augment_text(seen, rng, is_clear=is_clear) for _ in range(300)}
            assert not texts & held_out


def test_augmented_instructions_vary_and_are_never_empty():
    rng = np.random.default_rng(1)
    texts = [augment_text("pick up the mug and put it onto the shelf", rng) for _ in range(500)]
    assert all(text.strip() for text in texts)
    assert len(set(texts)) > 300
    assert any("cup" in text for text in texts)


def test_a_single_word_stays_an_instruction():
    rng = np.random.default_rng(2)
    assert all(augment_text("go", rng) for _ in range(200))


def test_the_same_seed_gives_the_same_words():
    first, second = (augment_text("close the box", np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_no_synonym_turns_a_task_into_its_opposite():
    for one, other in (("open", "close"), ("lock", "unlock"), ("push", "pull"), ("up", "down")):
        assert not any({one, other} <= set(group) for group in SYNONYMS)


def test_a_clear_instruction_keeps_each_word_or_its_synonym():
    rng = np.random.default_rng(3)
    known = {word for group in SYNONYMS for word in group} | {"wobble", "gently"}
    for _ in range(300):
        words = augment_text("wobble the mug gently", rng, is_clear=True).split()
        assert words[-1] == "gently"
        assert set(words[-4:]) <= known
