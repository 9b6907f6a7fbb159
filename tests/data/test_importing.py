import json
import time

import numpy as np
import pytest

from maniplvm.data import ErrorCode, import_dataset, open_dataset, read_records
from maniplvm.data.importing import simplified
from maniplvm.errors import UserError
from maniplvm.geometry import rmse
from maniplvm.tasks.sample import Sample, Task, TraceTarget
from tests.data.conftest import encoded


def record(id="a", **changes):
    values = {
        "id": id,
        "task": "affordance",
        "instruction": "open the drawer",
        "image": "1.png",
        "box": [10, 20, 30, 40],
    }
    return {**values, **changes}


MIXED = (
    record("a"),
    record("b", image="gone.png"),
    record("a"),
    record("c", split="id_test"),
    record("d", image="lost.png"),
)


def test_the_first_bad_record_stops_the_import_and_nothing_is_left(records, tmp_path):
    with pytest.raises(UserError, match=r"record 1 \(id b\): missing image.*--skip-bad leaves"):
        import_dataset("jsonl", records(*MIXED), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_bad_records_are_skipped_counted_and_listed_on_demand(records, tmp_path):
    seen = []
    report = import_dataset(
        "jsonl",
        records(*MIXED),
        tmp_path / "set",
        skip_bad=True,
        license="MIT",
        name="mine",
        progress=lambda report: seen.append((report.written, len(report.skipped))),
    )
    assert report.written == 2
    assert report.error_counts == {ErrorCode.MISSING_IMAGE: 2, ErrorCode.DUPLICATE_ID: 1}
    assert [bad.id for bad in report.skipped] == ["b", "a", "d"]
    assert seen == [(1, 0), (1, 1), (1, 2), (2, 2), (2, 3)]
    dataset = open_dataset(tmp_path / "set")
    assert [(sample.id, sample.split) for sample in dataset.samples()] == [
        ("a", "train"),
        ("c", "id_test"),
    ]
    assert (dataset.info.name, dataset.info.license) == ("mine", "MIT")


def test_one_split_can_be_given_to_all(records, tmp_path):
    source = records(record("a"), record("b", split="id_test"))
    import_dataset("jsonl", source, tmp_path / "set", split="ood_tasks")
    assert open_dataset(tmp_path / "set").splits == ("ood_tasks",)


def test_the_limit_counts_samples_and_reads_no_further(records, tmp_path):
    source = records(record("a"), record("b"), record("broken", image="gone.png"))
    assert import_dataset("jsonl", source, tmp_path / "set", limit=2).written == 2
    assert len(open_dataset(tmp_path / "set")) == 2


def test_an_import_without_a_single_good_record_is_an_error(records, tmp_path):
    source = records(record("b", image="gone.png"))
    with pytest.raises(UserError, match=r"every record is bad; the first: .*\(id b\)"):
        import_dataset("jsonl", source, tmp_path / "set", skip_bad=True)
    with pytest.raises(UserError, match="no sample was added"):
        import_dataset("jsonl", records(), tmp_path / "set", skip_bad=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "a/b"}, "'a/b' cannot name a split"),
        ({"limit": 0}, "a limit of 0 would import nothing"),
    ],
)
def test_options_are_checked_before_any_work(records, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        import_dataset("jsonl", records(record()), tmp_path / "set", **options)


def test_an_unknown_format_is_refused_at_the_call(tmp_path):
    with pytest.raises(UserError, match="unknown format 'coco'"):
        read_records("coco", tmp_path)


def test_records_are_read_one_by_one(records):
    stream = read_records("jsonl", records(record("a"), record("b", image="gone.png")))
    assert next(stream).id == "a"
    with pytest.raises(UserError, match=r"gone.png"):
        next(stream)


def test_only_a_trace_of_more_than_1000_points_is_simplified_and_the_report_says_so(tmp_path):
    angle = np.linspace(0, 3, 2500)
    long = np.column_stack([32 + 25 * np.cos(angle), 24 - 15 * np.sin(angle)])
    (tmp_path / "a.png").write_bytes(encoded())
    fields = {"task": "trajectory", "instruction": "wipe", "image": "a.png"}
    records = [{"id": "long", **fields, "trace": long.tolist()}]
    records.append({"id": "ordinary", **fields, "trace": long[:1000].tolist()})
    (tmp_path / "r.json").write_text(json.dumps(records))
    report = import_dataset("jsonl", tmp_path / "r.json", tmp_path / "set")
    assert (report.written, report.simplified) == (2, 1)
    short, ordinary = open_dataset(tmp_path / "set").samples()
    assert np.array_equal(ordinary.target.points, long[:1000])
    assert "simplified_from" not in ordinary.provenance
    assert short.provenance["simplified_from"] == 2500
    assert 3 <= len(short.target.points) <= 256
    assert np.array_equal(short.target.points[[0, -1]], long[[0, -1]])
    assert rmse(short.target.points, long) < 0.5


def test_a_trace_without_a_short_form_is_cut_to_256_points_in_bounded_time():
    rng = np.random.default_rng(0)
    noise = TraceTarget(rng.uniform(0, 600, (1200, 2)))
    sample = Sample("a", Task.TRAJECTORY, "wipe", (640, 480), noise)
    started = time.perf_counter()
    assert len(simplified(sample).target.points) == 256
    assert time.perf_counter() - started < 20
