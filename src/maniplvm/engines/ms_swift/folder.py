"""Write the folder of an ms-swift run: data, plugin, the command line and a short description."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import maniplvm
from maniplvm.engines.ms_swift import MS_SWIFT_VERSION
from maniplvm.engines.ms_swift.arguments import (
    Arguments,
    Machines,
    argument_words,
    build_arguments,
)
from maniplvm.engines.ms_swift.rows import PLACEHOLDERS, write_rows
from maniplvm.engines.ms_swift.trainer_fields import ENGINE
from maniplvm.engines.recipes.data import RecipeData, model_options, open_recipe_data
from maniplvm.engines.recipes.files import new_folder, require_free
from maniplvm.files import write_whole
from maniplvm.training import Recipe
from maniplvm.training.config.trainer_settings import compute_schedule, plan_config

TRAIN, VAL, PLUGIN, RUN, README = "train.jsonl", "val.jsonl", "plugin.py", "run.sh", "README.md"

_PLUGIN = '''\
"""The reward of recipe {name}; it needs the package maniplvm. Written by `maniplvm export ms-swift`."""

from swift.rewards import ORM, orms

from maniplvm.engines.ms_swift.reward import reward_classes

PRESET = {preset}

orms.update(reward_classes(PRESET, ORM))
'''

_RUN = """\
#!/usr/bin/env bash
# GRPO of recipe {name} on ms-swift {version}: {machines}. Written by `maniplvm export ms-swift`.
# Checkpoints go to $OUT. The same command resumes. Arguments override the settings below.
{nodes}set -euo pipefail
HERE=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
OUT=${{OUT:-$HERE/run}}
export ROOT_IMAGE_DIR=$HERE USE_HF=${{USE_HF:-1}}{launch}
LAST=$(find "$OUT" -maxdepth 1 -name 'checkpoint-*' 2>/dev/null | sort -V | tail -n 1) || true
exec swift rlhf \\
{lines} \\
  ${{LAST:+--resume_from_checkpoint "$LAST"}} "$@"
"""
_NODES = """\
# Run it on every machine with NODE_RANK (0 to {last}), and MASTER_ADDR, the address of machine 0.
# All machines need this folder and the model.
"""

_README = """\
1. Train, where ms-swift {swift}{deepspeed} and maniplvm {version} are installed: `bash {run}`
2. {convert}
3. Evaluate it: `maniplvm evaluate {model}{options} --data {data} --out evaluation`
"""


@dataclass(frozen=True)
class Export:
    """A written folder.

    Attributes:
        prompts: Number of training prompts, those of the whole run.
        validation: Number of validation prompts.
        steps: Optimizer steps of the run.
        warnings: What ms-swift does in another way than our trainer.
    """

    prompts: int
    validation: int
    steps: int
    warnings: tuple[str, ...]


def export_recipe(
    recipe: Recipe,
    out: str | Path,
    machines: Machines,
    *,
    val_split: str | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Write a folder with which `swift rlhf` trains a GRPO recipe.

    The training prompts are those of `maniplvm train grpo` in the same order. ms-swift is not
    needed.

    Args:
        recipe: The recipe.
        out: The folder, which must be new or empty. It is complete or absent.
        machines: The machines.
        val_split: The split of the recipe's data set for validation; None validates nothing.
        advance: Gets the number of new rows and of all rows while they are written.

    Raises:
        UserError: a setting that ms-swift cannot follow, or data or a model that cannot be used.
    """
    out = Path(out)
    require_free(out)
    config = plan_config(recipe, "grpo", out, machines.launch)
    data = open_recipe_data(recipe, ENGINE, val_split, PLACEHOLDERS)
    schedule = compute_schedule(config, "grpo", data.pool.order.epoch_length)
    arguments = build_arguments(data, config, machines, schedule.steps)
    total = schedule.prompts + len(data.validation)
    with new_folder(out) as folder:
        rows = data.training(schedule.prompts)
        write_rows(folder / TRAIN, data, rows, lambda n: advance(n, total))
        if data.validation:
            write_rows(folder / VAL, data, data.validating(), lambda n: advance(n, total))
        _write_texts(folder, data, machines, arguments)
    return Export(schedule.prompts, len(data.validation), schedule.steps, arguments.warnings)


def _write_texts(folder: Path, data: RecipeData, machines: Machines, arguments: Arguments) -> None:
    recipe = data.recipe
    preset = pprint.pformat(recipe.to_mapping()["rewards"]["preset"], sort_dicts=False, width=96)
    write_whole(folder / PLUGIN, _PLUGIN.format(name=recipe.name, preset=preset))
    gpus = f"{machines.gpus} GPU" + ("s" if machines.gpus > 1 else "")
    several = machines.nodes > 1
    script = _RUN.format(
        name=recipe.name,
        version=MS_SWIFT_VERSION,
        machines=gpus + (f" on each of {machines.nodes} machines" if several else ""),
        nodes=_NODES.format(last=machines.nodes - 1) if several else "",
        launch=_launch(machines),
        lines=" \\\n".join(f"  {line}" for line in _lines(data, arguments)),
    )
    write_whole(folder / RUN, script)
    (folder / RUN).chmod(0o755)
    write_whole(folder / README, _readme(recipe, machines))


def _launch(machines: Machines) -> str:
    """Variables with which `swift` starts one process on each GPU."""
    variables = ""
    if machines.gpus * machines.nodes > 1:
        variables = f"\nexport NPROC_PER_NODE={machines.gpus}"
    if machines.nodes > 1:
        variables += (
            f" NNODES={machines.nodes} NODE_RANK=${{NODE_RANK:?}} MASTER_ADDR=${{MASTER_ADDR:?}}"
            " MASTER_PORT=${MASTER_PORT:-29500}"
        )
    return variables


def _lines(data: RecipeData, arguments: Arguments) -> list[str]:
    """The arguments, one line each; the paths of this folder come first."""
    paths = {
        "dataset": f"$HERE/{TRAIN}",
        "external_plugins": f"$HERE/{PLUGIN}",
        "output_dir": "$OUT",
    }
    if data.validation:
        paths["val_dataset"] = f"$HERE/{VAL}"
    lines = [f'--{name} "{path}"' for name, path in paths.items()]
    return lines + [argument_words(*each) for each in sorted(arguments.values.items())]


def _readme(recipe: Recipe, machines: Machines) -> str:
    last = "run/checkpoint-STEP"
    merged = "Merge the adapter of a checkpoint: `swift export --merge_lora true --adapters {0}`"
    lora = recipe.model.lora is not None
    return _README.format(
        swift=MS_SWIFT_VERSION,
        deepspeed=", DeepSpeed" if machines.deepspeed else "",
        version=maniplvm.__version__,
        run=RUN,
        convert=merged.format(last) if lora else f"A checkpoint is a plain model folder: `{last}`",
        model=f"{last}-merged" if lora else last,
        options=model_options(recipe),
        data=shlex.quote(recipe.data.path),
    )
