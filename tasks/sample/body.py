"""Rendering of the body of a sample figure: limbs in a pose, with the colours and texture of its clothes."""

from __future__ import annotations

from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import tight_box
from tasks.sample.appearance import TOPS, Appearance, cloth_texture
from tasks.sample.scene import Action

PHASES = 12
FINE = 2
"""Supersampling factor of sprites, for smooth edges."""
SKIN, HAIR, TOP, SLEEVE, BOTTOM, FAR_LEG, SHOE, BAG = range(1, 9)


class Sprite(NamedTuple):
    """One pose. `layers` is float32 (h, w, 4), premultiplied RGB 0-255 and alpha 0-1, cropped.

    `dx`, `dy` is the offset in pixels from the point between the feet to the top left corner.
    """

    layers: NDArray[np.float32]
    dx: float
    dy: float


class Sprites:
    """All poses of one figure, each drawn on first use."""

    def __init__(self, look: Appearance, tall: float, seed: list[int]) -> None:
        self._look, self._tall = look, tall
        self._size = (int(tall * 0.7) + 2, int(tall * 1.2) + 2)
        self._weave = cloth_texture(
            look.pattern, (self._size[0] * FINE, self._size[1] * FINE), FINE, np.random.default_rng([*seed, 3])
        )
        self._drawn: dict[tuple[str, int, int], Sprite] = {}
        self._below = tall * 0.04

    def pose(self, step: Action, frame: int, fps: int) -> tuple[Sprite, float]:
        """Sprite of a figure on a frame, and its height above the ground in pixels.

        Args:
            step: action of the figure's script.
            frame: 0-based native frame index.
            fps: native frames per second.
        """
        action = step.kind.partition("_")[0]
        moving = step.x0 != step.x1
        seconds = (frame - step.start) / fps
        if moving:
            turns = abs(step.x(frame) - step.x0) / (0.55 * self._tall)
        elif action == "bend":
            turns = min((frame - step.start) / (step.stop - step.start), 0.999)
        else:
            turns = seconds * {"wave": 1.2, "jump": 1.0}.get(action, 0.35)
        facing = 0 if not moving else (1 if step.x1 > step.x0 else -1)
        lift = 0.16 * self._tall * abs(sin(pi * turns)) if action == "jump" else 0.0
        key = ("walk" if moving else action, int(turns % 1 * PHASES), facing)
        if key not in self._drawn:
            self._drawn[key] = self._draw(*key)
        return self._drawn[key], lift

    def _draw(self, action: str, phase: int, facing: int) -> Sprite:
        import cv2

        width, height = self._size
        parts = np.zeros((height * FINE, width * FINE), np.uint8)
        _Body(parts, self._tall * FINE, (height - self._below) * FINE).draw(self._look, action, phase / PHASES, facing)
        palette = _palette(self._look)
        weave = np.where((parts == TOP) | (parts == SLEEVE), self._weave[..., 0], self._weave[..., 1])
        layers = np.empty((*parts.shape, 4), np.float32)
        np.add(palette[parts], weave[..., None], out=layers[..., :3])
        layers[..., 3] = 1
        np.clip(layers, 0, 255, out=layers)
        layers *= (parts > 0)[..., None]
        small = np.asarray(cv2.resize(layers, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        x1, y1, x2, y2 = tight_box(small[..., 3] > 0) or (0, 0, 1, 1)
        # A transparent border keeps the edges smooth when the sprite is shifted by fractions of a pixel.
        layers = cv2.copyMakeBorder(small[y1:y2, x1:x2], 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        return Sprite(layers, x1 - 1 - width / 2, y1 - 1 - height + self._below)


def _palette(look: Appearance) -> NDArray[np.float32]:
    top, bottom = np.array(TOPS[look.colour], np.float32), np.array(look.bottom, np.float32)
    rows = [np.zeros(3), look.skin, look.hair, top, top * 0.82, bottom, bottom * 0.75, (28, 24, 24), (120, 78, 40)]
    return np.array(rows, np.float32)


class _Body:
    """Draws part numbers into an image. Points are in body heights from the point between the feet, y up."""

    def __init__(self, parts: NDArray[np.uint8], tall: float, ground: float) -> None:
        self._parts, self._tall, self._ground = parts, tall, ground

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return round(self._parts.shape[1] / 2 + x * self._tall), round(self._ground - y * self._tall)

    def _limb(self, part: int, points: list[tuple[float, float]], thick: float) -> None:
        import cv2

        line = np.array([self._at(*p) for p in points], np.int32)
        cv2.polylines(self._parts, [line], False, part, round(thick * self._tall))

    def _shape(self, part: int, points: list[tuple[float, float]]) -> None:
        import cv2

        cv2.fillPoly(self._parts, [np.array([self._at(*p) for p in points], np.int32)], part)

    def _round(self, part: int, x: float, y: float, wide: float, high: float) -> None:
        import cv2

        axes = (round(wide * self._tall), round(high * self._tall))
        cv2.ellipse(self._parts, self._at(x, y), axes, 0, 0, 360, part, -1)

    def draw(self, look: Appearance, action: str, phase: float, facing: int) -> None:
        """Draw one pose; `phase` is in [0, 1) of the action's cycle, `facing` is -1 left, 1 right, 0 towards the viewer."""
        swing = sin(2 * pi * phase)
        bent = 0.5 - 0.5 * cos(2 * pi * phase) if action == "bend" else 0.0
        stride = 0.15 * swing if action == "walk" else 0.05
        hip, shoulder = 0.48 - 0.2 * bent, 0.80 - 0.26 * bent
        self._legs(hip, stride, bent, facing)
        self._torso(look, hip, shoulder, bent, facing)
        self._arms(action, swing, shoulder, facing)

    def _legs(self, hip: float, stride: float, bent: float, facing: int) -> None:
        knee = 0.10 * bent + 0.02
        for side, part in ((-1, FAR_LEG), (1, BOTTOM)):
            foot = side * stride
            forward = knee * (facing or side)
            self._limb(part, [(0.03 * side, hip), (foot / 2 + forward, hip / 2 + 0.02), (foot, 0.03)], 0.085)
            self._limb(SHOE, [(foot, 0.02), (foot + 0.04 * (facing or side), 0.02)], 0.05)

    def _torso(self, look: Appearance, hip: float, shoulder: float, bent: float, facing: int) -> None:
        half = 0.085 if facing else 0.11
        head = shoulder + 0.105
        if look.who == "woman":
            self._round(HAIR, -0.02 * facing, head - 0.04, 0.075, 0.11)
            self._shape(BOTTOM, [(-half * 0.8, hip + 0.05), (half * 0.8, hip + 0.05), (0.13, hip * 0.55), (-0.13, hip * 0.55)])
        self._shape(TOP, [(-half, shoulder), (half, shoulder), (half * 0.85, hip - 0.02), (-half * 0.85, hip - 0.02)])
        self._limb(SKIN, [(0, shoulder), (0, head)], 0.05)
        self._round(HAIR, -0.012 * facing, head + 0.022, 0.062, 0.068)
        self._round(SKIN, 0.014 * facing, head - 0.008, 0.052, 0.062)
        if look.extra == "hat":
            self._shape(BAG, [(-0.1, head + 0.035), (0.1, head + 0.035), (0.06, head + 0.06), (-0.06, head + 0.06)])
            self._round(BAG, 0, head + 0.07, 0.058, 0.05)
        if look.extra == "bag":
            self._shape(BAG, [(-0.06, 0.02 + hip), (-0.2, hip + 0.02), (-0.18, hip - 0.14), (-0.06, hip - 0.14)])

    def _arms(self, action: str, swing: float, shoulder: float, facing: int) -> None:
        wide = 0.06 if facing else 0.115
        for side in (-1, 1):
            if action == "wave" and side > 0:
                hand = (0.2 + 0.09 * swing, shoulder + 0.27)
                elbow = (0.2, shoulder + 0.05)
            else:
                reach = 0.15 * swing * side if action == "walk" else 0.03 * side * (1 + 0.6 * swing)
                hand, elbow = (wide * side + reach, shoulder - 0.33), (wide * side + reach * 0.35, shoulder - 0.17)
            top = (wide * side * 0.85, shoulder - 0.025)
            self._limb(SLEEVE, [top, elbow], 0.06)
            self._limb(SLEEVE, [elbow, hand], 0.05)
            self._round(SKIN, hand[0], hand[1], 0.03, 0.03)
