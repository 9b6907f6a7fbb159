import time

import pytest

from maniplvm.config.yaml import parse_yaml, read_yaml, write_yaml
from maniplvm.errors import UserError


@pytest.mark.parametrize(
    ("text", "number"), [("1e-6", 1e-6), ("1e1", 10.0), ("-2E+3", -2000.0), ("1.5e3", 1500.0)]
)
def test_a_number_with_an_exponent_is_a_number(text, number):
    assert parse_yaml(f"a: {text}") == {"a": number}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "a: 1\na: 2"),
        ("a.yaml", "b: {a: 1, a: 2}"),
        ("a.json", '{"b": {"a": 1, "a": 2}}'),
    ],
)
def test_a_key_may_not_appear_twice(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=rf"recipe .*{name}: not .*key 'a' appears twice"):
        read_yaml(tmp_path / name, "recipe")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "a: ["),
        ("a.json", "a: 1"),
        ("a.yaml", "- 1"),
        ("a.yaml", "1: 2"),
        ("a.json", "1"),
    ],
)
def test_a_file_without_a_mapping_gives_an_error_of_one_line(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name) as caught:
        read_yaml(tmp_path / name, "recipe")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_ignored(tmp_path):
    (tmp_path / "a.yaml").write_text("\ufeffa: 1", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml", "recipe") == {"a": 1}


def test_written_yaml_is_read_back():
    content = {"name": "a", "rates": [1e-06, 1.0], "on": True, "none": None}
    assert parse_yaml(write_yaml(content)) == content


def test_many_keys_take_linear_time(tmp_path):
    def seconds(count):
        path = tmp_path / "many.yaml"
        path.write_text("".join(f"k{i}: 1\n" for i in range(count)))
        start = time.perf_counter()
        assert len(read_yaml(path, "recipe")) == count
        return time.perf_counter() - start

    seconds(100)
    assert seconds(16_000) < 40 * max(seconds(1000), 0.005)  # quadratic: 256 times


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("? [1, 2]\n: 3\n", "line 1: a key must be a string or a number"),
        ("a: " + "[" * 3000 + "]" * 3000, "recursion"),
        ("a: 2026-13-45", "month must be in"),
        ("a: " + "9" * 5000, "digits"),
    ],
)
def test_odd_yaml_is_a_one_line_error(tmp_path, text, cause):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=cause) as error:
        read_yaml(path, "recipe")
    assert "\n" not in str(error.value)


ALIASES = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (ALIASES, "line 6: more than 200,000 values with its aliases"),
        (ALIASES.replace("[", "{<<: [").replace("]", "]}"), "YAML"),
        ("a: &a [*a]", "an alias stands inside of its own value"),
        ("a: " + "[" * 10_000, "recursion"),
        ("a: 2024-13-45", "month must be in 1..12"),
        ("a: !!timestamp x", "a value does not fit its tag"),
        ("a: !!bool x", "a value does not fit its tag"),
        ("a: !!int ''", "a value does not fit its tag"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: " + "9" * 400, "a: expected an integer of at most 64 bits"),
        ("a: " + "9" * 5000, "digits"),
        ("a: .inf", "a.yaml: a: expected a finite number, got inf"),
        ("a: [1, {b: .nan}]", "a[1].b: expected a finite number, got nan"),
        ("a: 0x" + "f" * 5000, "a: expected an integer of at most 64 bits"),
    ],
)
def test_a_hostile_file_gives_one_line(tmp_path, text, cause):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=r"recipe .*a\.yaml: ") as caught:
        read_yaml(tmp_path / "a.yaml", "recipe")
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_and_merges_of_a_normal_size_are_read():
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]"
    assert parse_yaml(text)["b"] == {"x": 1, "y": 2}
