import torch

from maniplvm.training.shared_prefix.branches import branches_of
from maniplvm.training.shared_prefix.groups import group_prompts
from maniplvm.training.shared_prefix.packing import pack_rows
from maniplvm.training.shared_prefix.planning import plan_blocks, plan_rows
from tests.training.shared_prefix.batches import completions_of


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
        groups.prompt_of.tolist(),
        longest,
    )
    (layout,) = [rows] if rows else plan_rows(blocks, 10**6)
    positions = (groups.prompt_mask.long().cumsum(1) - 1).clamp(min=0)
    return pack_rows(groups, layout, positions, pad_id=99), ids, blocks


def test_a_prompt_stands_before_its_completions():
    rows, ids, _ = packed()
    longer, shorter = rows.input_ids.tolist()
    assert longer == [21, 22, 23, *ids[2, :3].tolist(), ids[3, 0].item()]
    assert shorter == [11, 12, *ids[0, :2].tolist(), 99, 99, 99]


def test_positions_start_again_behind_the_prompt():
    rows, *_ = packed()
    assert rows.positions[0].tolist() == [0, 1, 2, 3, 4, 5, 3]
    assert rows.positions[1, :4].tolist() == [0, 1, 2, 3]


def test_each_target_is_predicted_by_the_token_before_it():
    rows, ids, _ = packed()
    flat = rows.input_ids.flatten()
    before = {}
    for predictor, place in zip(rows.predictors.tolist(), rows.destinations.tolist(), strict=True):
        before[divmod(place, 4)] = int(flat[predictor])
    assert before[0, 0] == 12
    assert before[2, 0] == before[3, 0] == 23
    assert before[2, 2] == ids[2, 1]
    assert torch.equal(ids.flatten()[rows.destinations], rows.targets)


def test_a_token_sees_its_prompt_and_its_own_completion_only():
    rows, *_ = packed()
    allowed = rows.allowed()[:, 0]
    assert allowed[0, 5].tolist() == [True, True, True, True, True, True, False]
    assert allowed[0, 6].tolist() == [True, True, True, False, False, False, True]
    assert allowed[0, 1].tolist() == [True, True] + [False] * 5
    assert not allowed[1, :4, 4:].any()
    assert allowed[1, 4:].any(-1).all(), "a row of the softmax is empty"


def test_branches_come_back_to_where_they_were():
    _, _, blocks = packed()
    rows, *_ = packed(rows=[[blocks[0], blocks[1]]])
    branches = branches_of(rows, torch.float32)
    count, width, answers, tail = branches.shape
    places = torch.cat([branches.prompt_places, branches.completion_places])
    assert places[branches.sources].tolist() == list(range(rows.input_ids.numel()))
    assert (count, width, answers, tail) == (2, 3, 3, 3)
    assert branches.prompt_of.tolist() == [0, 1, 1]
