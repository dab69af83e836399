"""The SAM2.1 tracker beside its own limit and beside the procedure of the paper's released code, on a CPU, one thread.

Same model (tiny, 256 pixels, random weights), same boxes, one real clip. Encoder and step are timed on the bare modules
before, between and after the runs that they are held against, since a shared machine's speed wavers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.figures import Figure, at_least, at_most, shared, told
from bench.official import counted, official_predictor, opened, released_procedure
from storage.common.config import changed
from tasks.detection.base import Detection
from tasks.masks.instances import Box
from tasks.tracking.base import TrackingCost
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.discovery import track
from tasks.tracking.sam2.tracker import Sam2Tracker
from tasks.video.reader import Source, Video, open_video

CONFIG = TrackerConfig(
    name="sam2", sam2={"model": "tiny", "image_size_px": 256}, max_iou=1, max_overlap=1, identity=False
).resolved(gpu=False)
"""Every detection is a new object, and none is taken for another: the figures are about known numbers of objects."""

EVERY_15: Mapping[int, int] = {0: 3, 15: 1, 30: 1, 45: 1}
CROWD: Mapping[int, int] = dict.fromkeys(range(0, 98, 7), 1)
"""Frame -> objects found there."""


def run() -> list[Figure]:
    """Measure everything."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        clips = {count: first_frames(shared("data", "videos", "bedroom.mp4"), count, Path(folder)) for count in (24, 100, 200)}
        bench = Bench(clips)
        return [*bench.passes(), *bench.against_released(), *bench.per_object(), *bench.half_precision()]


def first_frames(path: Path, count: int, folder: Path) -> Path:
    """The first frames of a clip as a clip of its own."""
    import av

    made = folder / f"{count}.mp4"
    video = open_video(Source(path.name, path))
    with av.open(str(made), "w") as file:
        stream = file.add_stream("libx264", rate=round(video.timeline.fps), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for _, frames in video.windows(0, count):
            for frame in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return made


def found(video: Video, counts: Mapping[int, int]) -> dict[int, list[Box]]:
    """Boxes of so many objects on each of some frames, spread over the picture."""
    rng = np.random.default_rng(0)
    boxes = {}
    for index, count in counts.items():
        corners = rng.uniform(0.05, 0.55, (count, 2)) * (video.width, video.height)
        sizes = rng.uniform(0.2, 0.4, (count, 2)) * (video.width, video.height)
        boxes[index] = [tuple(map(float, row)) for row in np.hstack([corners, corners + sizes])]
    return boxes  # type: ignore[return-value]


class Run(NamedTuple):
    """A run of the tracker: seconds, what it took, and objects on all frames."""

    seconds: float
    work: TrackingCost
    objects: int


class Bench:
    """Both trackers with the same weights."""

    def __init__(self, clips: Mapping[int, Path]) -> None:
        self._tracker = Sam2Tracker(CONFIG)
        self._official = official_predictor(self._tracker._model, "t", CONFIG.sam2.image_size_px)
        self._videos = {count: open_video(Source(path.name, path)) for count, path in clips.items()}

    def ours(self, frames: int, counts: Mapping[int, int], **chosen: Any) -> Run:
        """This tracker over the first frames of the clip."""
        video = self._videos[frames]
        boxes = found(video, counts)
        keys = range(0, frames, min([b - a for a, b in zip(sorted(boxes), sorted(boxes)[1:], strict=False)] or [15]))
        detections = {key: [Detection(box, "object", 0.9) for box in boxes.get(key, [])] for key in sorted({*keys, *boxes})}
        with counted(self._tracker._model) as passes:
            start = time.perf_counter()
            tubes, work = track(video, self._tracker, detections, CONFIG.model_copy(update=chosen))
            seconds = time.perf_counter() - start
        assert len(passes) == work.encoder_passes
        return Run(seconds, work, len(tubes.objects))

    def released(self, frames: int, counts: Mapping[int, int]) -> Run:
        """The released procedure over the same."""
        import torch

        video = self._videos[frames]
        with counted(self._official) as passes, torch.inference_mode():
            start = time.perf_counter()
            seen = released_procedure(self._official, opened(self._official, video.source.path), video, found(video, counts))
            seconds = time.perf_counter() - start
        return Run(seconds, TrackingCost(len(passes)), len(seen[frames - 1]))

    def passes(self) -> list[Figure]:
        """Encoder passes a frame, both directions, in four settings."""
        figures = []
        for name, frames, counts in (
            ("1 object, 1 discovery", 24, {0: 1}),
            ("14 objects, 1 discovery", 24, {0: 14}),
            ("14 objects, 1 late discovery", 24, {0: 0, 15: 14}),
        ):
            made = self.ours(frames, counts)
            figures.append(
                at_most(f"encoder passes a frame: {name}", made.work.encoder_passes / frames, 1.0, "counted at the encoder")
            )
        again = self.ours(24, {0: 1, 21: 1}, memory=MemoryConfig(features_mb=0, spill_mb=0))
        figures.append(
            at_most("encoder passes a frame: no room for features", again.work.encoder_passes / 24, 2.0, again.work.features)
        )
        return figures

    def against_released(self) -> list[Figure]:
        """The two settings, with and without the way back, beside the limit and beside the released procedure."""
        figures: list[Figure] = []
        for name, frames, counts, asked in (
            ("every 15", 200, EVERY_15, {True: 2.5}),
            ("crowd", 100, CROWD, {True: 3.2, False: 5.0}),
        ):
            plain = self.released(frames, counts)
            passes = f"encoder passes of the released procedure: {name}"
            figures.append(told(passes, plain.work.encoder_passes, f"{plain.objects} objects"))
            for backward, bound in asked.items():
                figures += self._beside(name, frames, counts, backward, bound, plain.seconds)
        return figures

    def _beside(
        self, name: str, frames: int, counts: Mapping[int, int], backward: bool, bound: float, released_s: float
    ) -> list[Figure]:
        before = self.unit()
        made = self.ours(frames, counts, backward=backward)
        encoder, step = (float(np.mean(pair)) for pair in zip(before, self.unit(), strict=True))
        limit = encoder * frames + step * made.work.object_steps
        label = f"{name}, {'both ways' if backward else 'forward only'}"
        took = f"{made.seconds:.0f} s; E = {encoder * 1e3:.0f} ms, M = {step * 1e3:.0f} ms, {made.work.object_steps} steps"
        faster = f"times less time than the released procedure: {label}"
        return [
            at_most(f"encoder passes a frame: {label}", made.work.encoder_passes / frames, 1.0, f"{made.objects} objects"),
            at_most(f"wall time over E x frames + M x steps: {label}", made.seconds / limit, 1.1, took),
            at_least(faster, released_s / made.seconds, bound, f"{released_s:.0f} s there"),
        ]

    def unit(self) -> tuple[float, float]:
        """Seconds of an encoder pass, and of memory attention, decoding and memory encoding of one object, bare modules."""
        import torch

        model, video = self._official, self._videos[24]
        state = opened(model, video.source.path)
        with torch.inference_mode():
            model.add_new_mask(state, 0, 1, np.ones((video.height, video.width), np.bool_))
            for _ in model.propagate_in_video(state):
                pass
            _, _, feats, positions, sizes = model._get_image_feature(state, 23, 1)
            encoder = mean_seconds(lambda: model.forward_image(state["images"][0][None]), 12)
            step = mean_seconds(
                lambda: model.track_step(
                    23, False, feats, positions, sizes, None, None, state["output_dict_per_obj"][0], len(video)
                ),
                20,
            )
        return encoder, step

    def per_object(self) -> list[Figure]:
        """Seconds that one more object costs on a frame: the quickest of runs in turn with 1 and with 8 objects."""
        ours, theirs = (
            {count: min(run_(24, {0: count}).seconds for _ in range(2)) for count in (1, 8)}
            for run_ in (self.ours, self.released)
        )
        here, there = ((seconds[8] - seconds[1]) / 7 / 23 for seconds in (ours, theirs))
        how = f"{here * 1e3:.1f} ms here, {there * 1e3:.1f} ms there, 1 to 8 objects"
        return [at_most("time of one more object over the official predictor's", here / there, 1.0, how)]

    def half_precision(self) -> list[Figure]:
        """How far bfloat16 moves the masks."""
        import torch

        from tasks.tracking.sam2.encoding import upsample_logits

        video = self._videos[24]
        half = Sam2Tracker(changed(CONFIG, {"sam2.precision": "bfloat16"}))
        [boxes] = found(video, {0: 3}).values()
        with self._tracker.open(video, range(1), 0, MemoryConfig()) as session:
            masks = dict(enumerate(session.segment(0, boxes), 1))
        logits = []
        for tracker in (self._tracker, half):
            with tracker.open(video, range(12), 0, MemoryConfig()) as session:
                session.add(0, masks)
                logits.append(
                    torch.cat(
                        [upsample_logits(one, 256, 256)[None] for _, _, every in session._forward(0, 11) for one in every]
                    )
                )
        a, b = (one > 0 for one in logits)
        iou = float(((a & b).sum((1, 2)) / (a | b).sum((1, 2)).clamp(min=1)).mean())
        covered = a.float().mean((1, 2))
        apart = float((logits[0] - logits[1]).abs().max() / logits[0].abs().max())
        return [
            told("bfloat16: mean mask IoU with float32", iou, "3 objects, 11 frames, random weights"),
            told("bfloat16: greatest difference of logits over their greatest", apart, "the same"),
            at_least(
                "share of masks that cover 5-95 % of the frame",
                float(((covered > 0.05) & (covered < 0.95)).float().mean()),
                0.9,
                "float32",
            ),
        ]


def mean_seconds(work: Any, times: int) -> float:
    """Mean wall time of calls, after one to warm up."""
    work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times
