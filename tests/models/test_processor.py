import json
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import transformers
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.models import FAMILIES, TINY_FAMILIES, load_interface
from maniplvm.models.checkpoint import open_checkpoint
from maniplvm.models.processor import frame_spec, load_processor
from maniplvm.tasks import BoxTarget, TraceTarget, parse_answer, write_completion
from tests.models.images import make_image

SIZES = [
    (1, 1),
    (1, 150),
    (13, 29),
    (28, 28),
    (42, 14),
    (56, 56),
    (64, 64),
    (70, 98),
    (99, 101),
    (112, 980),
    (160, 120),
    (224, 224),
    (256, 257),
    (300, 2),
    (333, 777),
    (480, 640),
    (640, 480),
    (641, 479),
    (1000, 40),
]
SIDE = st.integers(1, 6000)
FRAME_SETTINGS = settings(max_examples=200, deadline=None)

PUBLISHED = {
    "qwen2_5_vl": {
        "min_pixels": 3136,
        "max_pixels": 12845056,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    },
    "qwen3_vl": {
        "size": {"longest_edge": 16777216, "shortest_edge": 65536},
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "processor_class": "Qwen3VLProcessor",
    },
}
"""The layout of the files that Qwen publishes, in which image settings have their own file."""


@pytest.fixture(scope="module")
def interface(checkpoint):
    loaded = {}

    def get(architecture, **options):
        key = (architecture, *sorted(options.items()))
        if key not in loaded:
            loaded[key] = load_interface(checkpoint(architecture), **options)
        return loaded[key]

    return get


def processed(interface, image):
    """The size and the pixels of the image that the processor makes."""
    processor = interface.processor.image_processor
    made = processor(images=[image], return_tensors="np")
    patch, merge = processor.patch_size, processor.merge_size
    _, rows, columns = made["image_grid_thw"][0]
    blocks = made["pixel_values"].reshape(
        rows // merge, columns // merge, merge, merge, 3, -1, patch, patch
    )
    pixels = blocks[:, :, :, :, :, 0].transpose(0, 2, 5, 1, 3, 6, 4)
    return (columns * patch, rows * patch), pixels.reshape(rows * patch, columns * patch, 3)


@pytest.mark.parametrize("family", TINY_FAMILIES)
@pytest.mark.parametrize("limits", [{}, {"max_pixels": 90_000}, {"min_pixels": 120_000}])
@pytest.mark.parametrize("size", SIZES)
def test_the_view_ends_at_the_size_that_the_processor_makes(interface, family, limits, size):
    side = interface(family, **limits)
    made, _ = processed(side, make_image(size))
    assert side.frame_for(size).view.seen == made


@pytest.mark.parametrize("family", TINY_FAMILIES)
@given(width=SIDE, height=SIDE)
@FRAME_SETTINGS
def test_image_tokens_are_those_that_the_processor_would_write(interface, family, width, height):
    assume(max(width, height) <= 200 * min(width, height))
    side = interface(family, max_pixels=500_000)
    processor = side.processor.image_processor
    patches = processor.get_number_of_image_patches(height, width)
    assert side.image_tokens((width, height)) == patches // processor.merge_size**2


@pytest.mark.parametrize("family", TINY_FAMILIES)
@pytest.mark.parametrize("size", [(640, 480), (333, 777), (64, 64)])
def test_an_object_in_the_image_lies_where_the_frame_puts_it(interface, family, size):
    side = interface(family)
    width, height = size
    box = np.round([[width * 0.25, height * 0.5], [width * 0.75, height * 0.875]])
    image = Image.new("RGB", size)
    ImageDraw.Draw(image).rectangle([*box[0], *(box[1] - 1)], fill="white")
    seen, pixels = processed(side, image)
    rows, columns = np.nonzero(pixels.mean(axis=2) > pixels.mean(axis=2).mean())
    found = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])

    frame = side.frame_for(size)
    predicted = frame.encode(box)
    if frame.span is not None:
        predicted = predicted / frame.span * seen
    blur = 1 + np.array(frame.view.scale)
    assert (np.abs(predicted - found) <= blur).all()


@pytest.mark.parametrize("family", TINY_FAMILIES)
@given(
    size=st.tuples(st.integers(40, 4000), st.integers(40, 4000)),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=10),
)
@FRAME_SETTINGS
def test_targets_survive_the_resize(interface, family, size, shares):
    frame = interface(family).frame_for(size)
    points = np.array(shares) * size
    exact = frame.decode(frame.encode(points, rounded=False))
    np.testing.assert_allclose(exact, points, rtol=0, atol=1e-9)
    written = write_completion(TraceTarget(points), frame, "up")
    read = parse_answer(written, "trajectory", frame)
    assert read.well_formed
    assert (np.abs(read.value - points) <= np.array(frame.quantum) / 2 + 1e-9).all()


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_whole_pixels_of_the_seen_image_come_back_exactly(interface, family):
    frame = interface(family).frame_for((640, 480))
    numbers = np.array([[0.0, 0.0], frame.limits])
    target = BoxTarget(frame.decode(numbers).reshape(4))
    read = parse_answer(write_completion(target, frame, "it"), "affordance", frame)
    np.testing.assert_allclose(read.value, target.xyxy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(target.xyxy, [0, 0, 640, 480], rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", PUBLISHED)
def test_checkpoints_in_the_published_layout_are_read_by_their_own_settings(copied, family):
    folder = copied(family)
    (folder / "processor_config.json").unlink()
    settings_file = folder / "preprocessor_config.json"
    settings_file.write_text(json.dumps(PUBLISHED[family]), encoding="utf-8")
    side = load_interface(folder)
    for size in [(640, 480), (60, 70), (1234, 567)]:
        assert side.frame_for(size).view.seen == processed(side, make_image(size))[0]


@pytest.mark.parametrize("family", PUBLISHED)
def test_a_family_may_use_another_frame_than_its_architecture(interface, family):
    side = interface(family, family="unit")
    assert side.frame_for((640, 480)).limits == (1, 1)
    assert side.frame_for((640, 480)).view.seen == processed(side, make_image((640, 480)))[0]
    assert interface(family, family="pixels").frame_for((640, 480)).limits == (640, 480)


def test_smaller_images_need_fewer_tokens(interface):
    assert interface("qwen2_5_vl").image_tokens((640, 480)) == 23 * 17
    assert interface("qwen2_5_vl", max_pixels=200_704).image_tokens((640, 480)) < 257


def test_a_limit_below_the_checkpoints_smallest_area_lowers_that_too(interface):
    assert interface("qwen3_vl", max_pixels=50_000).frame_spec.resize.min_pixels == 50_000


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_pixels": 1023}, "one image token alone covers 32 x 32 = 1024"),
        ({"min_pixels": 2, "max_pixels": 1}, "one image token"),
        ({"min_pixels": 90_000, "max_pixels": 80_000}, "between 1 and max_pixels"),
        ({"min_pixels": 0}, "between 1 and max_pixels"),
    ],
)
def test_areas_that_cannot_be_met_are_refused(checkpoint, limits, words):
    with pytest.raises(UserError, match=words):
        load_interface(checkpoint("qwen3_vl"), **limits)


def test_families_in_resized_pixels_need_the_processor_of_qwen_vl():
    other = SimpleNamespace(patch_size=14, merge_size=2, do_resize=True)
    with pytest.raises(UserError, match="does not resize as its processor does"):
        frame_spec(FAMILIES["qwen2_5_vl"], other, "here")
    assert frame_spec(FAMILIES["unit"], other, "here").bind((640, 480)) == FRAMES["unit"].bind(
        (640, 480)
    )


def test_without_a_resize_the_frame_is_that_of_the_original(copied):
    folder = copied("qwen3_vl")
    path = folder / "processor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["image_processor"]["do_resize"] = False
    path.write_text(json.dumps(content), encoding="utf-8")
    side = load_interface(folder)
    assert (
        side.frame_for((64, 96)).view.seen == (64, 96) == processed(side, make_image((64, 96)))[0]
    )
    assert side.image_tokens((64, 96)) == 6
    with pytest.raises(UserError, match="no min_pixels"):
        load_interface(folder, max_pixels=90_000)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_saved_processor_keeps_its_limits_and_its_video_part(interface, family, tmp_path):
    side = interface(family, max_pixels=90_000)
    side.processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text(encoding="utf-8"))
    assert saved["image_processor"]["size"]["longest_edge"] == 90_000
    assert saved["video_processor"]["video_processor_type"].endswith("VLVideoProcessor")
    assert saved["processor_class"] == type(side.processor).__name__
    assert getattr(transformers, saved["processor_class"]) in type(side.processor).__mro__


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_processor_can_be_sent_to_another_process(interface, family):
    side = interface(family)
    again = pickle.loads(pickle.dumps(side.processor))  # noqa: S301 - our own bytes
    assert again.to_dict() == side.processor.to_dict()
    made = again.image_processor(images=[make_image((64, 48))], return_tensors="np")
    assert made["pixel_values"].shape[0] == made["image_grid_thw"].prod()


def test_with_torchvision_the_original_processor_class_is_used(checkpoint, interface, monkeypatch):
    asked = []
    stock = interface("qwen3_vl").processor

    def from_pretrained(folder, trust_remote_code):
        asked.append((folder, trust_remote_code))
        return stock

    monkeypatch.setattr(transformers.utils, "is_torchvision_available", lambda: True)
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", from_pretrained)
    assert load_interface(checkpoint("qwen3_vl")).processor is stock
    assert asked == [(checkpoint("qwen3_vl"), False)]


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("processor_config.json", "processor cannot be loaded"),
        ("tokenizer.json", "processor cannot be loaded"),
        ("chat_template.jinja", "no chat template"),
    ],
)
def test_a_checkpoint_without_its_processor_is_refused(copied, lost, words):
    folder = copied()
    (folder / lost).unlink()
    with pytest.raises(UserError, match=words) as caught:
        load_interface(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_chat_template_is_a_one_line_error(checkpoint, tmp_path, share):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint("qwen2_5_vl"), folder)
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text()[: int(share * len(path.read_text()))])
    with pytest.raises(UserError, match="chat template"):
        load_processor(open_checkpoint(folder))
