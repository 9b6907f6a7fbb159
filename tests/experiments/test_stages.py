import json
import signal
import sys
import threading
import time

import pytest

from maniplvm.errors import UserError
from maniplvm.experiments import Stage, read_records, run_stages
from maniplvm.experiments.stages import StageProcesses

GOOD = Stage("good", ("--version",), "print the version")
BAD = Stage("bad", ("no-such-command",), "fail")


def test_stages_run_in_order_and_are_recorded(tmp_path):
    announced = []
    records = run_stages([GOOD], tmp_path, announced.append)
    assert announced == [GOOD]
    assert records == read_records(tmp_path)
    assert records["good"].finished
    assert records["good"].seconds > 0
    assert records["good"].peak_rss_mb > 0
    assert records["good"].command == "maniplvm --version"


def test_a_started_stage_is_recorded_before_it_ends(tmp_path):
    seen = []

    def killed(stage):
        time.sleep(0.002)
        seen.append(read_records(tmp_path)["good"])
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_stages([GOOD], tmp_path, lambda stage: None, killed)
    assert not any(record.finished for record in seen)
    first, second = (record.seconds for record in seen)
    assert first == 0 < second


def test_a_finished_stage_is_not_rerun(tmp_path):
    run_stages([GOOD], tmp_path, lambda stage: None)
    announced = []
    run_stages([GOOD], tmp_path, announced.append)
    assert announced == []


def test_a_failed_stage_is_a_one_line_error_and_later_stages_do_not_start(tmp_path):
    announced = []
    with pytest.raises(UserError, match=r"stage bad ended with status 2; run the same command"):
        run_stages([BAD, GOOD], tmp_path, announced.append)
    assert announced == [BAD]
    assert not read_records(tmp_path)["bad"].finished
    with pytest.raises(UserError, match="stage bad"):
        run_stages([BAD, GOOD], tmp_path, announced.append)
    assert announced == [BAD, BAD]


def test_a_folder_of_another_experiment_is_refused(tmp_path):
    run_stages([GOOD], tmp_path, lambda stage: None)
    other = Stage("good", ("--help",), "something else")
    with pytest.raises(UserError, match="holds another experiment"):
        run_stages([other], tmp_path, lambda stage: None)


def test_a_finished_stage_with_the_old_name_of_its_command_is_not_rerun(tmp_path):
    record = {"seconds": 1.0, "peak_rss_mb": 1.0, "finished": True}
    old = "maniplvm blend embedded 'runs/a b' --share 0.75 --out out"
    (tmp_path / "stages.json").write_text(json.dumps({"blend": {"command": old, **record}}))
    words = ("interpolate", "embedded", "runs/a b", "--alpha", "0.75", "--out", "out")
    announced = []
    run_stages([Stage("interpolate", words, "interpolate")], tmp_path, announced.append)
    assert announced == []
    other = Stage("interpolate", (*words[:4], "0.5", *words[5:]), "interpolate")
    with pytest.raises(UserError, match="holds another experiment"):
        run_stages([other], tmp_path, announced.append)


def test_damaged_records_are_named(tmp_path):
    (tmp_path / "stages.json").write_text(json.dumps({"good": {"seconds": 1}}))
    with pytest.raises(UserError, match=r"stages\.json: damaged"):
        read_records(tmp_path)


def test_stages_end_with_the_process_that_runs_them(tmp_path, monkeypatch):
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(Stage, "words", words)
    processes, statuses = StageProcesses(), []
    thread = threading.Thread(target=lambda: statuses.append(processes.run(GOOD)))
    thread.start()
    started = time.monotonic()
    while not processes._running and time.monotonic() < started + 30:
        time.sleep(0.01)
    processes.terminate()
    thread.join(30)
    assert statuses == [-signal.SIGTERM]
    assert processes.run(GOOD) == -signal.SIGTERM, "a stage that starts later ends too"
