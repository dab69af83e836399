"""Encodes one AV1 video: `python -m tasks.sample.av1 PATH FPS HEIGHT WIDTH`.

SVT-AV1 run as root puts its process under real-time scheduling (SCHED_FIFO, priority 99) and leaves it there. Processes started
from it would inherit that and starve the rest of the machine, so the encoder has a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tasks.sample.encode import write_video

_OPTIONS = {"preset": "8", "crf": "40", "svtav1-params": "lp=1"}


def main(path: str, *numbers: str) -> None:
    """Write one second of video in which a bar moves to the right."""
    fps, height, width = map(int, numbers)
    frames = np.zeros((fps, height, width, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[:, index * 8 : index * 8 + 40] = (200, 60, 40)
    write_video(Path(path), frames, fps, "libsvtav1", _OPTIONS)


if __name__ == "__main__":
    main(*sys.argv[1:])
