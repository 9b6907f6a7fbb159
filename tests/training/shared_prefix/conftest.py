import importlib.util

import pytest

if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "peft", "trl")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """The folder of a tiny checkpoint with decided opinions, by family; not to be written to."""
    import torch

    from maniplvm.models import load_model, write_tiny_checkpoint

    root = tmp_path_factory.mktemp("opinionated")

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
    """A fresh model by family, with processor and all."""
    from maniplvm.models import load_model

    def get(family="qwen3_vl", **options):
        return load_model(checkpoints(family), device="cpu", **options)

    return get
