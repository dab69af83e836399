"""The mask database: time of a look-up and bytes of a mask, on real shapes."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.figures import Figure, at_most, shared, told
from storage.commit import BundleEntry, Rows, write_bundle
from storage.manifest import Ending, Manifest, publish, published_stage
from storage.outcomes import Outcome
from storage.reader import Dataset
from storage.rle import Mask, decode_counts, encode_counts
from storage.schema import VIDEOS
from storage.stages import StageSpec, StageStore
from tasks.build.rows import mask_rows
from tasks.detection.base import Detection
from tasks.masks.instances import encode_mask, tight_box
from tasks.tracking.tubes import Tubes

VIDEOS_COUNT, FRAMES, OBJECTS, SHARDS = 300, 150, 3, 2
LOOKUPS, CODE_ROUNDS = 2000, 50


def shapes() -> tuple[list[Mask], tuple[int, int], float]:
    """Real masks cut to their boxes, the size of their frames, and the mean length of their codes."""
    record = json.loads(shared("data", "annotations", "sav_000001_manual.json").read_text())
    codes = [rle["counts"].encode() for frame in record["masklet"] for rle in frame]
    height, width = record["masklet"][0][0]["size"]
    cut, lengths = [], []
    for code in codes:
        mask = decode_counts(code, height, width)
        if (box := tight_box(mask)) is not None:
            cut.append(mask[box[1] : box[3], box[0] : box[2]])
            lengths.append(len(code))
    return cut, (height, width), float(np.mean(lengths))


def tubes(cut: list[Mask], size: tuple[int, int], rng: np.random.Generator) -> Tubes:
    """Three objects over the frames: each mask a real one, scaled, mirrored and moved at random, so that no two are alike."""
    import cv2

    height, width = size
    canvas = np.zeros((height, width), np.bool_, order="F")
    made = Tubes(size, objects={i: Detection((0, 0, 1, 1), "person", 1.0) for i in range(1, OBJECTS + 1)})
    for index in range(FRAMES):
        for object_id in made.objects:
            shape = cut[rng.integers(len(cut))]
            scale = rng.uniform(0.85, 1.15, 2)
            h, w = (max(1, min(limit, round(side * s))) for side, s, limit in zip(shape.shape, scale, size, strict=True))
            soft = cv2.resize(shape[:, :: rng.choice([-1, 1])].astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)
            y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            canvas[y : y + h, x : x + w] = soft > 0.5
            made.add(index, {object_id: encode_mask(canvas)})
            canvas[y : y + h, x : x + w] = False
    return made


def write(folder: Path, stated: dict[str, float]) -> Manifest:
    """Write and publish the mask database; notes the mean length of its codes."""
    cut, size, stated["real code"] = shapes()
    store = StageStore(folder, StageSpec("masks", 1, {}, ("videos", "masks")))
    store.prepare()
    rng, lengths = np.random.default_rng(0), []

    def rows(videos: list[str]) -> Iterator[Rows]:
        for video_id in videos:
            table = mask_rows(video_id, tubes(cut, size, rng))
            lengths.extend(pa.compute.binary_length(table.column("rle_counts")).to_pylist())
            yield video_id, table

    ids = [f"video-{n:04d}.mp4" for n in range(VIDEOS_COUNT)]
    for part in range(SHARDS):
        mine = ids[part::SHARDS]
        videos = [(v, _video(v, size)) for v in mine]
        write_bundle(
            store.folder,
            f"shard-{part}",
            [BundleEntry(v, v, Outcome("done")) for v in mine],
            {"videos": videos, "masks": rows(mine)},
        )
    stated["stored code"] = float(np.mean(lengths))
    stage = published_stage(store, {v: v for v in ids})
    return publish(folder, {"masks": stage}, [Ending(v, "masks", Outcome("done")) for v in ids], {}, {})


def _video(video_id: str, size: tuple[int, int]) -> pa.Table:
    return pa.Table.from_pylist([{"video_id": video_id, "height": size[0], "width": size[1]}], schema=VIDEOS)


def code_times() -> list[Figure]:
    """CPU time of encoding and of decoding, with its checks, masks of 720p."""
    rows, columns = np.ogrid[:720, :1280]
    masks = []
    for number in range(8):
        angle = np.arctan2(rows - 360, columns - 200 - 120 * number)
        masks.append(np.hypot(rows - 360, columns - 200 - 120 * number) < 100 + 10 * np.sin(7 * angle + number))
    codes = [encode_counts(mask) for mask in masks]
    how = f"mean over {CODE_ROUNDS} rounds of 8 masks with bumpy edges, CPU time, 1 thread"
    encode_ms = _mean_ms(encode_counts, masks)
    decode_ms = _mean_ms(lambda code: decode_counts(code, 720, 1280), codes)
    return [
        at_most("encoding a mask of 720p, ms", encode_ms, 0.5, how),
        at_most("decoding it with its checks, ms", decode_ms, 0.15, how),
    ]


def _mean_ms(work: Callable[[Any], object], values: Sequence[Any]) -> float:
    """Mean CPU time in ms of one call; no result outlives its call."""
    started = time.process_time()
    for _ in range(CODE_ROUNDS):
        for value in values:
            work(value)
    return (time.process_time() - started) / CODE_ROUNDS / len(values) * 1000


def run() -> list[Figure]:
    """Write 135,000 masks, then look up random frames of random videos in a fresh reader."""
    stated: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as root:
        manifest = write(Path(root) / "bench", stated)
        data = Dataset(Path(root) / "bench")
        rng = np.random.default_rng(1)
        times = []
        for _ in range(LOOKUPS):
            video_id, frame = f"video-{rng.integers(VIDEOS_COUNT):04d}.mp4", int(rng.integers(FRAMES))
            started = time.perf_counter()
            found = data.instances(video_id, frame)
            times.append(time.perf_counter() - started)
            assert len(found) == OBJECTS
        files = [shard["masks"] for shard in manifest.stages["masks"].shards]
    rows, size = sum(f.rows for f in files), sum(f.bytes for f in files)
    milliseconds = np.array(times) * 1000
    how = f"{rows} distinct masks, {VIDEOS_COUNT} videos in {SHARDS} shards"
    return [
        at_most("look-up of one (video, frame), p50 ms", float(np.percentile(milliseconds, 50)), 1.0, how),
        told("look-up of one (video, frame), p95 ms", float(np.percentile(milliseconds, 95)), "the same look-ups"),
        at_most("bytes a mask on disk, all columns", size / rows, 240, how),
        *code_times(),
        told("mean RLE code, bytes", stated["stored code"], f"the real ones have {stated['real code']:.0f}"),
    ]
