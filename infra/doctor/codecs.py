"""Tries codecs on two frames each: `python -m infra.doctor.codecs` prints as JSON which ones the reader decodes.

It always runs as a process of its own: some codecs crash, and SVT-AV1 run as root leaves a process under real-time scheduling.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from tasks.video.stream import StreamReader

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_QUIET = {"libx265": {"x265-params": "log-level=none", "preset": "ultrafast"}, "libvpx-vp9": {"deadline": "realtime"}}
_FRAMES, _SIDE = 2, 64


def decoded_codecs() -> dict[str, bool]:
    """Codec -> whether the project's reader decodes it; a codec without an encoder on this machine is left out."""
    results = {}
    with tempfile.TemporaryDirectory(prefix="stvg-doctor-") as folder:
        for codec, encoder in _ENCODERS.items():
            path = Path(folder) / f"{codec}.mp4"
            with contextlib.suppress(Exception):
                _encode(path, encoder)
                results[codec] = _is_decoded(path)
    return results


def _is_decoded(path: Path) -> bool:
    try:
        return len(StreamReader(path).get(range(_FRAMES))) == _FRAMES
    except Exception:
        return False


def _encode(path: Path, encoder: str) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=10, options=_QUIET.get(encoder, {}))
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for _ in range(_FRAMES):
            image = np.zeros((_SIDE, _SIDE, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    answer = os.dup(1)
    os.dup2(2, 1)  # codecs print to standard output
    with os.fdopen(answer, "w") as out:
        json.dump(decoded_codecs(), out)
    sys.exit(0)
