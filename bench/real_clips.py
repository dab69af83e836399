"""How well the embedded defaults find and keep objects of real video: four clips with reference boxes, and three VidSTG videos.

The reference of the four clips lists persons and dogs on every 15th frame. The three videos have sentences in ST-Align's list
as EasyVideoR1 ships it; they are written in ST-Align's own form and built through its adapter. The ceiling is, for each
sentence, the mean IoU of the best single object on the true boxes.
"""

from __future__ import annotations

import json
import re
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_least, at_most, shared, told
from infra.ray.pool import RayPool
from storage.reader import Dataset
from tasks.benchmarks.folder import read_folder
from tasks.benchmarks.samples import VideoJob
from tasks.build.parameters import BENCHMARKS
from tasks.build.run import publish_build, run_frames, run_masks
from tasks.masks.instances import Box, box_iou
from tasks.tracking.annotator import Annotator, AnnotatorConfig, find_annotator_weights
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Source, Video, open_video

ONE_PERSON = ("01_dog.mp4", "05_default_juggle.mp4")
"""Clips in which one person is in sight all the time."""


@dataclass
class Coverage:
    """Reference boxes, and the objects that cover them at IoU >= 0.5.

    Attributes:
        boxes: number of reference boxes.
        covered: boxes that an object covers.
        named: boxes that an object of the right category covers.
        switches: changes of the object that covers a clip's only person, from one reference frame to the next.
        objects: number of objects.
        person_share: clip -> share of its frames on which the person has its most frequent ID.
        cpu_s: clip of 720 lines or more -> CPU seconds a second of video.
    """

    boxes: int = 0
    covered: int = 0
    named: int = 0
    switches: int = 0
    objects: int = 0
    person_share: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, video: Video, tubes: Tubes, reference: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Compare the objects of a clip with its reference."""
        self.objects += len(tubes.objects)
        last: int | None = None
        for frame, boxes in reference.items():
            for row in boxes:
                covering = covering_objects(tubes, int(frame), row["box"])
                categories = [tubes.objects[i].category for i in covering]
                self.boxes, self.covered = self.boxes + 1, self.covered + bool(covering)
                self.named += row["category"] in categories
                if name in ONE_PERSON and row["category"] == "person" and covering:
                    self.switches += last is not None and last != covering[0]
                    last = covering[0]
        if name in ONE_PERSON:
            persons = Counter(i for here in tubes.frames.values() for i in here if tubes.objects[i].category == "person")
            self.person_share[name] = max(persons.values(), default=0) / len(video)


def covering_objects(tubes: Tubes, frame: int, box: Box) -> list[int]:
    """IDs of the objects that cover a box of a frame at IoU >= 0.5, the closest first.

    Args:
        tubes: objects of the video.
        frame: 0-based native frame index.
        box: (x1, y1, x2, y2) in pixels.
    """
    ious = {i: box_iou(instance.box, box) for i, instance in tubes.frames.get(frame, {}).items()}
    return sorted((i for i, iou in ious.items() if iou >= 0.5), key=lambda i: -ious[i])


def measured(jobs: Sequence[VideoJob], reference: Mapping[str, Any]) -> Coverage:
    """Annotate the clips with the default settings in one process with one thread."""
    import cv2

    cv2.setNumThreads(1)
    config, coverage = AnnotatorConfig(), Coverage()
    annotator = Annotator(config, find_annotator_weights(config))
    for job in jobs:
        name = Path(job.source.video_id).name
        if name not in reference:
            continue
        video, start = open_video(job.source), time.process_time()
        tubes = annotator.annotate(job, video).tubes
        cpu_s = time.process_time() - start
        if video.height >= 720:
            coverage.cpu_s[name] = cpu_s / video.timeline.duration_s
        coverage.add(name, video, tubes, reference[name])
    return coverage


def as_st_align(items: Sequence[Mapping[str, Any]], videos: Path) -> list[dict[str, Any]]:
    """Items of EasyVideoR1 in ST-Align's form, those whose video is in a folder.

    Args:
        items: items with times in seconds and boxes on whole seconds.
        videos: folder of the videos.
    """
    return [_record(item, videos / item["path"]) for item in items if (videos / item["path"]).is_file()]


def _record(item: Mapping[str, Any], path: Path) -> dict[str, Any]:
    video = open_video(Source(path.name, path))
    truth = json.loads(re.sub("</?answer>", "", item["solution"]))
    last, fps = len(video) - 1, video.timeline.fps
    boxes = {
        str(min(round(int(second) * fps), last)): [x1, y1, x2 - x1, y2 - y1]
        for second, (x1, y1, x2, y2) in truth["boxes"].items()
    }
    start, end = (min(round(second * fps), last) for second in truth["time"])
    meta = {
        "split": [0, last],
        "time_token": {"<start>": start, "<end>": end},
        "spatial_token": {"<place>": boxes},
        "width": video.width,
        "height": video.height,
    }
    return {"video_path": path.name, "conversations": [{"value": f'"{item["problem"]}"'}], "meta": meta}


def ceilings(annotations: Path, videos: Path, root: Path) -> Iterator[float]:
    """Build ST-Align's records and yield for each sentence the mean IoU of the best object on the true boxes."""
    parameters = BENCHMARKS["st-align-stvg"](annotations=str(annotations), videos=str(videos), root=str(root))
    build = parameters.build()
    with RayPool(parameters.pool, parameters.ray) as pool:
        masks = run_masks(build, pool, lambda _: None)
        publish_build(build, masks, run_frames(build, masks, pool, lambda _: None), parameters.error_budget)
    data = Dataset(build.folder)
    for sample in data.table("samples").to_pylist():
        [target] = sample["targets"]
        ious: dict[int, float] = defaultdict(float)
        for frame, (x1, y1, x2, y2) in zip(target["frames"], target["boxes"], strict=True):
            for instance in data.instances(sample["video_id"], frame):
                ious[instance.object_id] += box_iou(instance.box, (x1, y1, x2, y2))
        yield max(ious.values(), default=0.0) / len(target["frames"])


def run() -> list[Figure]:
    """Figures of the four clips and of the three videos."""
    clips, videos = shared("data", "videos"), shared("data", "videos_vidstg")
    reference = json.loads(shared("cases", "real_clips_reference.json").read_text())["clips"]
    items = json.loads(shared("data", "annotations", "easyvideor1", "stvg.json").read_text())
    coverage = measured(read_folder(clips).jobs, reference)
    with tempfile.TemporaryDirectory() as folder:
        annotations = Path(folder) / "stvg.json"
        annotations.write_text(json.dumps(as_st_align(items, videos)))
        best = list(ceilings(annotations, videos, Path(folder) / "sets"))
    return [*_figures(coverage), *_ceiling_figures(best)]


def _figures(coverage: Coverage) -> list[Figure]:
    how = f"{coverage.boxes} boxes of four clips, default detector and tracker"
    shares = [
        at_least(f"{name}: share of frames on which the person has one ID", share, 0.95, "all frames")
        for name, share in coverage.person_share.items()
    ]
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        at_least("reference boxes covered at IoU >= 0.5", coverage.covered / coverage.boxes, 0.92, how),
        at_least("reference boxes covered with the right category", coverage.named / coverage.boxes, 0.88, how),
        at_most("objects on the four clips", coverage.objects, 14, "25 by motion and people, before"),
        *shares,
        told("identity switches of the person", coverage.switches, "on reference frames of " + " and ".join(ONE_PERSON)),
        *(
            at_most(f"{name}: CPU s a second of video", cpu_s, 1.3, "720p, detection and tracking, one thread")
            for name, cpu_s in coverage.cpu_s.items()
        ),
        told("peak memory of the process, MiB", memory_mb, "detection and tracking of all clips"),
    ]


def _ceiling_figures(best: Sequence[float]) -> list[Figure]:
    how = f"{len(best)} sentences of three VidSTG videos, through ST-Align's adapter and a published dataset"
    return [
        at_least("ceiling: mean IoU of the best object on the true boxes", sum(best) / len(best), 0.5, how),
        told("share of targets that no object shows (ceiling below 0.1)", sum(b < 0.1 for b in best) / len(best), how),
    ]
