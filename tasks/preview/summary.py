"""Summary of a dataset as table rows: counts, outcomes, omissions and parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import JsonValue

from storage.outcomes import STATUSES
from storage.reader import Dataset

SummaryRow = dict[str, str | int | float]


class SummaryTables(NamedTuple):
    """Tables for the user at the end of a build.

    Attributes:
        outcomes: `status`, `reason`, `videos`, `share` (of planned videos, in [0, 1]); in the order of `STATUSES`.
        videos: `video`, `objects`, `frames` (rendered), `samples`, `status`, `reason`; one row per planned video.
    """

    outcomes: list[SummaryRow]
    videos: list[SummaryRow]


def summary_tables(dataset: Dataset) -> SummaryTables:
    """Outcomes and videos of a build as table rows; reads no masks and no frames."""
    objects = {row["video_id"]: len(row["objects"]) for row in table_rows(dataset, "videos", ["video_id", "objects"])}
    frames, samples = row_counts(dataset, "frames"), row_counts(dataset, "samples")
    videos: list[SummaryRow] = [
        {
            "video": row["video_id"],
            "objects": objects.get(row["video_id"], 0),
            "frames": frames.get(row["video_id"], 0),
            "samples": samples.get(row["video_id"], 0),
            "status": row["status"],
            "reason": row["reason"],
        }
        for row in dataset.outcomes.to_pylist()
    ]
    return SummaryTables(outcome_rows(dataset), videos)


def outcome_rows(dataset: Dataset) -> list[SummaryRow]:
    """Number of planned videos by status and reason, most frequent reason of a status first."""
    endings = dataset.outcomes.select(["status", "reason"]).to_pylist()
    counts = Counter((row["status"], row["reason"]) for row in endings)
    ordered = sorted(counts.items(), key=lambda item: (STATUSES.index(item[0][0]), -item[1], item[0][1]))
    return [
        {"status": status, "reason": reason, "videos": count, "share": count / len(endings)}
        for (status, reason), count in ordered
    ]


def answer_rows(dataset: Dataset) -> list[SummaryRow]:
    """Number of samples by the reason for a missing answer; answered ones first, with an empty reason."""
    reasons = Counter(row["reason"] for row in table_rows(dataset, "samples", ["reason"]))
    ordered = sorted(reasons.items(), key=lambda item: (item[0] != "", -item[1], item[0]))
    return [{"reason": reason, "samples": count, "share": count / reasons.total()} for reason, count in ordered]


def totals(dataset: Dataset) -> Mapping[str, int]:
    """Numbers of published videos, objects, masks, clips, frames and samples, and bytes of their files."""
    objects = sum(len(row["objects"]) for row in table_rows(dataset, "videos", ["objects"]))
    counts = {table: sum(row_counts(dataset, table).values()) for table in ("videos", "masks", "clips", "frames", "samples")}
    stages = dataset.manifest.stages.values()
    size = sum(file.bytes for stage in stages for shard in stage.shards for file in shard.values())
    return {"videos": counts.pop("videos"), "objects": objects, **counts, "bytes": size}


def row_counts(dataset: Dataset, table: str) -> dict[str, int]:
    """Number of rows of each published video in a table, from file footers, without videos that were replaced since.

    Args:
        dataset: a published dataset.
        table: name of the table.
    """
    counts: dict[str, int] = {}
    for stage in dataset.manifest.stages.values():
        for number, shard in enumerate(stage.shards):
            if table in shard:
                metadata = dataset.footer(table, number)
                rows = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
                table_rows = zip(shard[table].videos, rows, strict=True)
                counts.update((video, count) for video, count in table_rows if stage.videos.get(video) == number)
    return counts


def gaps(dataset: Dataset) -> Iterator[dict[str, str]]:
    """Clips without frames and samples without an answer: `kind`, `name`, `video`, `reason`, `text` (the sentence)."""
    for row in table_rows(dataset, "clips", ["clip_id", "video_id", "reason"]):
        if row["reason"]:
            yield {"kind": "clip", "name": row["clip_id"], "video": row["video_id"], "reason": row["reason"], "text": ""}
    for row in table_rows(dataset, "samples", ["sample_id", "video_id", "sentence", "reason"]):
        if row["reason"]:
            text = {"reason": row["reason"], "text": row["sentence"]}
            yield {"kind": "sample", "name": row["sample_id"], "video": row["video_id"], **text}


def parameters(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """(stage, parameter, value) of all parameters that determine the rows, with dotted names for nested ones."""
    for name, stage in sorted(dataset.manifest.stages.items(), reverse=True):
        yield name, "folder", stage.key
        yield name, "version", str(stage.version)
        for path, value in _flat(stage.params):
            yield name, path, "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(params: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    for key, value in params.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def table_rows(dataset: Dataset, table: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of a table, video by video.

    Args:
        dataset: a published dataset.
        table: name of the table.
        columns: names of the columns to read.
    """
    for video_id in dataset.video_ids(table):
        yield from dataset.rows(table, video_id, columns).to_pylist()
