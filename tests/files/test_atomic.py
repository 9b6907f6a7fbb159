"""Atomic writes of files and folders."""

import os
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.files import (
    is_unfinished,
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


def test_an_error_between_the_two_steps_brings_the_old_folder_back(tmp_path, monkeypatch):
    write_folder(tmp_path / "model", "old")
    rename = Path.replace

    def interrupted(path, target):
        if path == unfinished_path(tmp_path / "model"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "model") as path:
        write_folder(path, "new")
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "a.txt").read_text() == "old"


def test_every_file_of_a_folder_is_on_the_disk_before_the_folder_is_in_place(tmp_path, monkeypatch):
    synced = set()
    monkeypatch.setattr("os.fsync", lambda number: synced.add(os.fstat(number).st_ino))
    with replacing(tmp_path / "model") as path:
        (path / "part").mkdir(parents=True)
        files = [path / "a.txt", path / "part" / "b.txt"]
        for file in files:
            file.write_text("new")
        nodes = {file.stat().st_ino for file in files}
    assert synced == nodes
