"""How well the embedded defaults find and keep the figures of the sample, measured against its true masks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.figures import Figure, at_least, told
from infra.ray.pool import RayPool
from storage.reader import Dataset
from tasks.build.parameters import BENCHMARKS
from tasks.build.run import publish_build, run_frames, run_masks
from tasks.masks.instances import box_iou


class Score(NamedTuple):
    """One sentence: mean mask IoU of the answered object over the true span, of the best object, and vIoU of the answer."""

    answered: float
    best: float
    viou: float


def build(root: Path, **chosen: Any) -> tuple[Dataset, Path]:
    """Build the sample; returns the dataset and the folder of its source."""
    parameters = BENCHMARKS["sample"](root=str(root), **chosen)
    made = parameters.build()
    with RayPool(parameters.pool, parameters.ray) as pool:
        masks = run_masks(made, pool, lambda _: None)
        frames = run_frames(made, masks, pool, lambda _: None)
        publish_build(made, masks, frames, parameters.error_budget)
    return Dataset(made.folder), root / "sources" / f"sample-{parameters.videos}"


def score(data: Dataset, sample: Mapping[str, Any], truth: Mapping[str, Any]) -> Score:
    """Score one sentence against the true masks of the figure it names."""
    from pycocotools import mask as coco

    figure = truth["figures"][truth["target"]]
    span = range(sample["start_frame"], sample["end_frame"] + 1)
    [named] = sample["answer_ids"] or [None]
    ious: dict[int, list[float]] = {}
    boxes = []
    for at, frame in enumerate(span):
        true = {"size": truth["size"], "counts": figure["counts"][frame].encode()}
        instances = data.instances(sample["video_id"], frame)
        codes = [{"size": truth["size"], "counts": i.counts} for i in instances]
        overlap = coco.iou(codes, [true], [0])[:, 0] if codes else []
        for instance, iou in zip(instances, overlap, strict=True):
            ious.setdefault(instance.object_id, []).append(float(iou))
        answer = [i.box for i in instances if i.object_id == named]
        boxes.append(box_iou(answer[0], sample["targets"][0]["boxes"][at]) if answer else 0.0)
    means = {object_id: sum(values) / len(span) for object_id, values in ious.items()}
    return Score(means.get(named, 0.0), max(means.values(), default=0.0), float(np.mean(boxes)))


def scores(data: Dataset, source: Path) -> list[Score]:
    """Scores of all sentences whose video was built."""
    truth = json.loads((source / "truth.json").read_text())
    return [score(data, sample, truth[sample["video_id"]]) for sample in data.table("samples").to_pylist()]


def figures(name: str, found: Sequence[Score], bounds: bool) -> list[Figure]:
    """Figures of one configuration."""
    right = float(np.mean([s.answered == s.best and s.answered >= 0.5 for s in found]))
    ceiling = float(np.mean([s.viou for s in found]))
    how = f"{len(found)} sentences of the sample, through a published dataset"
    rows = [
        (f"{name}: answered ID is closest to the named figure at mean IoU >= 0.5", right, 0.9),
        (f"{name}: ceiling m_vIoU (true time, true ID)", ceiling, 0.7),
    ]
    checked = [at_least(text, value, bound, how) if bounds else told(text, value, how) for text, value, bound in rows]
    return [*checked, told(f"{name}: mean mask IoU of the answered ID", float(np.mean([s.answered for s in found])), how)]


def run() -> list[Figure]:
    """Build the sample with the embedded default, and again with true boxes as detections."""
    with tempfile.TemporaryDirectory() as root:
        data, source = build(Path(root))
        default = figures("motion", scores(data, source), bounds=True)
        answers = [i for ids in data.table("samples", ["answer_ids"]).column(0).to_pylist() for i in ids]
        spread = max(answers.count(a) for a in set(answers)) / len(answers)
        script = str(source / "true_boxes.json")
        data, source = build(Path(root), name="true-boxes", detector={"name": "scripted", "weights": script})
        return [
            *default,
            *figures("true boxes", scores(data, source), bounds=False),
            told("share of the most frequent answer ID", spread, f"IDs {sorted(set(answers))}"),
        ]
