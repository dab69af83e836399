"""Schema of training rows: one row per sample, sorted by video and sample, with verl's columns."""

from __future__ import annotations

from typing import TypedDict

import pyarrow as pa

from rl.prompts.templates import Message

ROWS_VERSION = 1
"""Version of the schema and of the code that fills it."""

_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_VIDEO = pa.struct(
    [
        ("frames", pa.list_(pa.binary())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("times_s", pa.list_(pa.float64())),
    ]
)
_ROW = [("index", pa.int64()), ("split", pa.string()), ("sample_id", pa.string()), ("video_id", pa.string())]

ROW_SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))]))),
        ("videos", pa.list_(_VIDEO)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([*_ROW, ("clip_id", pa.string()), ("prompt_tokens", pa.int32())])),
    ],
    metadata={"rows_version": str(ROWS_VERSION)},
)


class VideoColumn(TypedDict):
    """The video of a row.

    Attributes:
        frames: JPEGs as the dataset stores them, all of one size.
        width, height: of a frame, pixels.
        fps: sampling rate, frames per second.
        times_s: time of each frame, seconds of the clip.
    """

    frames: list[bytes]
    width: int
    height: int
    fps: float
    times_s: list[float]


class RewardColumn(TypedDict):
    """What verl passes to the reward function; `ground_truth` is a `Truth` as JSON."""

    style: str
    ground_truth: str


class InfoColumn(TypedDict):
    """What identifies a row; `index` counts the rows of a file from 0, `prompt_tokens` includes those of the video."""

    index: int
    split: str
    sample_id: str
    video_id: str
    clip_id: str
    prompt_tokens: int


class TrainingRow(TypedDict):
    """A row of `ROW_SCHEMA`.

    Attributes:
        data_source: name of the dataset.
        prompt: message list for chat templates.
        videos: exactly one video.
        ability: task of the sample.
        reward_model: ground truth.
        extra_info: IDs.
    """

    data_source: str
    prompt: list[Message]
    videos: list[VideoColumn]
    ability: str
    reward_model: RewardColumn
    extra_info: InfoColumn
