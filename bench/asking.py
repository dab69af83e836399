"""From stored frames to what a model takes: 1,000 samples at the paper's size, and how soon the first is ready."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.figures import Figure, at_most, told
from rl.engines.inputs import prepare_batch
from rl.evaluation.protocols import PROTOCOLS
from rl.evaluation.requests import Requester
from rl.evaluation.samples import Clips, EvalSample, eval_samples
from rl.models.families import Model
from rl.models.registry import find_model
from storage.commit import BundleEntry, Rows, write_bundle
from storage.common.config import shaping
from storage.manifest import Ending, publish, published_stage
from storage.outcomes import Outcome
from storage.reader import Dataset
from storage.schema import CLIPS, SAMPLES, VIDEOS
from storage.schema import FRAMES as FRAMES_SCHEMA
from storage.stages import StageSpec, StageStore
from tasks.benchmarks.samples import Task
from tasks.build.stages import FramesParameters
from tasks.video.jpeg import encode_jpeg

VIDEOS_COUNT, SENTENCES, FRAMES, SIZE = 50, 20, 40, (364, 196)
SAMPLES_COUNT = VIDEOS_COUNT * SENTENCES
BATCH = 8
SECONDS, FIRST_S = 90.0, 2.0


def run() -> list[Figure]:
    """Prepare every sample of a stored dataset, a batch at a time, as the engine in this process does."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    import_module_once()
    with tempfile.TemporaryDirectory() as folder:
        model = find_model("tiny", Path(folder))
        dataset = stored(Path(folder) / "thousand")
        started, worked = time.perf_counter(), time.process_time()
        seconds, memory = [], []
        for batch in batches(dataset, model):
            seconds.append(time.perf_counter() - started)
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            assert batch["pixel_values_videos"].shape[0] == BATCH * FRAMES // 2 * (SIZE[0] // 14) * (SIZE[1] // 14)
    quarter = len(memory) // 4
    how = f"{SAMPLES_COUNT} samples of {FRAMES} frames {SIZE[0]}x{SIZE[1]}, batches of {BATCH}, one process, every core"
    return [
        at_most("prompts and frames of 1,000 samples, s", seconds[-1], SECONDS, how),
        at_most("peak memory over that of the first quarter", memory[-1] / memory[quarter], 1.1, f"{memory[-1]:.0f} MB"),
        at_most("first batch ready, s", seconds[0], FIRST_S, "from an opened dataset, after the imports"),
        told("CPU time of all cores, s", time.process_time() - worked, how),
    ]


def stored(folder: Path) -> Dataset:
    """Publish videos of 20 s with 40 rendered frames and 20 sentences each."""
    ids = [f"video-{n:03d}.mp4" for n in range(VIDEOS_COUNT)]
    shown = shaping(FramesParameters(masks="masks-0"))
    masks = StageStore(folder, StageSpec("masks", 1, {}, ("videos",)))
    frames = StageStore(folder, StageSpec("frames", 1, shown, ("clips", "frames", "samples")))
    for store in (masks, frames):
        store.prepare()
        entries = [BundleEntry(video_id, video_id, Outcome("done")) for video_id in ids]
        write_bundle(store.folder, "shard-0", entries, {table: _rows(table, ids) for table in store.spec.tables}, durable=False)
    chosen = {video_id: video_id for video_id in ids}
    stages = {store.spec.name: published_stage(store, chosen) for store in (masks, frames)}
    publish(folder, stages, [Ending(video_id, "frames", Outcome("done"), SENTENCES) for video_id in ids], {}, {})
    return Dataset(folder)


def _rows(table: str, ids: list[str]) -> Iterator[Rows]:
    draws = np.random.default_rng(0)
    make = {"videos": _video, "clips": _clip, "frames": _frames, "samples": _samples}[table]
    schema = {"videos": VIDEOS, "clips": CLIPS, "frames": FRAMES_SCHEMA, "samples": SAMPLES}[table]
    for video_id in ids:
        yield video_id, pa.Table.from_pylist(make(video_id, draws), schema=schema)


def _video(video_id: str, _draws: np.random.Generator) -> list[dict[str, Any]]:
    times = (np.arange(600) / 30).tolist()
    return [{"video_id": video_id, "path": video_id, "width": 1280, "height": 720, "duration_s": 20.0, "times_s": times}]


def _clip(video_id: str, _draws: np.random.Generator) -> list[dict[str, Any]]:
    row = {"clip_id": video_id, "video_id": video_id, "start_s": 0.0, "end_s": 20.0, "first_frame": 0, "last_frame": 599}
    return [{**row, "frame_count": FRAMES, "sample_fps": 2.0, "width": SIZE[0], "height": SIZE[1], "reason": ""}]


def _frames(video_id: str, draws: np.random.Generator) -> list[dict[str, Any]]:
    """Frames with as much detail as makes JPEGs of some 25 kB, as those of real videos at this size are."""
    import cv2

    coarse = draws.integers(0, 255, (SIZE[1] // 14, SIZE[0] // 14, 3), dtype=np.uint8)
    image = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    jpegs = [encode_jpeg(np.roll(image, 4 * n, axis=1), 95) for n in range(FRAMES)]
    row = {"clip_id": video_id, "video_id": video_id, "markers": []}
    return [{**row, "position": n, "frame_index": 15 * n, "time_s": 0.5 * n, "jpeg": jpegs[n]} for n in range(FRAMES)]


def _samples(video_id: str, _draws: np.random.Generator) -> list[dict[str, Any]]:
    row = {"clip_id": video_id, "video_id": video_id, "task": "spatio-temporal", "start_s": 2.0, "end_s": 9.0, "record": ""}
    said = "The man in the blue shirt walks to the table, takes the cup and turns to the woman."
    return [{**row, "sample_id": f"{video_id}#{n:02d}", "sentence": said, "options": []} for n in range(SENTENCES)]


def import_module_once() -> None:
    """Imports are not counted: they take as long for one sample as for all."""
    from importlib import import_module

    import_module("transformers")
    import_module("transformers.models.qwen2_5_vl.processing_qwen2_5_vl")


def batches(dataset: Dataset, model: Model) -> Iterator[Any]:
    """Tensors of each batch; the next batch's frames are read while one is made, as in an evaluation."""
    from importlib import import_module

    from storage.common.prefetch import prefetch

    library: Any = import_module("transformers")
    assert model.weights is not None
    processor, config = (getattr(library, name).from_pretrained(model.weights.path) for name in ("AutoProcessor", "AutoConfig"))
    samples = eval_samples(dataset, {Task.SPATIO_TEMPORAL})
    requester = Requester(PROTOCOLS["marked"], model, Clips(dataset))

    def requests() -> Iterator[list[Any]]:
        for at in range(0, len(samples), BATCH):
            yield [_request(requester, asked) for asked in samples[at : at + BATCH]]

    for some in prefetch(requests()):
        yield prepare_batch(processor, model.family, config, some)


def _request(requester: Requester, asked: EvalSample) -> Any:
    request = requester.first_request(asked)
    assert request is not None
    return request
