"""True boxes of a line of a user's own JSON Lines: `{"<frame>": [x1, y1, x2, y2]}`, native frames, pixels."""

from __future__ import annotations

from typing import Any

from tasks.benchmarks.reading import finite_number, frame_number
from tasks.benchmarks.samples import Target
from tasks.benchmarks.targets import clipped_target
from tasks.masks.instances import Box


def own_targets(value: Any, span: tuple[int, int] | None) -> tuple[tuple[Target, ...], int]:
    """Target of the field `boxes`, and the number of boxes that were left out because they are outside the true span.

    Args:
        value: the field as read from JSON; None or empty for no target.
        span: true span, native frames, closed; None to keep every box.

    Raises:
        ValueError: the field is not frame -> box, has a frame twice or no box inside the span, or is not in pixels.
    """
    if not value and isinstance(value, (dict, type(None))):
        return (), 0
    if not isinstance(value, dict):
        raise ValueError(f"'boxes' must be an object frame -> [x1, y1, x2, y2] in pixels, not {value!r:.40}")
    boxes: dict[int, Box] = {}
    for key, corners in value.items():
        frame = frame_number(key)
        if frame in boxes:
            raise ValueError(f"'boxes' has frame {frame} twice")
        boxes[frame] = _box(key, corners)
    if max(side for box in boxes.values() for side in box) <= 1:
        raise ValueError("'boxes' has no coordinate above 1: give pixels of the frame, not fractions of its sides")
    frames = sorted(frame for frame in boxes if span is None or span[0] <= frame <= span[1])
    if not frames:
        raise ValueError(f"'boxes' has no frame inside 'span_frames', {span}")
    target, _ = clipped_target(frames, [boxes[frame] for frame in frames], None)
    return (target,), len(boxes) - len(frames)


def _box(key: str, corners: Any) -> Box:
    if not isinstance(corners, list) or len(corners) != 4:
        raise ValueError(f"'boxes', frame {key}, must be four numbers x1, y1, x2, y2, not {corners!r:.40}")
    x1, y1, x2, y2 = (finite_number(side) for side in corners)
    return x1, y1, x2, y2
