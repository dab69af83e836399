"""Any folder of videos: each file is one video and one whole clip, without sentences."""

from __future__ import annotations

from pathlib import Path

from tasks.datasets.base import AnnotationError, Benchmark, Clip, VideoJob
from tasks.datasets.reading import videos_below
from tasks.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Source


def read_folder(videos: Path, image_fps: float | None = None) -> Benchmark:
    """Take every video file below a folder; and every folder of JPEGs, if their rate is stated.

    Args:
        videos: the folder; searched in depth.
        image_fps: frames per second of JPEG folders; None leaves them out.

    Raises:
        AnnotationError: there is no such folder, or no video in it.
    """
    sources = [Source(name, path) for name, path in videos_below(videos, VIDEO_SUFFIXES).items()]
    if image_fps is not None:
        folders = {path.parent for path in videos_below(videos, IMAGE_SUFFIXES).values()}
        sources += [Source(path.relative_to(videos).as_posix(), path, image_fps) for path in folders]
    if not sources:
        raise AnnotationError(f"'{videos}' holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})")
    jobs = [VideoJob(source, (Clip(source.video_id),)) for source in sorted(sources, key=lambda s: s.video_id)]
    return Benchmark(jobs, {"videos": len(jobs)})
