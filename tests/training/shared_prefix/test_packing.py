import torch
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.training.shared_prefix.groups import group_prompts
from maniplvm.training.shared_prefix.packing import (
    pack_rows,
    plan_blocks,
    plan_padded_rows,
    plan_single_rows,
)
from maniplvm.training.shared_prefix.prefix_attention import build_attention_layout
from tests.training.shared_prefix.batches import completions_of

GROUPS = st.lists(
    st.tuples(st.integers(1, 400), st.lists(st.integers(0, 200), min_size=1, max_size=12)),
    min_size=1,
    max_size=8,
)


def planned(groups, longest):
    prompts = [prompt for prompt, _ in groups]
    completions = [length for _, lengths in groups for length in lengths]
    owner = [number for number, (_, lengths) in enumerate(groups) for _ in lengths]
    return plan_blocks(prompts, completions, owner, longest), prompts, completions, owner


@given(GROUPS, st.integers(1, 3000))
def test_every_completion_is_in_one_block_with_its_prompt(groups, longest):
    blocks, prompts, completions, owner = planned(groups, longest)
    seen = []
    for block in blocks:
        mine = range(block.first, block.first + block.count)
        assert all(owner[number] == block.prompt for number in mine)
        assert block.tokens == prompts[block.prompt] + sum(completions[k] for k in mine)
        seen += mine
    assert seen == list(range(len(completions)))


@given(GROUPS, st.integers(1, 3000))
def test_no_block_exceeds_the_limit_or_an_unpacked_row(groups, longest):
    blocks, prompts, *_ = planned(groups, longest)
    for block in blocks:
        plain = prompts[block.prompt] + max(groups[block.prompt][1])
        assert block.tokens <= max(longest, plain) or block.count == 1


@given(GROUPS, st.integers(1, 3000), st.integers(1, 9000))
def test_rows_hold_every_block_once_within_the_token_limit(groups, longest, limit):
    blocks, *_ = planned(groups, longest)
    for passes in (plan_padded_rows(blocks, limit), plan_single_rows(blocks, limit)):
        assert sorted(
            (block.prompt, block.first) for rows in passes for row in rows for block in row
        ) == sorted((block.prompt, block.first) for block in blocks)
        for rows in passes:
            width = max(sum(block.tokens for block in row) for row in rows)
            alone = len(rows) == 1 and len(rows[0]) == 1
            assert width * len(rows) <= limit or alone or len(rows) == 1


@given(GROUPS, st.integers(1, 3000))
def test_packed_rows_have_fewer_tokens_than_the_limits(groups, longest):
    blocks, prompts, completions, owner = planned(groups, longest)
    (rows,) = plan_padded_rows(blocks, 10**9)
    width = max(sum(block.tokens for block in row) for row in rows)
    tokens = sum(block.tokens for block in blocks)
    assert width * len(rows) < 2 * tokens + width
    (long,) = plan_single_rows(blocks, 10**9)
    plain = len(owner) * (max(prompts) + max(completions))
    assert sum(block.tokens for block in long[0]) <= plain


def test_a_group_over_the_limit_is_split_evenly():
    blocks, *_ = planned([(100, [50] * 8)], 310)
    assert [block.count for block in blocks] == [4, 4]
    assert [block.tokens for block in blocks] == [300, 300]


def packed(lengths=(2, 0, 3, 1), longest=100, rows=None):
    prompts = {
        "input_ids": torch.tensor([[0, 11, 12], [21, 22, 23]]),
        "attention_mask": torch.tensor([[0, 1, 1], [1, 1, 1]]),
    }
    ids, mask = completions_of(list(lengths), width=4)
    groups = group_prompts(prompts, ids, mask)
    blocks = plan_blocks(
        groups.prompt_lengths.tolist(),
        groups.completion_lengths.tolist(),
        groups.prompt_index.tolist(),
        longest,
    )
    (layout,) = [rows] if rows else plan_padded_rows(blocks, 10**6)
    positions = (groups.prompt_mask.long().cumsum(1) - 1).clamp(min=0)
    return pack_rows(groups, layout, positions, pad_id=99), ids, blocks


def test_a_prompt_precedes_its_completions():
    rows, ids, _ = packed()
    longer, shorter = rows.input_ids.tolist()
    assert longer == [21, 22, 23, *ids[2, :3].tolist(), ids[3, 0].item()]
    assert shorter == [11, 12, *ids[0, :2].tolist(), 99, 99, 99]


def test_positions_of_each_completion_follow_the_prompt():
    rows, *_ = packed()
    assert rows.position_ids[0].tolist() == [0, 1, 2, 3, 4, 5, 3]
    assert rows.position_ids[1, :4].tolist() == [0, 1, 2, 3]


def test_each_target_is_predicted_by_the_token_before_it():
    rows, ids, _ = packed()
    flat = rows.input_ids.flatten()
    before = {}
    for predictor, place in zip(
        rows.predictor_indices.tolist(), rows.target_indices.tolist(), strict=True
    ):
        before[divmod(place, 4)] = int(flat[predictor])
    assert before[0, 0] == 12
    assert before[2, 0] == before[3, 0] == 23
    assert before[2, 2] == ids[2, 1]
    assert torch.equal(ids.flatten()[rows.target_indices], rows.target_ids)


def test_a_token_attends_to_its_prompt_and_its_own_completion_only():
    rows, *_ = packed()
    allowed = rows.attention_mask()[:, 0]
    assert allowed[0, 5].tolist() == [True, True, True, True, True, True, False]
    assert allowed[0, 6].tolist() == [True, True, True, False, False, False, True]
    assert allowed[0, 1].tolist() == [True, True] + [False] * 5
    assert not allowed[1, :4, 4:].any()
    assert allowed[1, 4:].any(-1).all(), "a row of the softmax is empty"


def test_the_attention_layout_maps_every_token_back_to_its_index():
    _, _, blocks = packed()
    rows, *_ = packed(rows=[[blocks[0], blocks[1]]])
    layout = build_attention_layout(rows, torch.float32)
    count, width, answers, tail = layout.shape
    indices = torch.cat([layout.prompt_indices, layout.completion_indices])
    assert indices[layout.output_indices].tolist() == list(range(rows.input_ids.numel()))
    assert (count, width, answers, tail) == (2, 3, 3, 3)
    assert layout.prompt_index.tolist() == [0, 1, 1]
