"""Where a model lies and in which precision."""

from __future__ import annotations

import os
from typing import Any

from maniplvm.errors import UserError
from maniplvm.optional import torch

DTYPES = ("auto", "bfloat16", "float16", "float32")
"""What `dtype` may be."""


def choose_device(device: str = "auto") -> Any:
    """The `torch.device` of a name.

    Args:
        device: `auto`, or a name of PyTorch such as `cpu`, `cuda` or `cuda:1`. `auto` takes the
            GPU of this process (`LOCAL_RANK` under a launcher), and the CPU without one.

    Raises:
        UserError: no such device on this machine.
    """
    library = torch()
    gpus = library.cuda.device_count() if library.cuda.is_available() else 0
    if device == "auto":
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        return library.device(f"cuda:{rank % gpus}" if gpus else "cpu")
    try:
        chosen = library.device(device)
    except RuntimeError as error:
        raise UserError(f"device {device!r}: unknown; choose auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= gpus:
        raise UserError(f"device {device!r}: PyTorch sees {gpus} GPUs here; choose auto or cpu")
    return chosen


def choose_dtype(dtype: str, device: Any) -> Any:
    """The `torch.dtype` of a name.

    Args:
        dtype: One of `DTYPES`; `auto` is bfloat16 on a GPU that computes in it, else float32.
        device: The `torch.device` that the model will lie on.

    Raises:
        UserError: another name.
    """
    library = torch()
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r}: unknown; choose from {', '.join(DTYPES)}")
    if dtype != "auto":
        return getattr(library, dtype)
    if device.type == "cuda" and library.cuda.is_bf16_supported(including_emulation=False):
        return library.bfloat16
    return library.float32
