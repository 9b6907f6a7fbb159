import pytest

from maniplvm.data.record_errors import ErrorCode, RecordError, UniqueIds


def test_a_second_sample_with_an_id_names_the_first_place():
    ids = UniqueIds()
    ids.check("a", "one.json", "record 0")
    ids.check("b", "one.json", "record 1")
    with pytest.raises(RecordError, match=r"'a' is already the id of one.json, record 0") as error:
        ids.check("a", "two.json", "record 5")
    assert error.value.code is ErrorCode.DUPLICATE_ID
