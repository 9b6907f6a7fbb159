import shutil
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from maniplvm.errors import UserError
from maniplvm.evaluation import ModelPredictor, evaluate
from maniplvm.geometry import declared_frame, resolve_frame
from maniplvm.models import load_interface, write_tiny_checkpoint
from maniplvm.models.generation import Decoding
from maniplvm.tasks import Task
from tests.evaluation.scenery import sample, small_set, stored

WARM = Decoding(temperature=1.0, max_new_tokens=4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), "qwen3_vl")


def predictor(tiny, decoding=WARM, **options):
    settings = {"device": "cpu", "max_pixels": 64 * 64, "batch_size": 5, **options}
    return ModelPredictor(tiny, decoding, **settings)


def texts(predictor, samples):
    return {prediction.key: prediction.text for prediction in predictor.predict(samples)}


def test_every_sample_has_the_requested_number_of_draws(tiny):
    samples = small_set()[:6]
    found = list(predictor(tiny, draws=3).predict(samples))
    assert sorted(prediction.key for prediction in found) == sorted(
        (each.id, draw) for each in samples for draw in range(3)
    )
    assert {prediction.frame for prediction in found} == {"qwen3_vl"}
    assert all(0 < prediction.tokens <= 4 for prediction in found)


def test_draws_do_not_depend_on_the_batch_the_order_or_the_other_samples(tiny):
    samples = small_set()[:7]
    whole = texts(predictor(tiny, draws=2), samples)
    assert whole == texts(predictor(tiny, draws=2, batch_size=14), samples[::-1])
    some = texts(predictor(tiny, draws=2), samples[2:4])
    assert some == {key: text for key, text in whole.items() if key in some}
    assert whole != texts(predictor(tiny, draws=2, seed=1), samples)
    assert whole[samples[0].id, 0] != whole[samples[0].id, 1]


def test_the_model_is_loaded_at_the_first_prediction(tmp_path):
    waiting = ModelPredictor(tmp_path / "nowhere")
    assert waiting.name == str(tmp_path / "nowhere")
    assert "weights" not in waiting.settings
    with pytest.raises(UserError, match="no such folder"):
        next(waiting.predict(small_set()))


def test_other_weights_in_the_same_folder_are_noticed(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "model")
    data = stored(tmp_path / "data", small_set()[:2])
    evaluate(predictor(folder), data, tmp_path / "out")
    shutil.rmtree(folder)
    write_tiny_checkpoint(folder, "qwen3_vl", seed=1)
    with pytest.raises(UserError, match=r"decoding\.weights was"):
        evaluate(predictor(folder), data, tmp_path / "out")


def test_an_adapter_is_part_of_the_model(tiny, tmp_path):
    (tmp_path / "adapter").mkdir()
    plain, adapted = predictor(tiny), predictor(tiny, adapter=tmp_path / "adapter")
    assert adapted.name == f"{tiny} + {tmp_path / 'adapter'}"
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    assert adapted.settings["weights"] != plain.settings["weights"]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_declared_frame_is_the_models(tmp_path, family):
    interface = load_interface(write_tiny_checkpoint(tmp_path, family), max_pixels=200 * 200)
    declared = resolve_frame(declared_frame(interface.frame_spec), (640, 480))
    points = [[0.0, 0.0], [123.0, 456.0], [640.0, 480.0]]
    own = interface.frame_for((640, 480))
    assert declared.encode(points).tolist() == own.encode(points).tolist()
    assert declared.limits == own.limits or declared.span == own.span == 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 2, "decoding": Decoding()}, "2 greedy draws would be identical"),
        ({"draws": 0}, "--draws and --batch-size must be at least 1"),
        ({"batch_size": 0}, "--draws and --batch-size must be at least 1"),
    ],
)
def test_invalid_numbers_give_one_clear_line(tiny, options, message):
    with pytest.raises(UserError, match=message):
        predictor(tiny, **options)


def test_an_image_that_the_model_refuses_is_named(tmp_path):
    tiny = write_tiny_checkpoint(tmp_path, "qwen2_5_vl")
    thin = replace(sample(Task.AFFORDANCE), id="thin", image_size=(8000, 20))
    with pytest.raises(UserError, match="sample thin: the model refuses its size"):
        next(ModelPredictor(tiny, device="cpu").predict([thin]))
