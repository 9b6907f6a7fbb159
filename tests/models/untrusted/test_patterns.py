import time

import pytest

from maniplvm.errors import UserError
from maniplvm.models.untrusted import check_pattern

NAMES = ["model.language_model.layers.0.self_attn.q_proj"] * 3


@pytest.mark.parametrize(
    "pattern", [r".*\.q_proj", r"(model\.layers\.\d+\.q_proj|x)", "", r"^(?=model).*proj$"]
)
def test_a_usual_pattern_is_accepted(pattern):
    check_pattern(pattern, NAMES, "targets")


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(?P<1>x)"])
def test_an_invalid_pattern_is_named(pattern):
    with pytest.raises(UserError, match="targets is no valid regular expression"):
        check_pattern(pattern, NAMES, "targets")


def test_a_pattern_that_backtracks_for_ever_is_stopped():
    start = time.process_time()
    with pytest.raises(UserError, match="targets takes more than 2 s"):
        check_pattern(r"(.|[^!])*!", NAMES, "targets")
    assert time.process_time() - start < 1
