import sys

import numpy as np
import pytest

from maniplvm.data.images import decode
from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.data.video import read_frame
from maniplvm.errors import UserError
from tests.data.conftest import encoded
from tests.data.readers.robot_data import FPS, write_video

LEVELS = list(range(20, 220, 8))
CODECS = {"libx264": {}, "libsvtav1": {"preset": 10}, "libx265": {"x265-params": "log-level=none"}}


def level(image):
    return float(np.asarray(decode(image.data)).mean())


def images(size=(64, 48)):
    return [np.full((*size[::-1], 3), grey, np.uint8) for grey in LEVELS]


@pytest.fixture(params=CODECS)
def video(request, tmp_path, monkeypatch):
    monkeypatch.setenv("SVT_LOG", "0")
    return write_video(tmp_path / "a.mp4", images(), request.param, **CODECS[request.param])


@pytest.fixture
def h264(tmp_path):
    return write_video(tmp_path / "a.mp4", images())


def refused(path, seconds=0.0):
    with pytest.raises(RecordError) as caught:
        read_frame(path, seconds)
    assert str(path) in caught.value.detail
    assert "\n" not in caught.value.detail
    return caught.value


def test_the_first_frame_is_read(video):
    image = read_frame(video)
    assert image.size == (64, 48)
    assert abs(level(image) - LEVELS[0]) < 1.6


def test_any_frame_is_found_by_its_time(video):
    for index in (0, 1, 7, 12, len(LEVELS) - 1):
        for shift in (-0.3, 0.0, 0.3):
            found = level(read_frame(video, max(0, index + shift) / FPS))
            assert abs(found - LEVELS[index]) < 1.6


def test_a_time_behind_the_end_is_refused(video):
    error = refused(video, 9.0)
    assert error.code is ErrorCode.UNREADABLE_VIDEO
    assert "no frame at 9.000 s; the nearest frame is at 2.400 s" in error.detail


def test_a_truncated_file_gives_the_correct_frame_or_a_clear_error(video):
    whole, first = video.read_bytes(), read_frame(video).data
    outcomes = []
    for end in range(0, len(whole), 97):
        video.write_bytes(whole[:end])
        try:
            outcomes.append(read_frame(video).data)
        except RecordError as error:
            outcomes.append(error.code if str(video) in error.detail else error)
    assert set(outcomes) == {first, ErrorCode.UNREADABLE_VIDEO}
    assert outcomes[-1] == first


@pytest.mark.parametrize(
    "content", [b"", b"just text", encoded(), b"#EXTM3U\nsecret.mp4\n", bytes(4000)]
)
def test_a_file_that_is_not_a_video_is_named(content, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert refused(path).code is ErrorCode.UNREADABLE_VIDEO


def test_a_file_that_is_missing_is_named(tmp_path):
    assert refused(tmp_path / "gone.mp4").code is ErrorCode.MISSING_FILE
    assert refused(tmp_path).code is ErrorCode.MISSING_FILE


def test_an_unknown_codec_is_named(h264):
    h264.write_bytes(h264.read_bytes().replace(b"avc1", b"zzz9"))
    error = refused(h264)
    assert error.code is ErrorCode.UNREADABLE_VIDEO
    assert "no decoder for its codec" in error.detail


def test_a_huge_image_is_refused_before_it_is_decoded(h264, monkeypatch):
    monkeypatch.setattr("maniplvm.data.video.MAX_PIXELS", 64 * 48 - 1)
    error = refused(h264)
    assert error.code is ErrorCode.OVERSIZED_IMAGE
    assert "is 64x48: more than 3,071 pixels" in error.detail


def test_nothing_is_printed(h264, capfd):
    h264.write_bytes(h264.read_bytes()[:1500])
    refused(h264)
    assert capfd.readouterr() == ("", "")


def test_without_pyav_the_error_says_what_to_install(h264, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r'videos need PyAV .*pip install "maniplvm\[video\]"'):
        read_frame(h264)
