"""Run an exported folder on the real ms-swift, on the CPU, in namespaces of its own."""

from __future__ import annotations

import json
from pathlib import Path

from maniplvm.models import load_interface
from tests_engines.isolation import Ended, environment_of, run_isolated

PLUGIN = Path(__file__).with_name("tiny_tokens.py")


def run_swift(
    folder: Path,
    out: Path,
    log: Path,
    record: Path,
    model: str,
    *,
    python: Path,
    timeout: float,
    threads: int = 1,
) -> Ended:
    """Run `run.sh` of a folder of `maniplvm export ms-swift`.

    Args:
        folder: The exported folder.
        out: The folder of the run's checkpoints.
        log: The file for all that the run prints.
        record: The file for the completions and rewards, one JSON line a call.
        model: The tiny checkpoint, for the ids of its image tokens.
        python: The interpreter of the environment with ms-swift.
        timeout: Time limit [s]; then all processes are killed.
        threads: Threads of PyTorch.
    """
    tokenizer = load_interface(model).tokenizer
    ids = {kind: tokenizer.convert_tokens_to_ids(f"<|{kind}_pad|>") for kind in ("image", "video")}
    home = out.parent / "home"
    home.mkdir(exist_ok=True)
    environment = environment_of(
        python,
        OUT=str(out),
        HOME=str(home),
        HF_HOME=str(home / "hf"),
        MODELSCOPE_CACHE=str(home / "modelscope"),
        CUDA_VISIBLE_DEVICES="",
        OMP_NUM_THREADS=str(threads),
        TINY_TOKENS=json.dumps(ids),
        REWARD_RECORD=str(record),
    )
    plugins = ["--external_plugins", str(folder / "plugin.py"), str(PLUGIN)]
    return run_isolated(["bash", str(folder / "run.sh"), *plugins], log, environment, timeout)
