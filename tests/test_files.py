"""Atomic writes of files and folders."""

import subprocess
import sys

import pytest

from maniplvm.errors import UserError
from maniplvm.files import (
    is_unfinished,
    locked,
    replacing,
    unfinished_path,
    write_json,
    write_whole,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_folder(path, content):
    path.mkdir()
    (path / "a.txt").write_text(content)


def test_a_file_appears_only_when_the_block_ends(tmp_path):
    with replacing(tmp_path / "a.txt") as path:
        path.write_text("new")
        assert not (tmp_path / "a.txt").exists()
        assert is_unfinished(path)
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_replaces_the_old_one_with_all_its_files(tmp_path):
    write_folder(tmp_path / "model", "old")
    (tmp_path / "model" / "more.txt").write_text("old")
    with replacing(tmp_path / "model") as path:
        write_folder(path, "new")
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["a.txt"]
    assert (tmp_path / "model" / "a.txt").read_text() == "new"


@pytest.mark.parametrize("write", [lambda path: path.write_text("new"), lambda path: path.mkdir()])
def test_after_an_error_only_the_old_content_is_left(tmp_path, write):
    (tmp_path / "a").write_text("old")

    def fail():
        with replacing(tmp_path / "a") as path:
            write(path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("is_folder", [False, True])
def test_the_unfinished_result_of_a_killed_process_is_removed(tmp_path, is_folder):
    left = unfinished_path(tmp_path / "a.txt")
    if is_folder:
        write_folder(left, "cut off")
    else:
        left.write_text("cut off")
    write_whole(tmp_path / "a.txt", "new")
    assert names(tmp_path) == ["a.txt"]


def test_an_unwritable_file_is_a_one_line_error(tmp_path):
    with pytest.raises(UserError, match=r"nowhere/x.json: cannot be written \(No such file"):
        write_json(tmp_path / "nowhere" / "x.json", {})


def test_a_folder_is_restored_if_the_process_was_killed_between_the_two_steps(tmp_path):
    folder = tmp_path / "model"
    (tmp_path / "model.old.unfinished").mkdir()
    (tmp_path / "model.old.unfinished" / "weights").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(folder):
        pass  # nothing is written
    assert (folder / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_locked_for_other_processes_until_the_block_ends(tmp_path):
    code = f"""
from pathlib import Path
from maniplvm.errors import UserError
from maniplvm.files import locked
try:
    with locked(Path({str(tmp_path)!r})):
        print("free")
except UserError as error:
    print(error)
"""

    def other_process():
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with locked(tmp_path):
        assert other_process().startswith(f"{tmp_path}: another process writes to it")
    assert other_process() == "free"
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_released(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from maniplvm.files import locked
with locked(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
