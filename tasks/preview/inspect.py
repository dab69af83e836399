"""Description of a dataset, a video or a frame as JSON values."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import JsonValue

from storage.folders.folder import FolderLike
from storage.folders.open import folder_at
from storage.manifest import MANIFEST, DatasetError, Ending
from storage.outcomes import count_outcomes
from storage.reader import Dataset
from storage.specification import BUILD_REQUEST
from tasks.build.endings import unpublished_endings


def describe(dataset: Dataset, video_id: str | None = None, frame_index: int | None = None) -> dict[str, JsonValue]:
    """Describe a dataset, one of its videos, or the instances on a native frame of that video.

    Args:
        dataset: a published dataset.
        video_id: ID of a video to describe; None for the dataset.
        frame_index: native frame to describe; needs a video.

    Raises:
        DatasetError: no such video or frame.
    """
    if video_id is None:
        return _dataset(dataset)
    return _video(dataset, video_id) if frame_index is None else _frame(dataset, video_id, frame_index)


def describe_unpublished(where: FolderLike) -> dict[str, JsonValue]:
    """Describe what the last build in a folder has not published: outcomes and reasons; empty without any.

    Args:
        where: folder of a dataset, its path or `s3://` URL.

    Raises:
        DatasetError: the stored build request or the manifest is damaged.
    """
    folder = folder_at(where)
    if not folder.names(BUILD_REQUEST):
        return {}
    endings = unpublished_endings(folder)
    lost: list[JsonValue] = [_ending_row(ending) for ending in endings if ending.outcome.status != "done"]
    if not folder.names(MANIFEST):
        counts: JsonValue = dict(count_outcomes(ending.outcome for ending in endings))
        published = "nothing is published: the last build has not ended, or lost too many videos"
        return {"dataset": str(folder), "published": published, "counts": counts, "lost": lost}
    return {"lost since": lost} if lost else {}


def _ending_row(ending: Ending) -> dict[str, JsonValue]:
    outcome = ending.outcome
    return {"video_id": ending.video_id, "stage": ending.stage, **asdict(outcome)}


def _dataset(dataset: Dataset) -> dict[str, JsonValue]:
    manifest = dataset.manifest
    files = [(stage, table, f) for stage in manifest.stages.values() for shard in stage.shards for table, f in shard.items()]
    tables = sorted({table for _, table, _ in files})
    return {
        "dataset": manifest.dataset,
        "content_hash": manifest.content_hash,
        "counts": dict(manifest.counts),
        "tables": [
            {
                "table": table,
                "rows": sum(f.rows for _, t, f in files if t == table),
                "bytes": sum(f.bytes for _, t, f in files if t == table),
            }
            for table in tables
        ],
        "lost": [row for row in dataset.outcomes.to_pylist() if row["status"] != "done"],
    }


def _video(dataset: Dataset, video_id: str) -> dict[str, JsonValue]:
    row = dataset.rows("videos", video_id).to_pylist()[0]
    times = row.pop("times_s")
    objects = row.pop("objects")
    samples = dataset.rows("samples", video_id).drop_columns(["targets"]).to_pylist()
    return {**row, "last_frame_at_s": times[-1], "objects": objects, "samples": samples}


def _frame(dataset: Dataset, video_id: str, frame_index: int) -> dict[str, JsonValue]:
    count = dataset.rows("videos", video_id, ["frame_count"]).column(0)[0].as_py()
    if not 0 <= frame_index < count:
        raise DatasetError(f"'{video_id}' has frames 0 to {count - 1}, not {frame_index}")
    rows: list[JsonValue] = [
        {"object_id": i.object_id, "category": i.category, "box": list(i.box), "area": i.area, "anchor": list(i.anchor)}
        for i in dataset.instances(video_id, frame_index)
    ]
    return {"video_id": video_id, "frame_index": frame_index, "instances": rows}
