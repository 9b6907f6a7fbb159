"""The lines of a launch, what torchrun makes of them, and launches that cannot work."""

import re
import shlex
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.training import read_recipe
from maniplvm.training.launching.commands import Command, Machines, method_of, plan_launch

GRPO = Path("recipes/grpo")
FULL = GRPO / "qwen2.5-vl-3b-joint-full.yaml"
TWO_NODES = GRPO / "qwen3-vl-4b-joint-2nodes.yaml"
LORA = GRPO / "qwen3-vl-4b-joint-lora.yaml"
SFT = Path("recipes/sft/qwen2.5-vl-3b-joint-full.yaml")
DDP = "recipes/accelerate/ddp-8gpu.yaml"
AWAY = {"main_address": "10.0.0.1", "server_address": "10.0.0.3"}


@pytest.fixture(autouse=True)
def _all_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def plan(path, *, changes=(), accelerate=None, only=None, out=None, **machines):
    recipe = read_recipe(path, changes)
    return plan_launch(
        recipe,
        path,
        path.parent.name,
        Machines(**machines),
        accelerate=accelerate,
        changes=changes,
        out=out,
        only=only,
    )


def lines(*arguments, **options):
    return [str(command) for command in plan(*arguments, **options).commands]


def test_server_and_trainer_share_the_gpus_of_one_machine():
    server, trainer = lines(FULL)
    assert server.startswith("CUDA_VISIBLE_DEVICES=7 trl vllm-serve --model Qwen/Qwen2.5-VL-3B")
    assert trainer == (
        "CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6 accelerate launch --config_file "
        f"recipes/accelerate/fsdp2-7gpu.yaml -m maniplvm train grpo {FULL}"
    )


def test_fewer_gpus_leave_fewer_processes_and_the_last_gpus_to_the_server():
    server, trainer = lines(FULL, gpus=4, changes=["launch.server_gpus=2"])
    assert server.startswith("CUDA_VISIBLE_DEVICES=2,3 ")
    assert "--tensor_parallel_size 2" in server
    assert trainer.startswith("CUDA_VISIBLE_DEVICES=0,1 ")
    assert "--num_processes 2 " in trainer


def test_the_gpus_are_those_that_the_scheduler_left_to_this_process(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    server, trainer = lines(FULL, gpus=3)
    assert (server[:22], trainer[:24]) == ("CUDA_VISIBLE_DEVICES=6", "CUDA_VISIBLE_DEVICES=4,5")
    with pytest.raises(UserError, match="needs 8 GPUs"):
        lines(FULL)


def test_each_of_several_machines_gets_its_rank_and_the_addresses():
    (trainer,) = lines(TWO_NODES, rank=1, **AWAY)
    assert "--machine_rank 1 --main_process_ip 10.0.0.1 --main_process_port 29500" in trainer
    assert trainer.endswith("--set trainer.vllm_server_host=10.0.0.3")
    assert "--num_processes" not in trainer
    (server,) = lines(TWO_NODES, only="server")
    assert "--tensor_parallel_size 8" in server
    assert "--host 0.0.0.0" in server


def test_more_machines_than_in_the_file_override_it():
    (trainer,) = lines(TWO_NODES, nodes=3, gpus=8, rank=2, **AWAY)
    assert "--num_machines 3 --num_processes 24 " in trainer


def test_changes_and_run_folder_reach_the_training():
    changes = ["trainer.max_steps=3", "data.task=joint"]
    (trainer,) = lines(SFT, changes=changes, out=Path("runs/my run"))
    words = shlex.split(trainer)
    assert words[words.index("--out") + 1] == "runs/my run"
    assert [words[i + 1] for i, word in enumerate(words) if word == "--set"] == changes


def test_a_recipe_without_a_launch_is_one_plain_process():
    path = GRPO / "embedded.yaml"
    assert lines(path) == [f"maniplvm train grpo {path}"]


def test_a_value_with_spaces_is_quoted_for_the_shell():
    command = Command(("trl", '{"image": 1}'), {"A": "x y"})
    assert str(command) == "A='x y' trl '{\"image\": 1}'"


def test_trl_reads_the_line_of_the_server():
    pytest.importorskip("trl")
    from trl.scripts.vllm_serve import build_command, make_parser

    words = plan(FULL).commands[0].arguments[2:]
    arguments, extra = make_parser().parse_args_and_config(
        args=list(words), return_remaining_strings=True
    )
    served = build_command(arguments, extra)
    assert served[served.index("serve") + 1] == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert served[-2:] == ["--limit-mm-per-prompt", '{"image": 1}']
    assert served[served.index("--max-model-len") + 1] == "4096"


@pytest.mark.parametrize(
    ("path", "machines", "endpoint", "nodes", "each"),
    [
        (SFT, {}, "127.0.0.1:29500", 1, 8),
        (TWO_NODES, {"rank": 1, **AWAY}, "10.0.0.1:29500", 2, 8),
        (TWO_NODES, {"rank": 2, "nodes": 4, "gpus": 4, **AWAY}, "10.0.0.1:29500", 4, 4),
    ],
)
def test_torchrun_meets_at_the_first_machine(monkeypatch, path, machines, endpoint, nodes, each):
    from accelerate.commands import launch as accelerate_launch
    from torch.distributed import run as torchrun

    started = []
    monkeypatch.setattr(torchrun, "run", started.append)
    words = plan(path, **machines).commands[-1].arguments[2:]
    arguments = accelerate_launch.launch_command_parser().parse_args(list(words))
    accelerate_launch.launch_command(arguments)
    config, _, command = torchrun.config_from_args(started[0])
    assert torchrun.get_rdzv_endpoint(started[0]) == endpoint
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node) == (nodes, nodes, each)
    assert config.rdzv_configs["rank"] == machines.get("rank", 0)
    assert command[-4:-1] == ["maniplvm", "train", path.parent.name] or "--set" in command


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        (TWO_NODES, {"server_address": "10.0.0.3"}, "--main-address"),
        (TWO_NODES, {"main_address": "10.0.0.1"}, "--server-address"),
        (TWO_NODES, {"rank": 2, **AWAY}, "ranks 0 to 1"),
        (FULL, {"gpus": 1}, "the vLLM server uses 1"),
        (FULL, {"nodes": 0}, "--nodes"),
        (FULL, {"gpus": 6, "changes": ["launch.server_gpus=3"]}, "does not divide the 16"),
        (FULL, {"gpus": 2, "changes": ["trainer.per_device_train_batch_size=3"]}, "divisible"),
        (FULL, {"changes": ["trainer.bf16=false", "trainer.fp16=true"]}, "set them equal"),
        (LORA, {"gpus": 8}, "starts 1 process, not 8"),
        (LORA, {"only": "server"}, "uses no vLLM server"),
        (LORA, {"server_address": "10.0.0.3"}, "uses no vLLM server"),
        (LORA, {"accelerate": "no/such/file.yaml"}, "cannot be read"),
        (GRPO / "embedded.yaml", {"gpus": 2}, "names no accelerate config"),
        (
            GRPO / "embedded.yaml",
            {"changes": ["trainer.use_vllm=true"], "accelerate": DDP},
            "without vLLM",
        ),
        (
            LORA,
            {
                "changes": ["trainer.use_vllm=true", "trainer.vllm_tensor_parallel_size=3"],
                "accelerate": DDP,
            },
            "does not divide 8 processes",
        ),
    ],
)
def test_a_launch_that_cannot_work_is_refused_in_one_line(path, options, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        plan(path, **options)
    assert "\n" not in str(caught.value)


def test_the_method_is_the_folder_of_the_recipe_unless_it_is_given():
    assert method_of(FULL, None) == "grpo"
    assert method_of(Path("mine.yaml").absolute(), "sft") == "sft"
    with pytest.raises(UserError, match="--method"):
        method_of(Path("elsewhere/mine.yaml"), None)
    with pytest.raises(UserError, match="--method"):
        method_of(FULL, "dpo")


@pytest.mark.parametrize("key", ["acelerate: x", "accelerate: 3", "{}", "server_gpus: 0"])
def test_the_key_launch_is_checked_strictly(tmp_path, key):
    path = tmp_path / "recipe.yaml"
    launch = key if key == "{}" else f"{{accelerate: x, {key}}}"
    path.write_text(f"name: a\nmodel: {{source: a}}\ndata: {{path: a}}\nlaunch: {launch}\n")
    with pytest.raises(UserError, match="launch"):
        read_recipe(path)


def test_the_accelerate_config_is_found_beside_the_recipe(tmp_path, monkeypatch):
    recipe = Path(FULL).absolute()
    monkeypatch.chdir(tmp_path)
    found = read_recipe(recipe).launch
    assert found is not None
    assert found.accelerate == str(recipe.parents[1] / "accelerate" / "fsdp2-7gpu.yaml")
