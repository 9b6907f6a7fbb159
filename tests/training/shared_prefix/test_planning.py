from hypothesis import given
from hypothesis import strategies as st

from maniplvm.training.shared_prefix.planning import plan_blocks, plan_long_rows, plan_rows

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
def test_every_completion_lies_in_one_block_behind_its_own_prompt(groups, longest):
    blocks, prompts, completions, owner = planned(groups, longest)
    seen = []
    for block in blocks:
        mine = range(block.first, block.first + block.count)
        assert all(owner[number] == block.prompt for number in mine)
        assert block.tokens == prompts[block.prompt] + sum(completions[k] for k in mine)
        seen += mine
    assert seen == list(range(len(completions)))


@given(GROUPS, st.integers(1, 3000))
def test_no_block_is_longer_than_the_limit_or_a_plain_row(groups, longest):
    blocks, prompts, *_ = planned(groups, longest)
    for block in blocks:
        plain = prompts[block.prompt] + max(groups[block.prompt][1])
        assert block.tokens <= max(longest, plain) or block.count == 1


@given(GROUPS, st.integers(1, 3000), st.integers(1, 9000))
def test_rows_hold_every_block_once_within_the_budget(groups, longest, budget):
    blocks, *_ = planned(groups, longest)
    for passes in (plan_rows(blocks, budget), plan_long_rows(blocks, budget)):
        assert sorted(
            (block.prompt, block.first) for rows in passes for row in rows for block in row
        ) == sorted((block.prompt, block.first) for block in blocks)
        for rows in passes:
            width = max(sum(block.tokens for block in row) for row in rows)
            alone = len(rows) == 1 and len(rows[0]) == 1
            assert width * len(rows) <= budget or alone or len(rows) == 1


@given(GROUPS, st.integers(1, 3000))
def test_packing_never_takes_more_tokens_than_the_plain_batch_and_half_a_row(groups, longest):
    blocks, prompts, completions, owner = planned(groups, longest)
    (rows,) = plan_rows(blocks, 10**9)
    width = max(sum(block.tokens for block in row) for row in rows)
    tokens = sum(block.tokens for block in blocks)
    assert width * len(rows) < 2 * tokens + width
    (long,) = plan_long_rows(blocks, 10**9)
    plain = len(owner) * (max(prompts) + max(completions))
    assert sum(block.tokens for block in long[0]) <= plain


def test_a_group_that_does_not_fit_is_cut_evenly():
    blocks, *_ = planned([(100, [50] * 8)], 310)
    assert [block.count for block in blocks] == [4, 4]
    assert [block.tokens for block in blocks] == [300, 300]
