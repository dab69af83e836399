"""Videos whose data is damaged towards their end: the frames before the damage, as a video."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.video.diagnosis import VideoError, VideoNote
from tasks.video.reader import Frames, Reader, Video
from tasks.video.timeline import Timeline


class _HeadReader:
    """The first frames of a reader."""

    def __init__(self, reader: Reader, count: int) -> None:
        self._reader, self._count = reader, count

    def __len__(self) -> int:
        return self._count

    @property
    def notes(self) -> tuple[VideoNote, ...]:
        kept = f"its data is damaged from frame {self._count} of {len(self._reader)} on: the frames before it are kept"
        return (*self._reader.notes, VideoNote("damaged_tail", kept, self._count / len(self._reader)))

    def get(self, indices: Sequence[int]) -> Frames:
        return self._reader.get(indices)

    def timeline(self) -> Timeline:
        whole = self._reader.timeline()
        return Timeline(whole.times_s[: self._count], whole.end_of(self._count - 1))


def intact_head(video: Video, error: VideoError, least_share: float) -> Video:
    """The frames of a damaged video before its damage.

    Args:
        video: a video that cannot be decoded to its end.
        error: the error that decoding it raised.
        least_share: least share of its frames that must lie before the damage, in [0, 1].

    Raises:
        VideoError: `error`, where it is no damage or too few frames lie before it.
    """
    if error.reason != "damaged" or least_share >= 1:
        raise error
    count = _intact_frames(video)
    if count < 1 or count < least_share * len(video):
        raise error
    return video.with_reader(_HeadReader(video.reader, count))


def _intact_frames(video: Video) -> int:
    """Number of frames that a sequential decode gives before the first that it does not."""
    count = 0
    try:
        for _, frames in video.windows(0, len(video)):
            count += len(frames)
        while count < len(video):
            video.frames([count])
            count += 1
    except VideoError:
        pass
    return count
