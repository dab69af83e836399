from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from storage.rle import encode_counts
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.metrics.cases import ScoreError
from tasks.metrics.conventions import CONVENTIONS
from tasks.metrics.predictions import PredictionsError, read_predictions
from tasks.metrics.scoring import score_dataset
from tasks.video.reader import Source

RED = [(10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(40)]
STVG = Sample(
    "stvg", "late", "It moves.", Task.SPATIO_TEMPORAL, 0.5, 1.5, 15, 24, (Target.dense(15, RED[15:25]),), "declarative"
)


def masks() -> tuple[bytes, ...]:
    mask = np.zeros((180, 240), np.bool_)
    codes = []
    for f in range(40):
        mask[:] = False
        mask[20:60, 10 + f : 50 + f] = True
        codes.append(encode_counts(mask))
    return tuple(codes)


@pytest.fixture
def dataset(tmp_path: Path, square_clip: Path, models: Any) -> Dataset:
    """The clip of two squares with a sample of each task, and a video that is missing."""
    seg = Target(np.arange(40), np.array(RED), masks())
    samples = (
        STVG,
        replace(STVG, sample_id="svg", task=Task.SPATIAL, group=""),
        Sample("when", "late", "When?", Task.TEMPORAL, 0.0, 2.0),
        Sample("never", "late", "When?", Task.TEMPORAL, 1.0, 1.0),
        Sample("mask", "late", "It.", Task.SEGMENTATION, targets=(seg,), start_frame=0, end_frame=39),
        Sample("ask", "late", "What?", Task.QUESTION, answer="B", group="TR/Text", record="0|multiple_choice"),
        Sample("secret", "late", "Who?"),
    )
    jobs = [
        VideoJob(Source("a.mp4", square_clip), (Clip("late", 1.0, 4.0),), samples),
        VideoJob(Source("gone.mp4", tmp_path / "gone.mp4"), (Clip("gone.mp4"),), (replace(STVG, sample_id="lost"),) * 2),
    ]
    build = Build(folder_at(tmp_path / "out" / "squares"), Benchmark(jobs), BuildConfig(detector="motion"))
    tracked = run_masks(build, run_here, lambda _: None)
    frames = run_frames(build, tracked, run_here, lambda _: None)
    publish_build(build, tracked, frames, 1.0)
    return Dataset(build.folder)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*rows: dict[str, Any], name: str = "answers.jsonl") -> Path:
        path = tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(list(rows)), path)
        else:
            path.write_text("\n".join(json.dumps(row) for row in rows))
        return path

    return written


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.parquet"])
def test_every_task_is_scored_by_its_own_rule(dataset: Dataset, write: Write, name: str) -> None:
    path = write(
        {"sample_id": "stvg", "object_id": 1, "start_s": 0.5, "end_s": 1.5, "answer": None, "object_ids": None},
        {"sample_id": "svg", "object_id": 1},
        {"sample_id": "when", "start_s": 1.0, "end_s": 2.0},
        {"sample_id": "never", "start_s": 0.0, "end_s": 2.0},
        {"sample_id": "mask", "object_ids": [1]},
        {"sample_id": "ask", "answer": "The answer is B"},
        name=name,
    )
    found = score_dataset(dataset, path)
    results = found.results
    assert results["spatio-temporal"].per_sample["stvg"]["tIoU"] == 1
    assert results["spatio-temporal"].per_sample["stvg"]["vIoU"] > 0.9
    assert results["spatial"].metrics["m_vIoU"].mean > 0.9
    assert results["spatio-temporal"].groups["declarative"].samples == 1
    assert (results["temporal"].metrics["m_tIoU"].mean, results["temporal"].samples) == (0.125, 4), "lost ones count here"
    assert results["segmentation"].metrics["J&F"].mean > 0.9
    assert results["question"].metrics["accuracy"].mean == 1
    assert (found.without_truth, found.unmatched, found.unjudged) == (1, 0, 0)
    lost = [report.lost for report in results.values()]
    assert (sum(lost), found.content_hash) == (2, dataset.manifest.content_hash)


def test_missing_lost_and_impossible_answers_stay_in_the_denominator(dataset: Dataset, write: Write) -> None:
    path = write({"sample_id": "when", "start_s": 3.0, "end_s": 1.0}, {"sample_id": "other"})
    found = score_dataset(dataset, path)
    assert found.unmatched == 1
    assert found.results["spatio-temporal"].missing == 1
    assert found.results["spatio-temporal"].per_sample["stvg"] == {"tIoU": 0, "vIoU": 0}
    assert found.results["temporal"].missing == 1
    assert found.results["temporal"].metrics["m_tIoU"].mean == 0


def test_times_without_an_object_earn_what_times_earn(dataset: Dataset, write: Write) -> None:
    path = write({"sample_id": "stvg", "start_s": 0.5, "end_s": 1.5}, {"sample_id": "svg"})
    found = score_dataset(dataset, path)
    for kind in ("results", "repaired"):
        assert getattr(found, kind)["spatio-temporal"].per_sample["stvg"] == {"tIoU": pytest.approx(1), "vIoU": 0, "gt_vIoU": 0}
        assert getattr(found, kind)["spatial"].per_sample["svg"]["vIoU"] == 0
    official = score_dataset(dataset, path, "hcstvg_official")
    assert official.results["spatio-temporal"].per_sample["stvg"]["tIoU"] == 0, "its tIoU counts boxes"


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("span_s", [(25.0, 30.0), (-5.0, -1.0), (3.0, 1e308), (-1e308, 1e308)])
def test_times_outside_the_video_earn_nothing(
    dataset: Dataset, write: Write, convention: str, span_s: tuple[float, float]
) -> None:
    path = write({"sample_id": "stvg", "object_id": 1, "start_s": span_s[0], "end_s": span_s[1]})
    scores = score_dataset(dataset, path, convention).repaired["spatio-temporal"].per_sample["stvg"]
    assert all(0 <= score <= 1 for score in scores.values())
    if span_s[0] > 3 or span_s[1] < 0:
        assert set(scores.values()) == {0}


def test_repair_is_told_beside_what_was_predicted(dataset: Dataset, write: Write) -> None:
    """Object 9 was never there: without repair it earns nothing, with it the largest box of every frame."""
    path = write({"sample_id": "stvg", "object_id": 9, "start_s": 0.5, "end_s": 1.5})
    found = score_dataset(dataset, path)
    assert found.results["spatio-temporal"].per_sample["stvg"]["vIoU"] == 0
    assert found.repaired["spatio-temporal"].per_sample["stvg"]["vIoU"] > 0.9
    assert found.repaired_frames.model_dump() == {"kept": 0, "corrected": 9, "fallback": 1}, "the fallback is a reference"


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_ceiling_is_the_truth_under_every_convention(dataset: Dataset, convention: str) -> None:
    found = score_dataset(dataset, None, convention)
    report = found.results["spatio-temporal"]
    assert (found.predictions, report.convention) == ("ceiling", convention)
    assert report.per_sample["stvg"]["vIoU"] > 0.75


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no prediction"),
        ("{", "not JSON Lines"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"object_id": 1}', "line 1 has no 'sample_id'"),
        ('{"sample_id": "a"}\n{"sample_id": "a"}', "line 2 names the sample 'a' a second time"),
        ('{"sample_id": "a", "objct_id": 1}', "unknown field 'objct_id'"),
    ],
)
def test_a_bad_predictions_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(PredictionsError, match=said) as error:
        read_predictions(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"object_id": "x"}, "must be whole numbers"),
        ({"start_s": 1}, "go together"),
        ({"start_s": 1, "end_s": float("nan")}, "finite numbers"),
        ({"answer": 3}, "must be text"),
    ],
)
def test_an_impossible_prediction_costs_its_sample(
    dataset: Dataset, write: Write, fields: dict[str, Any], message: str
) -> None:
    found = score_dataset(dataset, write({"sample_id": "when", "start_s": 0.0, "end_s": 2.0}, {"sample_id": "stvg", **fields}))
    for report in (found.results["spatio-temporal"], found.repaired["spatio-temporal"]):
        assert message in report.invalid["stvg"]
        assert (report.per_sample["stvg"], report.missing) == ({"tIoU": 0, "vIoU": 0}, 0)
    assert found.results["temporal"].per_sample["when"]["tIoU"] == 1


def test_files_of_another_kind_or_dataset_are_refused(dataset: Dataset, write: Write, tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="names no sample of 'squares'"):
        score_dataset(dataset, write({"sample_id": "other"}))
    with pytest.raises(PredictionsError, match="there is no predictions file"):
        score_dataset(dataset, tmp_path / "none.jsonl")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(PredictionsError, match="is not a Parquet file"):
        read_predictions(tmp_path / "bad.parquet")
    with pytest.raises(ScoreError, match="no convention"):
        score_dataset(dataset, None, "x")
