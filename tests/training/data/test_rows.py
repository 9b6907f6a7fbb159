"""Training uses the same tokens, images and texts as evaluation."""

import dataclasses

import numpy as np
import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from maniplvm.models import ImageTextPrompt, encode_batch, load_interface, write_tiny_checkpoint
from maniplvm.rewards import score
from maniplvm.tasks import Task, TraceTarget
from maniplvm.training.data.pool import open_pool
from maniplvm.training.data.rows import (
    PromptRows,
    prompt_dataset,
    recipe_prompts,
    reference_completion,
)
from tests.training.tiny_training import tiny_samples

FAMILIES = ("qwen2_5_vl", "qwen3_vl")


@pytest.fixture(params=FAMILIES, scope="module")
def interface(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return load_interface(write_tiny_checkpoint(folder / request.param, request.param))


def evaluation_inputs(recipe, interface, samples):
    style = recipe_prompts(recipe, interface)
    questions = [
        ImageTextPrompt(
            style.format(s.instruction, s.task, interface.frame_for(s.image_size)), s.image
        )
        for s in samples
    ]
    return encode_batch(interface, questions)


def test_grpo_prompts_have_the_tokens_and_pixels_of_evaluation(tiny_setup, interface):
    from trl.data_utils import prepare_multimodal_messages

    recipe = dataclasses.replace(tiny_setup.recipe("grpo"), prompts={})
    pool = open_pool(recipe)
    rows_of = PromptRows(pool, interface, recipe_prompts(recipe, interface), with_completion=False)
    rows = [prompt_dataset(rows_of, 8)[place] for place in range(4)]
    chats = [prepare_multimodal_messages(row["prompt"], images=[row["image"]]) for row in rows]
    asked = interface.processor.apply_chat_template(
        conversation=chats, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    expected = evaluation_inputs(recipe, interface, [pool.at(place) for place in range(4)])
    kept = expected["attention_mask"].bool()
    for ids, tokens, mask in zip(asked["input_ids"], expected["input_ids"], kept, strict=True):
        assert ids == tokens[mask].tolist()
    pixels = torch.as_tensor(np.asarray(asked["pixel_values"]))
    torch.testing.assert_close(pixels, expected["pixel_values"])


def test_sft_has_loss_on_the_completion_only_after_the_prompt_tokens_of_evaluation(
    tiny_setup, interface
):
    recipe = dataclasses.replace(tiny_setup.recipe("sft"), prompts={})
    pool = open_pool(recipe)
    rows_of = PromptRows(pool, interface, recipe_prompts(recipe, interface), with_completion=True)
    rows = [prompt_dataset(rows_of, 8)[place] for place in range(4)]
    collate = DataCollatorForVisionLanguageModeling(
        interface.processor, max_length=None, completion_only_loss=True
    )
    batch = collate([dict(row) for row in rows])
    samples = [pool.at(place) for place in range(4)]
    expected = evaluation_inputs(recipe, interface, samples)
    for index, sample in enumerate(samples):
        asked = expected["input_ids"][index][expected["attention_mask"][index].bool()]
        tokens, labels = batch["input_ids"][index], batch["labels"][index]
        assert tokens[: len(asked)].tolist() == asked.tolist()
        assert (labels[: len(asked)] == -100).all()
        learnt = interface.tokenizer.decode(labels[labels != -100], skip_special_tokens=True)
        frame = interface.frame_for(sample.image_size)
        assert learnt.strip() == reference_completion(sample, frame)
        assert interface.tokenizer.eos_token_id in labels.tolist()


def test_the_reference_completion_gets_nearly_the_maximum_reward(interface):
    for sample in tiny_samples(2):
        frame = interface.frame_for(sample.image_size)
        result = score(reference_completion(sample, frame), sample, "paper", frame)
        assert result.answer.well_formed
        assert result.total > 0.9 * (2 if sample.task is Task.AFFORDANCE else 5)


@pytest.mark.parametrize("count", [2, 3, 10, 25])
def test_a_trace_of_any_length_has_a_well_formed_reference_completion(interface, count):
    sample = next(s for s in tiny_samples(1) if s.task is Task.TRAJECTORY)
    points = np.linspace([4, 4], [50, 30], count)
    sample = dataclasses.replace(sample, target=TraceTarget(points))
    frame = interface.frame_for(sample.image_size)
    result = score(reference_completion(sample, frame), sample, "paper", frame)
    assert result.answer.well_formed
    assert result.answer.value is not None
    np.testing.assert_allclose(result.answer.value[[0, -1]], points[[0, -1]], atol=1)


def test_a_row_in_the_cache_is_not_built_again(tiny_setup, interface, monkeypatch):
    recipe = tiny_setup.recipe("grpo")
    pool = open_pool(recipe)
    rows_of = PromptRows(pool, interface, recipe_prompts(recipe, interface), False, cache_size=4)
    asked = []
    monkeypatch.setattr(pool, "at", lambda place, at=pool.at: asked.append(place) or at(place))
    dataset = prompt_dataset(rows_of, 8)
    for _ in range(3):
        dataset[[0, 0, 1, 1, 2, 3]]
    assert asked == [0, 1, 2, 3]
