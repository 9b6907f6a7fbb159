"""Write the folder of an EasyR1 run: data, reward, configuration and a short description."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

import maniplvm
from maniplvm.engines.easyr1 import EASYR1_VERSION
from maniplvm.engines.easyr1.config import ENGINE, Config, build_config
from maniplvm.engines.easyr1.rows import PLACEHOLDERS, ImageStore, largest_area, rows, schema
from maniplvm.engines.recipes.data import RecipeData, model_options, open_recipe_data
from maniplvm.engines.recipes.files import new_folder, require_free, write_parquet
from maniplvm.engines.verl.cluster import Cluster, plan_batches
from maniplvm.files import write_whole
from maniplvm.training import Recipe
from maniplvm.training.config.trainer_settings import plan_config

TRAIN, VAL, REWARD = "train.parquet", "val.parquet", "reward.py"
CONFIG, RUN, README = "config.yaml", "run.sh", "README.md"

_REWARD = '''\
"""The reward of recipe {name}; it needs the package maniplvm. Written by `maniplvm export easyr1`."""

from maniplvm.engines.easyr1.reward import RewardFunction

REWARD_NAME = "maniplvm"
REWARD_TYPE = "batch"
PRESET = {preset}

compute_score = RewardFunction(PRESET)
'''

_RUN = """\
#!/usr/bin/env bash
# GRPO of recipe {name} on EasyR1 {version}: {machines}. Written by `maniplvm export easyr1`.
# Checkpoints go to $OUT. The same command resumes. Arguments override {config}.
{ray}set -euo pipefail
HERE=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
OUT=${{OUT:-$HERE/run}}
{address}exec python3 -m verl.trainer.main config="$HERE/{config}" \\
  data.train_files="$HERE/{train}" \\
  data.val_files="$HERE/{val}" \\
  worker.reward.reward_function="$HERE/{reward}:compute_score" \\
  trainer.save_checkpoint_path="$OUT" \\
  "$@"
"""
_RAY = """\
# Start Ray first: `ray start --head --port=6379` on this machine, and
# `ray start --address=THIS_MACHINE:6379` on the others. All need this folder and the model.
"""
_ADDRESS = 'export RAY_ADDRESS="${RAY_ADDRESS:-auto}"\n'

_README = """\
1. Train, in a checkout of EasyR1 {easyr1} with maniplvm {version} installed: `bash {run}`
2. Convert a checkpoint, there: `python3 scripts/model_merger.py --local_dir {last}`
3. Evaluate it: `maniplvm evaluate {last}/huggingface{options} --data {data} --out evaluation`
"""


@dataclass(frozen=True)
class Export:
    """A written folder.

    Attributes:
        prompts: Number of training prompts, those of the whole run.
        validation: Number of validation prompts.
        steps: EasyR1 steps of the run.
        batch: Prompts of one EasyR1 step.
        warnings: What EasyR1 does in another way than our trainer.
    """

    prompts: int
    validation: int
    steps: int
    batch: int
    warnings: tuple[str, ...]


def export_recipe(
    recipe: Recipe,
    out: str | Path,
    cluster: Cluster,
    *,
    val_split: str | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Write a folder with which EasyR1 trains a GRPO recipe.

    The training prompts are those of `maniplvm train grpo` in the same order. EasyR1 is not needed.

    Args:
        recipe: The recipe.
        out: The folder, which must be new or empty. It is complete or absent.
        cluster: The machines; EasyR1 always generates with vLLM.
        val_split: The split of the recipe's data set for validation; None validates nothing.
        advance: Gets the number of new rows and of all rows while they are written.

    Raises:
        UserError: a setting that EasyR1 cannot follow, or data or a model that cannot be used.
    """
    out = Path(out)
    require_free(out)
    config = plan_config(recipe, "grpo", out, cluster.launch)
    data = open_recipe_data(recipe, ENGINE, val_split, PLACEHOLDERS)
    batches = plan_batches(config, cluster, data.pool.order.epoch_length, recipe.where)
    store = ImageStore.of(data)
    settings = build_config(data, config, batches, cluster, largest_area(data, store))
    count = batches.steps * batches.prompts
    total = count + len(data.validation)
    with new_folder(out) as folder:
        for name, samples in ((TRAIN, data.training(count)), (VAL, data.validating())):
            if name == TRAIN or data.validation:
                write_parquet(
                    folder / name,
                    schema(),
                    rows(data, store, samples),
                    lambda n: advance(n, total),
                )
        _write_texts(folder, data, cluster, settings)
    return Export(count, len(data.validation), batches.steps, batches.prompts, settings.warnings)


def _write_texts(folder: Path, data: RecipeData, cluster: Cluster, settings: Config) -> None:
    recipe = data.recipe
    preset = pprint.pformat(recipe.to_mapping()["rewards"]["preset"], sort_dicts=False, width=96)
    write_whole(folder / REWARD, _REWARD.format(name=recipe.name, preset=preset))
    write_whole(folder / CONFIG, yaml.safe_dump(settings.values, sort_keys=False))
    several = cluster.nodes > 1
    script = _RUN.format(
        name=recipe.name,
        version=EASYR1_VERSION,
        machines=f"{cluster.gpus} GPUs"
        + (f" on each of {cluster.nodes} machines" if several else ""),
        ray=_RAY if several else "",
        address=_ADDRESS if several else "",
        config=CONFIG,
        train=TRAIN,
        val=VAL if data.validation else TRAIN,
        reward=REWARD,
    )
    write_whole(folder / RUN, script)
    (folder / RUN).chmod(0o755)
    readme = _README.format(
        easyr1=EASYR1_VERSION,
        version=maniplvm.__version__,
        run=RUN,
        last="run/global_step_STEP/actor",
        options=model_options(recipe),
        data=shlex.quote(recipe.data.path),
    )
    write_whole(folder / README, readme)
