import numpy as np
import torch
from PIL import Image

from maniplvm.embedded.pretraining.packing import IGNORED, Packer
from maniplvm.models import build_inputs, chat_messages
from maniplvm.tasks import Task, parse_answer


def views_of(lessons, packer, count):
    return [lessons.show(i, packer.side, np.random.default_rng(i)) for i in range(count)]


def test_each_branch_reads_as_the_processor_writes_its_chat(lessons, loaded):
    packer = Packer(loaded)
    (view,) = views_of(lessons, packer, 1)
    packed = packer.pack([view])
    frame = loaded.frame_for((packer.side, packer.side))
    for number, task in enumerate((Task.AFFORDANCE, Task.TRAJECTORY), start=1):
        question = chat_messages(loaded.prompt.ask(view.instruction, task, frame))
        expected = build_inputs(loaded, [question], [Image.fromarray(view.pixels)])
        row = (packed.branch[0] == 0) | (packed.branch[0] == number)
        prompt = row & (packed.labels[0] == IGNORED)
        assert packed.ids[0][prompt].tolist() == expected["input_ids"][0].tolist()
        torch.testing.assert_close(packed.pixels, expected["pixel_values"], atol=1e-5, rtol=0)
        assert packed.grid.tolist() == expected["image_grid_thw"].tolist()


def test_completions_parse_strictly_to_the_target_within_half_a_step(lessons, loaded):
    packer = Packer(loaded)
    for view in views_of(lessons, packer, 8):
        packed = packer.pack([view])
        frame = loaded.frame_for((100, 100))
        for number, (task, target) in enumerate(
            zip(
                (Task.AFFORDANCE, Task.TRAJECTORY),
                (view.box.reshape(2, 2), view.trace),
                strict=True,
            ),
            start=1,
        ):
            labels = packed.labels[0][(packed.branch[0] == number)]
            text = loaded.tokenizer.decode(labels[labels != IGNORED][:-1])
            answer = parse_answer(text, task, frame)
            assert answer.well_formed
            off = np.abs(answer.value.reshape(-1, 2) - 100 * target)
            assert off.max() <= 0.51 * 100 / 99 + 1e-9


def test_a_packed_row_gives_the_same_logits_as_each_chat_alone(lessons, loaded):
    packer = Packer(loaded)
    views = views_of(lessons, packer, 3)
    packed = packer.pack(views)
    with torch.no_grad():
        together = loaded.model(
            input_ids=packed.ids,
            position_ids=packed.positions,
            attention_mask=packed.mask,
            pixel_values=packed.pixels,
            image_grid_thw=packed.grid,
            mm_token_type_ids=(packed.ids == packer.image_id).long(),
        ).logits
        for row, view in enumerate(views):
            for number in (1, 2):
                own = (packed.branch[row] == 0) | (packed.branch[row] == number)
                ids = packed.ids[row][own][None]
                one = packer.pack([view])
                alone = loaded.model(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    pixel_values=one.pixels,
                    image_grid_thw=one.grid,
                    mm_token_type_ids=(ids == packer.image_id).long(),
                ).logits[0]
                torch.testing.assert_close(together[row][own], alone, atol=2e-5, rtol=1e-4)
