"""The command lines that start a recipe: the vLLM server, and `accelerate launch`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from maniplvm.errors import UserError
from maniplvm.models import find_architecture
from maniplvm.models.shipped import EMBEDDED
from maniplvm.training.config.launch import Launch, LaunchSettings, planned_launch
from maniplvm.training.config.recipe import METHODS, Recipe
from maniplvm.training.config.trainer_settings import plan_config

_HERE = ("127.0.0.1", "localhost", "0.0.0.0", "::1")  # noqa: S104 - TRL's default, as a client
_IMAGES = '{"image": 1}'
_NO_SERVER = "uses no vLLM server; set trainer.use_vllm=true and trainer.vllm_mode=server"


@dataclass(frozen=True)
class Command:
    """One command line.

    Attributes:
        arguments: The program and its arguments.
        environment: Environment variables that it needs besides those of this process.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The line for a shell."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*settings, shlex.join(self.arguments)])


@dataclass(frozen=True)
class Machines:
    """The machines of a run, and which of them this one is.

    Attributes:
        nodes: Number of machines that train; None is that of the accelerate config.
        gpus: GPUs of each of them. On a single machine this includes those of the vLLM server.
            None is as many as the accelerate config and the server need.
        rank: Rank of this machine among those that train.
        main_address: Address of the machine of rank 0; needed with several machines.
        main_port: Port on it at which the processes meet.
        server_address: Address of another machine with the vLLM server; None if the server runs on
            this machine.
    """

    nodes: int | None = None
    gpus: int | None = None
    rank: int = 0
    main_address: str | None = None
    main_port: int = 29500
    server_address: str | None = None


@dataclass(frozen=True)
class LaunchPlan:
    """The command lines of this machine.

    Attributes:
        server: The vLLM server; None if it does not run on this machine.
        trainer: The training; None if only the server runs on this machine.
        launch: The processes of the training on all machines together.
        gpus: GPUs of this machine that the commands use.
    """

    server: Command | None
    trainer: Command | None
    launch: Launch
    gpus: int

    @property
    def commands(self) -> list[Command]:
        """The commands in the order in which they start."""
        return [each for each in (self.server, self.trainer) if each is not None]


def method_of(path: Path, method: str | None) -> str:
    """The training method of a recipe: the given one, else the name of its folder.

    Raises:
        UserError: neither is a method.
    """
    named = method if method is not None else path.absolute().parent.name
    if named not in METHODS:
        raise UserError(
            f"{path}: its folder is not named {' or '.join(METHODS)}; choose one with --method"
        )
    return named


def plan_launch(
    recipe: Recipe,
    path: Path,
    method: str,
    machines: Machines,
    *,
    accelerate: str | None = None,
    changes: Sequence[str] = (),
    out: Path | None = None,
    only: str | None = None,
) -> LaunchPlan:
    """The command lines that start a recipe on this machine.

    Args:
        recipe: The recipe, with all changes.
        path: Its file.
        method: `sft` or `grpo`.
        machines: The machines of the run.
        accelerate: An accelerate config that replaces the recipe's.
        changes: The changes of the recipe, as `key.path=value`.
        out: The run folder; None is that of the recipe.
        only: `server` or `trainer` for one of the two; None is what runs on this machine.

    Raises:
        UserError: the run could not work on these machines; the message is one line.
    """
    settings = _settings(recipe, accelerate)
    of_file = planned_launch(settings)
    uses_server = _uses_server(recipe)
    is_server_here = uses_server and _is_here(recipe, machines)
    server_gpus = settings.server_gpus if settings is not None else 1
    launch = _resized(of_file, machines, server_gpus if is_server_here else 0, settings)
    shares = is_server_here and launch.machines == 1
    config = plan_config(recipe, method, out or Path("runs") / recipe.name, launch)
    _check_vllm(recipe, config, launch, server_gpus)
    if only == "server":
        if not uses_server:
            raise UserError(f"{recipe.where}: {_NO_SERVER}")
    else:
        _check_machines(recipe, launch, machines, uses_server, is_server_here)
    own = 0 if launch.on_cpu or only == "server" else launch.processes // launch.machines
    server, trainer = None, None
    if uses_server and (only == "server" or (shares and only is None)):
        server = _server_command(recipe, settings, shares)
    if only != "server":
        words = _training_words(path, method, machines, changes, out)
        options = _accelerate_options(of_file, launch, machines)
        trainer = _trainer_command(settings, options, words)
    if shares:
        count = launch.processes
        ids = _visible(count + server_gpus)
        trainer = trainer and _on_gpus(trainer, ids[:count])
        server = server and _on_gpus(server, ids[count:])
    return LaunchPlan(server, trainer, launch, own + (server_gpus if server else 0))


def _settings(recipe: Recipe, accelerate: str | None) -> LaunchSettings | None:
    if accelerate is None:
        return recipe.launch
    if recipe.launch is None:
        return LaunchSettings(accelerate)
    return replace(recipe.launch, accelerate=accelerate)


def _uses_server(recipe: Recipe) -> bool:
    trainer = recipe.trainer
    return bool(trainer.get("use_vllm")) and trainer.get("vllm_mode", "colocate") == "server"


def _is_here(recipe: Recipe, machines: Machines) -> bool:
    base_url = recipe.trainer.get("vllm_server_base_url")
    if machines.server_address is not None:
        if base_url is not None:
            raise UserError(
                f"{recipe.where}: trainer.vllm_server_base_url: remove it; --server-address "
                "replaces it"
            )
        return False
    named = recipe.trainer.get("vllm_server_host", _HERE[0])
    return (named if base_url is None else urlparse(base_url).hostname) in _HERE


def _resized(
    of_file: Launch, machines: Machines, server_gpus: int, settings: LaunchSettings | None
) -> Launch:
    """The launch of the accelerate config on the given machines."""
    nodes = of_file.machines if machines.nodes is None else machines.nodes
    if nodes < 1:
        raise UserError(f"--nodes must be 1 or more, got {nodes}")
    if machines.gpus is None:
        each = of_file.processes // of_file.machines
    else:
        each = machines.gpus - server_gpus
        if each < 1:
            used = f"the vLLM server uses {server_gpus}" if server_gpus else "none is left"
            raise UserError(f"--gpus {machines.gpus}: {used}; the training needs at least one")
    if settings is None and nodes * each > 1:
        raise UserError(
            "the recipe names no accelerate config, so it is one process; choose one with "
            "--accelerate, such as recipes/accelerate/ddp-8gpu.yaml"
        )
    if settings is not None and of_file.processes == 1 and nodes * each > 1:
        raise UserError(
            f"{settings.accelerate} starts 1 process, not {nodes * each}; choose another config with "
            "--accelerate, such as recipes/accelerate/ddp-8gpu.yaml"
        )
    return replace(of_file, machines=nodes, processes=nodes * each)


def _check_machines(
    recipe: Recipe, launch: Launch, machines: Machines, uses_server: bool, is_server_here: bool
) -> None:
    if not 0 <= machines.rank < launch.machines:
        raise UserError(
            f"--rank {machines.rank}: {launch.machines} machines have ranks 0 to "
            f"{launch.machines - 1}"
        )
    if launch.machines > 1 and machines.main_address is None:
        raise UserError(
            f"{launch.machines} machines need the address of the first one: --main-address"
        )
    if launch.machines > 1 and is_server_here:
        raise UserError(
            "several machines reach the vLLM server by its address only: start it on a further "
            "machine, and pass --server-address"
        )
    if machines.server_address is not None and not uses_server:
        raise UserError(f"--server-address: {recipe.where}: {_NO_SERVER}")


def _check_vllm(recipe: Recipe, config: Any, launch: Launch, server_gpus: int) -> None:
    if not getattr(config, "use_vllm", False):
        return
    if launch.on_cpu:
        raise UserError(f"{recipe.where}: trainer.use_vllm: vLLM needs a GPU here; remove it")
    if recipe.model.source == EMBEDDED:
        raise UserError(
            f"{recipe.where}: trainer.use_vllm: the embedded model generates without vLLM; remove it"
        )
    if not _uses_server(recipe) and launch.processes % config.vllm_tensor_parallel_size:
        raise UserError(
            f"{recipe.where}: trainer.vllm_tensor_parallel_size: "
            f"{config.vllm_tensor_parallel_size} does not divide {launch.processes} processes"
        )
    architecture = find_architecture(recipe.model.source)
    if architecture is not None and _uses_server(recipe):
        heads = architecture.settings()["text_config"]["num_attention_heads"]
        if heads % server_gpus:
            raise UserError(
                f"{recipe.where}: launch.server_gpus: {server_gpus} does not divide the {heads} "
                f"attention heads of {recipe.model.source}"
            )


def _visible(count: int) -> list[str]:
    """Ids of GPUs: the first ones that this process may use."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not named:
        return [str(place) for place in range(count)]
    visible = named.split(",")
    if len(visible) < count:
        raise UserError(
            f"CUDA_VISIBLE_DEVICES={named}: the run needs {count} GPUs of this machine; change it, "
            "or use --gpus"
        )
    return visible[:count]


def _training_words(
    path: Path,
    method: str,
    machines: Machines,
    changes: Sequence[str],
    out: Path | None,
) -> list[str]:
    """The arguments of `maniplvm` in every process."""
    words = ["train", method, str(path)]
    if out is not None:
        words += ["--out", str(out)]
    listed = list(changes)
    if machines.server_address is not None:
        listed.append(f"trainer.vllm_server_host={machines.server_address}")
    for change in listed:
        words += ["--set", change]
    return words


def _accelerate_options(of_file: Launch, launch: Launch, machines: Machines) -> list[str]:
    """The options in which this machine differs from the accelerate config."""
    options = list[str]()
    if launch.machines != of_file.machines:
        options += ["--num_machines", str(launch.machines)]
    if launch.processes != of_file.processes:
        options += ["--num_processes", str(launch.processes)]
    if launch.machines > 1:
        options += ["--machine_rank", str(machines.rank)]
        options += ["--main_process_ip", machines.main_address or ""]
        options += ["--main_process_port", str(machines.main_port)]
    elif machines.main_port != Machines.main_port:
        options += ["--main_process_port", str(machines.main_port)]
    return options


def _trainer_command(
    settings: LaunchSettings | None, options: Sequence[str], words: Sequence[str]
) -> Command:
    if settings is None:
        return Command(("maniplvm", *words))
    start = ("accelerate", "launch", "--config_file", settings.accelerate)
    return Command((*start, *options, "-m", "maniplvm", *words))


def _on_gpus(command: Command, ids: Sequence[str]) -> Command:
    return replace(command, environment={"CUDA_VISIBLE_DEVICES": ",".join(ids)})


def _server_command(recipe: Recipe, settings: LaunchSettings | None, is_here: bool) -> Command:
    """`trl vllm-serve`, which starts `vllm serve` with the options that TRL needs."""
    settings = settings or LaunchSettings("")
    base_url = urlparse(recipe.trainer.get("vllm_server_base_url") or "")
    port = base_url.port or recipe.trainer.get("vllm_server_port", 8000)
    words = ["trl", "vllm-serve", "--model", recipe.model.source]
    if recipe.model.revision is not None:
        words += ["--revision", recipe.model.revision]
    if recipe.model.trust_remote_code:
        words += ["--trust_remote_code", "true"]
    words += ["--tensor_parallel_size", str(settings.server_gpus)]
    words += ["--max_model_len", str(settings.server_max_tokens)]
    words += ["--host", _HERE[0] if is_here else "0.0.0.0"]  # noqa: S104 - others connect to it
    words += ["--port", str(port), "--limit-mm-per-prompt", _IMAGES]
    return Command(tuple(words))
