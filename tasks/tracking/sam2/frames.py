"""Frames for the encoder, decoded one window ahead of their use."""

from __future__ import annotations

from storage.common.prefetch import Prefetcher
from tasks.video.reader import Frames, Video

WINDOW_BYTES = 24 * 2**20
"""Bytes per window; two windows are in memory. In backward order, each window is decoded from the key frame before it."""


class FrameFeed:
    """Frames of a video, one at a time in either direction, with the next window decoded in the background."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._size = max(1, WINDOW_BYTES // (3 * video.width * video.height))
        self._windows = Prefetcher(self._decode, 2, "decode")
        self._last = 0

    def frame(self, index: int) -> Frames:
        """Frame `index`, uint8 (height, width, 3), RGB.

        Raises:
            VideoError: the frame cannot be decoded.
        """
        window = index // self._size
        upcoming = window - 1 if index < self._last else window + 1
        self._last = index
        inside = 0 <= upcoming * self._size < len(self._video)
        frame: Frames = self._windows.get(window, upcoming if inside else None)[index - window * self._size]
        return frame

    def close(self) -> None:
        """End the background thread."""
        self._windows.close()

    def _decode(self, window: int) -> Frames:
        first = window * self._size
        return self._video.frames(range(first, min(first + self._size, len(self._video))))
