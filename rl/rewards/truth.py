"""What a response is held against. It travels with a training row as JSON; nothing is looked up while rewards are computed."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from storage.common.errors import InputError
from storage.records import parsed
from tasks.markers.labels import Style

Span = tuple[float, float]
_TICK_S = 1e-6
"""Times are kept to it: the step in which `tasks.video.reader.Timeline` tells them apart."""


class RewardError(InputError):
    """A reward that does not exist, or a truth that cannot be read; the message names it. A response never raises."""


@dataclass(frozen=True)
class Truth:
    """The truth of one sample; all times are seconds of the clip.

    Attributes:
        span_s: the true span.
        object_id: the true ID; None where no object is asked for.
        style: of the markers that the model sees.
        visible: stretches, half-open and ascending, in which the object is on screen by the mask database.
        drawn: the same for native frames that are shown with its marker.
        edges_s: when each native frame of the true span starts to be shown, and when the last one stops; n + 1 for n frames.
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
        """As `read_truth` reads it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def frames_in(self, span_s: Span) -> slice:
        """Which of the n native frames of the true span are on screen in a half-open span; none in a reversed one."""
        if not self.edges_s or span_s[1] <= span_s[0]:
            return slice(0, 0)
        first = max(bisect_right(self.edges_s, span_s[0] + _TICK_S) - 1, 0)
        stop = min(bisect_left(self.edges_s, span_s[1] - _TICK_S), len(self.edges_s) - 1)
        return slice(first, max(first, stop))


@lru_cache(maxsize=4096)
def read_truth(text: str) -> Truth:
    """Read a truth; the responses of a group share one.

    Raises:
        RewardError: the text is not one.
    """
    try:
        return parsed(Truth, text.encode())
    except (ValueError, AttributeError) as error:
        raise RewardError(f"a row's ground truth cannot be read ({error}): make the training rows again") from error


def meets(stretches: tuple[Span, ...], span_s: Span) -> bool:
    """Whether any half-open stretch has an instant in the closed span."""
    return any(start <= span_s[1] and stop > span_s[0] for start, stop in stretches) if span_s[0] <= span_s[1] else False
