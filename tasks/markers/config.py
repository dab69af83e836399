"""Configuration of rendered frames: sampling, markers, storage and the voting rule of answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from storage.common.config import Config
from tasks.markers.labels import Style
from tasks.video.sampling import SamplingConfig

Filter = Literal["category", "frame"]
"""Reference of the size filter: the largest mask of the category (paper), or of the frame (released code)."""
Anchor = Literal["centroid", "released"]
"""Position of a label: centred on the centroid of the mask (paper), or starting at the released code's point."""
AnswerRule = Literal["paper", "released"]
"""Voters for the answer: rendered frames with IoU (paper), or all native frames with "+1" IoU (released code)."""
_NEEDED: dict[Style, float] = {"numbers": 1.0, "upper": 9 / 8, "mix": 9 / 8, "lower": 10 / 8}
"""Digit height at which 99 % of a style's labels are read, over that of numbers: measured, `test_label_reader.py`."""


class MarkerConfig(Config):
    """Selection and style of object markers (section 3.2, Tables 5 and 6)."""

    theta: float = Field(
        1 / 3,
        title="Size filter",
        ge=0,
        le=1,
        description="Masks smaller than this fraction of the largest mask on the frame get no marker; 0 marks all objects.",
    )
    size: float = Field(
        20,
        title="Marker size",
        ge=5,
        le=80,
        description="Font size of the markers, in the paper's units; the paper finds 20 best.",
    )
    style: Style = Field("numbers", title="Marker style", description="Text on an object: numbers, letters, or a mix of them.")
    filter: Filter = Field(
        "category",
        title="Size filter among",
        description="Masks are compared with the largest of their category (paper), or of the frame (released code).",
    )
    anchor: Anchor = Field(
        "centroid",
        title="Marker anchor",
        description="Markers are centred on the centroid of the mask (paper), or placed as the released code does.",
    )
    min_digit_height_px: float = Field(
        8,
        title="Least digit height",
        ge=0,
        le=1000,
        description="Clips whose digits would be lower than this many pixels are not shown; letters need more.",
    )

    @property
    def legible_from_px(self) -> float:
        """Least digit height, pixels of the model's frame, at which `legibility` reads 99 % of its style's labels.

        By default 8 px for numbers, 9 px for upper case and the mix, 10 px for lower case, whose x-height is three quarters
        of a digit's at the same font scale.
        """
        return self.min_digit_height_px * _NEEDED[self.style]


class RenderingConfig(Config):
    """Storage format of frames, and the voting rule of answers."""

    jpeg_quality: int = Field(95, title="JPEG quality", ge=1, le=100, description="JPEG quality of stored frames, 1 to 100.")
    answer_rule: AnswerRule = Field(
        "paper",
        title="Answer rule",
        description="Frames that vote for the answer: the rendered ones (paper), or all of the video (released code).",
    )


class FramesConfig(Config):
    """Everything that shapes rendered frames and answers."""

    sampling: SamplingConfig = Field(
        SamplingConfig(), title="Sampling", description="Rate and size of the frames that a model sees."
    )
    markers: MarkerConfig = Field(MarkerConfig(), title="Markers", description="Which objects are marked, and how.")
    rendering: RenderingConfig = Field(
        RenderingConfig(), title="Rendering", description="How frames are stored, and which boxes choose an answer."
    )
