"""Encoding of sample videos; equal frames give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.video.reader import Frames

H264 = {"preset": "superfast", "crf": "24", "threads": "1", "bf": "2", "g": "50"}


def write_video(path: Path, frames: Frames, fps: int, codec: str = "libx264", options: Mapping[str, str] = H264) -> None:
    """Write an mp4 from frames with even height and width.

    Args:
        path: target file.
        frames: uint8 (n, height, width, 3), RGB.
        fps: native frames per second.
        codec: FFmpeg encoder name.
        options: encoder options.
    """
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"fflags": "bitexact"}) as container:
        # One thread and no version strings, so that the bytes do not depend on the machine.
        stream = container.add_stream(codec, rate=fps, options=dict(options))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
