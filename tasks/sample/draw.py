"""Rendering of a sample clip: a panning background, and figures in front of it with their true masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask
from tasks.sample.body import Sprites
from tasks.sample.scene import Figure, SampleConfig, Scene
from tasks.video.reader import Frames

Picture = NDArray[np.float32]
MARGIN = 12


def paint_clip(scene: Scene, config: SampleConfig) -> Iterator[tuple[Frames, list[Mask], list[Mask]]]:
    """Render every frame of a clip.

    Args:
        scene: script of a clip.
        config: size and rate of the clip.

    Yields:
        The frame, uint8 (height, width, 3), RGB; then, in the order of `scene.figures`, bool (height, width) masks of the
        visible part of each figure, and of the whole figure without occlusion.
    """
    background = _panorama(scene, config)
    noise = np.random.default_rng([*scene.seed, 1]).normal(0, 2.0, (8, config.height, config.width, 1)).astype(np.float32)
    sprites = [Sprites(figure.look, figure.tall, [*scene.seed, k]) for k, figure in enumerate(scene.figures)]
    order = sorted(range(len(scene.figures)), key=lambda k: scene.figures[k].feet_y)
    for frame in range(config.frames):
        picture = _view(background, scene.pan, frame, config)
        whole = [np.zeros((config.height, config.width), np.bool_) for _ in order]
        for k in order:
            _place(picture, whole[k], scene.figures[k], sprites[k], frame, config)
        picture += noise[frame * 5 % 8]
        yield np.clip(picture, 0, 255).astype(np.uint8), _seen(whole, order), whole


def _seen(whole: list[Mask], far_to_near: list[int]) -> list[Mask]:
    seen = [mask.copy() for mask in whole]
    nearer = np.zeros_like(whole[0])
    for k in reversed(far_to_near):
        seen[k] &= ~nearer
        nearer |= whole[k]
    return seen


def _place(picture: Picture, whole: Mask, figure: Figure, sprites: Sprites, frame: int, config: SampleConfig) -> None:
    """Blend a figure into the image at its sub-pixel position and draw its mask."""
    import cv2

    step = figure.step_at(frame)
    if step is None:
        return
    sprite, lift = sprites.pose(step, frame, config.fps)
    height, width = sprite.layers.shape[:2]
    left, top = step.x(frame) + sprite.dx, figure.feet_y - lift + sprite.dy
    x, y = int(np.floor(left)), int(np.floor(top))
    shift = np.array([[1, 0, left - x], [0, 1, top - y]], np.float64)
    layer = cv2.warpAffine(sprite.layers, shift, (width + 1, height + 1), flags=cv2.INTER_LINEAR)
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width + 1, config.width), min(y + height + 1, config.height)
    if x1 >= x2 or y1 >= y2:
        return
    layer = layer[y1 - y : y2 - y, x1 - x : x2 - x]
    part = picture[y1:y2, x1:x2]
    part *= 1 - layer[..., 3:]
    part += layer[..., :3]
    whole[y1:y2, x1:x2] = layer[..., 3] >= 0.5


def _view(background: Picture, pan: float, frame: int, config: SampleConfig) -> Picture:
    """Part of the background that the camera shows on a frame, with slight camera shake."""
    import cv2

    start = MARGIN if pan > 0 else background.shape[1] - config.width - MARGIN
    x = start + pan * frame + 2.0 * np.sin(frame / 23)
    y = MARGIN / 2 + 2.5 * np.sin(frame / 17)
    view = cv2.warpAffine(
        background,
        np.array([[1, 0, x], [0, 1, y]], np.float64),
        (config.width, config.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.asarray(view, np.float32)


def _panorama(scene: Scene, config: SampleConfig) -> Picture:
    """Street wider than the frame, with a wall, houses, bushes and pavement, textured so that motion can be estimated."""
    rng = np.random.default_rng([*scene.seed, 2])
    width = int(config.width + abs(scene.pan) * config.frames + 2 * MARGIN)
    height = config.height + MARGIN
    tints = rng.uniform((90, 95, 95), (175, 175, 165), (2, 3))
    picture = np.empty((height, width, 3), np.float32)
    horizon = int(height * rng.uniform(0.62, 0.7))
    picture[:horizon], picture[horizon:] = tints
    _houses(picture, horizon, rng)
    for cells, strength in ((6, 10), (24, 16), (70, 18)):
        picture += strength * _noise(rng, height, width, cells)
    return np.asarray(np.clip(picture, 12, 240), np.float32)


def _houses(picture: Picture, horizon: int, rng: np.random.Generator) -> None:
    import cv2

    height, width = picture.shape[:2]
    for _ in range(width // 22):
        x, w, h = int(rng.integers(-10, width)), int(rng.integers(14, 60)), int(rng.integers(20, 110))
        colour = tuple(float(c) for c in rng.uniform(60, 190) + rng.uniform(-18, 18, 3))
        cv2.rectangle(picture, (x, horizon - h), (x + w, horizon), colour, -1)
    for _ in range(width // 16):
        x, y = int(rng.integers(0, width)), int(rng.integers(horizon // 3, height))
        axes = (int(rng.integers(3, 14)), int(rng.integers(2, 9)))
        colour = tuple(float(c) for c in rng.uniform((50, 60, 40), (150, 160, 130)))
        cv2.ellipse(picture, (x, y), axes, 0, 0, 360, colour, -1)


def _noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Picture:
    """Smooth noise of about unit variance, (height, width, 1), with `cells` cells along the height."""
    import cv2

    coarse = rng.normal(0, 1, (cells, cells * width // height)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)[..., None]
