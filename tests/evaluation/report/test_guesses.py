"""Guesses of the parser in the report of an evaluation and in the terminal table."""

import json

from maniplvm.cli.evaluation_tables import result_tables
from maniplvm.evaluation import Evaluation
from maniplvm.evaluation.report.comparison import Comparison
from maniplvm.evaluation.report.folders import read_model_evaluation
from maniplvm.evaluation.report.metrics import GUESS_DESCRIPTIONS, STATUS_DESCRIPTIONS
from maniplvm.evaluation.report.sections.breakdowns import failures
from maniplvm.tasks import Guess, ParseStatus, Task
from tests.evaluation.report.folders import write_evaluation


def test_every_status_and_guess_is_described():
    assert set(GUESS_DESCRIPTIONS) == set(Guess)
    assert set(STATUS_DESCRIPTIONS) >= set(ParseStatus) - {ParseStatus.OK}


def test_guesses_are_bars_of_their_own_and_a_caption(folders, tmp_path):
    boxes = [each for each in folders.samples if each.task is Task.AFFORDANCE]
    x1, y1, x2, y2 = boxes[0].target.xyxy.tolist()
    texts = {boxes[0].id: f"[{x2}, {y2}, {x1}, {y1}]"}
    write_evaluation(tmp_path / "run", folders.samples, 0.0, texts=texts)
    after = read_model_evaluation(tmp_path / "run")
    guesses = [each for each in failures(Comparison(None, after, {})) if "Guesses" in each.name]
    (bars,) = [section.bars for section in guesses[0].sections if section.bars]
    assert len(bars) == 1
    result = Evaluation.from_json(json.loads((tmp_path / "run/evaluation.json").read_text()))
    captions = [str(table.caption) for table in result_tables(result)]
    assert f"parsed with a guess: {boxes[0].split}: 1 swapped_corners" in captions[0]
    assert captions[1] == "None"
