import io
from collections import Counter

import numpy as np
import pytest
from scipy.io import savemat

from maniplvm.data import import_dataset, open_dataset
from maniplvm.data.readers import umd
from maniplvm.data.readers.umd.files import AFFORDANCES
from maniplvm.data.readers.umd.reader import SAMPLED
from maniplvm.data.record_errors import BadRecord, ErrorCode
from maniplvm.errors import UserError
from maniplvm.tasks import BoxTarget, Sample, Task
from tests.data.conftest import encoded, the_bad_record

SIZE = (64, 48)
HAMMER = {"grasp": (10, 20, 30, 26), "pound": (30, 16, 38, 30)}
LADLE = {"grasp": (4, 4, 8, 30), "scoop": (8, 30, 20, 40), "contain": (10, 32, 18, 38)}
KNIFE = {"grasp": (4, 20, 20, 24), "cut": (20, 20, 60, 24)}


def label(parts, size=SIZE, kind=np.uint8):
    """A label map with a box of each affordance; later boxes cover earlier ones."""
    values = np.zeros(size[::-1], kind)
    for affordance, (x1, y1, x2, y2) in parts.items():
        values[y1:y2, x1:x2] = AFFORDANCES.index(affordance) + 1
    return values


def mat(values, name="gt_label") -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {name: values}, do_compression=True)
    return buffer.getvalue()


class Umd:
    """A synthetic download in the published layout."""

    def __init__(self, root):
        self.root = root
        self.lines = []
        (root / "tools").mkdir(parents=True)

    def add(self, tool, parts, frames=(1,), split=1, unlabelled=()):
        folder = self.root / "tools" / tool
        folder.mkdir()
        for frame in (*frames, *unlabelled):
            stem = f"{tool}_{frame:08d}"
            (folder / f"{stem}_rgb.jpg").write_bytes(encoded(SIZE, "JPEG", seed=frame))
            (folder / f"{stem}_depth.png").write_bytes(b"not read")
            if frame in frames:
                (folder / f"{stem}_label.mat").write_bytes(mat(label(parts)))
                (folder / f"{stem}_label_rank.mat").write_bytes(b"not read")
        self.lines.append(f"{split} {tool}")
        for name in ("category", "novel"):
            (self.root / f"{name}_split.txt").write_text("\n".join(self.lines) + "\n")

    def path(self, tool, frame=1, kind="label.mat"):
        return self.root / "tools" / tool / f"{tool}_{frame:08d}_{kind}"


@pytest.fixture
def download(tmp_path):
    return Umd(tmp_path / "part-affordance-dataset")


def samples_of(items) -> list[Sample]:
    found = list(items)
    assert all(isinstance(item, Sample) for item in found), found
    return found


def test_every_affordance_of_a_labelled_frame_is_one_sample(download):
    download.add("hammer_02", HAMMER, frames=(1, 4), unlabelled=(2, 3), split=2)
    samples = samples_of(umd.read(download.root, None))
    assert [sample.id for sample in samples] == [
        "umd-affordance-hammer_02-00000001-grasp",
        "umd-affordance-hammer_02-00000001-pound",
        "umd-affordance-hammer_02-00000004-grasp",
        "umd-affordance-hammer_02-00000004-pound",
    ]
    grasp, pound, *_ = samples
    assert grasp.target == BoxTarget(HAMMER["grasp"])
    assert pound.target == BoxTarget(HAMMER["pound"])
    assert (grasp.task, grasp.image_size, grasp.split) == (Task.AFFORDANCE, SIZE, "test")
    assert [s.instruction for s in (grasp, pound)] == [
        "grasp the hammer",
        "pound something with the hammer",
    ]
    assert [s.category for s in (grasp, pound)] == ["grasp", "pound"]
    assert grasp.image == download.path("hammer_02", kind="rgb.jpg").read_bytes()
    assert pound.provenance == {
        "format": "umd",
        "file": "tools/hammer_02/hammer_02_00000001_label.mat",
        "place": "frame 1",
        "image": "hammer_02/hammer_02_00000001_rgb.jpg",
        "tool": "hammer_02",
        "tool_category": "hammer",
        "official_split": "category: test",
    }


def test_the_box_is_tight_around_all_that_is_visible_of_a_part(download):
    values = label({"grasp": (0, 0, 1, 3), "cut": (63, 47, 64, 48)})
    values[10, 60] = 1  # a second piece, behind something
    download.add("saw_01", {})
    download.path("saw_01").write_bytes(mat(values))
    grasp, cut = samples_of(umd.read(download.root, None))
    assert grasp.target == BoxTarget([0, 0, 61, 11])
    assert cut.target == BoxTarget([63, 47, 64, 48])


def test_every_label_has_an_instruction_that_names_the_tool(download):
    boxes = {name: (i * 8, 0, i * 8 + 8, 9) for i, name in enumerate(AFFORDANCES)}
    download.add("mug_10", boxes)
    samples = samples_of(umd.read(download.root, None))
    assert [sample.category for sample in samples] == list(AFFORDANCES)
    assert all("mug" in sample.instruction for sample in samples)
    assert len({sample.instruction for sample in samples}) == 7


def test_a_frame_with_an_empty_label_gives_no_sample_and_needs_no_image(download):
    download.add("cup_01", {})
    download.path("cup_01", kind="rgb.jpg").unlink()
    assert samples_of(umd.read(download.root, None)) == []


def test_the_pointing_task_gives_masks(download):
    download.add("ladle_01", LADLE)
    grasp, scoop, contain = samples_of(umd.read(download.root, None, task="pointing"))
    assert scoop.task is Task.POINTING
    assert scoop.id == "umd-pointing-ladle_01-00000001-scoop"
    assert np.array_equal(scoop.target.mask, label(LADLE) == 3)
    assert scoop.target.contains([[9, 31], [12, 35]]).tolist() == [True, False]
    assert contain.target.mask.sum() == 8 * 6
    assert grasp.target.mask.sum() == 4 * 26


def test_both_official_splits_are_read(download):
    download.add("hammer_01", HAMMER, split=1)
    download.add("knife_01", KNIFE, split=2)
    (download.root / "novel_split.txt").write_text("2 hammer_01\n\n1 knife_01\n")
    by_file = {
        name: {
            s.provenance["tool"]: s.split for s in umd.read(download.root, None, split_file=name)
        }
        for name in ("category", "novel")
    }
    assert by_file == {
        "category": {"hammer_01": "train", "knife_01": "test"},
        "novel": {"hammer_01": "test", "knife_01": "train"},
    }


def test_a_tool_that_the_split_does_not_name_is_left_out(download):
    download.add("hammer_01", HAMMER)
    download.add("knife_01", KNIFE)
    (download.root / "novel_split.txt").write_text("1 knife_01\n")
    found = samples_of(umd.read(download.root, None, split_file="novel"))
    assert {sample.provenance["tool"] for sample in found} == {"knife_01"}


@pytest.mark.parametrize("labelled", [range(1, 8), (1, 2, 4, 6, 7), (1, 4, 7)])
def test_the_option_every_takes_every_nth_frame(download, labelled):
    download.add("hammer_01", HAMMER, frames=labelled)
    found = samples_of(umd.read(download.root, None, every=3))
    assert [s.provenance["place"] for s in found][::2] == ["frame 1", "frame 4", "frame 7"]


@pytest.mark.parametrize("below", ["", "part-affordance-dataset", "part-affordance-dataset/tools"])
def test_the_parent_folder_and_the_tools_folder_are_accepted(download, tmp_path, below):
    download.add("hammer_01", HAMMER)
    assert len(samples_of(umd.read(tmp_path / below, None))) == 2


def test_images_may_be_in_another_folder(download, tmp_path):
    download.add("hammer_01", HAMMER)
    elsewhere = tmp_path / "images" / "hammer_01"
    elsewhere.mkdir(parents=True)
    source = download.path("hammer_01", kind="rgb.jpg")
    source.rename(elsewhere / source.name)
    assert len(samples_of(umd.read(download.root, tmp_path / "images"))) == 2


# Drawing


@pytest.fixture
def many(download):
    download.add("hammer_01", HAMMER, frames=range(1, 13))
    download.add("knife_01", KNIFE, frames=range(1, 13), split=2)
    download.add("ladle_01", LADLE, frames=range(1, 13))
    return download


def test_a_drawn_sample_has_equal_parts_and_no_repeated_image(many):
    found = samples_of(umd.read(many.root, None, sample=14, seed=3))
    shares = Counter(sample.category for sample in found)
    assert shares == {"grasp": 4, "cut": 4, "pound": 3, "scoop": 3}
    assert len({sample.provenance["image"] for sample in found}) == 14


def test_the_seed_decides_what_is_drawn(many):
    def drawn(seed):
        return [sample.id for sample in umd.read(many.root, None, sample=8, seed=seed)]

    assert drawn(0) == drawn(0)
    assert sorted(drawn(0)) != sorted(drawn(1))


def test_a_bad_frame_is_reported_and_another_is_drawn_instead(many):
    for frame in range(1, 7):
        many.path("hammer_01", frame).write_bytes(b"no label")
        many.path("knife_01", frame, "rgb.jpg").write_bytes(b"no image")
    found = list(umd.read(many.root, None, sample=16))
    assert Counter(s.category for s in found if isinstance(s, Sample)) == dict.fromkeys(SAMPLED, 4)
    codes = {item.code for item in found if isinstance(item, BadRecord)}
    assert codes == {ErrorCode.DAMAGED_FILE, ErrorCode.UNREADABLE_IMAGE}


def test_the_error_of_too_few_frames_lists_what_is_missing(many):
    with pytest.raises(UserError, match=r"36 labelled frames are too few to draw 80 .*of scoop"):
        list(umd.read(many.root, None, sample=80))


# What is refused


FRACTION = label(KNIFE, kind=np.float64) / 2
NAN = np.full(SIZE[::-1], np.nan)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"this is a text", ErrorCode.DAMAGED_FILE, "is not a readable MATLAB file"),
        (mat(label(KNIFE))[:-20], ErrorCode.DAMAGED_FILE, "ends inside an element"),
        (
            mat(label(KNIFE), "other"),
            ErrorCode.MISSING_KEY,
            "has no variable 'gt_label'; found 'other'",
        ),
        (mat(np.zeros((48, 64, 7), np.uint8)), ErrorCode.WRONG_TYPE, "of shape (48, 64, 7)"),
        (mat("a text"), ErrorCode.WRONG_TYPE, "'gt_label' as text"),
        (
            mat(label(KNIFE) * 4),
            ErrorCode.BAD_VALUE,
            "values up to 8 in 'gt_label'; labels are integers",
        ),
        (mat(label(KNIFE).astype(np.int16) - 1), ErrorCode.BAD_VALUE, "integers from 0 to 7"),
        (mat(FRACTION), ErrorCode.BAD_VALUE, "integers from 0 to 7"),
        (mat(NAN), ErrorCode.BAD_VALUE, "integers from 0 to 7"),
        (mat(label(KNIFE, (65, 48))), ErrorCode.SIZE_MISMATCH, "64x48 px, but its label is 65x48"),
        (mat(label(KNIFE).T), ErrorCode.SIZE_MISMATCH, "64x48 px, but its label is 48x64"),
    ],
)
def test_an_invalid_label_gives_one_line_that_names_its_file(download, data, code, words):
    download.add("hammer_01", HAMMER)
    download.add("knife_01", KNIFE)
    download.path("knife_01").write_bytes(data)
    bad = the_bad_record(umd.read(download.root, None))
    assert bad.code is code
    assert words in bad.detail
    path = download.path("knife_01")
    assert str(bad).startswith(f"{path.parent}, frame 1 (id knife_01_00000001): {code}: ")
    assert path.name in bad.detail or code is ErrorCode.SIZE_MISMATCH
    assert "\n" not in str(bad)


def test_labels_of_another_number_type_are_read_if_they_are_integers(download):
    download.add("knife_01", KNIFE)
    download.path("knife_01").write_bytes(mat(label(KNIFE, kind=np.float64)))
    assert [s.category for s in samples_of(umd.read(download.root, None))] == ["grasp", "cut"]


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, ErrorCode.MISSING_IMAGE), (b"no image", ErrorCode.UNREADABLE_IMAGE)],
)
def test_an_image_that_is_missing_or_unreadable_refuses_its_frame(download, content, code):
    download.add("hammer_01", HAMMER)
    download.add("knife_01", KNIFE)
    image = download.path("knife_01", kind="rgb.jpg")
    image.unlink()
    if content is not None:
        image.write_bytes(content)
    bad = the_bad_record(umd.read(download.root, None))
    assert bad.code is code
    assert image.name in bad.detail


def test_a_missing_tool_is_named_with_its_line(download, tmp_path):
    download.add("hammer_01", HAMMER)
    path = download.root / "category_split.txt"
    path.write_text("1 hammer_01\n2 shovel_01\n")
    report = import_dataset("umd", download.root, tmp_path / "set", skip_bad=True)
    assert (report.written, report.error_counts) == (2, {ErrorCode.MISSING_FILE: 1})
    assert str(report.skipped[0]).startswith(f"{path}, line 2 (id shovel_01): missing file")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "3 hammer_01",
            r"line 2: expected 1 \(train\) or 2 \(test\) and a tool's name, got '3 ham",
        ),
        ("hammer_01", "line 2: expected 1"),
        ("1 ../../etc", "line 2: expected 1"),
        ("1 /etc", "line 2: expected 1"),
        ("1 hammer_01 x", "line 2: expected 1"),
        ("2 knife_01", "line 2: knife_01 is in line 1 too"),
    ],
)
def test_a_split_file_s_bad_line_is_named(download, line, message):
    download.add("knife_01", KNIFE)
    (download.root / "category_split.txt").write_text(f"1 knife_01\n{line}\n")
    with pytest.raises(UserError, match=message):
        list(umd.read(download.root, None))


def test_the_error_of_another_folder_says_which_folder_to_give(tmp_path, download):
    with pytest.raises(UserError, match="gone: no such file or folder"):
        list(umd.read(tmp_path / "gone", None))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no folder 'tools'; give the folder"):
        list(umd.read(tmp_path / "empty", None))
    with pytest.raises(
        UserError, match=r"category_split.txt: no such file; it comes with the data"
    ):
        list(umd.read(download.root, None))
    download.add("knife_01", KNIFE)
    with pytest.raises(UserError, match="no such image folder"):
        list(umd.read(download.root, tmp_path / "gone"))
    (download.root / "category_split.txt").write_bytes(b"1 knife_01 \xff")
    with pytest.raises(UserError, match="not UTF-8 text"):
        list(umd.read(download.root, None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_file": "random"}, "unknown --split-file 'random'; choose from category, novel"),
        ({"task": "trajectory"}, "no --task 'trajectory'; choose from affordance, pointing"),
        ({"sample": 0}, "--sample need at least 1"),
        ({"every": 0}, "--every and"),
        ({"seed": -1}, "--seed at least 0"),
    ],
)
def test_options_are_checked_at_the_call(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        umd.read(tmp_path, None, **options)


def test_frames_are_read_one_by_one(download):
    download.add("hammer_01", HAMMER)
    download.add("knife_01", KNIFE)
    download.path("knife_01").write_bytes(b"not reached")
    assert next(umd.read(download.root, None)).category == "grasp"


def test_affordances_of_a_frame_share_one_stored_image(many, tmp_path):
    import_dataset("umd", many.root, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    images = sum(path.stat().st_size for path in many.root.rglob("*_rgb.jpg"))
    stored = sum(path.stat().st_size for path in dataset.folder.glob("*.parquet"))
    assert len(dataset) == 12 * (2 + 2 + 3)
    assert stored < 1.5 * images
