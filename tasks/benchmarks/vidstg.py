"""VidSTG: several sentences per record, several segments per video, boxes from VidOR.

The annotation file is a JSON list. `temporal_gt.end_fid` is exclusive, `used_segment.end_fid` inclusive; both are 0-based
native frames. Captions are declarative, questions interrogative. A clip is a segment of a video.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from storage.common.config import Located
from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    annotation_file,
    finite_number,
    frame_number,
    load_list,
    local_folder,
    plain_text,
    record_errors,
    require,
    stripped_text,
)
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoFacts
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.targets import clipped_target
from tasks.benchmarks.videos import Videos
from tasks.benchmarks.vidor import Vidor

_KIND = "VidSTG's format"
_FIELDS = ("vid", "frame_count", "fps", "width", "height", "used_segment", "temporal_gt", "captions", "questions")
_SENTENCES = (("captions", "declarative"), ("questions", "interrogative"))


def read_vidstg(annotations: Path, videos: FolderLike, vidor: Path | None = None) -> Benchmark:
    """Read VidSTG annotations.

    Args:
        annotations: JSON file of a split.
        videos: folder of VidOR's videos, at any depth.
        vidor: folder of VidOR's annotations; without it, samples have a true span but no boxes.

    Raises:
        AnnotationError: a file has another format, or a name points outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    boxes = Vidor(vidor) if vidor is not None else None
    records = load_list(annotations, "VidSTG")
    # Sorted by video, so that each file of VidOR is read once.
    numbered = sorted(enumerate(records), key=lambda item: str(item[1].get("vid") if isinstance(item[1], dict) else ""))
    for number, record in numbered:
        where = f"{annotations}: record {number}"
        require(record, _FIELDS, where, _KIND)
        with record_errors(where):
            _add(collector, number, record, boxes, where)
    return collector.benchmark()


def _add(collector: SampleCollector, number: int, record: Mapping[str, Any], boxes: Vidor | None, where: str) -> None:
    counts = collector.counts
    fps, segment, span = finite_number(record["fps"]), _segment(record), _span(record)
    if fps <= 0:
        raise ValueError(f"'fps' is {fps:g}: it must be above 0")
    facts = VideoFacts(
        frame_count=frame_number(record["frame_count"]),
        width=frame_number(record["width"]),
        height=frame_number(record["height"]),
        fps=fps,
        duration_s=frame_number(record["frame_count"]) / fps,
    )
    vid = plain_text(record["vid"]).strip()
    video_id = collector.add_video(f"{vid}.mp4", where, facts)
    clip = Clip(f"{vid}:{segment[0]}-{segment[1]}", frames=segment)
    counts["records"] += 1
    counts["spans beyond the stated frames"] += span[1] >= frame_number(record["frame_count"])
    counts["spans beyond their segment"] += not segment[0] <= span[0] <= span[1] <= segment[1]
    start_s, end_s = (span[0] - segment[0]) / fps, (span[1] + 1 - segment[0]) / fps
    targets: dict[int, tuple[Target, ...]] = {}
    sentences = list(_sentences(record))
    counts["records without a question"] += not record["questions"]
    for place, group, sentence, target_id in sentences:
        if target_id not in targets:
            targets[target_id] = _targets(collector, vid, target_id, span, facts, boxes)
        name = f"{number}:{place}"
        sample = Sample(
            sample_id=name,
            clip_id=clip.clip_id,
            sentence=sentence,
            task=Task.SPATIO_TEMPORAL,
            start_s=start_s,
            end_s=end_s,
            start_frame=span[0],
            end_frame=span[1],
            targets=targets[target_id],
            group=group,
            record=name,
        )
        collector.add_sample(video_id, clip, sample, (segment[1] + 1 - segment[0]) / fps)


def _segment(record: Mapping[str, Any]) -> tuple[int, int]:
    first, last = frame_number(record["used_segment"]["begin_fid"]), frame_number(record["used_segment"]["end_fid"])
    if not 0 <= first <= last:
        raise ValueError(f"used_segment runs from {first} to {last}")
    return first, last


def _span(record: Mapping[str, Any]) -> tuple[int, int]:
    first, stop = frame_number(record["temporal_gt"]["begin_fid"]), frame_number(record["temporal_gt"]["end_fid"])
    if not 0 <= first < stop:
        raise ValueError(f"temporal_gt runs from {first} to {stop}, its end exclusive")
    return first, stop - 1


def _sentences(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for field, group in _SENTENCES:
        if not isinstance(record[field], list):
            raise TypeError(f"{field} is not a list")
        for number, entry in enumerate(record[field]):
            yield f"{field}:{number}", group, stripped_text(entry["description"]), frame_number(entry["target_id"])


def _targets(
    collector: SampleCollector, vid: str, target_id: int, span: tuple[int, int], facts: VideoFacts, boxes: Vidor | None
) -> tuple[Target, ...]:
    tracks = boxes.tracks(vid) if boxes is not None else None
    if tracks is None:
        return ()
    seen = tracks.get(target_id, {})
    frames = sorted(frame for frame in seen if span[0] <= frame <= span[1])
    collector.counts["true frames without a box"] += span[1] - span[0] + 1 - len(frames)
    assert facts.width is not None
    assert facts.height is not None
    target, outside = clipped_target(frames, [seen[frame] for frame in frames], (facts.width, facts.height))
    collector.counts["boxes clipped to the image"] += outside
    return (target,) if frames else ()


class VidstgSource(AnnotatedSource):
    """VidSTG on VidOR's videos, declarative and interrogative."""

    benchmark: ClassVar[str] = "vidstg"

    vidor: Located = Field(
        "", title="VidOR annotations", description="Folder of VidOR's JSON files, which hold the boxes; empty for no boxes."
    )

    def read(self) -> Benchmark:
        """Read the annotations."""
        return read_vidstg(annotation_file(self.annotations), self.videos, local_folder(self.vidor) if self.vidor else None)
