"""A checkpoint is data from a stranger: checks and limits before libraries work with its files."""

from maniplvm.models.untrusted.chat_template import check_chat_template
from maniplvm.models.untrusted.files import (
    check_files,
    check_settings,
    check_weight_files,
    first_line,
    library_errors,
    read_json,
    stored_weights,
)
from maniplvm.models.untrusted.patterns import check_pattern

__all__ = [
    "check_chat_template",
    "check_files",
    "check_pattern",
    "check_settings",
    "check_weight_files",
    "first_line",
    "library_errors",
    "read_json",
    "stored_weights",
]
