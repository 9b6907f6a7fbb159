"""Every shipped recipe is read, accepted by TRL, and dry-run with the launch that it names."""

import re
from pathlib import Path

import pytest

from maniplvm.models import write_architecture
from maniplvm.training import read_recipe
from maniplvm.training.config.launch import planned_launch
from maniplvm.training.config.trainer_settings import check_trainer
from maniplvm.training.dry_run import check as dry_run
from maniplvm.training.dry_run.memory import GIB
from maniplvm.training.dry_run.report import smallest_gpu
from maniplvm.training.launching.commands import Machines, plan_launch

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore:.gradient_checkpointing. is deprecated:FutureWarning",
)

ROOT = Path(__file__).parents[3]
RECIPES = sorted(
    p for method in ("grpo", "sft") for p in (ROOT / "recipes" / method).glob("*qwen*.yaml")
)
MODELS = ("qwen2.5-vl-3b", "qwen3-vl-4b")
CONFIG = re.compile(r"--accelerate (recipes/accelerate/\S+\.yaml)")
CARD = re.compile(r"# Hardware: .*?(\d+) GB")


def recipe_id(path):
    return f"{path.parent.name}/{path.stem}"


def header_of(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


@pytest.fixture(scope="module")
def descriptions(tmp_path_factory):
    """By architecture: a folder with the published sizes, and a small tokenizer."""
    root = tmp_path_factory.mktemp("descriptions")
    for name in MODELS:
        write_architecture(root / name, name)
    return root


@pytest.fixture(autouse=True)
def _a_quick_doctor(monkeypatch):
    monkeypatch.setattr(dry_run, "EXAMINED", 25)


def read_here(path, descriptions):
    name = next(name for name in MODELS if name in path.stem)
    data = [f"data.path={ROOT / 'datasets' / 'sim-small'}", "data.split=adapt"]
    return read_recipe(path, [f"model.source={descriptions / name}", *data])


def test_there_are_recipes_for_both_models_all_tasks_and_both_methods():
    names = {recipe_id(path) for path in RECIPES}
    for model in MODELS:
        for task in ("affordance", "trajectory", "joint"):
            assert {f"grpo/{model}-{task}-{kind}" for kind in ("lora", "full")} <= names
            assert f"sft/{model}-{task}-lora" in names
        assert f"sft/{model}-joint-full" in names


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_a_recipe_is_read_and_its_trainer_fields_are_real(path):
    recipe = read_recipe(path)
    check_trainer(recipe, path.parent.name)
    assert recipe.name.startswith(path.stem)
    assert recipe.model.source.startswith("Qwen/")


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_a_header_says_hardware_command_and_where_the_numbers_come_from(path):
    header = header_of(path)
    assert "# Hardware: " in header
    assert f"maniplvm train {path.parent.name} recipes/{path.parent.name}/{path.name}" in header
    assert "our judgement" in header or "From the paper:" in header
    for config in CONFIG.findall(header):
        assert (ROOT / config).is_file()


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_a_recipe_is_launched_on_the_hardware_of_its_header(path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    header, recipe = header_of(path), read_recipe(path)
    several = re.search(r"# Hardware: (\d+) (GPUs|machines of 8 GPUs)", header)
    away = "2 machines" in header
    machines = Machines(main_address="a", server_address="b") if away else Machines()
    plan = plan_launch(recipe, path, path.parent.name, machines)
    assert plan.gpus == (1 if several is None else 8)
    if several is not None:
        assert f"maniplvm launch recipes/{path.parent.name}/{path.name}" in header


@pytest.mark.parametrize("path", RECIPES, ids=recipe_id)
def test_a_recipe_passes_its_dry_run_and_fits_its_hardware(path, descriptions):
    run = dry_run.check(read_here(path, descriptions), path.parent.name)
    unexpected = [text for text in run.warnings if "not installed here" not in text]
    assert unexpected == []
    card = int(CARD.search(header_of(path)).group(1))
    assert run.memory.peak < card * 10**9 * 0.93, f"{run.memory.peak / GIB:.1f} GiB"
    assert smallest_gpu(run.memory.peak).startswith("fits on a")
    if run.method == "grpo":
        assert run.completions_per_step % run.prompts_per_step == 0


@pytest.mark.parametrize("task", ["affordance", "trajectory"])
def test_the_paper_recipe_holds_the_published_numbers(task):
    path = ROOT / "recipes" / "grpo" / f"paper-qwen2.5-vl-3b-{task}.yaml"
    recipe = read_recipe(path)
    launch = planned_launch(recipe.launch)
    published = {
        "num_generations": 8,
        "learning_rate": 1e-6,
        "beta": 0.04,
        "epsilon": 0.2,
        "temperature": 0.9,
        "max_completion_length": 256,
        "bf16": True,
    }
    assert {key: recipe.trainer[key] for key in published} == published
    assert recipe.rewards.preset == "paper"
    assert recipe.data.fraction == 0.5
    assert (launch.processes, launch.sharding) == (8, "zero3")


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (3000, 4000), (128, 96)])
def test_the_paper_recipe_keeps_every_prompt_under_1024_tokens(size, descriptions):
    from maniplvm.models import load_interface

    recipe = read_here(ROOT / "recipes/grpo/paper-qwen2.5-vl-3b-trajectory.yaml", descriptions)
    interface = load_interface(recipe.model.source, **recipe.model.interface_arguments())
    assert interface.image_tokens(size) <= 768
