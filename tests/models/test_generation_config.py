import torch
from transformers import GenerationConfig

from maniplvm.models import ImageTextPrompt, encode_batch, load_model
from maniplvm.models.generation_config import end_tokens, only_settings_of
from maniplvm.training.loop.trainers import grpo_trainer_class
from tests.models.images import encoded, make_image

PROMPT = ImageTextPrompt("Where?", encoded(make_image((96, 64))))


def test_a_generation_ignores_what_the_checkpoint_brings(checkpoint):
    loaded = load_model(checkpoint("qwen3_vl"), device="cpu")
    inputs = encode_batch(loaded, [PROMPT])
    settings = GenerationConfig(max_new_tokens=4, do_sample=False, pad_token_id=0)

    def tokens():
        with torch.inference_mode(), only_settings_of(settings, loaded.model):
            return loaded.model.generate(**inputs, generation_config=settings).tolist()

    expected = tokens()
    first = expected[0][inputs["input_ids"].shape[1]]
    own = loaded.model.generation_config
    own.suppress_tokens, own.num_beams, own.min_new_tokens = [first], 3, 4
    with torch.inference_mode():
        brought = loaded.model.generate(**inputs, generation_config=settings).tolist()
    assert brought != expected
    assert tokens() == expected
    assert loaded.model.generation_config is own


def test_end_tokens_are_a_list(checkpoint):
    loaded = load_model(checkpoint("qwen3_vl"), device="cpu")
    for given, expected in ((None, []), (3, [3]), ([3, 4], [3, 4])):
        loaded.model.generation_config.eos_token_id = given
        assert end_tokens(loaded.model) == expected


def test_rollouts_of_grpo_hide_the_checkpoints_settings(checkpoint):
    """The part of the trainer that wraps TRL's rollout, over a rollout that looks at the model."""
    loaded = load_model(checkpoint("qwen3_vl"), device="cpu")

    class Rollout:
        def _generate_single_turn(self, *_):
            return self.model.generation_config

    trainer = object.__new__(grpo_trainer_class(Rollout))
    trainer.model, trainer.generation_config = loaded.model, GenerationConfig(max_new_tokens=3)
    trainer.accelerator = type("Unwrapping", (), {"unwrap_model": staticmethod(lambda m: m)})
    own = loaded.model.generation_config
    assert trainer._generate_single_turn([]) is trainer.generation_config
    assert loaded.model.generation_config is own
