from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.detection import opencv
from tasks.detection.base import DETECTORS, Detection, DetectorConfig, build_detector
from tasks.detection.opencv import motion_regions, suppress_overlaps
from tasks.detection.scripted import read_script
from tasks.masks.instances import Box, box_iou
from tasks.video.reader import Frames, Source, Video, open_video
from tasks.video.timeline import Timeline
from tasks.weights import Weights

EMBEDDED = ("motion", "people", "people+motion")
WIDTH, HEIGHT, COUNT = 320, 180, 20


def texture(seed: int, height: int, width: int) -> Frames:
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 6 + 1, width // 6 + 1, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def box_at(index: int) -> Box:
    return 40 + 4 * index, 50, 90 + 4 * index, 130


@pytest.fixture(scope="module")
def panned() -> list[Frames]:
    """A camera that pans to the right past a picture, and a patch that moves the other way."""
    scene, patch = texture(1, HEIGHT, WIDTH + 2 * COUNT), texture(2, 80, 50)
    frames = []
    for index in range(COUNT):
        frame = scene[:, 2 * index : 2 * index + WIDTH].copy()
        x1, y1, x2, y2 = (int(v) for v in box_at(index))
        frame[y1:y2, x1:x2] = patch
        frames.append(frame)
    return frames


@pytest.fixture
def video(panned: list[Frames], tmp_path: Path, clip_factory: Callable[..., Path]) -> Video:
    return open_video(Source("panned", clip_factory(tmp_path / "panned.mp4", panned)))


@pytest.mark.parametrize("index", [0, 9, COUNT - 1])
def test_motion_finds_what_moves_against_the_camera_at_the_start_in_the_middle_and_at_the_end(video: Video, index: int) -> None:
    found = build_detector(DetectorConfig(name="motion")).detect(video, [index])[0]
    assert len(found) == 1
    assert box_iou(found[0].box, box_at(index)) > 0.6
    assert found[0].category == "object"


def test_a_camera_that_pans_past_a_still_scene_sees_no_motion(tmp_path: Path, clip_factory: Callable[..., Path]) -> None:
    scene = texture(3, HEIGHT, WIDTH + 3 * COUNT)
    frames = [scene[:, 3 * i : 3 * i + WIDTH] for i in range(COUNT)]
    video = open_video(Source("still", clip_factory(tmp_path / "still.mp4", frames)))
    assert build_detector(DetectorConfig(name="motion")).detect(video, [0, 10]) == [[], []]


@pytest.mark.parametrize("name", EMBEDDED)
def test_detections_keep_to_the_protocol(video: Video, name: str) -> None:
    config = DetectorConfig(name=name, confidence=0.0)
    found = build_detector(config).detect(video, [0, 15])
    assert len(found) == 2
    for detections in found:
        assert [d.score for d in detections] == sorted((d.score for d in detections), reverse=True)
        for detection in detections:
            x1, y1, x2, y2 = detection.box
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT
            assert 0 <= detection.score <= 1


def test_target_and_confidence_are_kept_to(video: Video) -> None:
    assert build_detector(DetectorConfig(name="motion", target="person")).detect(video, [9]) == [[]]
    assert build_detector(DetectorConfig(name="motion", target="non-person")).detect(video, [9]) != [[]]
    assert build_detector(DetectorConfig(name="motion", confidence=1.0)).detect(video, [9]) == [[]]


def test_a_video_of_one_frame_has_no_motion(panned: list[Frames], tmp_path: Path, clip_factory: Callable[..., Path]) -> None:
    video = open_video(Source("one", clip_factory(tmp_path / "one.mp4", panned[:1])))
    assert build_detector(DetectorConfig(name="motion")).detect(video, [0]) == [[]]


class Listening:
    """A reader that notes which frames are decoded."""

    def __init__(self, frames: list[Frames]) -> None:
        self._frames = frames
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, indices: Sequence[int]) -> Frames:
        self.asked += indices
        return np.stack([self._frames[i] for i in indices])

    def timeline(self) -> Timeline:
        return Timeline(np.arange(len(self)) / 15, len(self) / 15)


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("indices", [[], [0], [0, 15], range(0, COUNT, 4), range(COUNT), [9, 0, 9, 19]])
def test_one_ascending_pass_decodes_no_frame_twice_and_finds_the_same(
    panned: list[Frames], name: str, indices: Sequence[int]
) -> None:
    reader = Listening(panned)
    video = Video(Source("panned", Path("panned")), Path("panned"), reader)
    reader.asked.clear()
    detector = build_detector(DetectorConfig(name=name, confidence=0.0, image_size_px=160))
    found = detector.detect(video, indices)
    assert reader.asked == sorted(set(reader.asked)), "ascending, none twice"
    reach = 0 if name == "people" else 3
    assert set(reader.asked) == {j for i in indices for j in {i, i - reach, i + reach} if 0 <= j < COUNT}
    assert found == [detector.detect(video, [index])[0] for index in indices]


@pytest.mark.parametrize("index", [0, 2, 9, COUNT - 1])
def test_a_pass_over_files_gives_what_frames_sought_one_by_one_give(video: Video, index: int) -> None:
    from tasks.video.motion import camera_motion, flow_magnitude, optical_flow, residual_flow

    gray = {i: opencv._gray(video.frames([i])[0], 480) for i in (index - 2, index, index + 2) if 0 <= i < COUNT}
    flows = [optical_flow(gray[index], other, fast=False) for i, other in gray.items() if i != index]
    expected = motion_regions(np.minimum.reduce([flow_magnitude(residual_flow(flow, camera_motion(flow))) for flow in flows]))
    looks = opencv.motion_frames(video, range(COUNT))
    detector = opencv.MotionDetector(DetectorConfig(name="motion"))
    assert dict(detector.detect_motion(opencv.decode_once(video, looks), looks))[index] == expected


@pytest.mark.parametrize("every", [1, 3, 15])
def test_a_pass_holds_no_more_pictures_than_it_still_needs(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    alive: list[weakref.ref[Frames]] = []
    most = 0

    def gray(frame: Frames, _longest: int) -> Frames:
        nonlocal most
        alive.append(weakref.ref(picture := frame[..., 0].copy()))
        most = max(most, sum(ref() is not None for ref in alive))
        return picture

    monkeypatch.setattr(opencv, "_gray", gray)
    monkeypatch.setattr(opencv, "_moving", lambda _here, _others: [])
    frames = [np.full((2, 2, 3), i, np.uint8) for i in range(60)]
    video = Video(Source("plain", Path("plain")), Path("plain"), Listening(frames))
    opencv.MotionDetector(DetectorConfig(name="motion")).detect(video, range(0, 60, every))
    assert most <= 8, "3 before, 3 after, the frame itself, and the one that has just come"


def test_small_and_thin_regions_are_not_objects() -> None:
    motion = np.zeros((100, 200), np.float32)
    motion[10:14, 10:14] = 5
    motion[40:90, 50:80] = 5
    found = motion_regions(motion)
    assert len(found) == 1
    assert found[0].box == pytest.approx((0.25, 0.4, 0.4, 0.9), abs=0.02)


def test_a_person_is_kept_before_the_motion_at_the_same_place() -> None:
    box, near, far = (0.1, 0.1, 0.3, 0.9), (0.11, 0.1, 0.3, 0.9), (0.6, 0.1, 0.8, 0.9)
    found = [Detection(near, "object", 0.9), Detection(box, "person", 0.4), Detection(far, "object", 0.5)]
    assert suppress_overlaps(found) == [found[1], found[2]]


def test_people_are_found_where_they_stand(shared: Path) -> None:
    video = open_video(Source("juggle", shared / "data" / "videos" / "05_default_juggle.mp4"))
    found = build_detector(DetectorConfig(name="people+motion")).detect(video, [0, 15])
    assert all(found)


def scripted(tmp_path: Path, content: Any, **changes: Any) -> Any:
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return build_detector(DetectorConfig(name="scripted", **changes), Weights(path, ""))


def test_a_script_is_followed_and_what_it_leaves_out_is_empty(video: Video, tmp_path: Path) -> None:
    rows = [[1, 2, 30, 40, "person", 0.5], [5, 6, 70.5, 80, "dog", 0.9], [1, 1, 2, 2, "cat", 0.1]]
    detector = scripted(tmp_path, {"panned": {"0": rows}, "other": {"15": rows}})
    assert detector.detect(video, [0, 15]) == [
        [Detection((5.0, 6.0, 70.5, 80.0), "dog", 0.9), Detection((1.0, 2.0, 30.0, 40.0), "person", 0.5)],
        [],
    ]


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        [],
        {"v": []},
        {"v": {"first": []}},
        {"v": {"0": {}}},
        {"v": {"0": [[1, 2, 3]]}},
        {"v": {"0": [[1, 2, 3, 4, 5, 0.5]]}},
        {"v": {"0": [[1, 2, 3, 4, "dog", 2]]}},
        {"v": {"0": [[3, 2, 1, 4, "dog", 0.5]]}},
        {"v": {"0": [["1", 2, 3, 4, "dog", 0.5]]}},
    ],
)
def test_a_malformed_script_is_refused_with_its_place(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ValueError, match=r"boxes\.json"):
        scripted(tmp_path, content)


def test_a_script_has_to_be_named() -> None:
    with pytest.raises(ValueError, match="JSON file"):
        build_detector(DetectorConfig(name="scripted"))


def test_reading_a_script_gives_frames_by_number(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"v": {"15": [[0, 0, 1, 1, "a", 1]]}}), "utf-8")
    assert read_script(path) == {"v": {15: [Detection((0.0, 0.0, 1.0, 1.0), "a", 1.0)]}}


def test_embedded_detectors_are_registered() -> None:
    assert {*EMBEDDED, "scripted"} <= set(DETECTORS)
