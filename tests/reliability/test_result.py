from benchmarks.reliability.result import SHOWN_FAILURES, PartResult


def test_a_failure_is_counted_and_kept():
    result = PartResult(details={"seeds": 3})
    result.record(None)
    result.record("seed 4: traceback")
    assert result.as_dict() == {
        "tried": 2,
        "survived": 1,
        "lost": 1,
        "failures": ["seed 4: traceback"],
        "seeds": 3,
    }


def test_only_the_first_failures_are_written_and_all_are_counted():
    result = PartResult()
    for number in range(SHOWN_FAILURES + 5):
        result.record(str(number))
    assert result.as_dict()["lost"] == SHOWN_FAILURES + 5
    assert len(result.as_dict()["failures"]) == SHOWN_FAILURES
