"""verl 0.9.1 on CPUs, for tests. A run on GPUs needs none of this.

    VERL_USE_EXTERNAL_MODULES=tests_engines.verl.cpu_platform VERL_PLATFORM=cpu \
        python -m verl.trainer.main_ppo trainer.device=cpu actor_rollout_ref.rollout.name=transformers

A "GPU" is then a logical resource of Ray (`ray.init(num_gpus=N)`), and ranks talk over gloo.
"""

from __future__ import annotations

import types
from contextlib import contextmanager

import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

ROLLOUT = "transformers"
"""The name of the rollout engine in verl's configuration."""

_NOTHING = (
    *("empty_cache", "ipc_collect", "set_device", "manual_seed", "manual_seed_all"),
    *("reset_peak_memory_stats", "reset_max_memory_allocated"),
)
_NO_BYTES = ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved")


def _device_module() -> types.ModuleType:
    """`torch.cpu` with the functions that verl calls on `torch.cuda`."""
    module = types.ModuleType("cpu_device")
    vars(module).update({name: getattr(torch.cpu, name) for name in dir(torch.cpu)})
    vars(module).update(dict.fromkeys(_NOTHING, lambda *_, **__: None))
    vars(module).update(dict.fromkeys(_NO_BYTES, lambda *_, **__: 0))
    module.mem_get_info = lambda *_: (8 << 30, 16 << 30)
    module.get_rng_state = lambda *_: torch.get_rng_state()
    module.set_rng_state = lambda state, *_: torch.set_rng_state(state)
    module.is_available = lambda: True
    module.device_count = lambda: 1
    module.current_device = lambda: torch.device("cpu")
    module.get_device_name = lambda *_: "cpu"
    return module


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _device_module()

    def is_available(self):
        return True

    def is_platform_available(self, use_smi_check=False):
        return True

    def current_device(self):
        return torch.device("cpu")

    def device_count(self):
        return 1

    def set_device(self, device_index):
        pass

    def synchronize(self, device_index=None):
        pass

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    def manual_seed_all(self, seed):
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings):
        pass

    def empty_cache(self):
        pass

    def get_device_capability(self, device_index=0):
        return None, None

    def communication_backend_name(self):
        return "gloo"

    def visible_devices_envvar(self):
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg):
        yield

    def profiler_start(self):
        pass

    def profiler_stop(self):
        pass

    def ray_resource_name(self):
        return "GPU"

    def ray_resource_options(self, num_gpus):
        return {"num_gpus": num_gpus}

    def ray_noset_envvars(self):
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self):
        return False

    def rollout_env_vars(self):
        return {}

    def get_collective_module(self):
        return None

    def cudart(self):
        return None


def _use_gloo() -> None:
    """verl joins the backends as `cpu:gloo,DEVICE:NAME`, which names the CPU twice here."""
    from verl.utils import distributed

    original = distributed.initialize_global_process_group_ray
    if getattr(original, "is_for_cpu", False):
        return

    def initialize(timeout_second=None, backend=None):
        return original(timeout_second, backend or "gloo")

    initialize.is_for_cpu = True
    distributed.initialize_global_process_group_ray = initialize


def _register_rollout() -> None:
    from verl.workers.rollout import base
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    def load():
        from tests_engines.verl.cpu_rollout import Replica

        return Replica

    base._ROLLOUT_REGISTRY[(ROLLOUT, "async")] = "tests_engines.verl.cpu_rollout.WeightSender"
    RolloutReplicaRegistry.register(ROLLOUT, load)


def _register_engine() -> None:
    from verl.workers.engine.base import EngineRegistry
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    if "cpu" not in EngineRegistry._engines["language_model"]["fsdp2"]:
        register = EngineRegistry.register(
            model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu"
        )
        register(FSDPEngineWithLMHead)


_use_gloo()
_register_rollout()
_register_engine()
