"""ST-Align (LLaVA-ST): spatio-temporal and spatial grounding on the videos of VidSTG.

The annotation file is a JSON list; the published evaluation uses its first 2,000 items. `meta.split` is the clip, first and
last native frame; `meta.time_token` maps tokens to native frames, `meta.spatial_token` maps a token to `{"<frame>": [x, y,
width, height]}` on a grid of 100 frames of the clip. The frame rate of the video is not stated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    annotation_file,
    frame_number,
    load_list,
    record_errors,
    require,
    stripped_text,
)
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Task, VideoFacts
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.targets import clipped_target, corners_from_xywh
from tasks.benchmarks.videos import Videos

_KIND = "ST-Align's format"
PUBLISHED_ITEMS = 2000
_QUOTED = re.compile(r"\"([^\"]{8,})\"|\u201c([^\u201d]{8,})\u201d|(?<!\w)['\u2018]([^\"]{8,}?)['\u2019](?!\w)")
"""Text in one kind of quotation marks; the lookarounds exclude apostrophes."""
_TOKENS = re.compile(r"<[^<>]*>")


def read_st_align(annotations: Path, videos: FolderLike, task: Task, limit: int | None = PUBLISHED_ITEMS) -> Benchmark:
    """Read ST-Align.

    Args:
        annotations: `stvg.json` or `svg.json`.
        videos: folder of the videos, at any depth.
        task: spatio-temporal, or spatial with a given interval.
        limit: number of items to read; None reads all.

    Raises:
        AnnotationError: the file has another format, or a name points outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    records = load_list(annotations, "ST-Align")
    selected = records[:limit]
    collector.counts["items"] = len(selected)
    collector.counts[f"items beyond the first {limit}, not taken"] = len(records) - len(selected)
    for number, record in enumerate(selected):
        where = f"{annotations}: item {number}"
        require(record, ("video_path", "conversations", "meta"), where, _KIND)
        with record_errors(where):
            _add(collector, number, record, task, where)
    return collector.benchmark()


def _add(collector: SampleCollector, number: int, record: Mapping[str, Any], task: Task, where: str) -> None:
    meta = record["meta"]
    first, last = (frame_number(frame) for frame in meta["split"])
    start, end = sorted(frame_number(frame) for frame in meta["time_token"].values())
    if not 0 <= first <= last or start < 0:
        raise ValueError(f"its split runs from {first} to {last}, its span from {start} to {end}")
    facts = VideoFacts(None, frame_number(meta["width"]), frame_number(meta["height"]))
    video_id = collector.add_video(record["video_path"], where, facts)
    [placed] = meta["spatial_token"].values()
    boxes = {frame_number(frame): corners_from_xywh(box) for frame, box in placed.items()}
    frames = sorted(boxes)
    size = (frame_number(meta["width"]), frame_number(meta["height"]))
    target, outside = clipped_target(frames, [boxes[frame] for frame in frames], size)
    collector.counts["boxes clipped to the image"] += outside
    collector.counts["spans beyond their clip"] += start < first or end > last
    clip = Clip(f"{video_id}:{first}-{last}", frames=(first, last))
    sample = Sample(
        str(number),
        clip.clip_id,
        extract_sentence(record["conversations"]),
        task,
        start_frame=start,
        end_frame=end,
        targets=(target,) if frames else (),
        record=str(number),
    )
    collector.add_sample(video_id, clip, sample)


def extract_sentence(conversations: list[Mapping[str, Any]]) -> str:
    """Query in the first turn: its longest quoted text, otherwise the turn without special tokens."""
    prompt = stripped_text(conversations[0]["value"])
    quoted = ["".join(kinds) for kinds in _QUOTED.findall(prompt)]
    return max(quoted, key=len).strip() if quoted else " ".join(_TOKENS.sub(" ", prompt).split())


class StAlignStvgSource(AnnotatedSource):
    """ST-Align, spatio-temporal: find the object and when."""

    benchmark: ClassVar[str] = "st-align-stvg"
    task: ClassVar[Task] = Task.SPATIO_TEMPORAL

    def read(self) -> Benchmark:
        """Read the annotations."""
        return read_st_align(annotation_file(self.annotations), self.videos, self.task)


class StAlignSvgSource(StAlignStvgSource):
    """ST-Align, spatial: find the object in a given interval."""

    benchmark: ClassVar[str] = "st-align-svg"
    task: ClassVar[Task] = Task.SPATIAL
