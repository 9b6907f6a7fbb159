import importlib.util

import pytest

if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "peft", "trl")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Function from family to the folder of a tiny checkpoint with larger weights. Read-only."""
    import torch

    from maniplvm.models import load_model, write_tiny_checkpoint

    root = tmp_path_factory.mktemp("checkpoints")

    def get(family):
        folder = root / family
        if not folder.exists():
            loaded = load_model(write_tiny_checkpoint(root / f"{family}-random", family))
            generator = torch.Generator().manual_seed(1)
            with torch.no_grad():
                for weights in loaded.model.parameters():
                    weights += 0.05 * torch.randn(weights.shape, generator=generator)
            loaded.save(folder)
        return folder

    return get


@pytest.fixture
def loaded(checkpoints):
    """Function from family to a newly loaded model with its processor."""
    from maniplvm.models import load_model

    def get(family="qwen3_vl", **options):
        return load_model(checkpoints(family), device="cpu", **options)

    return get
