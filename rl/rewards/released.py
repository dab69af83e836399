"""Reward of the released code: its own patterns, all or nothing, without a check that the object appears in the span."""

from __future__ import annotations

import re

from rl.rewards.parts import Parts
from rl.rewards.truth import Truth
from tasks.metrics.conventions import hull_iou

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ID = re.compile(r"Target ID:\s*(\d+)", re.IGNORECASE)
_TIMES = re.compile(r"Time range:\s*(\d+\.?\d*)\s*(?:to|and)\s*(\d+\.?\d*)", re.IGNORECASE)
_FORM = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)


def released_parts(text: str, truth: Truth) -> Parts:
    """Time, ID and format as the released trainer scores them.

    An ID or times that its patterns miss, such as `[3]` or `12.5s to 17.8s`, lose both parts; the IoU is over the hull.

    Args:
        text: response, decoded without special tokens.
        truth: of the sample; spans are in seconds of the clip.
    """
    r_f = float(_FORM.fullmatch(text.strip()) is not None)
    answers = _ANSWER.findall(text)
    object_id, times = (pattern.search(answers[-1]) if answers else None for pattern in (_ID, _TIMES))
    if object_id is None or times is None:
        return Parts(0.0, 0.0, r_f)
    # Compared as floats, since int() refuses very long numbers.
    r_s = float(float(object_id[1]) == truth.object_id)
    return Parts(hull_iou(truth.span_s, (float(times[1]), float(times[2]))), r_s, r_f)
