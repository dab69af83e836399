"""One sentence about a built clip: asked, read, and made into a tube with boxes and masks by ID repair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rl.engines.base import Engine, EngineError
from rl.evaluation.protocols import Asker, Taken, protocol_named, style_of
from rl.evaluation.samples import Asked, Clips, ShownError
from rl.models.families import Model
from storage.common.errors import InputError
from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.masks.instances import Box
from tasks.metrics.repair import Choice, choices

PROTOCOL = "marked"
"""Of `rl.evaluation.protocols`: the one that names objects and times."""
_COLUMNS = ["frame_index", "object_id", "category", "x1", "y1", "x2", "y2", "rle_counts"]
_WHY = {
    "no_objects": "nothing was found in it that could be named: try another detector",
    "marker_illegible": "so long a clip is shown so small that its numbers cannot be read: ground a shorter section",
    "outside_video": "the section begins after the video's end",
}


class GroundError(InputError):
    """A video in which nothing can be pointed at; the message says why and what helps."""


@dataclass(frozen=True)
class Place:
    """Where the target is on a frame.

    Attributes:
        frame: native, 0-based.
        time_s: seconds of the video.
        object_id: whose mask it is; another than the ID named where that is missing and repair found who took over.
        how: `kept`, `corrected` or `fallback`, as `tasks.metrics.repair.Choice` has it.
        category: what the detector took it for.
        box: pixels, half-open.
        counts: COCO compressed run-length code of the mask.
    """

    frame: int
    time_s: float
    object_id: int
    how: str
    category: str
    box: tuple[int, int, int, int]
    counts: str


@dataclass(frozen=True)
class Grounded:
    """What a model answered about a clip, and where that is.

    Attributes:
        object_ids: named by the model; `ids` says how reading them went (`rl.prompts.answers.Status`).
        span_s: seconds of the video, half-open, as the model said; None if it said none. `span` says how reading went.
        span_frames: the native frames of it that the clip has, closed; None if there are none.
        clip_s: what was shown, seconds of the video, half-open.
        size: (width, height), pixels.
        tubes: object ID -> its places, ascending; empty unless both an ID and a time were read.
        thought, text: the model's thought, and all that it said.
    """

    sentence: str
    object_ids: tuple[int, ...]
    ids: str
    span_s: tuple[float, float] | None
    span: str
    span_frames: tuple[int, int] | None
    clip_s: tuple[float, float]
    size: tuple[int, int]
    tubes: dict[int, list[Place]]
    thought: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON values; each mask in COCO's form, `{"size": [height, width], "counts": ...}`."""
        told = asdict(self)
        for places in told["tubes"].values():
            for place in places:
                place["mask"] = {"size": [self.size[1], self.size[0]], "counts": place.pop("counts")}
        return told


def ground(dataset: Dataset, sentence: str, model: Model, engine: Engine) -> Grounded:
    """Ask of the one clip of a dataset's one video where and when the sentence is.

    Raises:
        GroundError: the clip cannot be shown with markers.
        EngineError: no answer came.
    """
    clips, asked = Clips(dataset), about(dataset, sentence)
    asker = Asker(protocol_named(PROTOCOL), model, clips, style_of(dataset.manifest.stages["frames"].params["render"]))
    try:
        request = asker.first(asked)
    except ShownError as error:
        raise GroundError(f"'{asked.video_id}' cannot be shown: {_WHY.get(error.reason, str(error))}") from error
    assert request is not None  # this protocol begins with one
    [response] = engine.answer([request])
    taken = asker.take(asked, response)
    if taken.failed:
        raise EngineError(taken.failed)
    return located(dataset, clips, asked, taken)


def about(dataset: Dataset, sentence: str) -> Asked:
    """The sentence as it is asked of the dataset's only clip."""
    [video_id] = dataset.video_ids("clips")
    [clip] = dataset.rows("clips", video_id, ["clip_id"]).to_pylist()
    return Asked("ground", video_id, clip["clip_id"], Task.SPATIO_TEMPORAL, sentence, None, (), "")


def located(dataset: Dataset, clips: Clips, asked: Asked, taken: Taken) -> Grounded:
    """The answer with the places of what it names."""
    clip, size = clips.clip(asked), clips.size(asked)
    frames = range(0)
    if taken.span_s is not None and taken.span_s[0] < clip["end_s"] - clip["start_s"]:
        said = clips.frames_between(asked, taken.span_s)
        frames = range(max(said.start, clip["first_frame"]), min(said.stop, clip["last_frame"] + 1))
    return Grounded(
        asked.sentence,
        taken.object_ids,
        taken.ids,
        None if taken.span_s is None else (taken.span_s[0] + clip["start_s"], taken.span_s[1] + clip["start_s"]),
        taken.span,
        (frames[0], frames[-1]) if frames else None,
        (clip["start_s"], clip["end_s"]),
        size,
        _tubes(dataset, asked.video_id, taken.object_ids, frames) if frames else {},
        taken.thought,
        taken.responses[0].text,
    )


def _tubes(dataset: Dataset, video_id: str, object_ids: Iterable[int], frames: range) -> dict[int, list[Place]]:
    """The places of each object that is named, by ID repair; the video's masks are read once."""
    [times] = dataset.rows("videos", video_id, ["times_s"]).column(0).to_pylist()
    rows: dict[int, dict[int, dict[str, Any]]] = {}
    for row in dataset.rows("masks", video_id, _COLUMNS).to_pylist():
        if row["frame_index"] in frames:
            rows.setdefault(row["frame_index"], {})[row["object_id"]] = row
    boxes = {frame: {i: _box(row) for i, row in there.items()} for frame, there in rows.items()}
    span = frames[0], frames[-1]
    chosen = {object_id: choices(boxes, object_id, span) for object_id in object_ids}
    return {
        object_id: [_place(rows[frame][choice.object_id], times[frame], choice) for frame, choice in found.items()]
        for object_id, found in chosen.items()
    }


def _place(row: dict[str, Any], time_s: float, choice: Choice) -> Place:
    box, counts = (row["x1"], row["y1"], row["x2"], row["y2"]), row["rle_counts"].decode("ascii")
    return Place(row["frame_index"], time_s, choice.object_id, choice.kind, row["category"], box, counts)


def _box(row: dict[str, Any]) -> Box:
    return float(row["x1"]), float(row["y1"]), float(row["x2"]), float(row["y2"])
