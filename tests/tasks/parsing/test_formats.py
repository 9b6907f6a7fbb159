"""Answer formats of published models, lists of points, and the choice between several answers."""

import time

import pytest

from maniplvm.geometry import FRAMES
from maniplvm.tasks import ParseStatus, Task, parse_answer

FRAME = FRAMES["qwen3_vl"].bind((1000, 1000))
THREE = [[100.0, 200.0], [300.0, 400.0], [500.0, 600.0]]


def value(text, task):
    answer = parse_answer(text, task, FRAME)
    return None if answer.value is None else answer.value.round(6).tolist()


def status(text, task):
    return parse_answer(text, task, FRAME).status


LISTS = {
    "numbers and dots": "1. (100, 200)\n2. (300, 400)\n3. (500, 600)",
    "numbers and brackets": "1) [100, 200]\n2) [300, 400]\n3) [500, 600]",
    "numbers and colons": "1: [100, 200]\n2: [300, 400]\n3: [500, 600]",
    "hyphens": "- (100, 200)\n- (300, 400)\n- (500, 600)",
    "indented bullets": "  • (100, 200)\n  • (300, 400)\n  • (500, 600)",
    "asterisks": "* [100, 200]\n* [300, 400]\n* [500, 600]",
    "labels": "Point 1: (100, 200)\nPoint 2: (300, 400)\nPoint 3: (500, 600)",
    "short labels": "P1: (100, 200), P2: (300, 400), P3: (500, 600)",
    "labelled bullets": "- Step 1: (100, 200)\n- Step 2: (300, 400)\n- Step 3: (500, 600)",
    "tags": "<point>[100, 200]</point><point>[300, 400]</point><point>[500, 600]</point>",
    "a tag around a list": "<point>[[100, 200], [300, 400], [500, 600]]</point>",
    "objects in a list": '1. {"x": 100, "y": 200}\n2. {"x": 300, "y": 400}\n3. {"x": 500, "y": 600}',
    "lines": "(100, 200)\n(300, 400)\n(500, 600)",
    "Molmo 2": '<points coords="1 1 100 200 2 300 400 3 500 600">path</points>',
    "Molmo 2, two images": '<points coords="1 1 100 200;2 1 300 400 2 500 600">path</points>',
    "Molmo 2 track": '<tracks coords="0.0 1 100 200;0.5 1 300 400;1.0 1 500 600">mug</tracks>',
    "Florence-2": "<loc_100><loc_200><loc_300><loc_400><loc_500><loc_600>",
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("task", [Task.TRAJECTORY, Task.POINTING])
def test_all_points_of_a_list_are_read(name, task):
    assert value(LISTS[name], task) == THREE
    assert value(f"<think>1. (7, 8)</think><answer>{LISTS[name]}</answer>", task) == THREE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<points coords="1 1 946 029">mug</points>', [[946, 29]]),
        ('<points coords="1 1 100 200 2 300">mugs</points>', [[100, 200]]),
        ("<points coords='1 1 100 200 2 300 400'>mugs</points>", [[100, 200], [300, 400]]),
    ],
)
def test_points_of_molmo_2_are_read(text, expected):
    assert value(text, Task.POINTING) == expected


def test_coords_that_are_no_numbers_give_no_point():
    assert value('<points coords="1 1 ten 200">mug</points>', Task.POINTING) is None


@pytest.mark.parametrize(
    "text",
    [
        "<loc0100><loc0200><loc0300><loc0400> mug",
        "mug<loc_100><loc_200><loc_300><loc_400>",
        "<loc0001><loc0002><loc0003><loc0004> cup ; <loc0100><loc0200><loc0300><loc0400> mug",
        "<|ref|>mug<|/ref|><|det|>[[100, 200, 300, 400]]<|/det|>",
        "<|begin_of_box|>[[100, 200, 300, 400]]<|end_of_box|>",
        "<ref>mug</ref><box>[[100, 200, 300, 400]]</box>",
    ],
)
def test_location_tokens_and_tagged_boxes_are_read(text):
    assert value(text, Task.AFFORDANCE) == [100, 200, 300, 400]


def test_paligemma_writes_y_first_so_its_frame_must_say_so():
    frame = FRAMES["gemini_er"].bind((1000, 1000))
    answer = parse_answer("<loc0100><loc0200><loc0300><loc0400>", Task.AFFORDANCE, frame)
    assert answer.value.tolist() == [200, 100, 400, 300]


@pytest.mark.parametrize(
    "text",
    [
        "<phrase>mug</phrase><object><patch_index_0044><patch_index_0863></object>",
        "<points><patch_3><subpatch_1></points>",
    ],
)
@pytest.mark.parametrize("task", list(Task))
def test_tokens_that_need_the_processor_of_the_model_have_a_status_of_their_own(text, task):
    assert status(text, task) is ParseStatus.UNSUPPORTED_FORMAT


COMPLETE = "[[100, 200], [300, 400], [500, 600]]"


@pytest.mark.parametrize(
    "text",
    [
        f"{COMPLETE} so the end is (500, 600)",
        f"{COMPLETE}\nThe gripper starts at [100, 200].",
        f"{COMPLETE} (1, 2)",
        f"The path from (1, 2) to (3, 4) is {COMPLETE}, which ends near (9, 9), (8, 8).",
    ],
)
def test_a_complete_trace_is_preferred_to_a_later_fragment(text):
    assert value(text, Task.TRAJECTORY) == THREE


def test_the_last_of_two_complete_traces_is_read():
    assert value(f"[[1, 1], [2, 2], [3, 3]] or better {COMPLETE}", Task.TRAJECTORY) == THREE


def test_without_a_complete_trace_the_count_is_wrong():
    assert status("from (1, 2) to the handle at (3, 4)", Task.TRAJECTORY) is ParseStatus.WRONG_COUNT


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<thinking>", "</thinking>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("<seed:think>", "</seed:think>"),
        ("◁think▷", "◁/think▷"),
        ("[THINK]", "[/THINK]"),
    ],
)
def test_reasoning_of_other_families_is_no_answer(opening, closing):
    text = f"{opening}maybe [1, 2, 3, 4]{closing}[100, 200, 300, 400]"
    answer = parse_answer(text, Task.AFFORDANCE, FRAME)
    assert answer.value.tolist() == [100, 200, 300, 400]
    assert answer.reasoning == "maybe [1, 2, 3, 4]"
    assert not answer.well_formed
    unfinished = parse_answer(f"{opening}maybe [1, 2, 3, 4] or", Task.AFFORDANCE, FRAME)
    assert unfinished.value is None


OTHER_TAGS = ("[THINK]", "[/THINK]", "<ANSWER>", "</Answer>", "<THINK>", "</thinking>", "◁think▷")


@pytest.mark.parametrize("tag", OTHER_TAGS)
def test_tags_of_another_spelling_are_content_of_a_closed_block(tag):
    answer = f'{{"bbox_2d": [100, 200, 300, 400], "label": "{tag}"}}'
    text = f"<think>why {tag} [1, 2, 3, 4] not</think><answer>{answer}</answer>"
    strict = parse_answer(text, Task.AFFORDANCE, FRAME)
    tolerant = parse_answer(f"{text}.", Task.AFFORDANCE, FRAME)
    assert strict.well_formed
    assert not tolerant.well_formed
    for each in (strict, tolerant):
        assert each.status is ParseStatus.OK
        assert each.value.tolist() == [100, 200, 300, 400]
        assert each.reasoning == f"why {tag} [1, 2, 3, 4] not"


def test_an_unclosed_answer_ends_at_a_tag_of_any_spelling():
    answer = parse_answer("<answer>[1, 2, 3, 4] <thinking>[5, 6, 7, 8]", Task.AFFORDANCE, FRAME)
    assert answer.value.tolist() == [1, 2, 3, 4]
    closed_otherwise = "<think>[1, 2, 3, 4]</thinking><answer>[5, 6, 7, 8]</ANSWER>"
    assert value(closed_otherwise, Task.AFFORDANCE) == [5, 6, 7, 8]


DELIMITERS = [
    *("[", "(", "{", "]", ")", "}", "<", ">", '"', "'", "`", "*", "\\", "|", "/", "%", "◁"),
    *(",", ";", ":", "=", "-", "+", ".", "->", "\n", " ", "\t", "_"),
    *("1. ", "- ", "Point 1: ", "P1:", "<point>", "</point>", "<box>", "<loc_1>", "<1", "<1 "),
    *("(1, 2)\n", "1. (1, 2)\n", "[1, 2, 3, 4]", "[(1,2),", '{"x": 1, "y": 2},', "x: 1, y: 2\n"),
    *(
        '{"box": ',
        '{"points": [',
        '{"point": ',
        "top left (1, 2) ",
        "top ",
        "Point(",
        "x=",
        '"x": ',
    ),
    *("1/2 ", "12px ", "1,2;", "1e9", "1", "1 ", "<think>", "</answer>", "<answer>", '\\"', "```"),
    *("<points ", 'x1="1" ', '<points coords="1 1 2 3">', "１，", "−", "\u200b", "nan ", "word "),
]


@pytest.mark.parametrize("unit", DELIMITERS)
def test_parsing_takes_linear_time(unit):
    def seconds(length):
        spent = list[float]()
        for number in range(3):
            text = unit * (length // len(unit)) + str(number)  # no text is parsed from a cache
            start = time.thread_time()
            for task in Task:
                parse_answer(text, task, FRAME)
            spent.append(time.thread_time() - start)
        return min(spent)

    short = max(seconds(2000), 0.0002)
    assert seconds(8000) < 10 * short  # linear: 4 times, quadratic: 16 times
