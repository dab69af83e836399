"""Temporal metrics in seconds by named convention; spans are half-open."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.metrics.conventions import Rule, hull_iou

Span = tuple[float, float]

TemporalConvention = Rule[Callable[[Span, Span], float]]
"""Rule that compares a true and a predicted span."""


def interval_iou(truth: Span, predicted: Span) -> float:
    """Equation 4: intersection over union of two intervals; 0 if either has no length or is reversed.

    Args:
        truth: true (start, end) in seconds, half-open.
        predicted: predicted (start, end) in seconds, half-open.
    """
    if truth[1] <= truth[0] or predicted[1] <= predicted[0]:
        return 0.0
    # The union equals the hull if the intervals overlap; otherwise the intersection is empty.
    return hull_iou(truth, predicted)


def _unswapped(truth: Span, predicted: Span) -> float:
    return hull_iou(truth, (min(predicted), max(predicted)))


TEMPORAL: Mapping[str, TemporalConvention] = {
    c.name: c
    for c in (
        TemporalConvention("paper", "equation 4: the union of both spans", True, interval_iou),
        TemporalConvention("time_r1", "Time-R1: the hull of both spans", True, hull_iou),
        TemporalConvention("lmms_eval", "lmms-eval: the hull, a reversed prediction is turned round", False, _unswapped),
    )
}
"""Name -> temporal convention."""
