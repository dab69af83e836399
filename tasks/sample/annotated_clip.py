"""What a sample clip is about: the true masks and boxes of its figures, and the sentence that names one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.masks.instances import Instance, Mask, encode_mask
from tasks.sample.appearance import SENTENCES, describe_action
from tasks.sample.draw import paint_clip
from tasks.sample.scene import Action, SampleConfig, Scene, make_scene
from tasks.video.reader import Frames

MIN_PIXELS = 60
"""A figure with fewer pixels in the picture is not taken for seen when a span is chosen."""
MIN_FRAMES = 18
ATTEMPTS = 60
MAX_HIDDEN_SHARE = 0.3
"""Share of an action that a figure may do behind others: who is named must be there to be seen."""


@dataclass(frozen=True)
class AnnotatedClip:
    """A painted clip and its truth.

    Attributes:
        scene: the script.
        frames: uint8 (n, height, width, 3), RGB.
        truth: for each figure and frame what is seen of it, or None.
        whole: for each figure and frame the pixels it would have were nobody before it.
        target: index of the figure that the sentence names.
        span: the frames of what the sentence says.
        text: the sentence.
    """

    scene: Scene
    frames: Frames
    truth: list[list[Instance | None]]
    whole: list[list[int]]
    target: int
    span: range
    text: str


def make_clip(index: int, config: SampleConfig) -> AnnotatedClip:
    """Paint clip `index` and choose its sentence, scripting anew until one can be said without doubt.

    The named figure goes through the places in the order of discovery, so that answer IDs come out evenly.

    Args:
        index: 0-based number of the clip.
        config: seed, size and rate.

    Raises:
        RuntimeError: no script of `ATTEMPTS` gave one.
    """
    target = index % 5
    count = max(3, target + 1) + (index // 5) % (6 - max(3, target + 1))
    # Left to chance too few named figures would be hidden while they act: two clips in three see to it.
    hidden_frames = 5 if index % 3 else 0
    for attempt in range(ATTEMPTS):
        scene = make_scene(index, attempt, count, config)
        steps = _sayable(scene, target, hidden_frames)
        if not steps:
            continue
        frames, seen, whole = _painted(scene, config)
        rng = np.random.default_rng([*scene.seed, 4])
        chosen = choose_span(steps, seen[target], rng)
        if chosen is not None:
            kind, span = chosen
            text = describe_action(rng, scene.figures[target].look, kind)
            return AnnotatedClip(scene, frames, seen, whole, target, span, text)
    raise RuntimeError(f"no sentence fits clip {index} with {config}")


def _sayable(scene: Scene, target: int, hidden_frames: int) -> list[Action]:
    """Steps that a figure takes once in its clip, behind somebody for at least `hidden_frames`."""
    steps = scene.figures[target].steps
    kinds = [step.kind for step in steps]
    return [
        step
        for step in steps
        if step.kind in SENTENCES
        and kinds.count(step.kind) == 1
        and hidden_frames <= scene.frames_behind(target, step) <= MAX_HIDDEN_SHARE * (step.stop - step.start)
    ]


def _painted(scene: Scene, config: SampleConfig) -> tuple[Frames, list[list[Instance | None]], list[list[int]]]:
    frames = np.empty((config.frames, config.height, config.width, 3), np.uint8)
    seen: list[list[Instance | None]] = [[] for _ in scene.figures]
    whole: list[list[int]] = [[] for _ in scene.figures]
    for index, (frame, seen_masks, whole_masks) in enumerate(paint_clip(scene, config)):
        frames[index] = frame
        for k in range(len(scene.figures)):
            seen[k].append(encode_mask(_sole(seen_masks[k])))
            whole[k].append(int(np.count_nonzero(whole_masks[k])))
    return frames, seen, whole


def _sole(mask: Mask) -> Mask:
    """A mask without the crumbs that show between the limbs of whoever stands before it."""
    return mask if np.count_nonzero(mask) >= 6 else np.zeros_like(mask)


def choose_span(steps: Sequence[Action], seen: Sequence[Instance | None], rng: np.random.Generator) -> tuple[str, range] | None:
    """One of the steps, if the figure is seen from its first frame to its last, with those frames; or None.

    Args:
        steps: steps of the figure's script.
        seen: instance of the figure on each native frame, None where hidden.
        rng: source of randomness.
    """
    fits = []
    for step in steps:
        visible = [f for f in range(step.start, min(step.stop, len(seen))) if _area(seen[f]) >= MIN_PIXELS]
        if len(visible) < MIN_FRAMES:
            continue
        span = range(visible[0], visible[-1] + 1)
        if all(seen[f] is not None for f in span):
            fits.append((step.kind, span))
    return fits[rng.integers(len(fits))] if fits else None


def _area(instance: Instance | None) -> int:
    return 0 if instance is None else instance.area
