"""How a launch is read from accelerate's config files and from the environment of a process."""

from dataclasses import replace
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.training.config.launch import Launch, Sharding, read_launch

CONFIGS = Path(__file__).parents[3] / "recipes" / "accelerate"


def written(folder, text):
    path = folder / "launch.yaml"
    path.write_text(text)
    return path


def test_a_deepspeed_config_says_what_is_split_and_what_is_offloaded(tmp_path):
    path = written(
        tmp_path,
        "distributed_type: DEEPSPEED\nnum_processes: 8\n"
        "deepspeed_config: {zero_stage: 3, offload_optimizer_device: cpu}\n",
    )
    assert read_launch(path) == Launch(8, 1, Sharding.ZERO3, offloads_optimizer=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distributed_type: MEGATRON_LM\n", "MULTI_GPU"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 1}\n", "only 2"),
        ("distributed_type: DEEPSPEED\n", "zero_stage is missing"),
        ("distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 7}\n", "choose 0, 2 or 3"),
        ("distributed_type: NO\nnum_processes: none\n", "an integer"),
        ("distributed_type: NO\nnum_processes: 8\n", "starts 1 process, not 8"),
        ("num_processes: 1\nnum_machines: 2\n", "every machine needs at least one"),
        ("distributed_type: MULTI_GPU\nnum_processes: 7\nnum_machines: 2\n", "divided evenly"),
        ("mixed_precision: fp8\n", "choose from no, fp16, bf16"),
        (
            "distributed_type: MULTI_GPU\nnum_processes: 16\nnum_machines: 2\n"
            "rdzv_backend: c10d\nsame_network: true\n",
            "set rdzv_backend to static",
        ),
    ],
)
def test_an_unknown_launch_config_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_launch(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_the_shipped_configs_are_what_their_names_say():
    found = {path.stem: read_launch(path) for path in CONFIGS.glob("*.yaml")}
    assert {launch.mixed_precision for launch in found.values()} == {"bf16"}
    assert {name: replace(launch, mixed_precision="no") for name, launch in found.items()} == {
        "1gpu": Launch(1),
        "ddp-8gpu": Launch(8),
        "fsdp2-8gpu": Launch(8, 1, Sharding.FSDP2),
        "fsdp2-7gpu": Launch(7, 1, Sharding.FSDP2),
        "zero3-8gpu": Launch(8, 1, Sharding.ZERO3),
        "zero3-7gpu": Launch(7, 1, Sharding.ZERO3),
        "fsdp2-2nodes": Launch(16, 2, Sharding.FSDP2),
    }
