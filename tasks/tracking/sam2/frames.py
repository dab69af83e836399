"""Frames as the encoder takes them, decoded a window ahead of their use."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from tasks.video.reader import Frames, Video

WINDOW_BYTES = 24 * 2**20
"""Frames decoded together; two windows are held. Backward each window is decoded from the key frame before it."""


class FrameFeed:
    """Frames of a video, one at a time in either direction; a thread decodes the next window meanwhile."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._size = max(1, WINDOW_BYTES // (3 * video.width * video.height))
        self._windows: dict[int, Future[Frames]] = {}
        self._last = 0
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")

    def frame(self, index: int) -> Frames:
        """Frame `index`, uint8 (height, width, 3), RGB.

        Raises:
            VideoError: it cannot be decoded.
        """
        window = index // self._size
        ahead = window - 1 if index < self._last else window + 1
        self._last = index
        wanted = [number for number in (window, ahead) if 0 <= number * self._size < len(self._video)]
        self._windows = {number: self._windows.get(number) or self._ask(number) for number in wanted}
        frame: Frames = self._windows[window].result()[index - window * self._size]
        return frame

    def close(self) -> None:
        """End the thread."""
        self._windows = {}
        self._decoder.shutdown(cancel_futures=True)

    def _ask(self, window: int) -> Future[Frames]:
        first = window * self._size
        return self._decoder.submit(self._video.frames, range(first, min(first + self._size, len(self._video))))
