"""Target responses of supervised fine-tuning."""

from __future__ import annotations

from rl.rewards import Truth
from tasks.markers.labels import label_of


def target_response(truth: Truth) -> str:
    """The true answer in the format that prompts ask for, times to a hundredth of a second.

    The thought is empty, since annotations have none.
    """
    start, end = truth.span_s
    object_id = "" if truth.object_id is None else f"Target ID: {label_of(truth.object_id, truth.style)}, "
    return f"<think></think><answer>{object_id}Time range: {start:.2f} to {end:.2f}</answer>"
