"""Frame times of a video, and the one conversion between seconds and frame indices.

An interval of seconds is half-open and means the frames on screen during it. Its part outside the video [0, duration) has no
frames: an interval that lies wholly outside, is empty or is reversed has none at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_EPSILON_S = 1e-6
"""Tolerance of a time that was rounded on its way through a text or a file."""


@dataclass(frozen=True)
class Timeline:
    """Presentation times of all frames; right for variable frame rates too.

    Attributes:
        times_s: float64 (n,), when each frame starts to be shown; times_s[0] == 0, strictly increasing.
        duration_s: when the last frame stops being shown.
    """

    times_s: NDArray[np.float64]
    duration_s: float

    @property
    def fps(self) -> float:
        """Mean frames per second."""
        return len(self.times_s) / self.duration_s

    def index_at(self, time_s: float) -> int:
        """Index of the frame on screen at `time_s`; times outside the video give its first or last frame."""
        index = int(np.searchsorted(self.times_s, time_s + _EPSILON_S, side="right")) - 1
        return min(max(index, 0), len(self.times_s) - 1)

    def end_of(self, index: int) -> float:
        """End of the presentation of a frame, in seconds."""
        return float(self.times_s[index + 1]) if index + 1 < len(self.times_s) else self.duration_s

    def frames_in(self, start_s: float, end_s: float | None) -> range:
        """Frames on screen during an interval.

        Args:
            start_s: start of the interval, seconds from the first frame, inclusive.
            end_s: end of the interval, exclusive; None for the end of the video.

        Returns:
            Native frame indices; empty where the interval has no length or lies wholly outside the video.
        """
        start = max(start_s, 0.0)
        stop = self.duration_s if end_s is None else min(end_s, self.duration_s)
        if stop <= start:
            return range(0)
        first = self.index_at(start)
        return range(first, max(first, self.index_at(stop - 2 * _EPSILON_S)) + 1)

    def seconds_of(self, first: int, last: int) -> tuple[float, float]:
        """Interval during which frames are on screen.

        Args:
            first: first native frame, inside the video.
            last: last native frame, closed; frames beyond the video count up to its end.

        Returns:
            (start, end) in seconds from the first frame, half-open.
        """
        return float(self.times_s[first]), self.end_of(min(last, len(self.times_s) - 1))
