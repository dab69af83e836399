"""MeViS: referring expressions for one or several objects with masks, on JPEG frames.

`meta_expressions.json` contains `{"videos": {vid: {"frames": [...], "expressions": {n: {"exp", "obj_id", "anno_id"}}}}}`,
`mask_dict.json` `{anno_id: [COCO RLE or null per listed frame]}`. A listed frame is the image of that name: where every fifth
is listed, masks are on every fifth image. The mask of an object with several annotations is their union; an expression that
means no object has one target that is on no frame. Only the train and valid_u splits have public masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
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
    plain_text,
    record_errors,
    require,
    stripped_text,
    video_path,
)
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Sample, Target, Task, VideoFacts
from tasks.benchmarks.source import BenchmarkSource
from tasks.benchmarks.videos import Videos
from tasks.video.images import image_files
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
            listed = _listed(record["frames"])
            folder = _folder(root, vid, where)
            images = _images(folder)
            collector.counts["videos missing"] += not images
            places = _places(listed, images)
            collector.counts["listed frames without an image"] += len(set(listed) - set(images)) if images else 0
            facts = VideoFacts(frame_count=len(listed) if places == list(range(len(listed))) else None)
            video_id = collector.add_source(Source(vid, folder, image_fps), facts)
            for name, expression in sorted(record["expressions"].items()):
                _add(collector, video_id, str(name), expression, codes if masks is not None else None, places)
    return collector.benchmark()


def _folder(root: Path, vid: str, where: str) -> Path:
    path = video_path(vid, where)
    folder = root / path
    if path.name != vid:
        raise AnnotationError(f"{where} is not a plain folder name")
    if folder.exists() and not folder.resolve().is_relative_to(root.resolve()):
        raise AnnotationError(f"{where}: the frames folder is a link to a folder outside '{root}'")
    return folder


def _listed(names: Any) -> list[str]:
    """Stems of the listed frames."""
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise TypeError(f"'frames' must be a list of names, not {names!r:.40}")
    stems = [PurePosixPath(str(name)).stem for name in names]
    if len(set(stems)) < len(stems):
        raise ValueError("'frames' lists a frame twice")
    return stems


def _images(folder: Path) -> list[str]:
    """Stems of the images of a folder, in the order in which they are read as frames; none without the folder."""
    return [path.stem for path in image_files(folder)] if folder.is_dir() else []


def _places(listed: Sequence[str], images: Sequence[str]) -> list[int]:
    """Native frame of each listed one: the place of the image of its name.

    Where images are missing, names that are numbers count from the first one.
    """
    place_of = {stem: place for place, stem in enumerate(images)}
    if set(listed) <= set(place_of):
        return [place_of[stem] for stem in listed]
    if all(stem.isdecimal() for stem in listed):
        return [int(stem) - int(listed[0]) for stem in listed]
    return list(range(len(listed)))


def _add(
    collector: SampleCollector,
    video_id: str,
    name: str,
    expression: Mapping[str, Any],
    codes: Mapping[str, Any] | None,
    places: Sequence[int],
) -> None:
    sentence = " ".join(stripped_text(expression["exp"]).split())
    targets: tuple[Target, ...] = ()
    if codes is not None:
        candidates = (_target([_codes(codes, a, len(places)) for a in group], places) for group in _by_object(expression))
        targets = tuple(target for target in candidates if len(target.frames)) or (_NOWHERE,)
        collector.counts["expressions without a target"] += targets == (_NOWHERE,)
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


_NOWHERE = Target(np.empty(0, np.int64), np.empty((0, 4)))
"""Target of an expression that means no object: its mask is empty on every frame."""


def _by_object(expression: Mapping[str, Any]) -> list[list[Any]]:
    """Annotation IDs grouped by object."""
    objects, annotations = list(expression["obj_id"]), list(expression["anno_id"])
    if len(objects) != len(annotations):
        raise ValueError(f"'obj_id' has {len(objects)} entries and 'anno_id' {len(annotations)}: they belong together")
    return [[a for i, a in zip(objects, annotations, strict=True) if i == o] for o in dict.fromkeys(objects)]


def _codes(codes: Mapping[str, Any], annotation: Any, count: int) -> Sequence[Any]:
    masks = codes[plain_text(annotation)]
    if not isinstance(masks, list) or len(masks) != count:
        raise ValueError(f"annotation {annotation} has {len(masks)} masks for {count} listed frames")
    return masks


def _span(targets: Sequence[Target]) -> tuple[int | None, int | None]:
    frames = [int(frame) for target in targets for frame in target.frames]
    return (min(frames), max(frames)) if frames else (None, None)


def _target(annotations: Sequence[Sequence[Any]], places: Sequence[int]) -> Target:
    """Union of an object's annotations on each frame with at least one."""
    from pycocotools import mask as coco

    codes: dict[int, Any] = {}
    for frame, masks in zip(places, zip(*annotations, strict=True), strict=True):
        seen = [_compressed(mask) for mask in masks if mask is not None]
        if seen:
            codes[frame] = seen[0] if len(seen) == 1 else coco.merge(seen)
    frames = sorted(codes)
    ordered = [codes[frame] for frame in frames]
    boxes = np.asarray(coco.toBbox(ordered), np.float64).reshape(-1, 4) if ordered else np.empty((0, 4))
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    return Target(np.array(frames, np.int64), corners, tuple(bytes(code["counts"]) for code in ordered))


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
