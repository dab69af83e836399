"""Appearance of sample figures, and the sentences that describe their actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

TOPS: dict[str, Colour] = {
    "red": (196, 38, 40),
    "blue": (40, 74, 190),
    "yellow": (226, 196, 44),
    "white": (232, 232, 226),
    "black": (34, 32, 38),
    "orange": (232, 122, 30),
    "purple": (126, 52, 160),
    "pink": (236, 128, 172),
    "green": (30, 140, 62),
}
"""Colours that sentences name; the figures of a clip have different ones."""
BOTTOMS: tuple[Colour, ...] = ((38, 44, 70), (92, 66, 46), (70, 74, 78), (96, 128, 180), (48, 84, 56), (120, 36, 62))
SKINS: tuple[Colour, ...] = ((236, 196, 166), (198, 146, 108), (128, 84, 58))
HAIRS: tuple[Colour, ...] = ((32, 26, 22), (110, 70, 36), (206, 170, 96), (120, 118, 116))
PATTERNS = ("plain", "stripes", "bands", "checks", "dots")
GARMENTS = {"man": ("shirt", "jacket", "sweater"), "woman": ("coat", "blouse", "sweater")}


@dataclass(frozen=True)
class Appearance:
    """Appearance of a figure. Colours are RGB; `extra` is `hat`, `bag` or empty."""

    who: str
    colour: str
    garment: str
    pattern: str
    bottom: Colour
    skin: Colour
    hair: Colour
    extra: str

    @property
    def name(self) -> str:
        """Noun phrase for the figure, unique within its clip."""
        extra = f" with the {self.extra}" if self.extra else ""
        return f"the {self.who} in the {self.colour} {self.garment}{extra}"


def choose_appearances(rng: np.random.Generator, count: int) -> list[Appearance]:
    """Appearances of the figures of a clip, with distinct colours.

    Args:
        rng: source of randomness.
        count: number of figures.
    """
    colours = [str(c) for c in rng.permutation(list(TOPS))[:count]]
    bottoms = [BOTTOMS[k] for k in rng.permutation(len(BOTTOMS))[:count]]
    return [_appearance(rng, colour, bottom) for colour, bottom in zip(colours, bottoms, strict=True)]


def _appearance(rng: np.random.Generator, colour: str, bottom: Colour) -> Appearance:
    who = str(rng.choice(["man", "woman"]))
    return Appearance(
        who=who,
        colour=colour,
        garment=str(rng.choice(GARMENTS[who])),
        pattern=str(rng.choice(PATTERNS)),
        bottom=bottom,
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        extra=str(rng.choice(["hat", "bag", "", ""])),
    )


def cloth_texture(pattern: str, size: tuple[int, int], fine: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness offset of cloth for the top and for the rest, float32 (height, width, 2).

    Args:
        pattern: one of `PATTERNS`.
        size: (width, height) in pixels, `fine` times the size in the frame.
        fine: supersampling factor.
        rng: source of randomness for the grain.
    """
    import cv2

    width, height = size
    y, x = np.mgrid[:height, :width] // fine
    waves = {
        "plain": np.zeros_like(x),
        "stripes": x // 3 % 2,
        "bands": y // 4 % 2,
        "checks": (x // 4 + y // 4) % 2,
        "dots": ((x % 6 < 3) & (y % 6 < 3)).astype(int),
    }
    grain = cv2.resize(
        rng.normal(0, 12, (height // fine // 3, width // fine // 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.dstack([grain + 44.0 * waves[pattern] - 22.0 * (pattern != "plain"), grain]).astype(np.float32)


SENTENCES: dict[str, tuple[str, ...]] = {
    "walk_left": ("{} walks to the left.", "{} goes left past the others."),
    "walk_right": ("{} walks to the right.", "{} goes right past the others."),
    "enter_left": ("{} comes in from the left.", "{} walks into the picture from the left."),
    "enter_right": ("{} comes in from the right.", "{} walks into the picture from the right."),
    "leave_left": ("{} leaves to the left.", "{} walks out of the picture on the left."),
    "leave_right": ("{} leaves to the right.", "{} walks out of the picture on the right."),
    "wave": ("{} raises an arm and waves.", "{} waves a hand."),
    "jump": ("{} jumps up and down.", "{} hops on the spot."),
    "bend": ("{} bends the knees and gets up again.", "{} crouches down and stands up."),
}
"""Action -> sentence templates. Standing has none, since a sentence about it would not identify a time span."""


def describe_action(rng: np.random.Generator, look: Appearance, kind: str) -> str:
    """Sentence about an action of a figure, with occasional punctuation errors as in the benchmark.

    Args:
        rng: source of randomness.
        look: appearance of the named figure.
        kind: kind of action.
    """
    text = str(rng.choice(SENTENCES[kind])).format(look.name)
    text = text[0].upper() + text[1:]
    fault = rng.random()
    if fault < 0.06:
        return text[:-1]
    return f"{text[:-1]} ." if fault < 0.12 else text
