"""The folder of a run: its files, and whether the run is new, unfinished or finished."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maniplvm.config.yaml import read_yaml, write_yaml
from maniplvm.errors import UserError
from maniplvm.files import is_unfinished, write_json, write_whole
from maniplvm.process import package_versions, peak_rss_mb
from maniplvm.training.config.recipe import Recipe, build_recipe, first_difference

FORMAT = "maniplvm.run/1"
_PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "datasets", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """Paths of the files of a run.

    Attributes:
        root: The run folder.
    """

    root: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.root / "recipe.yaml"

    @property
    def record(self) -> Path:
        """The record of the run: settings, versions and progress."""
        return self.root / "run.json"

    @property
    def log(self) -> Path:
        """The metrics, one line for every logged step."""
        return self.root / "log.jsonl"

    @property
    def completions(self) -> Path:
        """The logged sample completions."""
        return self.root / "completions"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints from which an unfinished run resumes."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """The trained model with all weights."""
        return self.root / "model"

    @property
    def adapter(self) -> Path:
        """The trained adapter, if the recipe trains one."""
        return self.root / "adapter"

    @property
    def reference(self) -> Path:
        """The starting model, if the KL penalty needs it and no checkpoint holds it."""
        return self.root / "reference"

    def is_finished(self) -> bool:
        """Whether the run is finished."""
        return self.record.is_file() and bool(read_record(self.root).get("finished"))

    def check(self, recipe: Recipe, method: str) -> None:
        """Check that the folder is empty or holds this run; nothing is written.

        Raises:
            UserError: the folder holds a run of another recipe or method, or other files.
        """
        if self.recipe.is_file():
            self._check_same(recipe, method)
            return
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"{self.root}: is a file, not a folder; choose another --out")
        if self.root.is_dir() and not all(map(is_unfinished, self.root.iterdir())):
            raise UserError(f"{self.root}: exists and holds no run; choose another --out")

    def claim(self, recipe: Recipe) -> None:
        """Write the recipe, which marks the folder as this run's.

        Raises:
            UserError: the folder cannot be written.
        """
        if self.recipe.is_file():
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_whole(self.recipe, write_yaml(recipe.to_mapping()))
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written ({error.strerror})") from error

    def _check_same(self, recipe: Recipe, method: str) -> None:
        if self.record.is_file():
            other = read_record(self.root).get("method")
            if other != method:
                raise UserError(
                    f"{self.root}: holds a run of {other}, not of {method}; choose another --out"
                )
        there = build_recipe(read_yaml(self.recipe, "recipe"), str(self.recipe))
        there = replace(there, launch=recipe.launch)  # a run may resume on other machines
        key = first_difference(there.to_mapping(), recipe.to_mapping())
        if key is not None:
            raise UserError(
                f"{self.root}: holds a run of another recipe (they differ in {key}); choose "
                "another --out, or remove the folder"
            )


def read_record(root: Path) -> dict[str, Any]:
    """The content of a run's `run.json`.

    Raises:
        UserError: it is missing, unreadable, or of another format.
    """
    path = root / "run.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); if it is damaged, remove it and run the training "
            "command again: it resumes from the last checkpoint"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: is not the record of a run ({FORMAT})")
    return content


def write_record(
    folder: RunFolder,
    recipe: Recipe,
    method: str,
    command: Sequence[str],
    progress: Mapping[str, Any],
) -> None:
    """Write `run.json`.

    Args:
        folder: The run folder.
        recipe: The recipe of the run.
        method: `sft` or `grpo`.
        command: The command line that started the run.
        progress: `samples`, `steps`, `wall_seconds`, `finished`, `warnings` and the like.
    """
    content = {
        "format": FORMAT,
        "method": method,
        "name": recipe.name,
        "command": list(command),
        "seed": recipe.seed,
        "recipe": recipe.to_mapping(),
        "versions": package_versions(_PACKAGES),
        "peak_rss_mb": peak_rss_mb(),
        **progress,
    }
    write_json(folder.record, content)
