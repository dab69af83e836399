"""Rendered sample clips with the true masks of their figures, and a sentence about one of them."""

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
"""Minimum visible pixels of a figure on the frames of a span."""
MIN_FRAMES = 18
ATTEMPTS = 60
MAX_HIDDEN_SHARE = 0.3
"""Maximum share of an action during which the figure may be occluded."""


@dataclass(frozen=True)
class AnnotatedClip:
    """A rendered clip with its truth.

    Attributes:
        scene: the script.
        frames: uint8 (n, height, width, 3), RGB.
        truth: visible part of each figure on each frame; None if it is not visible.
        whole: number of pixels of each figure on each frame without occlusion.
        target: index of the figure that the sentence names.
        span: frames of the described action.
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
    """Render clip `index` with a sentence, trying further scripts until one gives an unambiguous sentence.

    Targets rotate over the order of discovery, so that answer IDs are evenly distributed.

    Args:
        index: 0-based number of the clip.
        config: seed, size and rate.

    Raises:
        RuntimeError: none of `ATTEMPTS` scripts gave a sentence.
    """
    target = index % 5
    count = max(3, target + 1) + (index // 5) % (6 - max(3, target + 1))
    # Two of three clips require some occlusion of the target, which would otherwise be rare.
    hidden_frames = 5 if index % 3 else 0
    for attempt in range(ATTEMPTS):
        scene = make_scene(index, attempt, count, config)
        steps = _describable(scene, target, hidden_frames)
        if not steps:
            continue
        frames, seen, whole = _painted(scene, config)
        rng = np.random.default_rng([*scene.seed, 4])
        chosen = choose_span(steps, seen[target], rng)
        if chosen is not None:
            kind, span = chosen
            text = describe_action(rng, scene.figures[target].look, kind)
            return AnnotatedClip(scene=scene, frames=frames, truth=seen, whole=whole, target=target, span=span, text=text)
    raise RuntimeError(f"no sentence fits clip {index} with {config}")


def _describable(scene: Scene, target: int, hidden_frames: int) -> list[Action]:
    """Actions of a figure that occur once in the clip, with occlusion of at least `hidden_frames` frames."""
    steps = scene.figures[target].steps
    kinds = [step.kind for step in steps]
    return [
        step
        for step in steps
        if step.kind in SENTENCES
        and kinds.count(step.kind) == 1
        and hidden_frames <= scene.occluded_frames(target, step) <= MAX_HIDDEN_SHARE * (step.stop - step.start)
    ]


def _painted(scene: Scene, config: SampleConfig) -> tuple[Frames, list[list[Instance | None]], list[list[int]]]:
    frames = np.empty((config.frames, config.height, config.width, 3), np.uint8)
    seen: list[list[Instance | None]] = [[] for _ in scene.figures]
    whole: list[list[int]] = [[] for _ in scene.figures]
    for index, (frame, seen_masks, whole_masks) in enumerate(paint_clip(scene, config)):
        frames[index] = frame
        for k in range(len(scene.figures)):
            seen[k].append(encode_mask(_without_specks(seen_masks[k])))
            whole[k].append(int(np.count_nonzero(whole_masks[k])))
    return frames, seen, whole


def _without_specks(mask: Mask) -> Mask:
    """The mask, or an empty one if only a few pixels are visible."""
    return mask if np.count_nonzero(mask) >= 6 else np.zeros_like(mask)


def choose_span(steps: Sequence[Action], seen: Sequence[Instance | None], rng: np.random.Generator) -> tuple[str, range] | None:
    """Action of which the figure is visible from the first to the last frame, with its visible frames; None if there is none.

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
