"""A dry run: counts, refusals and warnings, on folders without weights."""

import io
import shutil
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from maniplvm.cli.app import app
from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.models import ImageTextPrompt, encode_batch, load_interface, write_tiny_checkpoint
from maniplvm.tasks import resolve_prompt
from maniplvm.training import SharedPrefixSettings, build_recipe, read_recipe
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.config.trainer_settings import plan_config
from maniplvm.training.dry_run import check as dry_run
from maniplvm.training.dry_run.check import check
from maniplvm.training.dry_run.plan import memory_settings
from maniplvm.training.dry_run.report import render_report, smallest_gpu
from maniplvm.training.dry_run.token_lengths import LengthSummary, measure_lengths

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore:.gradient_checkpointing. is deprecated:FutureWarning",
)

DATA = "datasets/sim-small"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Folders with config, processor and tokenizer, by family; no weights."""
    root = tmp_path_factory.mktemp("sources")
    for family in ("qwen2_5_vl", "qwen3_vl"):
        (write_tiny_checkpoint(root / family, family) / "model.safetensors").unlink()
    return root


@pytest.fixture(autouse=True)
def _a_quick_doctor(monkeypatch, request):
    if "reward" not in request.node.name:
        monkeypatch.setattr(dry_run, "EXAMINED", 8)


@pytest.fixture
def recipe(sources):
    """Builds a small recipe; sections given replace keys of its own."""

    def build(**changes):
        settings = {
            "name": "trial",
            "model": {"source": str(sources / "qwen3_vl"), "dtype": "float32"},
            "data": {"path": DATA, "split": "adapt", "task": "joint"},
            "trainer": {"num_generations": 8, "per_device_train_batch_size": 8},
        }
        for key, value in changes.items():
            settings[key] = {**settings.get(key, {}), **value}
        return build_recipe(settings, "trial.yaml")

    return build


def warnings_of(run):
    return "\n".join(run.warnings)


def test_counts_follow_from_batch_groups_and_processes(recipe):
    trainer = {"gradient_accumulation_steps": 4, "num_train_epochs": 2}
    run = check(recipe(trainer=trainer), "grpo", Launch(2))
    assert (run.completions_per_step, run.prompts_per_step) == (64, 8)
    counts = open_dataset(DATA).info.counts["adapt"]
    assert run.samples == counts
    assert run.steps_per_epoch == sum(counts.values()) / 8
    assert run.steps == pytest.approx(2 * run.steps_per_epoch, abs=2)


def test_a_batch_without_whole_groups_is_refused_for_the_planned_launch(recipe):
    small = recipe(trainer={"per_device_train_batch_size": 4})
    assert check(small, "grpo", Launch(2)).prompts_per_step == 1
    with pytest.raises(UserError, match="divisible by num_generations") as caught:
        check(small, "grpo", Launch(1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {"max_prompt_length": 9}}, "max_prompt_length"),
        ({"trainer": {"learning_rate": "fast"}}, "expected a number"),
        ({"data": {"split": "nowhere"}}, "no split 'nowhere'"),
        ({"data": {"path": "sets/missing"}}, "sets/missing"),
        ({"model": {"source": "no/such/folder"}}, "no/such/folder"),
        ({"model": {"lora": {"targets": ["nothing"]}}}, "no linear layer"),
    ],
)
def test_a_run_that_could_not_start_is_refused_in_one_line(recipe, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        check(recipe(**changes), "grpo")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_prompt_and_image_tokens_are_those_of_the_processor(sources, family):
    interface = load_interface(sources / family)
    prompts = resolve_prompt(interface.family.name)
    samples = [*open_dataset(DATA).samples("ood_robot")][:3]
    lengths = measure_lengths(samples, interface, prompts)
    for place, sample in enumerate(samples):
        text = prompts.format(
            sample.instruction, sample.task, interface.frame_for(sample.image_size)
        )
        inputs = encode_batch(interface, [ImageTextPrompt(text, sample.image)])
        assert lengths.prompt[place] == inputs["input_ids"].shape[1]
        image = interface.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        assert lengths.image[place] == int((inputs["input_ids"] == image).sum())


def test_reference_completions_that_would_be_cut_off_are_counted(recipe):
    run = check(recipe(trainer={"max_completion_length": 40}), "grpo")
    cut = sum(tokens > 40 for tokens in run.lengths.target)
    assert 0 < cut < len(run.lengths.target)
    assert f"max_completion_length 40 cuts off {cut} of {len(run.lengths.target)}" in warnings_of(
        run
    )
    assert "cuts off" not in warnings_of(
        check(recipe(trainer={"max_completion_length": 512}), "grpo")
    )


def test_sft_warns_about_sequences_longer_than_its_limit(recipe):
    trainer = {"num_generations": None, "max_length": 150}
    settings = recipe()
    trained = {key: value for key, value in trainer.items() if value is not None}
    sft = replace(settings, trainer={"per_device_train_batch_size": 2, **trained})
    assert "max_length 150 cuts off" in warnings_of(check(sft, "sft"))
    assert "cuts off" not in warnings_of(check(replace(sft, trainer={}), "sft"))


def test_a_reward_with_issues_is_reported_with_the_messages_of_the_reward_doctor(recipe):
    preset = "docs/examples/published-constants.yaml"
    run = check(recipe(rewards={"preset": preset}, data={"task": "trajectory"}), "grpo")
    assert any(not each.passed for each in run.diagnoses)
    assert all(issue.message in warnings_of(run) for each in run.diagnoses for issue in each.issues)


def test_a_reward_that_passes_gives_no_warning(recipe):
    run = check(recipe(rewards={"preset": "dense"}), "grpo")
    assert [each.passed for each in run.diagnoses] == [True, True]
    assert "reward" not in warnings_of(run)


def test_bfloat16_weights_give_a_warning_only_without_float32_copies(recipe):
    rounded = recipe(model={"dtype": "bfloat16"})
    assert "rounded away" in warnings_of(check(rounded, "grpo"))
    assert "rounded away" not in warnings_of(check(rounded, "grpo", Launch(2, 1, Sharding.FSDP2)))
    assert "rounded away" not in warnings_of(check(recipe(), "grpo"))


def test_what_the_shared_prefix_does_not_support_gives_a_warning(recipe):
    sharded = {sharding: Launch(2, 1, sharding) for sharding in Sharding}
    refused = [
        sharding
        for sharding, launch in sharded.items()
        if "shared_prefix" in warnings_of(check(recipe(), "grpo", launch))
    ]
    assert refused == [Sharding.ZERO3]
    dropping = recipe(model={"lora": {"rank": 4, "dropout": 0.1}, "dtype": "bfloat16"})
    assert "set model.lora.dropout to 0" in warnings_of(check(dropping, "grpo"))
    off = replace(dropping, shared_prefix=SharedPrefixSettings(enabled=False))
    assert "shared_prefix" not in warnings_of(check(off, "grpo", sharded[Sharding.ZERO3]))


def test_rows_that_a_loss_keeps_apart_are_not_counted_as_shared(recipe):
    together, apart = (
        check(recipe(trainer={"loss_type": loss, "gradient_accumulation_steps": 2}), "grpo")
        for loss in ("dr_grpo", "bnpo")
    )
    assert together.memory.update["activations"] < apart.memory.update["activations"]


def test_a_learning_rate_that_is_low_for_adapters_gives_a_warning(recipe):
    adapted = {"model": {"lora": {"rank": 4}, "dtype": "bfloat16"}}
    assert "low for adapters" in warnings_of(check(recipe(**adapted), "grpo"))
    faster = recipe(**adapted, trainer={"learning_rate": 1e-5})
    assert "low for adapters" not in warnings_of(check(faster, "grpo"))


def test_a_vllm_server_with_other_image_sizes_gives_a_warning(recipe, sources):
    trainer = {"use_vllm": True, "vllm_mode": "server"}
    smaller = {"source": str(sources / "qwen2_5_vl"), "max_pixels": 12_544}
    assert "differ" in warnings_of(check(recipe(trainer=trainer, model=smaller), "grpo"))
    same = {"source": str(sources / "qwen2_5_vl"), "max_pixels": 501_760}
    run = check(recipe(trainer=trainer, model=same), "grpo")
    assert "differ" not in warnings_of(run)
    assert not run.memory.generation, "the server's GPU generates, not this one"


def test_a_low_temperature_gives_a_warning(recipe):
    assert "temperature" in warnings_of(check(recipe(trainer={"temperature": 0.1}), "grpo"))


def test_a_run_of_few_steps_gives_a_warning(recipe):
    assert "3 optimizer steps" in warnings_of(check(recipe(trainer={"max_steps": 3}), "grpo"))


def test_without_the_hub_the_shipped_sizes_of_a_known_model_are_used(recipe, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    model = {"source": "Qwen/Qwen2.5-VL-3B-Instruct", "dtype": "bfloat16", "lora": {"rank": 8}}
    run = check(recipe(model=model), "grpo")
    assert run.source == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert "3.77 B parameters" in run.parameters
    assert "small tokenizer" in run.warnings[0]
    with pytest.raises(UserError, match=r"works for Qwen/Qwen2\.5-VL-3B-Instruct, ") as caught:
        check(recipe(model={"source": "someone/else"}), "grpo")
    assert "\n" not in str(caught.value)


def test_mixed_prompts_are_counted_beside_the_recipes_own(recipe):
    run = check(recipe(data={"mix": [{"path": DATA, "split": "train", "share": 0.25}]}), "grpo")
    own = sum(run.samples.values())
    assert run.mixed == pytest.approx(own / 3, abs=1)


def test_nothing_is_written_and_no_weights_are_needed(recipe, sources, tmp_path, monkeypatch):
    here = shutil.copytree(DATA, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    run = check(recipe(data={"path": str(here)}), "grpo", out=tmp_path / "run")
    assert set(tmp_path.rglob("*")) == before
    assert not [*sources.rglob("*.safetensors")]
    assert any(str(tmp_path / "run") in line for line in run.writes)


def test_the_report_shows_every_warning_and_the_memory(recipe):
    run = check(recipe(trainer={"max_steps": 3}), "grpo")
    console = Console(file=io.StringIO(), width=100)
    console.print(render_report(run))
    shown = console.file.getvalue()
    assert all(warning[:40] in shown for warning in run.warnings)
    assert "memory of each process" in shown
    assert "key-value cache" in shown
    assert run.to_json()["memory_gib"]["peak"] > 1


def test_length_summaries_and_gpu_sizes_in_words():
    assert str(LengthSummary.of([5, 1, 9])) == "1 to 9, median 5"
    assert str(LengthSummary.of([4, 4])) == "4"
    assert smallest_gpu(20 * 10**9) == "fits on a 24 GB GPU"
    assert smallest_gpu(10**12) == "fits on no common GPU"


def test_the_recipe_of_the_embedded_model_would_start_and_needs_no_gpu(sources):
    source = f"model.source={sources / 'qwen3_vl'}"
    run = check(read_recipe("recipes/grpo/embedded.yaml", [source]), "grpo")
    assert not run.on_gpu
    assert "rounded" not in warnings_of(run)


def test_a_dry_run_under_a_launcher_is_refused(recipe, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="--launch"):
        check(recipe(), "grpo")


def run_command(*arguments):
    return CliRunner().invoke(app, ["train", "grpo", "recipes/grpo/embedded.yaml", *arguments])


def test_the_command_prints_the_report_for_the_given_launch(sources, tmp_path):
    launch = "recipes/accelerate/ddp-8gpu.yaml"
    source = f"model.source={sources / 'qwen3_vl'}"
    result = run_command("--dry-run", "--set", source, "--launch", launch, "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "8 processes" in result.output
    assert str(tmp_path) in "".join(result.output.split())
    assert not [*tmp_path.iterdir()]


def test_a_launch_without_a_dry_run_is_refused():
    result = run_command("--launch", "recipes/accelerate/ddp-8gpu.yaml")
    assert isinstance(result.exception, UserError)
    assert "to train, use `maniplvm launch`" in str(result.exception)


@pytest.mark.parametrize(
    ("trainer", "autocast", "checkpointing"),
    [
        ({}, True, True),
        ({"fp16": False, "bf16": False}, False, True),
        ({"fp16": False}, True, True),
        ({"fp16": True}, True, True),
        ({"bf16": True, "activation_checkpointing": False}, True, False),
        ({"gradient_checkpointing": False}, True, False),
    ],
)
def test_the_memory_plan_reads_the_config_that_the_run_would_have(
    recipe, tmp_path, trainer, autocast, checkpointing
):
    planned = recipe(model={"dtype": "bfloat16"}, trainer=trainer)
    config = plan_config(planned, "grpo", tmp_path, Launch())
    settings = memory_settings(planned, "grpo", config, Launch())
    assert (settings.autocast, settings.checkpointing) == (autocast, checkpointing)


def test_activation_checkpointing_saves_memory_in_the_plan(recipe):
    activations = [
        check(recipe(model={"dtype": "bfloat16"}, trainer={name: value}), "grpo").memory.update[
            "activations"
        ]
        for name in ("activation_checkpointing", "gradient_checkpointing")
        for value in (True, False)
    ]
    assert activations[0] == activations[2] < activations[1] == activations[3]
