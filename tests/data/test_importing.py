import pytest

from maniplvm.data import ErrorCode, import_dataset, open_dataset, read_records
from maniplvm.errors import UserError


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
