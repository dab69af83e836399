"""Diagnosis of video files that cannot be used: a reason code for each kind of defect."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from storage.common.errors import InputError

REASONS = {
    "missing": "there is no such file",
    "empty_file": "the file has no bytes",
    "not_a_video": "the bytes are not those of a video container",
    "truncated": "the file is truncated",
    "no_video_stream": "the container has no video stream",
    "no_frames": "the video stream has no frames",
    "unsupported_codec": "the decoder cannot read this codec",
    "damaged": "its data is damaged",
    "too_small": "its frames are smaller than objects can be found in",
    "mixed_sizes": "the images of a folder must be of one size",
    "forward_only": "the decoder decord seeks to other frames on some files and reads forward alone: use the decoder pyav",
    "decord_differs": "decord counts or times its frames otherwise than the container: use the decoder pyav",
    "unreadable_frame": "a frame cannot be decoded",
    "black": "all inspected frames are black, as some decoders return for unsupported streams",
    "size_differs": "its frames have another size than the annotations state, so their boxes do not apply",
    "bad_masks": "its imported masks cannot be read",
    "no_fps": "a folder of images needs a frame rate",
    "leads_out": "a link points outside the folder",
    "name_not_utf8": "its name is not UTF-8: rename the file",
}
"""Reason code -> description."""
EXCLUDED = frozenset({"leads_out", "name_not_utf8"})
"""Reasons that exclude a file by a rule, whatever it holds."""


class VideoNote(NamedTuple):
    """Remark on a video that can be used.

    Attributes:
        reason: `times_replaced`, `several_streams`, `non_square_pixels` or `damaged_tail`.
        sentence: the remark.
        intact: share of the frames that precede damage, in [0, 1].
    """

    reason: str
    sentence: str
    intact: float = 1.0


class VideoError(InputError):
    """A video that cannot be used; `reason` is a key of `REASONS`, and the message names the file."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{detail}: {REASONS[reason]}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        return VideoError, (self.reason, self.detail)


def is_truncated_mp4(path: Path) -> bool:
    """Whether a top-level ISO-BMFF box is longer than the rest of the file; False for other containers.

    Decoders repeat the last valid frame or fail late on such files, so this is checked before decoding.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if file.read(8)[4:] != b"ftyp":
                return False
            offset = 0
            while offset + 8 <= size:
                file.seek(offset)
                header = file.read(16)
                length = int.from_bytes(header[:4], "big")
                if length == 1:
                    length = int.from_bytes(header[8:16], "big")
                if length == 0:
                    return False
                if length < 8:
                    return True
                offset += length
            return offset != size
    except OSError:
        return False


def diagnose(path: Path, error: Exception) -> VideoError:
    """Determine the reason why a file failed to open or decode.

    Args:
        path: video file or folder of frames.
        error: exception that opening or decoding raised.
    """
    name = path.name
    if not path.exists():
        return VideoError("missing", str(path))
    if path.stat().st_size == 0:
        return VideoError("empty_file", name)
    return VideoError(_reason_inside(path), name)


_SIGNATURES = (b"\x1aE\xdf\xa3", b"RIFF", b"FLV", b"\x00\x00\x01\xba", b"0&\xb2u")


def _reason_inside(path: Path) -> str:
    import av

    with path.open("rb") as file:
        head = file.read(12)
    known = head[4:8] == b"ftyp" or head.startswith(_SIGNATURES)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "no_video_stream" if container.streams.audio else "not_a_video"
            return _reason_in_stream(container)
    except av.FFmpegError:
        return "truncated" if known else "not_a_video"


def _reason_in_stream(container: object) -> str:
    import av

    assert isinstance(container, av.container.InputContainer)
    stream = container.streams.video[0]
    try:
        packets = sum(packet.size > 0 for packet in container.demux(stream))
    except av.FFmpegError:
        return "truncated"
    if packets == 0:
        return "no_frames"
    return "unsupported_codec"
