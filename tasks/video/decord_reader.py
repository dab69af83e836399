"""decord as a decoder, for sequential reads of files on which its frames are those of the container."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.common.environment import set_defaults
from tasks.video.diagnosis import VideoError
from tasks.video.frame_index import index_frames
from tasks.video.timeline import Timeline

_TOLERANCE_S = 1e-3


class DecordReader:
    """Frames of a file in ascending order."""

    def __init__(self, path: Path, size: tuple[int, int] | None = None, threads: int = 1) -> None:
        """Open a file.

        Args:
            path: video file on this machine.
            size: (width, height) in pixels that frames are scaled to; None keeps their own.
            threads: decoder threads.

        Raises:
            VideoError: decord counts or times its frames otherwise than the container does.
        """
        set_defaults({"DECORD_EOF_RETRY_MAX": "2048"})
        import cv2  # noqa: F401 - decord exports its zlib to the process: OpenCV must be bound to its own first, or reads no PNG
        import decord

        width, height = size or (-1, -1)
        self._path, self._next = path, 0
        index = index_frames(path)
        self._timeline, self.notes = index.timeline, index.notes
        self._reader: Any = decord.VideoReader(str(path), width=width, height=height, num_threads=threads)
        if not self._agrees():
            raise VideoError("decord_differs", path.name)

    def _agrees(self) -> bool:
        if len(self._reader) != len(self._timeline.times_s):
            return False
        starts = np.asarray(self._reader.get_frame_timestamp(range(len(self._reader))), dtype=np.float64)[:, 0]
        return bool(np.abs(starts - starts[0] - self._timeline.times_s).max() < _TOLERANCE_S)

    def __len__(self) -> int:
        return len(self._timeline.times_s)

    def get(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """RGB frames, uint8 (n, height, width, 3), of indices that ascend from call to call; frame 0 may be read first.

        Raises:
            VideoError: the indices go back.
        """
        ascending = all(a < b for a, b in pairwise(indices))
        if not ascending or (indices and indices[0] < self._next and list(indices) != [0]):
            raise VideoError("forward_only", self._path.name)
        if list(indices) != [0]:
            self._next = indices[-1] + 1
        frames: NDArray[np.uint8] = self._reader.get_batch(list(indices)).asnumpy()
        return frames

    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        return self._timeline
