"""Code of TRL and transformers that the trainer depends on. A test fails if an upgrade changes it."""

import hashlib
import inspect

import pytest
import trl.trainer.utils as trl_utils
from transformers import GenerationMixin
from transformers.cache_utils import DynamicLayer
from trl import GRPOTrainer

DEPENDENCIES = {
    "GRPOTrainer._prepare_inputs": (GRPOTrainer._prepare_inputs, "f824e7fb0714"),
    "GRPOTrainer._generate_single_turn": (GRPOTrainer._generate_single_turn, "e0f02e4fc094"),
    "GRPOTrainer._generate_and_score_completions": (
        GRPOTrainer._generate_and_score_completions,
        "1fa48922792d",
    ),
    "GRPOTrainer._get_per_token_logps_and_entropies": (
        GRPOTrainer._get_per_token_logps_and_entropies,
        "ea73c3909275",
    ),
    "GRPOTrainer._compute_loss": (GRPOTrainer._compute_loss, "80295546bbdb"),
    "trl.trainer.utils.split_tensor_dict": (trl_utils.split_tensor_dict, "b61a5760a03e"),
    "trl.trainer.utils.shuffle_sequence_dict": (trl_utils.shuffle_sequence_dict, "bab038755e57"),
    "trl.trainer.utils.split_pixel_values_by_grid": (
        trl_utils.split_pixel_values_by_grid,
        "3aca66e33a79",
    ),
    "trl.trainer.utils.unsplit_pixel_values_by_grid": (
        trl_utils.unsplit_pixel_values_by_grid,
        "9d31b407fc5f",
    ),
    "trl.trainer.utils.add_fused_lm_head": (trl_utils.add_fused_lm_head, "422d009f04b6"),
}
"""Each object with the digest of its source in TRL 1.16, for which the trainer was written."""


def digest(dependency):
    return hashlib.sha256(inspect.getsource(inspect.unwrap(dependency)).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_the_source_of_a_dependency_is_unchanged(name):
    dependency, known = DEPENDENCIES[name]
    assert digest(dependency) == known, (
        f"{name} changed: compare it with training/shared_prefix/trainer.py, "
        f"run the tests of the trainer, then replace the digest by {digest(dependency)}"
    )


def test_generate_accepts_a_decoding_method():
    assert "custom_generate" in inspect.signature(GenerationMixin.generate).parameters


def test_a_cache_layer_has_keys_and_values():
    assert {"keys", "values"} <= set(vars(DynamicLayer())), "PrefixKVCache reads them"
