"""MeViS: referring expressions for one or several objects with masks, on JPEG frames.

`meta_expressions.json` contains `{"videos": {vid: {"frames": [...], "expressions": {n: {"exp", "obj_id", "anno_id"}}}}}`,
`mask_dict.json` `{anno_id: [COCO RLE or null per frame]}`. The mask of an object with several annotations is their union. Only
the train and valid_u splits have public masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from storage.common.config import Input, Located
from storage.folders.folder import FolderLike
from storage.rle import counts_from_json
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    annotation_file,
    frame_number,
    load_object,
    local_folder,
    record_errors,
    require,
    stripped_text,
    video_path,
)
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Sample, Target, Task, VideoFacts
from tasks.benchmarks.source import BenchmarkSource
from tasks.benchmarks.videos import Videos
from tasks.video.images import IMAGE_SUFFIXES
from tasks.video.reader import Source

_KIND = "MeViS' format"


def read_mevis(expressions: Path, masks: Path | None, frames: FolderLike, image_fps: float) -> Benchmark:
    """Read MeViS.

    Args:
        expressions: `meta_expressions.json` of a split.
        masks: its `mask_dict.json`; None if the truth is not public.
        frames: folder on disk with one folder of JPEGs per video, or its parent with `JPEGImages`.
        image_fps: frames per second, which the benchmark does not state.

    Raises:
        AnnotationError: a file has another format, or a name points outside the frames folder.
    """
    folder = local_folder(frames)
    root = folder / "JPEGImages" if (folder / "JPEGImages").is_dir() else folder
    collector = SampleCollector(Videos(root, frozenset()))
    codes = {} if masks is None else load_object(masks, "MeViS' mask_dict.json")
    videos = load_object(expressions, _KIND).get("videos")
    if not isinstance(videos, dict) or not videos:
        raise AnnotationError(f"'{expressions}' lacks 'videos': this is not {_KIND}")
    for vid, record in videos.items():
        where = f"{expressions}: '{vid}'"
        require(record, ("frames", "expressions"), where, _KIND)
        collector.counts["records"] += 1
        with record_errors(where):
            video_id = _take(collector, root, vid, len(record["frames"]), image_fps, where)
            for name, expression in sorted(record["expressions"].items()):
                _add(collector, video_id, str(name), expression, codes if masks is not None else None)
    return collector.benchmark()


def _take(collector: SampleCollector, root: Path, vid: str, count: int, image_fps: float, where: str) -> str:
    path = video_path(vid, where)
    folder = root / path
    if path.name != vid:
        raise AnnotationError(f"{where} is not a plain folder name")
    if folder.exists() and not folder.resolve().is_relative_to(root.resolve()):
        raise AnnotationError(f"{where}: the frames folder is a link to a folder outside '{root}'")
    present = folder.is_dir() and any(p.suffix.lower() in IMAGE_SUFFIXES for p in folder.iterdir())
    collector.counts["videos missing"] += not present
    return collector.add_source(Source(vid, folder, image_fps), VideoFacts(frame_count=count))


def _add(
    collector: SampleCollector, video_id: str, name: str, expression: Mapping[str, Any], codes: Mapping[str, Any] | None
) -> None:
    sentence = " ".join(stripped_text(expression["exp"]).split())
    targets: tuple[Target, ...] = ()
    if codes is not None:
        candidates = (_target([codes[str(a)] for a in group]) for group in _by_object(expression))
        targets = tuple(target for target in candidates if len(target.frames))
        collector.counts["expressions of several objects"] += len(targets) > 1
    start_frame, end_frame = _span(targets)
    sample = Sample(
        sample_id=f"{video_id}:{name}",
        clip_id=video_id,
        sentence=sentence,
        task=Task.SEGMENTATION,
        start_s=None,
        end_s=None,
        start_frame=start_frame,
        end_frame=end_frame,
        targets=targets,
        record=f"{video_id}/{name}",
    )
    collector.counts["expressions"] += 1
    collector.add_sample(video_id, Clip(video_id), sample)


def _by_object(expression: Mapping[str, Any]) -> list[list[Any]]:
    """Annotation IDs grouped by object; a single group if the lists of objects and annotations have different lengths."""
    objects, annotations = list(expression["obj_id"]), list(expression["anno_id"])
    if len(objects) != len(annotations):
        return [annotations]
    return [[a for i, a in zip(objects, annotations, strict=True) if i == o] for o in dict.fromkeys(objects)]


def _span(targets: Sequence[Target]) -> tuple[int | None, int | None]:
    if not targets:
        return None, None
    return min(int(t.frames[0]) for t in targets), max(int(t.frames[-1]) for t in targets)


def _target(annotations: Sequence[Sequence[Any]]) -> Target:
    """Union of an object's annotations on each frame with at least one."""
    from pycocotools import mask as coco

    frames, codes = [], []
    for frame, masks in enumerate(zip(*annotations, strict=True)):
        seen = [_compressed(mask) for mask in masks if mask is not None]
        if seen:
            frames.append(frame)
            codes.append(seen[0] if len(seen) == 1 else coco.merge(seen))
    boxes = np.asarray(coco.toBbox(codes), np.float64).reshape(-1, 4) if codes else np.empty((0, 4))
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    return Target(np.array(frames, np.int64), corners, tuple(bytes(code["counts"]) for code in codes))


def _compressed(rle: Mapping[str, Any]) -> dict[str, Any]:
    """Compressed form of a COCO run-length code in any form."""
    height, width = (frame_number(side) for side in rle["size"])
    return {"size": [height, width], "counts": counts_from_json(rle["counts"], height, width)}


class MevisSource(BenchmarkSource):
    """MeViS: masks of one or several objects that an expression means; its valid_u split has public truth."""

    benchmark: ClassVar[str] = "mevis"

    annotations: Input = Field("", title="Expressions", description="The file meta_expressions.json of the split.")
    videos: Input = Field("", title="Frames folder", description="Folder that holds JPEGImages, or that folder itself.")
    masks: Located = Field(
        "", title="Masks", description="The file mask_dict.json of the split; empty for a split without public truth."
    )
    image_fps: float = Field(
        6, title="Rate of frames", gt=0, le=1000, description="Frames per second of the videos; the benchmark states none."
    )

    def read(self) -> Benchmark:
        """Read the annotations."""
        masks = annotation_file(self.masks) if self.masks else None
        return read_mevis(annotation_file(self.annotations), masks, self.videos, self.image_fps)
