"""Tasks beside grounding, from a benchmark's files to scores: segmentation, captions, questions, objects in a known span."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.scripted_engine import ScriptedEngine
from rl.engines.config import DecodingConfig
from rl.evaluation.predictions import stored_predictions
from rl.evaluation.protocols import PROTOCOLS
from rl.evaluation.results import EvaluationResults, score_predictions
from rl.evaluation.run import Evaluation, collect_predictions
from rl.models.families import FAMILIES, Model
from storage.reader import Dataset
from storage.rle import encode_counts
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.samples import Benchmark
from tasks.benchmarks.videoocr import read_videoocr
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig

FRAMES, LATE, FPS = 20, 5, 10
RED_IS, GREEN_IS = 1, 2


def built(folder: Path, benchmark: Benchmark) -> Dataset:
    build = Build(folder, benchmark, BuildConfig(detector="motion"))
    tracked = run_masks(build, run_here, lambda _: None)
    publish_build(build, tracked, run_frames(build, tracked, run_here, lambda _: None), 0.0)
    return Dataset(build.folder)


def told(
    dataset: Dataset, protocol: str, engine: ScriptedEngine, folder: Path
) -> tuple[dict[str, dict[str, Any]], EvaluationResults]:
    """Ask; rows by sample, and results."""
    model = Model("told", FAMILIES["qwen2.5-vl"], None)
    evaluation = Evaluation(dataset, PROTOCOLS[protocol], model, DecodingConfig(), folder / protocol, batch_size=2)
    store = collect_predictions(evaluation, engine)
    conventions = [] if PROTOCOLS[protocol].captions else ["paper"]
    return {one.sample_id: one.row() for one in stored_predictions(store)}, score_predictions(dataset, store, conventions)


@pytest.fixture
def mevis(tmp_path: Path, models: Any) -> Dataset:
    """A red square on all of twenty frames and a green one from the sixth on, as MeViS is laid out, with exact masks."""
    frames = tmp_path / "JPEGImages" / "v"
    frames.mkdir(parents=True)
    codes: dict[str, list[Any]] = {"5": [], "6": []}
    for index in range(FRAMES):
        image = np.full((180, 240, 3), 20, np.uint8)
        squares = {"5": (slice(20, 60), slice(10 + index, 50 + index)), "6": (slice(70, 100), slice(100, 130))}
        for name, colour in (("5", (230, 30, 30)), ("6", (30, 230, 30))):
            mask = np.zeros((180, 240), np.bool_)
            mask[squares[name]] = name == "5" or index >= LATE
            image[mask] = colour
            codes[name].append({"size": [180, 240], "counts": encode_counts(mask).decode()} if mask.any() else None)
        Image.fromarray(image).save(frames / f"{index:05d}.jpg", quality=100, subsampling=0)
    said = {"red": ([1], [5]), "both": ([1, 2], [5, 6]), "green": ([2], [6]), "wrong": ([2], [6]), "nobody": ([], [])}
    expressions = {name: {"exp": f"{name} squares", "obj_id": ids, "anno_id": named} for name, (ids, named) in said.items()}
    videos = {"v": {"frames": [f"{n:05d}" for n in range(FRAMES)], "expressions": expressions}}
    (tmp_path / "expressions.json").write_text(json.dumps({"videos": videos}))
    (tmp_path / "masks.json").write_text(json.dumps(codes))
    read = read_mevis(tmp_path / "expressions.json", tmp_path / "masks.json", tmp_path, FPS)
    return built(tmp_path / "datasets" / "mevis", read)


def test_referring_segmentation_takes_several_ids_their_union_or_none(mevis: Dataset, tmp_path: Path) -> None:
    by_key = {
        "v:red": f"<answer>Target ID: [{RED_IS}]</answer>",
        "v:both": f"<think>Two.</think><answer>Target ID: [{RED_IS}, {GREEN_IS}]</answer>",
        "v:green": "<answer>Target ID: none</answer>",
        "v:wrong": f"<answer>Target ID: {RED_IS}</answer>",
        "v:nobody": "<answer>Target ID: none</answer>",
    }
    engine = ScriptedEngine(by_key=by_key)
    rows, found = told(mevis, "marked", engine, tmp_path)
    assert "There may be one, several or none." in engine.requests[0].messages[1]["content"][0]["text"]
    assert rows["v:both"]["object_ids"] == [RED_IS, GREEN_IS]
    assert (rows["v:green"]["object_ids"], rows["v:green"]["ids_status"]) == ([], "none")
    report = found.scores["paper"].results["segmentation"]
    without = LATE / FRAMES
    """Share of frames on which the green square is not: there, nothing is right."""
    assert report.samples == 5, "an expression that means nothing is answered by none"
    assert report.metrics["J"].mean == pytest.approx((1 + 1 + without + 0 + 1) / 5, abs=0.01)
    assert report.metrics["F"].mean == pytest.approx((1 + 1 + without + 0 + 1) / 5, abs=0.01)
    assert report.metrics["J&F"].mean == pytest.approx((report.metrics["J"].mean + report.metrics["F"].mean) / 2)
    assert found.scores["paper"].without_truth == 0
    low, high = report.metrics["J&F"].interval
    assert low < report.metrics["J&F"].mean < high


def test_one_id_of_two_is_half_an_answer(mevis: Dataset, tmp_path: Path) -> None:
    by_key = {"v:both": f"Target ID: {RED_IS}"}
    _, found = told(mevis, "marked", ScriptedEngine(text="Target ID: none", by_key=by_key), tmp_path)
    red, green = 40 * 40, 30 * 30
    both = (LATE + (FRAMES - LATE) * red / (red + green)) / FRAMES
    none = [0, LATE / FRAMES, LATE / FRAMES, 1]
    assert found.scores["paper"].results["segmentation"].metrics["J"].mean == pytest.approx((both + sum(none)) / 5, abs=0.01)


SAID = """Here is a description of each person in the video:

1. **Object ID 1**: This person is red and walks to the right.
2. **Object ID 2**: This person is green.

All of them are square.
"""


def test_captions_are_kept_as_text_and_by_object_id_once_a_clip_and_not_scored(asked_dataset: Dataset, tmp_path: Path) -> None:
    engine = ScriptedEngine(text=SAID)
    rows, found = told(asked_dataset, "caption", engine, tmp_path)
    assert {row["sample_id"] for row in rows.values()} == {"again", "ask", "nothing"}, "the first of each clip"
    assert {request.messages[1]["content"][1]["text"] for request in engine.requests} == {"Describe each person in this video."}
    assert rows["ask"]["answer"] == SAID.strip()
    assert rows["ask"]["captions"] == [
        {"object_id": 1, "text": "This person is red and walks to the right."},
        {"object_id": 2, "text": "This person is green."},
    ]
    assert rows["nothing"]["failed"].startswith("no_objects: ")
    assert (found.scores, found.samples, found.failures.keys()) == ({}, 3, {"nothing"})


@pytest.fixture
def videoocr(tmp_path: Path, square_clip: Path, models: Any) -> Dataset:
    """Three questions in MME-VideoOCR's format, one scored each way."""
    (tmp_path / "videos").mkdir()
    shutil.copy(square_clip, tmp_path / "videos" / "12.mp4")
    usual = {"video_index": "12", "task": "Text Recognition", "task_type": "TR"}
    items = [
        {
            **usual,
            "question": "Which number moves?",
            "option": ["A. 1", "B. 2"],
            "answer": "A",
            "eval_method": "multiple_choice",
        },
        {**usual, "question": "What do you see?", "option": [], "answer": "red;green", "eval_method": "containment_match"},
        {**usual, "question": "Why?", "option": [], "answer": "Because.", "eval_method": "gpt_assisted_scoring"},
    ]
    (tmp_path / "dataset.json").write_text(json.dumps(items))
    return built(tmp_path / "datasets" / "videoocr", read_videoocr(tmp_path / "dataset.json", tmp_path / "videos"))


@pytest.mark.parametrize(
    ("protocol", "said", "accuracy"),
    [
        ("marked", {"0": "A", "1": "A red and a green square", "2": "Because."}, 2 / 3),
        ("unmarked", {"0": "B. 2", "1": "Something green and red.", "2": "No."}, 1 / 3),
    ],
)
def test_videoocr_is_asked_with_and_without_markers(
    videoocr: Dataset, tmp_path: Path, protocol: str, said: dict[str, str], accuracy: float
) -> None:
    engine = ScriptedEngine(by_key=said)
    rows, found = told(videoocr, protocol, engine, tmp_path)
    assert {name: row["answer"] for name, row in rows.items()} == said
    asked = {request.key: request for request in engine.requests}
    question = asked["0"].messages[1]["content"][1]["text"]
    assert question.splitlines() == ["Which number moves?", "A. 1", "B. 2", "Answer with the letter of the right option."]
    stored = videoocr.frames("12.mp4", "12.mp4").column("jpeg").to_pylist()
    assert (list(asked["0"].visual.frames) == stored) is (protocol == "marked")
    assert len(asked["0"].visual.frames) == len(stored)
    scores = found.scores["paper"]
    assert scores.unjudged == 1, "it takes a judge, which a rule is not"
    assert scores.results["question"].metrics["accuracy"].mean == pytest.approx(accuracy)


def test_spatial_grounding_is_given_the_true_span_and_scored_over_it_whatever_is_said_of_time(
    asked_dataset: Dataset, tmp_path: Path, tiny: Callable[[str], Model]
) -> None:
    engine = ScriptedEngine(by_key={"svg": "<answer>Target ID: 1, Time range: 0 to 0.1</answer>"})
    rows, found = told(asked_dataset, "marked", engine, tmp_path)
    [request] = [request for request in engine.requests if request.key == "svg"]
    assert "which takes place from 0.50 to 1.50 seconds, in the video" in request.messages[1]["content"][0]["text"]
    assert (rows["svg"]["object_ids"], rows["svg"]["start_s"], rows["svg"]["span_status"]) == ([1], None, "")
    report = found.scores["paper"].results["spatial"]
    assert report.samples == 1
    assert report.metrics["m_vIoU"].mean > 0.9
    wrong = ScriptedEngine(by_key={"svg": "<answer>Target ID: 2, Time range: 0.5 to 1.5</answer>"})
    _, found = told(asked_dataset, "marked", wrong, tmp_path / "wrong")
    assert found.scores["paper"].results["spatial"].metrics["m_vIoU"].mean == 0
