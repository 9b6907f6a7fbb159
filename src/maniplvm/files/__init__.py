"""Files that are complete or absent, locks between processes, and files of JSON lines."""

from maniplvm.files.atomic import remove, replacing, sync, unwritable, write_json, write_whole
from maniplvm.files.json_lines import append_record, read_records, write_records
from maniplvm.files.locks import is_locked, locked, writing
from maniplvm.files.sizes import file_sizes, has_sizes
from maniplvm.files.unfinished import is_unfinished, unfinished_path

__all__ = [
    "append_record",
    "file_sizes",
    "has_sizes",
    "is_locked",
    "is_unfinished",
    "locked",
    "read_records",
    "remove",
    "replacing",
    "sync",
    "unfinished_path",
    "unwritable",
    "write_json",
    "write_records",
    "write_whole",
    "writing",
]
