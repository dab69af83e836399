"""Ground truth of a training row, stored with it as JSON: rewards are computed without looking anything up."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from storage.common.errors import InputError
from storage.records import parse_record
from tasks.markers.labels import Style
from tasks.metrics.temporal import Span

_TICK_S = 1e-6
"""Resolution of times: the step in which `tasks.video.reader.Timeline` distinguishes them."""


class RewardError(InputError):
    """A reward that does not exist, or a truth that cannot be read. A response never raises."""


@dataclass(frozen=True)
class Truth:
    """The truth of one sample; all times are seconds of the clip.

    Attributes:
        span_s: the true span.
        object_id: the true ID; None where the prompt asks for no object.
        style: of the marker labels that the model sees.
        visible: intervals, half-open and ascending, in which the mask database has the object.
        drawn: the same for native frames of the prompt that carry its marker.
        edges_s: start time of each native frame of the true span, then the end time of the last; n + 1 values for n frames.
        ious: object ID -> IoU of its box with the true one on each of the n frames, 0 where either has none; objects that
            never overlap the true box are left out.
    """

    span_s: Span
    object_id: int | None = None
    style: Style = "numbers"
    visible: tuple[Span, ...] = ()
    drawn: tuple[Span, ...] = ()
    edges_s: tuple[float, ...] = ()
    ious: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Serialize for `read_truth`."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def frames_in(self, span_s: Span) -> slice:
        """Indices into the n native frames of the true span that are on screen in a half-open span; empty if it is reversed."""
        if not self.edges_s or span_s[1] <= span_s[0]:
            return slice(0, 0)
        first = max(bisect_right(self.edges_s, span_s[0] + _TICK_S) - 1, 0)
        stop = min(bisect_left(self.edges_s, span_s[1] - _TICK_S), len(self.edges_s) - 1)
        return slice(first, max(first, stop))


@lru_cache(maxsize=4096)
def read_truth(text: str) -> Truth:
    """Parse a truth; the responses of a group share one.

    Raises:
        RewardError: the text is not the JSON of a truth.
    """
    try:
        return parse_record(Truth, text.encode())
    except (ValueError, AttributeError) as error:
        raise RewardError(f"a row's ground truth cannot be read ({error}): make the training rows again") from error


def overlaps(intervals: tuple[Span, ...], span_s: Span) -> bool:
    """Whether any interval shares an instant with a span; never for a reversed span.

    Args:
        intervals: half-open, seconds of the clip.
        span_s: closed, seconds of the clip.
    """
    return any(start <= span_s[1] and stop > span_s[0] for start, stop in intervals) if span_s[0] <= span_s[1] else False
