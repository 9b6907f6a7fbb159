import logging

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from maniplvm.models import TINY_FAMILIES, LoraSettings
from maniplvm.training.shared_prefix import (
    SharedPrefixSettings,
    SharedPrefixTrainer,
    prefix_attention,
)
from maniplvm.training.shared_prefix.trainer import POLICY, ROLLOUT
from tests.models.images import make_image
from tests.training.shared_prefix.batches import TEXTS

pytestmark = [
    # transformers 5.23 and TRL 1.16 warn about names that the other still uses.
    pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]

SIZES = ((160, 120), (320, 200), (100, 100), (160, 120))


class FixedCompletions:
    """Replaces sampling by seeded random tokens, so that two trainers get the same completions."""

    def _generate_single_turn(self, prompt_ids, *_, **__):
        calls = self.__dict__.setdefault("calls", [])
        generator = torch.Generator().manual_seed(len(calls))
        calls.append(len(prompt_ids))
        lengths = torch.randint(1, 9, (len(prompt_ids),), generator=generator).tolist()
        ends = self.eos_token_ids[0]
        return [
            [*torch.randint(20, 400, (n - 1,), generator=generator).tolist(), ends if n < 8 else 30]
            for n in lengths
        ], None


class TrlTrainer(FixedCompletions, GRPOTrainer):
    pass


class SharedTrainer(FixedCompletions, SharedPrefixTrainer):
    pass


def reward(completion_ids, **_):
    return [float(sum(ids) % 7) for ids in completion_ids]


def trainer_of(kind, loaded, folder, prompts=8, **options):
    rows = [
        {
            "prompt": [{"role": "user", "content": TEXTS[k % 3]}],
            "image": make_image(SIZES[k % 4], seed=k),
        }
        for k in range(prompts)
    ]
    settings = {
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 8,
        "learning_rate": 1e-3,
        "max_steps": 2,
        "optim": "sgd",
        "lr_scheduler_type": "constant",
        **options,
    }
    extra = {"shared_prefix": settings.pop("shared_prefix", None)}
    arguments = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=settings.pop("bf16", False),
        gradient_checkpointing=settings.pop("gradient_checkpointing", False),
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        logging_steps=1,
        seed=3,
        **settings,
    )
    return kind(
        model=loaded.model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=loaded.processor,
        **(extra if issubclass(kind, SharedPrefixTrainer) else {}),
    )


def trained(kind, loaded, folder, **options):
    trainer = trainer_of(kind, loaded, folder, **options)
    before = weights_of(loaded.model)
    trainer.train()
    after = weights_of(loaded.model)
    assert not torch.equal(before, after), "the weights did not change"
    return trainer, after - before


def weights_of(model):
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def seeded(loaded, family, **load):
    torch.manual_seed(0)  # peft initialises lora_A at random
    return loaded(family, **load)


def assert_same_training(loaded, tmp_path, family, load=None, **options):
    (first, plain), (second, shared) = (
        trained(kind, seeded(loaded, family, **(load or {})), tmp_path, **options)
        for kind in (TrlTrainer, SharedTrainer)
    )
    assert POLICY in second.verification_results
    assert not second.fallbacks
    assert first.calls == second.calls
    assert (shared - plain).norm() / plain.norm() < 1e-4
    for name in ("loss", "entropy", "grad_norm", "clip_ratio/region_mean", "kl"):
        logged = [[h[name] for h in t.state.log_history if name in h] for t in (first, second)]
        assert logged[0] == pytest.approx(logged[1], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_twenty_steps_give_the_same_weights(loaded, tmp_path, family):
    assert_same_training(loaded, tmp_path, family, max_steps=20, prompts=48)


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_generation": 4, "gradient_accumulation_steps": 2, "num_iterations": 2},
        {"beta": 0.1, "loss_type": "grpo", "temperature": 0.8},
        {"loss_type": "bnpo", "mask_truncated_completions": True},
        {"loss_type": "dr_grpo", "importance_sampling_level": "sequence", "num_iterations": 2},
        {"loss_type": "cispo", "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        {"loss_type": "dapo", "top_entropy_quantile": 0.5, "gradient_checkpointing": True},
    ],
    ids=lambda options: "-".join(options),
)
def test_settings_of_trl_give_the_same_training(loaded, tmp_path, options):
    assert_same_training(loaded, tmp_path, "qwen2_5_vl", **options)


def test_lora_with_a_reference_gives_the_same_training(loaded, tmp_path):
    load = {"lora": LoraSettings(rank=4), "freeze_vision": True}
    assert_same_training(
        loaded, tmp_path, "qwen3_vl", load, beta=0.1, max_steps=4, learning_rate=0.1
    )


def test_a_run_verifies_both_parts_without_fallback(loaded, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="maniplvm"):
        trainer, _ = trained(SharedPrefixTrainer, loaded(), tmp_path, temperature=0.9, top_p=0.9)
    assert set(trainer.verification_results) == {POLICY, ROLLOUT}
    assert not trainer.fallbacks
    assert trainer.verification_results[POLICY].gradient_rel_diff is not None
    assert trainer.verification_results[POLICY].max_logprob_diff < 1e-5
    assert trainer.verification_results[ROLLOUT].max_logprob_diff < 1e-5
    assert "verified against TRL's own code" in caplog.text


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_half_precision_passes_verification(loaded, tmp_path, dtype):
    model = loaded("qwen3_vl", dtype=dtype)
    options = {"bf16": True, "learning_rate": 0.1, "max_steps": 1}
    trainer, _ = trained(SharedPrefixTrainer, model, tmp_path, **options)
    assert not trainer.fallbacks
    assert trainer.verification_results[POLICY].half_precision
    assert trainer.verification_results[ROLLOUT].half_precision


def test_each_image_of_a_group_is_computed_once_per_pass(loaded, tmp_path):
    model = loaded("qwen2_5_vl")
    tower = model.model.model.visual
    patches = []
    tower.patch_embed.register_forward_pre_hook(lambda _, args: patches.append(len(args[0])))
    settings = SharedPrefixSettings(verify=False)
    trainer = trainer_of(SharedPrefixTrainer, model, tmp_path, shared_prefix=settings, max_steps=1)
    trainer.train()
    grids = [model.processor.image_processor(make_image(s))["image_grid_thw"] for s in SIZES]
    sizes = [int(torch.as_tensor(grid).prod()) for grid in grids]
    assert len(patches) == 2, "one rollout and one policy pass"
    assert patches[0] == patches[1]
    assert patches[0] in {a + b for a in sizes for b in sizes}, "two prompts, one image each"


def test_disabled_it_trains_exactly_as_trl(loaded, tmp_path):
    off = SharedPrefixSettings(enabled=False)
    trainer, change = trained(SharedPrefixTrainer, loaded(), tmp_path, shared_prefix=off)
    _, plain = trained(GRPOTrainer, loaded(), tmp_path)
    assert torch.equal(change, plain)
    assert not trainer.verification_results
    assert not trainer.fallbacks


@pytest.mark.parametrize("bf16", [False, True])
def test_a_large_group_passes_verification(loaded, tmp_path, bf16):
    options = {"num_generations": 32, "per_device_train_batch_size": 32, "max_steps": 1}
    model = loaded("qwen2_5_vl", dtype="bfloat16" if bf16 else "float32")
    trainer, _ = trained(SharedPrefixTrainer, model, tmp_path, bf16=bf16, **options)
    assert set(trainer.verification_results) == {POLICY, ROLLOUT}
    assert not trainer.fallbacks


def test_end_tokens_that_only_generate_knows_do_not_fail_verification(loaded, tmp_path):
    ends = {"eos_token_id": list(range(100))}
    options = {"generation_kwargs": ends, "temperature": 5.0, "max_steps": 1}
    trainer, _ = trained(SharedPrefixTrainer, loaded(), tmp_path, **options)
    assert ROLLOUT in trainer.verification_results
    assert not trainer.fallbacks


@pytest.mark.parametrize("kind", ["adapters", "attention"])
def test_dropout_is_refused_by_name_and_trl_is_used(loaded, tmp_path, caplog, kind):
    lora = LoraSettings(rank=4, dropout=0.1) if kind == "adapters" else None
    model = loaded("qwen2_5_vl", lora=lora)
    if lora is None:
        model.model.model.language_model.layers[1].self_attn.attention_dropout = 0.1
    trainer, _ = trained(SharedPrefixTrainer, model, tmp_path, max_steps=1)
    expected = "set model.lora.dropout to 0" if lora else "attention_dropout is 0.1"
    assert set(trainer.fallbacks) == {POLICY, ROLLOUT}
    assert all(expected in reason for reason in trainer.fallbacks.values())
    assert not trainer.verification_results
    assert "VERIFICATION" not in caplog.text


@pytest.mark.parametrize("bf16", [False, True])
def test_a_wrong_attention_mask_fails_verification_and_trl_is_used(
    loaded, tmp_path, monkeypatch, caplog, bf16
):
    build = prefix_attention.build_attention_layout

    def without_mask(packed, dtype):
        layout = build(packed, dtype)
        layout.attention_bias.zero_()
        return layout

    monkeypatch.setattr(
        "maniplvm.training.shared_prefix.policy.build_attention_layout", without_mask
    )
    options = {"bf16": bf16, "learning_rate": 0.1}
    trainer, change = trained(SharedTrainer, loaded(), tmp_path, **options)
    assert "VERIFICATION FAILED" in trainer.fallbacks[POLICY]
    assert "VERIFICATION FAILED" in caplog.text
    _, plain = trained(TrlTrainer, loaded(), tmp_path, **options)
    assert (change - plain).norm() / plain.norm() < (0.05 if bf16 else 1e-5)


def test_a_rollout_with_the_wrong_prompt_fails_verification_and_trl_is_used(
    loaded, tmp_path, monkeypatch, caplog
):
    from maniplvm.training.shared_prefix.prefix_kv_cache import PrefixKVCache

    build = PrefixKVCache.__init__

    def swap_prompts(self, prompts, mask, prompt_index):
        build(self, prompts, mask, prompt_index)
        self.prompts = [(keys.flip(0), values.flip(0)) for keys, values in self.prompts]

    monkeypatch.setattr(PrefixKVCache, "__init__", swap_prompts)
    trainer, _ = trained(SharedPrefixTrainer, loaded(), tmp_path)
    assert "VERIFICATION FAILED" in trainer.fallbacks[ROLLOUT]
    assert POLICY not in trainer.fallbacks
    assert "are computed by TRL's own code" in caplog.text


def test_an_unsupported_model_falls_back_to_trl(loaded, tmp_path, caplog):
    model = loaded("qwen2_5_vl")
    model.model.config.text_config.layer_types = ["full_attention", "sliding_attention"]
    trainer = trainer_of(SharedPrefixTrainer, model, tmp_path)
    assert set(trainer.fallbacks) == {POLICY, ROLLOUT}
    assert "sliding_attention" in caplog.text
