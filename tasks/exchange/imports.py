"""Import of masks from other tools, in place of detection and tracking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from storage.common.config import Config
from storage.folders.cache import RemoteFile
from storage.folders.folder import FolderLike
from storage.outcomes import Outcome
from storage.rle import counts_from_json, decode_counts
from tasks.benchmarks.reading import local_folder
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, VideoJob
from tasks.benchmarks.videos import Videos
from tasks.detection.base import Detection
from tasks.exchange import released, sav
from tasks.exchange.base import FindMasks, ImportedMasks, ReadMasks
from tasks.masks.instances import Instance, encode_mask
from tasks.tracking.annotator import VideoAnnotation, join_notes
from tasks.tracking.base import TrackingCost
from tasks.tracking.limits import LimitError
from tasks.tracking.tubes import Tubes
from tasks.video.diagnosis import VideoError
from tasks.video.reader import Source, Video


class Import(NamedTuple):
    """An import format: finder and reader of masks, and the count of files that it leaves out."""

    places: FindMasks
    read: ReadMasks
    left_out: Callable[[Path], Mapping[str, int]]


IMPORTS: Mapping[str, Import] = {
    "released": Import(released.places, released.read, lambda _folder: {}),
    "sa-v": Import(sav.places, sav.read, sav.left_out),
}
"""Name -> import format."""

_MOST_OBJECTS = 2**31 - 1


def recorded_videos(layout: str, masks: FolderLike, videos: FolderLike) -> Benchmark:
    """Every video with masks in a folder, each as one clip without sentences.

    Args:
        layout: a name in `IMPORTS`.
        masks: folder of the masks, on the local disk.
        videos: folder of the videos, searched at any depth by stem.

    Raises:
        AnnotationError: the folder has no masks in this layout, or a video is a link to a file outside its folder.
    """
    places = _places(layout, masks)
    index = Videos(videos)
    files = {stem: index.find(PurePosixPath(stem), f"'{place}'") for stem, place in places.items()}
    jobs = [_job(stem, files[stem] or index.below(PurePosixPath(stem), str(masks)), place) for stem, place in places.items()]
    counts = Counter({"videos": len(jobs), "videos missing": sum(file is None for file in files.values())})
    counts.update(IMPORTS[layout].left_out(local_folder(masks)))
    return Benchmark(sorted(jobs, key=lambda job: job.source.video_id), {reason: n for reason, n in counts.items() if n})


def with_masks(benchmark: Benchmark, layout: str, masks: FolderLike) -> Benchmark:
    """Assign masks in a folder to the videos of a benchmark, by stem.

    Videos without masks are filtered later, so that their sentences count as lost; masks of other videos are ignored.

    Args:
        benchmark: videos and samples.
        layout: name of the mask layout.
        masks: folder of the masks.

    Raises:
        AnnotationError: the folder has no masks in this layout.
    """
    places = _places(layout, masks)
    stems = [PurePosixPath(job.source.video_id).stem for job in benchmark.jobs]
    jobs = [replace(job, masks=places.get(stem)) for job, stem in zip(benchmark.jobs, stems, strict=True)]
    without, left_out = sum(job.masks is None for job in jobs), len(places.keys() - set(stems))
    counts = {"videos without masks": without, "masks left out": left_out, **IMPORTS[layout].left_out(local_folder(masks))}
    return Benchmark(jobs, {**benchmark.records, **{reason: n for reason, n in counts.items() if n}})


def _places(layout: str, masks: FolderLike) -> dict[str, Path]:
    root = local_folder(masks)
    places = {stem: place for stem, place in IMPORTS[layout].places(root).items() if _inside(place, root)}
    if not places:
        raise AnnotationError(f"'{masks}' holds no masks in the layout '{layout}'")
    return places


def _inside(place: Path, root: Path) -> bool:
    return place.resolve().is_relative_to(root.resolve())


def _job(stem: str, file: Path | RemoteFile, place: Path) -> VideoJob:
    name = PurePosixPath(str(file)).name
    return VideoJob(Source(name, file), (Clip(name),), masks=place)


class RecordedConfig(Config):
    """Parameters of reading imported masks; both fields determine them.

    Attributes:
        layout: a name in `IMPORTS`.
        hold: masks that are recorded only on every n-th frame are held over the frames between.
    """

    layout: str
    hold: bool = True


class MaskImporter:
    """Reads the masks of a video, in place of `tasks.tracking.annotator.Annotator`."""

    def __init__(self, config: RecordedConfig) -> None:
        self._read, self._hold = IMPORTS[config.layout].read, config.hold

    def annotate(self, job: VideoJob, video: Video) -> VideoAnnotation:
        """Read the masks of a video; objects keep their IDs, and frames without masks have no objects.

        Raises:
            LimitError: the video has no masks.
            VideoError: the masks cannot be read, or have another size than the frames.
        """
        if job.masks is None:
            raise LimitError("no_masks", "it has no masks to import")
        try:
            video_masks = self._read(job.masks)
            if video_masks.size != (video.height, video.width):
                mask_size = "x".join(map(str, video_masks.size[::-1]))
                raise VideoError("size_differs", f"{job.source.video_id} ({video.width}x{video.height}, masks {mask_size})")
            tubes, note = self._tubes(video_masks, len(video))
        except (AnnotationError, ValueError) as error:
            raise VideoError("bad_masks", f"{job.source.video_id} ({error})") from error
        return VideoAnnotation(tubes, TrackingCost(), [range(len(video))], note)

    def _tubes(self, video_masks: ImportedMasks, count: int) -> tuple[Tubes, Outcome]:
        tubes, length = Tubes(video_masks.size), video_masks.every if self._hold else 1
        inside = beyond = 0
        for frame, seen in video_masks.frames:
            if frame < count:
                inside += 1
                _put(tubes, range(frame, min(frame + length, count)), seen)
            else:
                beyond += 1
        tubes.objects = dict(sorted(tubes.objects.items()))
        return tubes, join_notes(_some(inside, count, length > 1), _beyond(beyond))


def _put(tubes: Tubes, frames: range, seen: Mapping[int, tuple[str, Any]]) -> None:
    here = {}
    for object_id, (category, code) in sorted(seen.items()):
        if not 1 <= object_id <= _MOST_OBJECTS:
            raise ValueError(f"{object_id} is not an object ID: they count from 1")
        instance = _instance(code, tubes.shape)
        if instance is not None:
            here[object_id] = instance
            tubes.objects.setdefault(object_id, Detection(instance.box, category, 1.0))
            tubes.discovered_at.setdefault(object_id, frames.start)
    if here:
        tubes.frames.update(dict.fromkeys(frames, here))


def _instance(code: Any, shape: tuple[int, int]) -> Instance | None:
    if not isinstance(code, dict) or code.get("size") != list(shape):
        raise ValueError(f"{code!r:.60} is not a run-length code of a mask of {shape[1]}x{shape[0]}")
    return encode_mask(decode_counts(counts_from_json(code.get("counts"), *shape), *shape))


def _some(frames: int, count: int, hold: bool) -> Outcome:
    """Note if masks do not cover all frames of the video."""
    if frames == count:
        return Outcome("done")
    only = f"{frames} of its {count} frames have masks"
    if hold:
        return Outcome("done", "masks_held", f"{only}, which are repeated on the frames between them")
    return Outcome("done", "masks_on_some_frames", f"only {only}")


def _beyond(frames: int) -> Outcome:
    if not frames:
        return Outcome("done")
    return Outcome("done", "masks_beyond_video", f"masks of {frames} frames beyond its end are left out")
