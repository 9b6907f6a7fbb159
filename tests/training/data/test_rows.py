"""What is trained is what is evaluated: the same tokens, images and texts."""

import dataclasses

import numpy as np
import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from maniplvm.models import ImageTextPrompt, encode_batch, load_interface, write_tiny_checkpoint
from maniplvm.rewards import score
from maniplvm.tasks import Task, TraceTarget
from maniplvm.training.data.pool import open_pool
from maniplvm.training.data.rows import Questions, prompts_of, questions_dataset, taught_text
from tests.training.practice import practice_samples

FAMILIES = ("qwen2_5_vl", "qwen3_vl")


@pytest.fixture(params=FAMILIES, scope="module")
def interface(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return load_interface(write_tiny_checkpoint(folder / request.param, request.param))


def asked_in_evaluation(recipe, interface, samples):
    style = prompts_of(recipe, interface)
    questions = [
        ImageTextPrompt(
            style.ask(s.instruction, s.task, interface.frame_for(s.image_size)), s.image
        )
        for s in samples
    ]
    return encode_batch(interface, questions)


def test_grpo_asks_the_very_tokens_and_pixels_of_evaluation(lesson, interface):
    from trl.data_utils import prepare_multimodal_messages

    recipe = dataclasses.replace(lesson.recipe("grpo"), prompts={})
    pool = open_pool(recipe)
    questions = Questions(pool, interface, prompts_of(recipe, interface), supervised=False)
    rows = [questions_dataset(questions, 8)[place] for place in range(4)]
    chats = [prepare_multimodal_messages(row["prompt"], images=[row["image"]]) for row in rows]
    asked = interface.processor.apply_chat_template(
        conversation=chats, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    expected = asked_in_evaluation(recipe, interface, [pool.at(place) for place in range(4)])
    kept = expected["attention_mask"].bool()
    for ids, tokens, mask in zip(asked["input_ids"], expected["input_ids"], kept, strict=True):
        assert ids == tokens[mask].tolist()
    pixels = torch.as_tensor(np.asarray(asked["pixel_values"]))
    torch.testing.assert_close(pixels, expected["pixel_values"])


def test_sft_learns_the_completion_alone_after_the_tokens_of_evaluation(lesson, interface):
    recipe = dataclasses.replace(lesson.recipe("sft"), prompts={})
    pool = open_pool(recipe)
    questions = Questions(pool, interface, prompts_of(recipe, interface), supervised=True)
    rows = [questions_dataset(questions, 8)[place] for place in range(4)]
    collate = DataCollatorForVisionLanguageModeling(
        interface.processor, max_length=None, completion_only_loss=True
    )
    batch = collate([dict(row) for row in rows])
    samples = [pool.at(place) for place in range(4)]
    expected = asked_in_evaluation(recipe, interface, samples)
    for index, sample in enumerate(samples):
        asked = expected["input_ids"][index][expected["attention_mask"][index].bool()]
        tokens, labels = batch["input_ids"][index], batch["labels"][index]
        assert tokens[: len(asked)].tolist() == asked.tolist()
        assert (labels[: len(asked)] == -100).all()
        learnt = interface.tokenizer.decode(labels[labels != -100], skip_special_tokens=True)
        frame = interface.frame_for(sample.image_size)
        assert learnt.strip() == taught_text(sample, frame)
        assert interface.tokenizer.eos_token_id in labels.tolist()


def test_what_is_taught_earns_nearly_the_highest_reward(interface):
    for sample in practice_samples(2):
        frame = interface.frame_for(sample.image_size)
        result = score(taught_text(sample, frame), sample, "paper", frame)
        assert result.answer.well_formed
        assert result.total > 0.9 * (2 if sample.task is Task.AFFORDANCE else 5)


@pytest.mark.parametrize("count", [2, 3, 10, 25])
def test_a_trace_of_any_length_is_taught_in_the_form_that_is_asked_for(interface, count):
    sample = next(s for s in practice_samples(1) if s.task is Task.TRAJECTORY)
    points = np.linspace([4, 4], [50, 30], count)
    sample = dataclasses.replace(sample, target=TraceTarget(points))
    frame = interface.frame_for(sample.image_size)
    result = score(taught_text(sample, frame), sample, "paper", frame)
    assert result.answer.well_formed
    assert result.answer.value is not None
    np.testing.assert_allclose(result.answer.value[[0, -1]], points[[0, -1]], atol=1)


def test_a_row_is_made_once_while_it_is_kept(lesson, interface, monkeypatch):
    recipe = lesson.recipe("grpo")
    pool = open_pool(recipe)
    questions = Questions(pool, interface, prompts_of(recipe, interface), False, keep=4)
    asked = []
    monkeypatch.setattr(pool, "at", lambda place, at=pool.at: asked.append(place) or at(place))
    dataset = questions_dataset(questions, 8)
    for _ in range(3):
        dataset[[0, 0, 1, 1, 2, 3]]
    assert asked == [0, 1, 2, 3]
