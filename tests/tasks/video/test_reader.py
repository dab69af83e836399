from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.video.diagnosis import REASONS, VideoError
from tasks.video.reader import Source, open_video
from tasks.video.timeline import Timeline


def image(value: int) -> np.ndarray:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:] = (value, 255 - value, 90)
    return frame


def test_frames_are_rgb_and_in_order(square_clip: Path) -> None:
    video = open_video(Source("v", square_clip))
    assert (len(video), video.width, video.height) == (40, 240, 180)
    first, last = video.frames([0, 39])
    assert first[40, 30].tolist() == pytest.approx([230, 30, 30], abs=12)
    assert last[40, 65].tolist() == pytest.approx([230, 30, 30], abs=12)


@pytest.mark.parametrize(("start", "stop"), [(0, 40), (5, 12), (39, -1), (11, 3)])
def test_windows_walk_every_frame_once(square_clip: Path, start: int, stop: int) -> None:
    video = open_video(Source("v", square_clip))
    seen = [first + i for first, frames in video.windows(start, stop, size=7) for i in range(len(frames))]
    step = 1 if stop > start else -1
    assert sorted(seen) == sorted(range(start, stop, step))


def test_times_follow_a_variable_rate(tmp_path: Path, clip_factory: Callable[..., Path]) -> None:
    pts = [0, 100, 200, 700, 800, 1500]
    path = clip_factory(tmp_path / "vfr.mp4", [image(40 * i) for i in range(6)], pts=pts)
    timeline = open_video(Source("v", path)).timeline
    assert timeline.times_s * 1000 == pytest.approx(np.array(pts), abs=2)
    assert [timeline.index_at(t) for t in (0.0, 0.15, 0.69, 0.71, 99.0, -1.0)] == [0, 1, 2, 3, 5, 0]


def test_a_folder_of_jpegs_is_a_video(tmp_path: Path) -> None:
    for index in range(5):
        cv2.imwrite(str(tmp_path / f"{index:05d}.jpg"), image(50 * index)[..., ::-1])
    video = open_video(Source("v", tmp_path, fps=5.0))
    assert video.frames([4])[0, 0, 0].tolist() == pytest.approx([200, 55, 90], abs=4)
    assert video.timeline.duration_s == pytest.approx(1.0)
    with pytest.raises(VideoError) as error:
        open_video(Source("v", tmp_path))
    assert error.value.reason == "no_fps"


def test_a_file_cut_short_is_truncated(tmp_path: Path, square_clip: Path) -> None:
    data = square_clip.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) * 6 // 10])
    assert reason_of(path) == "truncated"


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty_file"), (b"hello, I am text\n" * 50, "not_a_video")])
def test_files_that_are_no_videos(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    assert reason_of(path) == reason


def test_a_missing_file_and_a_folder_without_frames(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "none.mp4") == "missing"
    with pytest.raises(VideoError) as error:
        open_video(Source("v", tmp_path, fps=2.0))
    assert error.value.reason == "no_frames"


def test_an_error_names_the_file_and_survives_pickling(tmp_path: Path) -> None:
    import pickle

    error = pickle.loads(pickle.dumps(VideoError("truncated", "a.mp4")))
    assert error.reason == "truncated"
    assert str(error).startswith("a.mp4: ")
    assert set(REASONS) >= {"truncated", "empty_file"}


def reason_of(path: Path) -> str:
    with pytest.raises(VideoError) as error:
        open_video(Source("v", path))
    assert path.name in str(error.value)
    return error.value.reason


steps = st.lists(st.floats(0.01, 2.0), min_size=1, max_size=50)


@given(steps, st.data())
def test_every_time_on_screen_maps_to_the_frame_shown_then(gaps: list[float], data: st.DataObject) -> None:
    edges = np.concatenate([[0.0], np.cumsum(gaps)])
    timeline = Timeline(edges[:-1], float(edges[-1]))
    index = data.draw(st.integers(0, len(gaps) - 1))
    share = data.draw(st.floats(0.0, 0.99))
    assert timeline.index_at(edges[index] + share * gaps[index] * 0.99) == index


@given(steps, st.floats(0, 120), st.floats(0.001, 120))
def test_an_interval_inside_the_video_has_frames_and_one_outside_has_none(
    gaps: list[float], start: float, length: float
) -> None:
    edges = np.concatenate([[0.0], np.cumsum(gaps)])
    timeline = Timeline(edges[:-1], float(edges[-1]))
    frames = timeline.frames_in(start, start + length)
    assert bool(frames) == (start < timeline.duration_s)
    assert not frames or 0 <= frames.start < frames.stop <= len(gaps)
    assert timeline.frames_in(0.0, None) == range(len(gaps))
    assert not timeline.frames_in(timeline.duration_s + start, timeline.duration_s + start + length)
    assert not timeline.frames_in(-start - length, -start)
    assert not timeline.frames_in(start + length, start)


@given(steps, st.data())
def test_the_seconds_of_frames_give_these_frames_again(gaps: list[float], data: st.DataObject) -> None:
    edges = np.concatenate([[0.0], np.cumsum(gaps)])
    timeline = Timeline(edges[:-1], float(edges[-1]))
    first = data.draw(st.integers(0, len(gaps) - 1))
    last = data.draw(st.integers(first, len(gaps) - 1))
    assert timeline.frames_in(*timeline.seconds_of(first, last)) == range(first, last + 1)


def test_a_frame_that_is_a_link_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "0.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(VideoError) as error:
        open_video(Source("frames", tmp_path / "frames", 6.0))
    assert error.value.reason == "leads_out"
