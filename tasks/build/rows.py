"""Rows of the mask stage: what is kept of a video and of each object on each of its frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.folders.cache import RemoteFile
from storage.folders.folder import Folder
from storage.folders.local import LocalFolder
from storage.rows import VideoRow
from storage.schema import MASKS, VIDEOS
from tasks.tracking.annotator import VideoAnnotation
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Source, Video


def video_row(source: Source, video: Video, annotation: VideoAnnotation, sha256: str, dataset: Folder) -> pa.Table:
    """The row of a tracked video. `sha256` is that of its bytes."""
    timeline, tubes = video.timeline, annotation.tubes
    seen = [object_id for instances in tubes.frames.values() for object_id in instances]
    row: VideoRow = {
        "video_id": source.video_id,
        "path": _path_from(dataset, source.path),
        "sha256": sha256,
        "width": video.width,
        "height": video.height,
        "frame_count": len(video),
        "fps": timeline.fps,
        "duration_s": timeline.duration_s,
        "times_s": timeline.times_s.tolist(),
        "tracked": [{"start_frame": frames.start, "end_frame": frames[-1]} for frames in annotation.segments],
        "hidden_behind_older": tubes.hidden_behind_older,
        "merged": len(tubes.merged),
        "recovered": tubes.recovered,
        "encoder_passes": annotation.work.encoder_passes,
        "object_steps": annotation.work.object_steps,
        "features": annotation.work.features,
        "note": "; ".join(note.sentence for note in video.notes) or None,
        "objects": [
            {
                "object_id": i,
                "category": d.category,
                "score": d.score,
                "found_at": tubes.discovered_at[i],
                "frames": seen.count(i),
            }
            for i, d in tubes.objects.items()
        ],
    }
    return pa.Table.from_pylist([row], schema=VIDEOS)


def _path_from(dataset: Folder, path: Path | RemoteFile) -> str:
    """A path relative to a dataset that is on the same disk, so that both can be moved; else whole, or the URL."""
    if isinstance(path, RemoteFile):
        return str(path)
    return os.path.relpath(path.resolve(), dataset.path.resolve()) if isinstance(dataset, LocalFolder) else str(path.resolve())


def mask_rows(video_id: str, tubes: Tubes) -> pa.Table:
    """Rows of the mask database for one video's tubes, sorted by frame and object."""
    placed = [(f, i, tubes.frames[f][i]) for f in sorted(tubes.frames) for i in sorted(tubes.frames[f])]
    columns: dict[str, list[Any]] = {
        "video_id": [video_id] * len(placed),
        "frame_index": [f for f, _, _ in placed],
        "object_id": [i for _, i, _ in placed],
        "category": [tubes.objects[i].category for _, i, _ in placed],
        **{name: [n.box[k] for _, _, n in placed] for k, name in enumerate(("x1", "y1", "x2", "y2"))},
        "area": [n.area for _, _, n in placed],
        "anchor_x": [n.anchor[0] for _, _, n in placed],
        "anchor_y": [n.anchor[1] for _, _, n in placed],
        "rle_counts": [n.counts for _, _, n in placed],
    }
    return pa.Table.from_pydict(columns, schema=MASKS)
