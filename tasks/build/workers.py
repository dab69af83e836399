"""One video through a stage, in a worker: read, do, write the part, say how it ended. Models are loaded once."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from storage.commit import BundleEntry
from storage.common.log import logger
from storage.folders.files import json_digest
from storage.folders.folder import StoreError
from storage.outcomes import Outcome
from storage.stages import StageStore
from tasks.benchmarks.samples import Clip, VideoJob
from tasks.build.fingerprint import job_hash, job_stat
from tasks.build.rows import mask_rows, video_row
from tasks.build.stages import BuildConfig, ImportConfig
from tasks.exchange.imports import MaskImporter
from tasks.markers.config import FramesConfig
from tasks.markers.render import load_tracked_video, render_video
from tasks.tracking.annotator import Annotator, AnnotatorWeights, VideoMemoryError, join_notes
from tasks.tracking.limits import LimitError
from tasks.video.damage import intact_head
from tasks.video.diagnosis import EXCLUDED, VideoError
from tasks.video.fingerprint import content_hash
from tasks.video.reader import Source, Video, local_source, open_video
from tasks.video.timeline import Timeline

_LOG = logger(__name__)


class Worker(Protocol):
    """Does one stage of one video after another."""

    def run(self, job: VideoJob) -> Outcome:
        """Do the stage and keep rows and outcome as a part; raises nothing for a bad video."""
        ...


WorkerFactory = Callable[[], Worker]
"""Builds a worker where it is to run; picklable."""


def frames_fingerprint(masks_fingerprint: str, job: VideoJob) -> str:
    """Hash of what goes into a video's frames: its bytes, its clips and its sentences."""
    return json_digest([masks_fingerprint, [_content(c) for c in job.clips], [s.content() for s in job.samples]])


def _content(clip: Clip) -> dict[str, object]:
    """Content of a clip as JSON values; of one given in frames with the rule of its times, which was another one once."""
    return asdict(clip) if clip.frames is None else {**asdict(clip), "times": "from the start of the clip"}


class MasksWorker:
    """Detects, tracks and encodes: the mask database of one video after another."""

    def __init__(self, config: BuildConfig | ImportConfig, weights: AnnotatorWeights, store: StageStore) -> None:
        _take_one_thread()
        self._store = store
        self._annotator: Annotator | MaskImporter
        if isinstance(config, ImportConfig):
            self._annotator, self._least_intact = MaskImporter(config.recorded), 1.0
        else:
            self._least_intact = config.limits.least_intact
            self._annotator = Annotator(config, weights)

    def run(self, job: VideoJob) -> Outcome:
        """Find and track the objects of a video."""
        stat, fingerprint = job_stat(job), job_hash(job)
        outcome, tables = run_attempt(partial(self.tables, job, fingerprint))
        self._store.write_part(BundleEntry(job.source.video_id, fingerprint, outcome, stat), tables)
        return outcome

    def tables(self, job: VideoJob, fingerprint: str) -> tuple[Outcome, Tables]:
        """The outcome and the rows of a video whose bytes have this hash; writes nothing, and raises what goes wrong."""
        with local_source(job.source) as source:
            video = open_video(source)
            outcome = as_stated(job, video)
            if any(note.intact < self._least_intact for note in video.notes):
                raise VideoError("damaged", source.video_id)
            try:
                annotation = self._annotator.annotate(job, video)
            except VideoError as error:
                video = intact_head(video, error, self._least_intact)
                annotation = self._annotator.annotate(job, video)
            if not annotation.tubes.frames:
                refuse_black(source, video, [index for frames in annotation.segments for index in frames])
            sha256 = fingerprint if job.masks is None else content_hash(job.source.path)
            row = video_row(job.source, video, annotation, sha256, self._store.dataset)
        notes = [Outcome("done", note.reason, note.sentence) for note in video.notes]
        return join_notes(outcome, *notes, annotation.note), {
            "videos": row,
            "masks": mask_rows(source.video_id, annotation.tubes),
        }


class FramesWorker:
    """Renders and answers: the frames of one video after another, from its stored masks."""

    def __init__(self, config: FramesConfig, masks: StageStore, frames: StageStore) -> None:
        _take_one_thread()
        self._config, self._masks, self._store = config, masks, frames
        self._committed = masks.shards_by_entry()

    def run(self, job: VideoJob) -> Outcome:
        """Render the clips of a video whose masks are committed."""
        masks_fingerprint = job_hash(job)
        outcome, tables = run_attempt(partial(self.tables, job, masks_fingerprint))
        fingerprint = frames_fingerprint(masks_fingerprint, job)
        self._store.write_part(BundleEntry(job.source.video_id, fingerprint, outcome), tables)
        return outcome

    def tables(self, job: VideoJob, masks_fingerprint: str) -> tuple[Outcome, Tables]:
        """The outcome and the rows of a video whose bytes have this hash; writes nothing, and raises what goes wrong."""
        video_id = job.source.video_id
        shard = self._committed.get((video_id, masks_fingerprint))
        if shard is None:
            return Outcome("failed", "changed", "the video has changed since it was tracked: run the build again"), {}
        video, masks = (self._masks.read(shard, table, video_id) for table in ("videos", "masks"))
        if not _covers(video, job):
            return Outcome("failed", "not_tracked", "annotated beyond the segments that were tracked: build by a new name"), {}
        with local_source(job.source) as source:
            tracked = load_tracked_video(source, video, masks, self._config.markers.anchor)
            rendered = render_video(job, tracked, self._config)
        if rendered.frames:
            return Outcome("done"), rendered.tables()
        reason = rendered.clips[0]["reason"] if rendered.clips else "no_clips"
        # Its clips and sentences stay in the dataset, each with the reason why it cannot be shown.
        return Outcome("filtered", reason, "none of its clips can be shown"), rendered.tables()


def _covers(video: pa.Table, job: VideoJob) -> bool:
    """Whether all clips lie in what was tracked of a video, by its row: a long one is cut to what was annotated then."""
    [row] = video.select(["tracked", "times_s", "duration_s"]).to_pylist()
    timeline = Timeline(np.asarray(row["times_s"], np.float64), row["duration_s"])
    spans = [range(s["start_frame"], s["end_frame"] + 1) for s in row["tracked"]]
    clips = [clip.range_in(timeline) for clip in job.clips]
    return all(any(clip.start >= span.start and clip.stop <= span.stop for span in spans) for clip in clips if clip)


_BLACK = 24
"""Brightest value, of 255, of a frame that is taken for black: video black is 16, and codecs waver around it."""

Tables = Mapping[str, pa.Table]
"""Table name -> rows of one video."""


def _take_one_thread() -> None:
    """A worker has one CPU: OpenCV would start a thread a core in each of them."""
    import cv2

    cv2.setNumThreads(1)


def run_attempt(work: Callable[[], tuple[Outcome, Tables]]) -> tuple[Outcome, Tables]:
    """Do the work of one video and name its ending: a bad video is quarantined, an unforeseen error is failed."""
    started = time.perf_counter()
    tables: Tables = {}
    try:
        outcome, tables = work()
    except VideoError as error:
        outcome = Outcome("filtered" if error.reason in EXCLUDED else "quarantined", error.reason, str(error))
    except LimitError as error:
        outcome = Outcome("filtered", error.reason, str(error))
    except VideoMemoryError as error:
        outcome = Outcome("quarantined", "out_of_memory", str(error))
    except StoreError as error:
        outcome = Outcome("failed", "store", str(error))
    except Exception as error:
        _LOG.exception("unexpected error in a worker")
        first, _, rest = f"{type(error).__name__}: {error}".partition("\n")
        outcome = Outcome("failed", "error", "\n".join(filter(None, [first, rest, traceback.format_exc().rstrip()])))
    return replace(outcome, attempts=1, seconds=round(time.perf_counter() - started, 3)), tables


def as_stated(job: VideoJob, video: Video) -> Outcome:
    """Hold a video against what its annotations say of it.

    Another number of frames is kept and noted: frames count from the start, and a truth beyond the end is told by sample. True
    boxes that leave the image are kept and noted too: adapters clip those of benchmarks that state the size.

    Raises:
        VideoError: its frames are of another size, so that no true box fits.
    """
    stated = job.facts
    size = (stated.width, stated.height)
    if None not in size and size != (video.width, video.height) and any(s.targets for s in job.samples):
        sizes = f"{job.source.video_id} ({video.width}x{video.height}, stated {size[0]}x{size[1]})"
        raise VideoError("size_differs", sizes)
    if stated.frame_count is not None and stated.frame_count != len(video):
        reason = "fewer_frames_than_stated" if len(video) < stated.frame_count else "more_frames_than_stated"
        counted = Outcome("done", reason, f"it has {len(video)} frames; its annotations state {stated.frame_count}")
        return join_notes(counted, _boxes_inside(job, video))
    return _boxes_inside(job, video)


def _boxes_inside(job: VideoJob, video: Video) -> Outcome:
    """Note if true boxes leave the image."""
    corners = [target.boxes for sample in job.samples for target in sample.targets]
    limits = (video.width, video.height) * 2
    outside = sum(int(((boxes < 0) | (boxes > limits)).any(axis=1).sum()) for boxes in corners)
    if not outside:
        return Outcome("done")
    return Outcome("done", "boxes_outside_image", f"{outside} true boxes leave the image of {video.width}x{video.height}")


def refuse_black(source: Source, video: Video, indices: Sequence[int]) -> None:
    """Tell a video without objects from one that decodes black.

    Raises:
        VideoError: each of a few frames of `indices` is black.
    """
    probes = sorted({indices[round(i * (len(indices) - 1) / 4)] for i in range(5)})
    if all(int(frame.max()) <= _BLACK for frame in video.frames(probes)):
        raise VideoError("black", source.video_id)
