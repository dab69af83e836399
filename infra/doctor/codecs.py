"""Tries codecs on two frames each: `python -m infra.doctor.codecs` prints which reader decodes which, as JSON.

It always runs as a process of its own: some codecs crash, and SVT-AV1 run as root leaves a process under real-time scheduling.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_QUIET = {"libx265": {"x265-params": "log-level=none", "preset": "ultrafast"}, "libvpx-vp9": {"deadline": "realtime"}}
_FRAMES, _SIDE = 2, 64


def decoders() -> dict[str, dict[str, bool]]:
    """Codec -> reader -> whether it decodes it; a codec without an encoder on this machine is left out."""
    readers: dict[str, Callable[[Path], int]] = {"decord": _by_decord, "PyAV": _by_pyav}
    results = {}
    with tempfile.TemporaryDirectory(prefix="stvg-doctor-") as folder:
        for codec, encoder in _ENCODERS.items():
            path = Path(folder) / f"{codec}.mp4"
            with contextlib.suppress(Exception):
                _encode(path, encoder)
                results[codec] = {name: _works(read, path) for name, read in readers.items()}
    return results


def _works(read: Callable[[Path], int], path: Path) -> bool:
    try:
        return read(path) == _FRAMES
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


def _by_decord(path: Path) -> int:
    import decord

    return len(decord.VideoReader(str(path)).get_batch(range(_FRAMES)).asnumpy())


def _by_pyav(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


if __name__ == "__main__":
    answer = os.dup(1)
    os.dup2(2, 1)  # codecs print to standard output
    with os.fdopen(answer, "w") as out:
        json.dump(decoders(), out)
    sys.exit(0)
