"""One sentence about the clip of a dataset: request, parsed response, and the tubes that it predicts, by ID repair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rl.engines.base import Engine, EngineError
from rl.evaluation.ground.result import GroundResult, Mask, TubeFrame
from rl.evaluation.protocols import protocol_named
from rl.evaluation.requests import ParsedResponse, Requester
from rl.evaluation.samples import ClipError, Clips, EvalSample
from rl.models.families import Model
from storage.common.errors import InputError
from storage.reader import Dataset
from storage.rows import MaskRow
from tasks.benchmarks.samples import Task
from tasks.build.stages import frames_parameters
from tasks.masks.instances import Box
from tasks.metrics.repair import Choice, choose_objects

PROTOCOL = "marked"
"""Protocol of `rl.evaluation.protocols` that predicts objects and times."""
_COLUMNS = ["frame_index", "object_id", "category", "x1", "y1", "x2", "y2", "rle_counts"]
_REMEDIES = {
    "no_objects": "nothing was found in it that could be named: try another detector",
    "marker_illegible": "so long a clip is shown so small that its numbers cannot be read: ground a shorter section",
    "outside_video": "the section begins after the video's end",
}

_Rows = Mapping[int, Mapping[int, MaskRow]]
"""Native frame -> object ID -> row of the masks table."""


class GroundError(InputError):
    """A video that cannot be used; the message states the reason and the remedy."""


def ground(dataset: Dataset, sentence: str, model: Model, engine: Engine) -> GroundResult:
    """Let a model ground a sentence in the one clip of a dataset.

    Args:
        dataset: A published dataset with one video and one clip.
        sentence: Description of the target.
        model: Model of the engine.
        engine: Engine that answers.

    Raises:
        GroundError: The clip has no frames with markers.
        EngineError: The engine gave no response.
    """
    clips, sample = Clips(dataset), only_sample(dataset, sentence)
    requester = Requester(protocol_named(PROTOCOL), model, clips, frames_parameters(dataset).markers.style)
    try:
        request = requester.first_request(sample)
    except ClipError as error:
        raise GroundError(f"'{sample.video_id}' cannot be shown: {_REMEDIES.get(error.reason, str(error))}") from error
    assert request is not None  # the protocol's first request is never empty
    [response] = engine.answer([request])
    parsed = requester.parse(sample, response)
    if parsed.failure:
        raise EngineError(parsed.failure)
    return locate(dataset, clips, sample, parsed)


def only_sample(dataset: Dataset, sentence: str) -> EvalSample:
    """A sample with the sentence for the only clip of a dataset."""
    [video_id] = dataset.video_ids("clips")
    [clip] = dataset.rows("clips", video_id, ["clip_id"]).to_pylist()
    return EvalSample(
        sample_id="ground",
        video_id=video_id,
        clip_id=clip["clip_id"],
        task=Task.SPATIO_TEMPORAL,
        sentence=sentence,
        span_s=None,
        options=(),
        record="",
    )


def locate(dataset: Dataset, clips: Clips, sample: EvalSample, parsed: ParsedResponse) -> GroundResult:
    """Look up frames, boxes and masks of a parsed response.

    Args:
        dataset: Dataset of the clip.
        clips: Its clips.
        sample: Sample that was answered.
        parsed: Parsed response; its times are seconds of the clip.
    """
    clip, frames = clips.clip(sample), range(0)
    start_s = clip.start_s
    if parsed.span_s is not None and parsed.span_s[0] < clip.end_s - start_s:
        assert clip.first_frame is not None
        assert clip.last_frame is not None
        predicted = clips.frames_between(sample, parsed.span_s)
        frames = range(max(predicted.start, clip.first_frame), min(predicted.stop, clip.last_frame + 1))
    size = clips.size(sample)
    return GroundResult(
        sentence=sample.sentence,
        object_ids=parsed.object_ids,
        ids_status=parsed.ids_status,
        span_s=None if parsed.span_s is None else (parsed.span_s[0] + start_s, parsed.span_s[1] + start_s),
        span_status=parsed.span_status,
        span_frames=(frames[0], frames[-1]) if frames else None,
        clip_s=(start_s, clip.end_s),
        size=size,
        tubes=_tubes(dataset, sample.video_id, parsed.object_ids, frames, size) if frames else {},
        thought=parsed.thought,
        text=parsed.responses[0].text,
    )


def _tubes(
    dataset: Dataset, video_id: str, object_ids: Iterable[int], frames: range, size: tuple[int, int]
) -> dict[int, tuple[TubeFrame, ...]]:
    """Tube of each predicted object by ID repair; the masks of the video are read once."""
    [times] = dataset.rows("videos", video_id, ["times_s"]).column(0).to_pylist()
    rows: dict[int, dict[int, MaskRow]] = {}
    for row in dataset.rows("masks", video_id, _COLUMNS).to_pylist():
        if row["frame_index"] in frames:
            rows.setdefault(row["frame_index"], {})[row["object_id"]] = row
    boxes = {frame: {object_id: _box(row) for object_id, row in objects.items()} for frame, objects in rows.items()}
    span = frames[0], frames[-1]
    return {
        object_id: tuple(_tube_frame(rows, times, size, *item) for item in choose_objects(boxes, object_id, span).items())
        for object_id in object_ids
    }


def _tube_frame(rows: _Rows, times: list[float], size: tuple[int, int], frame: int, choice: Choice) -> TubeFrame:
    row = rows[frame][choice.object_id]
    return TubeFrame(
        frame=frame,
        time_s=times[frame],
        object_id=choice.object_id,
        repair=choice.kind,
        category=row["category"],
        box=(row["x1"], row["y1"], row["x2"], row["y2"]),
        mask=Mask(size=(size[1], size[0]), counts=row["rle_counts"].decode("ascii")),
    )


def _box(row: MaskRow) -> Box:
    return float(row["x1"]), float(row["y1"]), float(row["x2"]), float(row["y2"])
