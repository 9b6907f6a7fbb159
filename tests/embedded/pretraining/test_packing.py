import numpy as np
import torch
from PIL import Image

from maniplvm.embedded.pretraining.packing import IGNORED, Packer
from maniplvm.models import build_inputs, chat_messages
from maniplvm.tasks import Task, parse_answer


def examples_of(dataset, packer, count):
    return [dataset.augment(i, packer.side, np.random.default_rng(i)) for i in range(count)]


def test_each_segment_has_the_tokens_of_its_chat(dataset, loaded):
    packer = Packer(loaded)
    (example,) = examples_of(dataset, packer, 1)
    packed = packer.pack([example])
    frame = loaded.frame_for((packer.side, packer.side))
    for number, task in enumerate((Task.AFFORDANCE, Task.TRAJECTORY), start=1):
        prompt_chat = chat_messages(loaded.prompt.format(example.instruction, task, frame))
        expected = build_inputs(loaded, [prompt_chat], [Image.fromarray(example.pixels)])
        row = (packed.segment_ids[0] == 0) | (packed.segment_ids[0] == number)
        prompt = row & (packed.labels[0] == IGNORED)
        assert packed.input_ids[0][prompt].tolist() == expected["input_ids"][0].tolist()
        torch.testing.assert_close(packed.pixel_values, expected["pixel_values"], atol=1e-5, rtol=0)
        assert packed.image_grid_thw.tolist() == expected["image_grid_thw"].tolist()


def test_completions_parse_strictly_to_the_target_within_half_a_step(dataset, loaded):
    packer = Packer(loaded)
    for example in examples_of(dataset, packer, 8):
        packed = packer.pack([example])
        frame = loaded.frame_for((100, 100))
        for number, (task, target) in enumerate(
            zip(
                (Task.AFFORDANCE, Task.TRAJECTORY),
                (example.box.reshape(2, 2), example.trace),
                strict=True,
            ),
            start=1,
        ):
            labels = packed.labels[0][(packed.segment_ids[0] == number)]
            text = loaded.tokenizer.decode(labels[labels != IGNORED][:-1])
            answer = parse_answer(text, task, frame)
            assert answer.well_formed
            off = np.abs(answer.value.reshape(-1, 2) - 100 * target)
            assert off.max() <= 0.51 * 100 / 99 + 1e-9


def test_a_packed_row_gives_the_same_logits_as_each_chat_alone(dataset, loaded):
    packer = Packer(loaded)
    examples = examples_of(dataset, packer, 3)
    packed = packer.pack(examples)
    with torch.no_grad():
        together = loaded.model(
            input_ids=packed.input_ids,
            position_ids=packed.position_ids,
            attention_mask=packed.attention_mask,
            pixel_values=packed.pixel_values,
            image_grid_thw=packed.image_grid_thw,
            mm_token_type_ids=(packed.input_ids == packer.image_id).long(),
        ).logits
        for row, example in enumerate(examples):
            for number in (1, 2):
                own = (packed.segment_ids[row] == 0) | (packed.segment_ids[row] == number)
                ids = packed.input_ids[row][own][None]
                one = packer.pack([example])
                alone = loaded.model(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    pixel_values=one.pixel_values,
                    image_grid_thw=one.image_grid_thw,
                    mm_token_type_ids=(ids == packer.image_id).long(),
                ).logits[0]
                torch.testing.assert_close(together[row][own], alone, atol=2e-5, rtol=1e-4)
