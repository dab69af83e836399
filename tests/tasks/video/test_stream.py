"""Frame k is the k-th of a sequential decode, whichever way it is reached; times increase; damage has a name."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.video.diagnosis import VideoError
from tasks.video.reader import Frames, Source, open_video
from tasks.video.stream import StreamReader

COUNT, HEIGHT, WIDTH = 48, 96, 128
ENCODINGS: dict[str, tuple[str, str, dict[str, str]]] = {
    "closed": ("libx264", "a.mp4", {"g": "12", "bf": "2"}),
    "open-gop": (
        "libx264",
        "a.mp4",
        {"x264-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:b-pyramid=normal:scenecut=0"},
    ),
    "open-gop-mkv": ("libx264", "a.mkv", {"x264-params": "keyint=10:open-gop=1:bframes=3:scenecut=0"}),
    "long-gop": ("libx264", "a.mp4", {"g": "500", "bf": "3"}),
    "hevc": ("libx265", "a.mp4", {"x265-params": "keyint=12:open-gop=1:bframes=3:log-level=none", "preset": "ultrafast"}),
    "vp9": ("libvpx-vp9", "a.webm", {"deadline": "realtime", "g": "12"}),
    "mpeg2": ("mpeg2video", "a.mkv", {"g": "12", "bf": "2"}),
    "mpeg2-ps": ("mpeg2video", "a.mpg", {"g": "12", "bf": "2"}),
    "mpeg4-avi": ("mpeg4", "a.avi", {"g": "12", "bf": "2"}),
    "mjpeg": ("mjpeg", "a.avi", {}),
    "ten-bit": ("libx264", "a.mp4", {"g": "12", "bf": "2"}),
    "ten-bit-hevc": ("libx265", "a.mkv", {"x265-params": "keyint=12:bframes=3:log-level=none", "preset": "ultrafast"}),
    "variable-rate": ("libx264", "a.mkv", {"g": "12", "bf": "2"}),
    "late-start": ("libx264", "a.mkv", {"g": "12", "bf": "2"}),
    "wmv": ("wmv2", "a.wmv", {"g": "12"}),
}


def numbered() -> list[Frames]:
    """Frames that tell their number: eight bars, bright where its bits are 1, and a moving bar."""
    frames = []
    for number in range(COUNT):
        image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
        for bit in range(6):
            if number >> bit & 1:
                image[16 * bit : 16 * bit + 16, :64] = 220
        image[:, 64 + number % 60 : 68 + number % 60] = (200, 40, 40)
        frames.append(image)
    return frames


def number_in(image: Frames) -> int:
    return sum(1 << bit for bit in range(6) if image[16 * bit + 8, 8:56].mean() > 125)


@cache
def encoded(name: str, folder: Path) -> Path:
    import av

    encoder, file, options = ENCODINGS[name]
    path = folder / f"{name}-{file}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p10le" if name.startswith("ten-bit") else "yuv420p"
        stream.bit_rate = 2_000_000
        stream.codec_context.time_base = Fraction(1, 25)
        for number, image in enumerate(numbered()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts = number + number**2 // 9 if name == "variable-rate" else number + 70 * (name == "late-start")
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remuxed(source: Path, target: Path, shift: int, timed: bool = True) -> Path:
    """Copy the packets of a file, shifted by `shift` frames, with or without presentation times."""
    import av

    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream = before.streams.video[0]
        copy = after.add_stream_from_template(stream)
        for packet in before.demux(stream):
            if packet.dts is None:
                continue
            ticks = int(shift / 25 / packet.time_base)
            packet.dts, packet.pts = packet.dts + ticks, packet.pts + ticks
            if not timed:
                packet.pts = packet.dts
            packet.stream = copy
            after.mux(packet)
    return target


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encodings")


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_frame_is_the_one_of_its_number_forward_backward_and_at_random(name: str, folder: Path) -> None:
    path = encoded(name, folder)
    forward = [number_in(image) for image in StreamReader(path).get(range(COUNT))]
    assert forward == list(range(COUNT))
    video = open_video(Source(name, path))
    assert len(video) == COUNT
    backward = [(first, [number_in(image) for image in images]) for first, images in video.windows(COUNT - 1, -1, 7)]
    assert all(numbers == list(range(first, first + len(numbers))) for first, numbers in backward)
    order = random.Random(0).sample(range(COUNT), COUNT)
    assert [number_in(video.frames([index])[0]) for index in order] == order
    assert bool((np.diff(video.timeline.times_s) > 0).all())


def test_an_edit_list_leaves_out_the_frames_before_it(folder: Path) -> None:
    path = remuxed(encoded("closed", folder), folder / "edited.mp4", -5)
    video = open_video(Source("edited", path))
    numbers = [number_in(image) for _, images in video.windows(0, len(video)) for image in images]
    assert numbers == list(range(5, COUNT))
    order = random.Random(2).sample(range(len(video)), len(video))
    assert [number_in(video.frames([index])[0]) for index in order] == [index + 5 for index in order]
    backward = [number_in(i) for _, images in video.windows(len(video) - 1, -1, 6) for i in images[::-1]]
    assert backward == numbers[::-1]
    assert video.timeline.times_s == pytest.approx(np.arange(len(video)) / 25)


AV1 = """
import sys, av, numpy
with av.open(sys.argv[2], "w") as container:
    options = {"preset": "10", "crf": "15", "g": "12", "svtav1-params": "enable-tf=0"}
    stream = container.add_stream("libsvtav1", rate=25, options=options)
    frames = numpy.load(sys.argv[1])
    stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
    for image in frames:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    container.mux(stream.encode())
"""


def test_av1_frames_are_those_of_a_sequential_decode(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    np.save(tmp_path / "frames.npy", np.stack(numbered()))
    # In a process of its own: run as root, the encoder leaves its process under real-time scheduling.
    subprocess.run([sys.executable, "-c", AV1, tmp_path / "frames.npy", path], check=True, capture_output=True)
    with av.open(str(path)) as container:
        forward = [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert len(set(forward)) > COUNT * 0.9
    reader = StreamReader(path)
    assert [number_in(image) for image in reader.get(range(COUNT))] == forward
    for index in random.Random(3).sample(range(COUNT), 12):
        assert number_in(reader.get([index])[0]) == forward[index]


def test_streams_pixels_and_times_that_are_not_as_they_seem_are_noted(tmp_path: Path, folder: Path) -> None:
    import av

    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, (width, height) in zip(streams, ((64, 48), (WIDTH, HEIGHT)), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        streams[1].codec_context.sample_aspect_ratio = Fraction(16, 15)
        for image in numbered()[:10]:
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(stream.width, stream.height, "yuv420p")
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    video = open_video(Source("two", path))
    assert (video.width, video.height) == (WIDTH, HEIGHT)
    assert [note.reason for note in video.notes] == ["several_streams", "non_square_pixels"]
    assert "its pixels are 16:15: frames and boxes keep the stored 128x96" in [note.sentence for note in video.notes]
    assert open_video(Source("plain", encoded("closed", folder))).notes == ()


@pytest.mark.parametrize("name", ["concat_restart.mpg", "vfr.mkv"])
def test_restarting_and_repeated_times_are_replaced_and_noted(name: str, shared: Path) -> None:
    notes = open_video(Source(name, shared / "cases" / "video" / name)).notes
    assert [note.reason for note in notes] == ["times_replaced"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=6), min_size=1, max_size=6))
@pytest.mark.parametrize("name", ENCODINGS)
def test_any_sequence_of_requests_gives_the_frames_asked_for(name: str, requests: list[list[int]], folder: Path) -> None:
    reader = StreamReader(encoded(name, folder))
    for indices in requests:
        assert [number_in(image) for image in reader.get(indices)] == indices


def test_decord_reads_forward_alone_and_not_where_it_differs(folder: Path, shared: Path) -> None:
    video = open_video(Source("a", encoded("closed", folder)), backend="decord")
    numbers = [number_in(image) for _, images in video.windows(0, COUNT) for image in images]
    assert numbers == list(range(COUNT))
    with pytest.raises(VideoError, match="forward alone"):
        video.frames([3])
    with pytest.raises(VideoError, match="use the decoder pyav"):
        open_video(Source("cut", shared / "cases" / "video" / "cut_by_ffmpeg.mp4"), backend="decord")


EXACT = (
    "av1.mp4", "bframes_opengop_pyr.mkv", "concat_restart.mpg", "cut_by_ffmpeg.mp4", "cut_neg.mkv", "h264_bf.avi",
    "hevc_opengop.mp4", "mmaction__test.avi", "moviepy__no_duration.webm", "mpeg2.mkv", "mpeg2.mpg", "mpeg4asp.avi",
    "torchcodec__discard_first_keyframe.mp4", "torchcodec__sine_stereo_mp2.mpg", "two_streams_small_first.mp4", "vfr.mkv",
    "wide.mp4", "wmv2.wmv", "x264_opengop.mp4", "x265_keyint30.mp4",
)  # fmt: skip


def thumbnail(image: Frames) -> Any:
    import cv2

    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (16, 16), interpolation=cv2.INTER_AREA).astype(int)


@pytest.mark.parametrize("name", EXACT)
def test_files_from_the_field_show_the_frames_of_an_independent_decode(name: str, shared: Path) -> None:
    truth = json.loads((shared / "cases" / "video" / "truth.json").read_text())[name]
    pictures = np.frombuffer(base64.b64decode(truth["thumbnails_16x16_gray"]), np.uint8).reshape(-1, 16, 16).astype(int)
    video = open_video(Source(name, shared / "cases" / "video" / name))
    assert len(video) == truth["frames"] == len(pictures)
    times = video.timeline.times_s
    assert times[0] == 0
    assert bool((np.diff(times) > 0).all())
    assert 0 < video.timeline.duration_s < 60
    for index in random.Random(1).sample(range(len(video)), min(12, len(video))):
        assert np.abs(thumbnail(video.frames([index])[0]) - pictures[index]).mean() < 3, index


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut_half.flv", "truncated"), ("zero_hole.mp4", "damaged"), ("decord__corrupted.mp4", "damaged"),
     ("tiny16.mp4", "too_small"), ("one_px.mkv", "too_small")],
)  # fmt: skip
def test_unusable_files_from_the_field_are_told_apart(name: str, reason: str, shared: Path) -> None:
    def read() -> None:
        video = open_video(Source(name, shared / "cases" / "video" / name))
        video.frames(range(len(video)))

    with pytest.raises(VideoError) as caught:
        read()
    assert caught.value.reason == reason


def test_images_are_in_natural_order_and_hidden_ones_left_out(tmp_path: Path, shared: Path) -> None:
    import cv2

    for number in (0, 1, 2, 10, 11):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((64, 64, 3), 20 * number, np.uint8))
    (tmp_path / "._2.png").write_bytes(b"\0\5\x16\7")
    video = open_video(Source("folder", tmp_path, 5.0))
    assert [round(float(image.mean()) / 20) for image in video.frames(range(len(video)))] == [0, 1, 2, 10, 11]
    for name, count in (("jpegs_unpadded", 24), ("jpegs_macos", None)):
        folder = open_video(Source(name, shared / "cases" / "video" / name, 5.0))
        assert count is None or len(folder) == count
        assert len(folder.frames(range(len(folder)))) == len(folder)


def test_a_folder_of_mixed_sizes_is_refused_by_name(tmp_path: Path) -> None:
    import cv2

    for name, side in (("1.jpg", 64), ("2.jpg", 80)):
        cv2.imwrite(str(tmp_path / name), np.zeros((side, side, 3), np.uint8))
    with pytest.raises(VideoError, match=r"2\.jpg .* \(80x80, the frames before it 64x64\)"):
        open_video(Source("folder", tmp_path, 5.0)).frames([0, 1])


def test_frames_are_scaled_while_they_are_converted(folder: Path, clip_factory: Callable[..., Path]) -> None:
    assert StreamReader(encoded("closed", folder), (64, 48)).get([3]).shape == (1, 48, 64, 3)
