"""Unusable video files, one for each kind of defect of real downloads, each with an annotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np

from tasks.sample.scene import SampleConfig

FIRST_INDEX = 90
"""Index of the first broken video, above the indices of the valid ones."""


class SampleEntry(TypedDict):
    """Entry of a video in HC-STVG v2's annotations: boxes [x, y, w, h] from the 1-based frame `st_frame` on."""

    bbox: list[list[float]]
    st_time: float
    ed_time: float
    img_num: int
    English: str
    img_size: list[int]
    st_frame: int


def write_broken(videos: Path, good: Mapping[str, SampleEntry], config: SampleConfig) -> dict[str, SampleEntry]:
    """Write the broken files and annotate them like valid ones, together with one file that does not exist.

    Args:
        videos: videos folder of the sample, which contains the valid videos.
        good: annotations of the valid videos, file name -> entry.
        config: configuration of the sample.

    Returns:
        File name -> annotation. The part of the name after the number is the reason in `tasks.video.diagnosis.REASONS`.
    """
    first = next(iter(sorted(videos.glob("*/*.mp4"))))
    entry = next(iter(good.values()))
    annotated: dict[str, SampleEntry] = {}
    for index, (reason, write) in enumerate(BROKEN.items(), FIRST_INDEX):
        path = videos / str(index % 10) / f"{index}_{reason}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, first, config)
        annotated[path.name] = entry
    return annotated


def _truncated(path: Path, whole: Path, _config: SampleConfig) -> None:
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def _empty(path: Path, _whole: Path, _config: SampleConfig) -> None:
    path.touch()


def _text(path: Path, _whole: Path, _config: SampleConfig) -> None:
    path.write_text("<html><body>This video is no longer available.</body></html>\n" * 40, "utf-8")


def _sound_only(path: Path, _whole: Path, _config: SampleConfig) -> None:
    import av

    with av.open(str(path), "w", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        tone = (0.2 * np.sin(np.arange(16000) * 0.17)).astype(np.float32)
        for start in range(0, 15360, 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _no_frames(path: Path, _whole: Path, config: SampleConfig) -> None:
    import av

    # A regular mp4 omits a stream without packets; a fragmented one declares its streams first.
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe", "fflags": "bitexact"}) as container:
        stream = container.add_stream("libx264", rate=config.fps)
        stream.height, stream.width, stream.pix_fmt = config.height, config.width, "yuv420p"
        container.start_encoding()


def _unknown_codec(path: Path, whole: Path, _config: SampleConfig) -> None:
    """A good file whose stream names a codec that no decoder knows."""
    path.write_bytes(whole.read_bytes().replace(b"avc1", b"zzz1"))


def _missing(_path: Path, _whole: Path, _config: SampleConfig) -> None:
    """The video is annotated, but its file does not exist."""


BROKEN: Mapping[str, Callable[[Path, Path, SampleConfig], None]] = {
    "truncated": _truncated,
    "empty_file": _empty,
    "not_a_video": _text,
    "no_video_stream": _sound_only,
    "no_frames": _no_frames,
    "unsupported_codec": _unknown_codec,
    "missing": _missing,
}
"""Reason in `tasks.video.diagnosis.REASONS` -> function that writes a file with this defect."""
