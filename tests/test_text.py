import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.text import encodable, one_line, shortened, visible

ANY_TEXT = st.text(st.characters())  # with lone surrogates


@given(ANY_TEXT)
def test_visible_text_holds_no_control_character_and_is_visible_already(text):
    shown = visible(text)
    controls = [
        each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]
    assert set(controls) <= set("\n\t\u200c\u200d")
    assert visible(shown) == shown
    shown.encode()


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_printable_text_stays(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x9b31m", "�31m"),
        ("a\rb", "a␍b"),
        ("\u202egnp.exe", "�gnp.exe"),
        ("\U000e0041", "�"),
        ("a\u2028b", "a�b"),
        ("\ud800", "\ufffd"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_characters_that_control_a_terminal_or_hide_text_are_replaced(text, shown):
    assert visible(text) == shown


@given(ANY_TEXT)
def test_one_line_is_one_line(text):
    assert len(one_line(text).splitlines()) <= 1


@given(ANY_TEXT, st.integers(1, 30))
def test_a_shortened_text_keeps_its_limit(text, length):
    assert len(shortened(text, length)) <= length + 1


def test_a_lone_surrogate_can_be_written_after_encodable():
    assert encodable("a\ud800b") == "a\ufffdb"
    assert encodable("\ud83d\ude00") == "😀"
