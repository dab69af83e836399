"""Folder of videos without annotations: each video is one clip without sentences."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from storage.common.config import Input
from storage.folders.folder import FolderLike
from tasks.benchmarks.listing import IMAGES, list_folder
from tasks.benchmarks.reading import local_folder
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, VideoJob
from tasks.benchmarks.source import BenchmarkSource
from tasks.benchmarks.videos import videos_below
from tasks.video.images import IMAGE_SUFFIXES
from tasks.video.reader import VIDEO_SUFFIXES, Source


def read_folder(videos: FolderLike, image_fps: float | None = None) -> Benchmark:
    """Read every video file below a folder, and every folder of images if a frame rate is given; other files are counted.

    Args:
        videos: folder, searched at any depth.
        image_fps: frames per second of JPEG folders; None ignores them.

    Raises:
        AnnotationError: the folder does not exist or has no video, or JPEG folders are requested from an object store.
    """
    listing = list_folder(videos, VIDEO_SUFFIXES)
    sources = list(listing.sources.values())
    if image_fps is not None:
        root = local_folder(videos)
        folders = {(root / name).parent for name in videos_below(root, IMAGE_SUFFIXES)}
        sources += [Source(folder.relative_to(root).as_posix(), folder, image_fps) for folder in folders]
    if not sources:
        raise AnnotationError(f"'{videos}' holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})")
    counts = {kind: count for kind, count in sorted(listing.counts.items()) if image_fps is None or kind != IMAGES}
    jobs = [VideoJob(source, (Clip(source.video_id),)) for source in sorted(sources, key=lambda s: s.video_id)]
    return Benchmark(jobs, {"videos": len(jobs), **counts})


class FolderSource(BenchmarkSource):
    """Any folder of videos, without annotations."""

    benchmark: ClassVar[str] = "folder"

    videos: Input = Field("", title="Videos folder", description="Folder that is searched in depth for video files.")
    image_fps: float = Field(
        0,
        title="Rate of JPEG folders",
        ge=0,
        le=1000,
        description="Frames per second of videos that are folders of JPEG files; 0 leaves such folders out.",
    )

    def read(self) -> Benchmark:
        """List the videos."""
        return read_folder(self.videos, self.image_fps or None)
