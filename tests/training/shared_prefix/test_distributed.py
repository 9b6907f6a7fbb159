import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_two_processes_that_share_a_group_train_the_same_weights_as_trl(checkpoints, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = ["-m", "tests.training.shared_prefix.train_distributed"]
    run = subprocess.run(
        [*launch, *script, str(checkpoints("qwen2_5_vl")), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert {path.name for path in tmp_path.glob("same-*")} == {"same-0", "same-1"}
