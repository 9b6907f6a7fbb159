"""A rollout engine for verl: `generate` of transformers in a Ray actor, in batches."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

_WAIT = 0.1
"""How long a server waits for more requests of a batch [s]."""
_MOST = 32
"""Requests of one batch."""


@dataclass
class Request:
    ids: list[int]
    sampling: dict[str, Any]
    image: Any
    result: asyncio.Future


class Server:
    """One copy of the model.

    Args:
        path: The checkpoint.
        response_length: Maximum number of new tokens.
    """

    def __init__(self, path: str, response_length: int) -> None:
        from transformers import AutoProcessor

        torch.set_num_threads(1)
        self._path = path
        self._response_length = response_length
        self._model = _load(path)
        self._processor = AutoProcessor.from_pretrained(path)
        self._steps = 0
        self._requests: asyncio.Queue[Request] = asyncio.Queue()
        self._busy = asyncio.Lock()
        self._loop = None

    async def generate(
        self, request_id, prompt_ids, sampling_params, image_data=None, **_
    ) -> TokenOutput:
        if self._loop is None:
            self._loop = asyncio.create_task(self._serve())
        (image,) = image_data
        result = asyncio.get_running_loop().create_future()
        await self._requests.put(Request(list(prompt_ids), dict(sampling_params), image, result))
        return await result

    async def _serve(self) -> None:
        while True:
            batch = [await self._requests.get()]
            await asyncio.sleep(_WAIT)
            while len(batch) < _MOST and not self._requests.empty():
                batch.append(self._requests.get_nowait())
            async with self._busy:
                for same in _by_sampling(batch):
                    try:
                        outputs = await asyncio.to_thread(self._generate, same)
                    except Exception as error:
                        for request in same:
                            request.result.set_exception(error)
                        continue
                    for request, output in zip(same, outputs, strict=True):
                        request.result.set_result(output)

    @torch.no_grad()
    def _generate(self, requests: list[Request]) -> list[TokenOutput]:
        tokenizer = self._processor.tokenizer
        longest = max(len(request.ids) for request in requests)
        rows = [[tokenizer.pad_token_id] * (longest - len(r.ids)) + r.ids for r in requests]
        mask = [[0] * (longest - len(r.ids)) + [1] * len(r.ids) for r in requests]
        ids = torch.tensor(rows)
        images = self._processor.image_processor(
            images=[request.image for request in requests], return_tensors="pt"
        )
        sampling = requests[0].sampling
        temperature = float(sampling.get("temperature", 1.0) or 0.0)
        most = int(sampling.get("max_tokens") or self._response_length)
        options = {"do_sample": False}
        if temperature > 0:
            top_p = float(sampling.get("top_p", 1.0))
            options = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        out = self._model.generate(
            input_ids=ids,
            attention_mask=torch.tensor(mask),
            mm_token_type_ids=(ids == self._model.config.image_token_id).long(),
            **images,
            **options,
            max_new_tokens=most,
            output_logits=True,
            return_dict_in_generate=True,
        )
        logits = torch.stack(out.logits, dim=1).float() / (temperature or 1.0)
        log_probs = torch.log_softmax(logits, dim=-1)
        end = tokenizer.eos_token_id
        outputs = []
        for row, own in zip(out.sequences[:, longest:].tolist(), log_probs, strict=True):
            length = row.index(end) + 1 if end in row else len(row)
            outputs.append(
                TokenOutput(
                    token_ids=row[:length],
                    log_probs=[own[i, token].item() for i, token in enumerate(row[:length])],
                    stop_reason="completed" if end in row else "length",
                    extra_fields={"global_steps": self._steps},
                )
            )
        return outputs

    async def update_weights(self, weights, global_steps=None) -> None:
        """Load new weights. Their names may be those of a saved checkpoint."""
        async with self._busy:
            self._model = await asyncio.to_thread(_load_with, self._path, weights)
            self._steps = global_steps or 0

    async def _nothing(self, *_, **__) -> None:
        return None

    wake_up = sleep = abort_all_requests = resume_generation = _nothing
    clear_kv_cache = release_kv_cache = resume_kv_cache = _nothing
    start_profile = stop_profile = set_global_steps = _nothing


class Replica(RolloutReplica):
    async def launch_servers(self):
        name = server_name(self.replica_rank)
        server = ray.remote(Server).options(name=name, num_cpus=0, max_concurrency=256)
        self._server_handle = server.remote(self.model_config.path, self.config.response_length)
        self.servers = [self._server_handle]
        self._server_address = name
        await self._server_handle.wake_up.remote()


class WeightSender(BaseRollout):
    """In a training rank: sends its new weights to the server of the same rank."""

    async def resume(self, tags):
        pass

    async def release(self):
        pass

    async def update_weights(self, weights, wire_format="named_tensors", global_steps=None, **_):
        whole = {
            name: (t.full_tensor() if hasattr(t, "full_tensor") else t).detach().cpu().float()
            for name, t in weights
        }
        server = ray.get_actor(server_name(torch.distributed.get_rank()))
        await server.update_weights.remote(whole, global_steps)


def server_name(rank: int) -> str:
    return f"transformers_server_{rank}"


def _by_sampling(batch: list[Request]) -> list[list[Request]]:
    groups: dict[str, list[Request]] = {}
    for request in batch:
        groups.setdefault(repr(sorted(request.sampling.items())), []).append(request)
    return list(groups.values())


def _load(path: str | Path) -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32).eval()


def _load_with(path: str, weights: dict[str, torch.Tensor]) -> Any:
    """The checkpoint's model with other weights; loading renames them as transformers does."""
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as folder:
        for file in Path(path).iterdir():
            if file.suffix != ".safetensors":
                shutil.copy(file, folder)
        tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
        save_file(tensors, str(Path(folder) / "model.safetensors"), metadata={"format": "pt"})
        return _load(folder)
