"""From stored masks and the source video to model-ready frames and an answer, against one full pass of the same reader."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from bench.figures import Figure, at_most, shared, told
from storage.commit import BundleEntry
from storage.folders.open import folder_at
from storage.outcomes import Outcome
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.rows import mask_rows, video_row
from tasks.build.stages import BuildConfig
from tasks.build.workers import FramesWorker
from tasks.detection.base import Detection, DetectorConfig
from tasks.markers.render import load_tracked_video, render_video
from tasks.masks.instances import Mask, encode_mask
from tasks.tracking.annotator import VideoAnnotation
from tasks.tracking.base import TrackingCost
from tasks.tracking.tubes import Tubes
from tasks.video.fingerprint import content_hash, quick_stat
from tasks.video.reader import Source, Video, open_video

OBJECTS = 5
ROUNDS = 9


def wobbly(video: Video, index: int, object_id: int) -> Mask:
    """A blob with a bumpy edge that drifts over the frame: bool (height, width)."""
    rows, columns = np.ogrid[: video.height, : video.width]
    phase = index / 40 + object_id
    x = video.width * (object_id / (OBJECTS + 1) + 0.05 * np.sin(phase))
    y = video.height * (0.5 + 0.2 * np.cos(phase * 1.3))
    angle = np.arctan2(rows - y, columns - x)
    radius = video.height * (0.10 + 0.02 * object_id / OBJECTS + 0.012 * np.sin(7 * angle + phase))
    inside: Mask = np.hypot(rows - y, columns - x) < radius
    return inside


def stored(folder: Path, path: Path) -> tuple[Build, VideoJob]:
    """Write and commit generated masks of the video, as a mask stage would, and a sentence about the third object."""
    source = Source(path.name, path)
    video = open_video(source)
    frames = range(len(video))
    tubes = Tubes((video.height, video.width))
    objects = [tubes.new_object(Detection((0, 0, 1, 1), "person", 1.0), 0) for _ in range(OBJECTS)]
    for index in frames:
        instances = {object_id: encode_mask(wobbly(video, index, object_id)) for object_id in objects}
        tubes.add(index, {object_id: instance for object_id, instance in instances.items() if instance})
    target = Target(np.arange(50, 150), np.array([tubes.frames[index][3].box for index in range(50, 150)], np.float64))
    sample = Sample(
        sample_id="s",
        clip_id="clip",
        sentence="The third.",
        task=Task.SPATIO_TEMPORAL,
        start_s=2.0,
        end_s=6.0,
        start_frame=50,
        end_frame=149,
        targets=(target,),
    )
    job = VideoJob(source, (Clip("clip"),), (sample,))
    build = Build(folder_at(folder), Benchmark([job]), BuildConfig(detector=DetectorConfig(name="motion")))
    annotation = VideoAnnotation(tubes, TrackingCost(len(video), OBJECTS * len(video), "held"), [frames], Outcome("done"))
    sha256 = content_hash(path)
    build.masks.prepare()
    tables = {
        "videos": video_row(source, video, annotation, sha256, folder_at(folder)),
        "masks": mask_rows(source.video_id, tubes),
    }
    build.masks.write_part(BundleEntry(source.video_id, sha256, Outcome("done"), quick_stat(path)), tables)
    build.masks.commit([source.video_id])
    build.frames.prepare()
    return build, job


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def run() -> list[Figure]:
    """Alternate both sides and compare their medians of CPU time; one decoder thread on each."""
    import cv2

    cv2.setNumThreads(1)
    path = shared("data", "videos", "12_hideandseek.mp4")

    def decode() -> None:
        video = open_video(Source(path.name, path))
        for _ in video.windows(0, len(video)):
            pass

    with tempfile.TemporaryDirectory() as folder:
        build, job = stored(Path(folder) / "bench", path)
        shard = build.masks.shards()[0]

        def from_masks() -> None:
            video, masks = (build.masks.read(shard, table, job.source.video_id) for table in ("videos", "masks"))
            rendered = render_video(job, load_tracked_video(job.source, video, masks), build.config)
            assert rendered.samples[0]["answer_ids"] == (3,)
            assert len(rendered.frames) == 16

        worker = FramesWorker(build.config, build.masks, build.frames)
        pairs = [(seconds(decode), seconds(from_masks), seconds(lambda: worker.run(job))) for _ in range(ROUNDS)]
    whole = [worked / decoded for decoded, _, worked in pairs[1:]]
    core = [rendered / decoded for decoded, rendered, _ in pairs[1:]]
    how = f"median of {ROUNDS - 1} alternating pairs, 200 frames 720p, {OBJECTS} objects, 1 thread each"
    return [
        at_most("stored masks to model-ready frames and label / full pass to RGB", median(core), 0.65, how),
        told("the same through the worker, hashing the source and writing the part", median(whole), how),
        told("full pass, CPU s", median(d for d, _, _ in pairs[1:]), "the same reader, every frame to RGB"),
    ]
