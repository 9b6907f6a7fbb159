"""Write the folder of a verl run: data, reward, the command line and a short description."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import maniplvm
from maniplvm.engines.recipes.data import model_options, validation_samples
from maniplvm.engines.recipes.files import new_folder, require_free
from maniplvm.engines.verl import VERL_VERSION
from maniplvm.engines.verl.cluster import Cluster, plan_batches
from maniplvm.engines.verl.hydra import override
from maniplvm.engines.verl.overrides import Overrides, build_overrides
from maniplvm.engines.verl.rows import RowBuilder, stored_rows, write_rows
from maniplvm.files import write_whole
from maniplvm.models import ModelInterface, load_interface
from maniplvm.tasks import PromptStyle
from maniplvm.training import Recipe
from maniplvm.training.config.trainer_settings import plan_config
from maniplvm.training.data.pool import SamplePool, open_pool
from maniplvm.training.data.rows import recipe_prompts
from maniplvm.training.dry_run.token_lengths import measure_lengths

TRAIN, VAL, REWARD, RUN, README = "train.parquet", "val.parquet", "reward.py", "run.sh", "README.md"

_REWARD = '''\
"""The reward of recipe {name}; it needs the package maniplvm. Written by `maniplvm export verl`."""

from maniplvm.engines.verl.reward import RewardFunction

PRESET = {preset}

compute_score = RewardFunction(PRESET)
'''

_RUN = """\
#!/usr/bin/env bash
# GRPO of recipe {name} on verl {verl}: {machines}. Written by `maniplvm export verl`.
# Checkpoints go to $OUT. The same command resumes. Arguments override the settings below.
{ray}set -euo pipefail
HERE=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
OUT=${{OUT:-$HERE/run}}
{address}exec python -m verl.trainer.main_ppo \\
{lines} \\
  "$@"
"""
_RAY = """\
# Start Ray first: `ray start --head --port=6379` on this machine, and
# `ray start --address=THIS_MACHINE:6379` on the others. All need this folder and the model.
"""
_ADDRESS = 'export RAY_ADDRESS="${RAY_ADDRESS:-auto}"\n'

_README = """\
1. Train, where verl {verl} and maniplvm {version} are installed: `bash {run}`
2. Convert the last checkpoint: `maniplvm import-checkpoint {out} --out model{options}`
3. Evaluate it: `maniplvm evaluate model --data {data} --out evaluation`
"""


@dataclass(frozen=True)
class Export:
    """A written folder.

    Attributes:
        prompts: Number of training prompts, those of the whole run.
        validation: Number of validation prompts.
        steps: verl steps of the run.
        batch: Prompts of one verl step.
        warnings: What verl does in another way than our trainer.
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
    """Write a folder with which `verl.trainer.main_ppo` trains a GRPO recipe.

    The training prompts are those of `maniplvm train grpo` in the same order. verl is not needed.

    Args:
        recipe: The recipe.
        out: The folder, which must be new or empty. It is complete or absent.
        cluster: The machines.
        val_split: The split of the recipe's data set for verl's validation; None validates nothing.
        advance: Gets the number of new rows and of all rows while they are written.

    Raises:
        UserError: a setting that verl cannot follow, or data or a model that cannot be used.
    """
    out = Path(out)
    require_free(out)
    interface, builder = _interfaces(recipe)
    config = plan_config(recipe, "grpo", out, cluster.launch)
    pool = open_pool(recipe)
    batches = plan_batches(config, cluster, pool.order.epoch_length, recipe.where)
    validation = list(validation_samples(recipe, val_split, images=False))
    lengths = measure_lengths([*pool.samples, *validation], interface, builder.prompts)
    overrides = build_overrides(
        recipe, config, batches, cluster, max(lengths.prompt), bool(validation)
    )
    count = batches.steps * batches.prompts
    total = count + len(validation)
    with new_folder(out) as folder:
        _write_data(folder / TRAIN, builder, pool, count, lambda n: advance(n, total))
        if validation:
            samples = validation_samples(recipe, val_split, images=True)
            rows = stored_rows(builder, samples, "val")
            write_rows(folder / VAL, rows, lambda n: advance(n, total))
        _write_texts(folder, recipe, cluster, overrides, bool(validation))
    return Export(count, len(validation), batches.steps, batches.prompts, overrides.warnings)


def _interfaces(recipe: Recipe) -> tuple[ModelInterface, RowBuilder]:
    model = recipe.model
    interface = load_interface(model.source, **model.interface_arguments())
    unlimited = replace(model, min_pixels=None, max_pixels=None)
    stored = load_interface(model.source, **unlimited.interface_arguments())
    prompts: PromptStyle = recipe_prompts(recipe, interface)
    return interface, RowBuilder.of_model(interface, prompts, stored)


def _write_data(
    path: Path, builder: RowBuilder, pool: SamplePool, count: int, advance: Callable[[int], None]
) -> None:
    samples = (pool.at(position) for position in range(count))
    write_rows(path, stored_rows(builder, samples, "train"), advance)


def _write_texts(
    folder: Path, recipe: Recipe, cluster: Cluster, overrides: Overrides, validates: bool
) -> None:
    preset = pprint.pformat(recipe.to_mapping()["rewards"]["preset"], sort_dicts=False, width=96)
    write_whole(folder / REWARD, _REWARD.format(name=recipe.name, preset=preset))
    several = cluster.nodes > 1
    machines = f"{cluster.gpus} GPUs" + (f" on each of {cluster.nodes} machines" if several else "")
    script = _RUN.format(
        name=recipe.name,
        verl=VERL_VERSION,
        machines=machines,
        ray=_RAY if several else "",
        address=_ADDRESS if several else "",
        lines=" \\\n".join(f"  {line}" for line in _lines(recipe, overrides, validates)),
    )
    write_whole(folder / RUN, script)
    (folder / RUN).chmod(0o755)
    write_whole(folder / README, _readme(recipe))


def _lines(recipe: Recipe, overrides: Overrides, validates: bool) -> list[str]:
    """The overrides, one word of the shell each; the paths of this folder come first."""
    paths = {
        "data.train_files": f"$HERE/{TRAIN}",
        "data.val_files": f"$HERE/{VAL if validates else TRAIN}",
        "reward.custom_reward_function.path": f"$HERE/{REWARD}",
        "trainer.default_local_dir": "$OUT",
    }
    if recipe.monitor.samples_every:
        paths["trainer.rollout_data_dir"] = "$OUT/completions"
    if validates:
        paths["trainer.validation_data_dir"] = "$OUT/validation"
    quoted = [f"\"{key}='{path}'\"" for key, path in paths.items()]
    return quoted + [override(key, value) for key, value in sorted(overrides.values.items())]


def _readme(recipe: Recipe) -> str:
    return _README.format(
        verl=VERL_VERSION,
        version=maniplvm.__version__,
        run=RUN,
        out="run",
        options=model_options(recipe),
        data=shlex.quote(recipe.data.path),
    )
