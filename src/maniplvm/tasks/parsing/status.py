"""The outcome of a reading: its status, and what had to be guessed."""

from __future__ import annotations

from enum import StrEnum


class ParseStatus(StrEnum):
    """Outcome of a reading."""

    OK = "ok"
    """There is a value, and the text allows no other."""
    GUESSED = "guessed"
    """There is a value, but the text allows others. `Answer.guesses` lists the assumptions."""
    NO_THINK_BLOCK = "no_think_block"
    NO_ANSWER_TAG = "no_answer_tag"
    REPEATED_TAG = "repeated_tag"
    TEXT_OUTSIDE_TAGS = "text_outside_tags"
    NOT_COORDINATES = "not_coordinates"
    WRONG_COUNT = "wrong_count"
    NON_FINITE = "non_finite"
    OUT_OF_RANGE = "out_of_range"
    SWAPPED_CORNERS = "swapped_corners"
    EMPTY_BOX = "empty_box"
    TOO_LONG = "too_long"
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNSUPPORTED_NUMBER = "unsupported_number"


class Guess(StrEnum):
    """An assumption that the tolerant reading made."""

    SWAPPED_CORNERS = "swapped_corners"
    """The corners of a box were not top left, bottom right. They were sorted."""
    CORNER_AND_SIZE = "corner_and_size"
    """The keys were `x`, `y`, `width` and `height`. The first two were read as the top left corner."""
    SEVERAL_ANSWERS = "several_answers"
    """There were several different answers. The last one was read."""
    OTHER_POINTS = "other_points"
    """Points outside of the complete trace or box were ignored."""
    CUT_OFF = "cut_off"
    """A bracket was not closed, or did not fit. The complete parts were read."""
    TOO_LONG = "too_long"
    """The answer was longer than `MAX_PAYLOAD`. The rest was ignored."""
    DECIMAL_COMMA = "decimal_comma"
    """Commas were read as decimal points, as in `(0,5; 0,25)`."""
    PERCENT = "percent"
    """Numbers with a percent sign were read as a part of the image side."""
    PIXEL_UNIT = "pixel_unit"
    """Numbers had the unit `px`, but the declared frame has other numbers. The frame was used."""
    QUOTED_NUMBERS = "quoted_numbers"
    """Strings were read as numbers."""
    DEPTH_IGNORED = "depth_ignored"
    """Points had three numbers. The third was ignored."""
