"""Arrow schemas of the tables of a dataset; `SCHEMA_VERSION` is written to every file and checked on reading.

Frame indices are native, 0-based; frame ranges are closed. Boxes are (x1, y1, x2, y2) in pixels of the native frame, half-open.
Each table states its sort order; one row group holds one video.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

SCHEMA_VERSION = 3

_NAME = pa.dictionary(pa.int32(), pa.string())

OBJECT = pa.struct(
    [
        ("object_id", pa.int32()),
        ("category", pa.string()),
        ("score", pa.float32()),
        ("found_at", pa.int32()),
        ("frames", pa.int32()),
    ]
)
"""One tracked object: category and score of its detection, frame of its discovery, and number of frames where it is visible."""

FRAME_RANGE = pa.struct([("start_frame", pa.int32()), ("end_frame", pa.int32())])
"""A range of frames, closed."""

VIDEOS = pa.schema(
    [
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frame_count", pa.int32()),
        ("fps", pa.float64()),
        ("duration_s", pa.float64()),
        ("times_s", pa.list_(pa.float64())),
        ("tracked", pa.list_(FRAME_RANGE)),
        ("hidden_behind_older", pa.int32()),
        ("merged", pa.int32()),
        ("recovered", pa.int32()),
        ("encoder_passes", pa.int32()),
        ("object_steps", pa.int32()),
        ("features", pa.string()),
        ("objects", pa.list_(OBJECT)),
        ("note", pa.string()),
    ]
)
"""One row per video: the source, presentation times from 0, the tracked frame ranges, the cost of tracking
(`tasks.tracking.base.TrackingCost`), the objects by ID, and a remark on the file, such as replaced times; null without one.
Sorted by video_id."""

MASKS = pa.schema(
    [
        ("video_id", _NAME),
        ("frame_index", pa.int32()),
        ("object_id", pa.int32()),
        ("category", _NAME),
        ("x1", pa.int32()),
        ("y1", pa.int32()),
        ("x2", pa.int32()),
        ("y2", pa.int32()),
        ("area", pa.int32()),
        ("anchor_x", pa.int32()),
        ("anchor_y", pa.int32()),
        ("rle_counts", pa.binary()),
    ]
)
"""The mask database: one row per object and frame where it is visible. Sorted by video_id, frame_index, object_id."""

CLIPS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("video_id", _NAME),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("first_frame", pa.int32()),
        ("last_frame", pa.int32()),
        ("frame_count", pa.int32()),
        ("sample_fps", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("digit_height_px", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""One row per clip (video, start, end): its size in the model input. `reason` is empty, or states why it has no frames."""

MARKER = pa.struct([("object_id", pa.int32()), ("label", pa.string()), ("x", pa.float32()), ("y", pa.float32())])
"""A drawn marker: its centre in pixels of the rendered frame."""

FRAMES = pa.schema(
    [
        ("clip_id", _NAME),
        ("video_id", _NAME),
        ("position", pa.int32()),
        ("frame_index", pa.int32()),
        ("time_s", pa.float64()),
        ("markers", pa.list_(MARKER)),
        ("jpeg", pa.binary()),
    ]
)
"""One row per rendered frame. `time_s` counts from the start of the clip. Sorted by clip_id, position."""

TARGET = pa.struct(
    [
        ("frames", pa.list_(pa.int32())),
        ("boxes", pa.list_(pa.list_(pa.float64(), 4))),
        ("counts", pa.list_(pa.binary())),
    ]
)
"""True location of one object: a box on each listed frame, and the run-length code of its mask if the truth consists of
masks."""

SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("clip_id", _NAME),
        ("video_id", _NAME),
        ("task", _NAME),
        ("group", _NAME),
        ("sentence", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("start_frame", pa.int32()),
        ("end_frame", pa.int32()),
        ("targets", pa.list_(TARGET)),
        ("answer_ids", pa.list_(pa.int32())),
        ("vote_share", pa.float64()),
        ("mean_iou", pa.float64()),
        ("votes", pa.int32()),
        ("reason", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("record", pa.string()),
    ]
)
"""One row per sentence: its task, its true span (seconds of the clip; frames of the video, closed; null without truth), its
targets, and the answer IDs with their quality, or the reason why there are none. `options` and `answer` belong to a question;
`record` is the position in the annotations."""

OUTCOMES = pa.schema(
    [
        ("video_id", pa.string()),
        ("stage", _NAME),
        ("status", _NAME),
        ("reason", _NAME),
        ("detail", pa.string()),
        ("attempts", pa.int32()),
        ("seconds", pa.float64()),
        ("samples", pa.int32()),
    ]
)
"""One row per planned video: the last stage, its outcome, and the number of sentences about the video; sorted by video_id."""

BOX = pa.struct([("frame", pa.int32()), ("box", pa.list_(pa.float64(), 4))])
"""A predicted box on a native frame, pixels, half-open."""

CAPTION = pa.struct([("object_id", pa.int32()), ("text", pa.string())])
"""Text about an object."""

PREDICTIONS = pa.schema(
    [
        ("sample_id", pa.string()),
        ("video_id", _NAME),
        ("task", _NAME),
        ("object_ids", pa.list_(pa.int32())),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("answer", pa.string()),
        ("boxes", pa.list_(BOX)),
        ("captions", pa.list_(CAPTION)),
        ("ids_status", _NAME),
        ("span_status", _NAME),
        ("formatted", pa.bool_()),
        ("thought", pa.string()),
        ("texts", pa.list_(pa.string())),
        ("finishes", pa.list_(pa.string())),
        ("prompt_tokens", pa.int32()),
        ("tokens", pa.int32()),
        ("seconds", pa.float64()),
        ("failed", pa.string()),
        ("identity", _NAME),
    ]
)
"""One row a sample that was asked: the answer as read (seconds of the clip; null where there is none), how the reading of
each field went, what the model said in full, what it took, why nothing came back (`failed`, empty where something did), and
the hash of everything that shapes an answer, told in full beside the table. Sorted by video_id, sample_id."""

TABLES: Mapping[str, pa.Schema] = {
    "videos": VIDEOS,
    "masks": MASKS,
    "clips": CLIPS,
    "frames": FRAMES,
    "samples": SAMPLES,
    "outcomes": OUTCOMES,
    "predictions": PREDICTIONS,
}


OPTIONAL_COLUMNS: Mapping[str, tuple[str, ...]] = {"videos": ("note",)}
"""Table -> columns that files of earlier versions lack; they are read as null."""


def with_version(schema: pa.Schema) -> pa.Schema:
    """The schema with its version in the metadata, as written to files."""
    return schema.with_metadata({"schema_version": str(SCHEMA_VERSION)})
