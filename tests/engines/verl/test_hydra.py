"""Values in the grammar of Hydra, as words of a shell command."""

import shlex

import pytest

from maniplvm.engines.verl.hydra import hydra_value, override


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "True"),
        (3, "3"),
        (1e-06, "1e-06"),
        (None, "null"),
        ("vllm", "vllm"),
        ("seq-mean-token-sum-norm", "seq-mean-token-sum-norm"),
        ("null", "'null'"),
        ("True", "'True'"),
        ("1e-09_3.0", "'1e-09_3.0'"),
        (".*visual.*", "'.*visual.*'"),
        ("it's", "'it\\'s'"),
        ("ends\\", "'ends\\\\'"),
        ([0.9, 0.999], "[0.9,0.999]"),
        (["console", "a b"], "[console,'a b']"),
        ({"param_dtype": "fp32"}, "{param_dtype:fp32}"),
    ],
)
def test_a_value_is_written_as_hydra_reads_it(value, written):
    assert hydra_value(value) == written


def test_an_override_is_one_word_of_a_shell():
    assert shlex.split(override("+a.b", "it's $HOME")) == ["+a.b='it\\'s $HOME'"]


def test_a_value_of_another_type_is_a_fault():
    with pytest.raises(TypeError, match="set"):
        hydra_value({1, 2})
