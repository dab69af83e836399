"""Imports: a dataset built from masks that another tool has left, which takes the place of detection and tracking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from storage.common.config import Config
from storage.folders.cache import RemoteFile
from storage.folders.folder import Where
from storage.outcomes import Outcome
from storage.rle import counts_from_json, decode_counts
from tasks.benchmarks.reading import local_folder
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, VideoJob
from tasks.benchmarks.videos import Videos
from tasks.detection.base import Detection
from tasks.exchange import released, sav
from tasks.exchange.base import FindMasks, ReadMasks, RecordedMasks
from tasks.masks.instances import Instance, encode_mask
from tasks.tracking.annotator import VideoAnnotation, join_notes
from tasks.tracking.base import Work
from tasks.tracking.limits import LimitError
from tasks.tracking.tubes import Tubes
from tasks.video.diagnosis import VideoError
from tasks.video.reader import Source, Video


class Import(NamedTuple):
    """A layout that can be read: where a video's masks are, and what they are."""

    places: FindMasks
    read: ReadMasks


IMPORTS: Mapping[str, Import] = {"released": Import(released.places, released.read), "sa-v": Import(sav.places, sav.read)}
"""Layouts by name."""

_MOST_OBJECTS = 2**31 - 1


def recorded_videos(layout: str, masks: Where, videos: Where) -> Benchmark:
    """Every video that a folder has masks of, each one whole clip without sentences.

    Args:
        layout: a name in `IMPORTS`.
        masks: the folder on disk that holds them.
        videos: searched in depth for the videos' files, whose stems the layout knows.

    Raises:
        AnnotationError: the folder holds no masks of this layout, or a video is a link that leads out of its folder.
    """
    places = _places(layout, masks)
    index = Videos(videos)
    files = {stem: index.find(PurePosixPath(stem), f"'{place}'") for stem, place in places.items()}
    jobs = [_job(stem, files[stem] or index.below(PurePosixPath(stem), str(masks)), place) for stem, place in places.items()]
    counts = Counter({"videos": len(jobs), "videos missing": sum(file is None for file in files.values())})
    return Benchmark(sorted(jobs, key=lambda job: job.source.video_id), {reason: n for reason, n in counts.items() if n})


def with_masks(benchmark: Benchmark, layout: str, masks: Where) -> Benchmark:
    """A benchmark whose videos have the masks that a folder holds of them, by their stems.

    A video without any stays, and is filtered, so that its sentences are counted as lost; masks of other videos are left out.

    Args:
        benchmark: videos and samples.
        layout: name of the mask layout.
        masks: folder of the masks.

    Raises:
        AnnotationError: the folder holds no masks of this layout.
    """
    places = _places(layout, masks)
    stems = [PurePosixPath(job.source.video_id).stem for job in benchmark.jobs]
    jobs = [replace(job, masks=places.get(stem)) for job, stem in zip(benchmark.jobs, stems, strict=True)]
    without, left_out = sum(job.masks is None for job in jobs), len(places.keys() - set(stems))
    counts = {"videos without masks": without, "masks left out": left_out}
    return Benchmark(jobs, {**benchmark.records, **{reason: n for reason, n in counts.items() if n}})


def _places(layout: str, masks: Where) -> dict[str, Path]:
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
    """How the masks of another tool are read; both fields shape them.

    Attributes:
        layout: a name in `IMPORTS`.
        hold: masks that are recorded only on every n-th frame are held over the frames between.
    """

    layout: str
    hold: bool = True


class MaskImporter:
    """Finds the objects of a video where they are recorded; stands in for `tasks.tracking.annotator.Annotator`."""

    def __init__(self, config: RecordedConfig) -> None:
        self._read, self._hold = IMPORTS[config.layout].read, config.hold

    def annotate(self, job: VideoJob, video: Video) -> VideoAnnotation:
        """Read the masks of a video. Objects keep their IDs; a frame without masks shows nobody.

        Raises:
            LimitError: there are none.
            VideoError: they cannot be read, or are of another size than its frames.
        """
        if job.masks is None:
            raise LimitError("no_masks", "no masks of it are recorded")
        try:
            recording = self._read(job.masks)
            if recording.size != (video.height, video.width):
                mask_size = "x".join(map(str, recording.size[::-1]))
                raise VideoError("size_differs", f"{job.source.video_id} ({video.width}x{video.height}, masks {mask_size})")
            tubes, note = self._tubes(recording, len(video))
        except (AnnotationError, ValueError) as error:
            raise VideoError("bad_masks", f"{job.source.video_id} ({error})") from error
        return VideoAnnotation(tubes, Work(), [range(len(video))], note)

    def _tubes(self, recording: RecordedMasks, count: int) -> tuple[Tubes, Outcome]:
        tubes, length = Tubes(recording.size), recording.every if self._hold else 1
        inside = beyond = 0
        for frame, seen in recording.frames:
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
            raise ValueError(f"{object_id} is no ID of an object: they count from 1")
        instance = _instance(code, tubes.shape)
        if instance is not None:
            here[object_id] = instance
            tubes.objects.setdefault(object_id, Detection(instance.box, category, 1.0))
            tubes.discovered_at.setdefault(object_id, frames.start)
    if here:
        tubes.frames.update(dict.fromkeys(frames, here))


def _instance(code: Any, shape: tuple[int, int]) -> Instance | None:
    if not isinstance(code, dict) or code.get("size") != list(shape):
        raise ValueError(f"{code!r:.60} is no run-length code of a mask of {shape[1]}x{shape[0]}")
    return encode_mask(decode_counts(counts_from_json(code.get("counts"), *shape), *shape))


def _some(frames: int, count: int, hold: bool) -> Outcome:
    """Whether masks do not cover the video."""
    if frames == count:
        return Outcome("done")
    only = f"{frames} of its {count} frames have recorded masks"
    if hold:
        return Outcome("done", "masks_held", f"{only}, which are held over the frames between")
    return Outcome("done", "masks_on_some_frames", f"only {only}")


def _beyond(frames: int) -> Outcome:
    if not frames:
        return Outcome("done")
    return Outcome("done", "masks_beyond_video", f"masks of {frames} frames beyond its end are left out")
