"""Locks between processes that write the same file or folder."""

import subprocess
import sys

import pytest

from maniplvm.errors import UserError
from maniplvm.files import locked, writing
from maniplvm.files import locks as module


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


def test_a_file_that_does_not_exist_yet_can_be_held(tmp_path):
    path = tmp_path / "model"
    with (
        writing(path),
        pytest.raises(UserError, match=r"model: another process writes to it"),
        writing(path),
    ):
        pass
    with writing(path):
        assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_its_holder_has_removed_is_not_used(tmp_path, monkeypatch):
    is_locked, opened = module.is_locked, []

    def removed_meanwhile(file):
        opened.append(file.name)
        if len(opened) == 1:
            (tmp_path / "lock.unfinished").unlink()
        return is_locked(file)

    monkeypatch.setattr(module, "is_locked", removed_meanwhile)
    with locked(tmp_path):
        assert len(opened) == 2
        assert (tmp_path / "lock.unfinished").exists()
