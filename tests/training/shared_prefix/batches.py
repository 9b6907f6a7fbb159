"""Batches of prompts and completions, and their scores when every prompt is repeated."""

import torch

from maniplvm.models import build_inputs, chat_messages
from tests.models.images import make_image

TEXTS = ("open the drawer", "pick up the red mug and put it down", "push")


def prompts_of(loaded, sizes=((160, 120), (320, 200), (160, 120)), per_prompt=1):
    """The processor's output for one prompt of each image size."""
    chats, images = [], []
    for number, size in enumerate(sizes):
        chat = chat_messages(TEXTS[number % len(TEXTS)])
        chat[-1]["content"] = [{"type": "image"}] * (per_prompt - 1) + chat[-1]["content"]
        chats.append(chat)
        images.append([make_image(size, seed=number + 10 * k) for k in range(per_prompt)])
    if per_prompt == 1:
        return build_inputs(loaded, chats, [each[0] for each in images])
    texts = [
        loaded.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        for chat in chats
    ]
    return loaded.processor(text=texts, images=images, padding=True, return_tensors="pt")


def completions_of(lengths, width=None, seed=0):
    """Random completions `(B, C)` and their mask."""
    lengths = torch.tensor(lengths)
    width = width or max(1, int(lengths.max()))
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(20, 400, (len(lengths), width), generator=generator)
    return ids, (torch.arange(width) < lengths[:, None]).long()


def plain_scores(model, prompts, ids, mask, temperature=1.0):
    """Log-probabilities and entropies of a batch that repeats every prompt, as the reference."""
    each = len(ids) // len(prompts["input_ids"])
    width = ids.shape[1]
    repeated = {
        "input_ids": torch.cat([prompts["input_ids"].repeat_interleave(each, 0), ids], 1),
        "attention_mask": torch.cat(
            [prompts["attention_mask"].repeat_interleave(each, 0), mask], 1
        ),
    }
    if "pixel_values" in prompts:
        grid = prompts["image_grid_thw"]
        count = len(grid) // len(prompts["input_ids"])
        patches = prompts["pixel_values"].split(grid.prod(-1).tolist())
        order = [
            prompt * count + k
            for prompt in range(len(prompts["input_ids"]))
            for _ in range(each)
            for k in range(count)
        ]
        types = prompts["mm_token_type_ids"].repeat_interleave(each, 0)
        repeated["mm_token_type_ids"] = torch.cat([types, torch.zeros_like(ids)], 1)
        repeated["pixel_values"] = torch.cat([patches[k] for k in order])
        repeated["image_grid_thw"] = grid[order]
    logits = model(**repeated, use_cache=False).logits[:, -width - 1 : -1].float() / temperature
    table = logits.log_softmax(-1)
    chosen = table.gather(-1, ids[..., None])[..., 0]
    return chosen * mask, -(table.exp() * table).sum(-1) * mask


def gradient_of(model, scores):
    """Gradient of a fixed weighted sum of scores in all trainable parameters, as one vector."""
    model.zero_grad()
    weights = torch.linspace(-1, 1, scores.numel()).view_as(scores)
    (scores * weights).sum().backward()
    return torch.cat(
        [
            (torch.zeros_like(each) if each.grad is None else each.grad).flatten()
            for each in model.parameters()
            if each.requires_grad
        ]
    )
