from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bench.scripted_engine import ScriptedEngine
from rl.engines.base import EngineError, Request, Response
from rl.engines.config import DecodingConfig
from rl.evaluation.batches import split_batches
from rl.evaluation.predictions import stored_predictions
from rl.evaluation.protocols import PROTOCOLS, ProtocolError
from rl.evaluation.results import results_path, score_predictions
from rl.evaluation.run import Evaluation, collect_predictions
from rl.models.families import FAMILIES, Model
from storage.progress import Progress
from storage.reader import Dataset
from tasks.benchmarks.samples import Task

RIGHT = "<think>It is red.</think><answer>Target ID: {}, Time range: {} to {}</answer>"
BY_KEY = {
    "stvg": RIGHT.format(1, 0.5, 1.5),
    "again": RIGHT.format(2, 1.5, 2.5),
    "svg": "<answer>Target ID: [1]</answer>",
    "when": "Time range: 0s to 1s",
    "ask": "B. move",
}


@pytest.fixture
def evaluation(asked_dataset: Dataset, tmp_path: Path) -> Evaluation:
    model = Model("told", FAMILIES["qwen2.5-vl"], None)
    return Evaluation(asked_dataset, PROTOCOLS["marked"], model, DecodingConfig(), tmp_path / "answers", batch_size=2)


def rows(evaluation: Evaluation, engine: ScriptedEngine) -> dict[str, dict[str, Any]]:
    found = [one.row() for one in stored_predictions(evaluation.store(engine))]
    assert len({row["sample_id"] for row in found}) == len(found), "each sample once"
    return {row["sample_id"]: row for row in found}


def test_answers_are_kept_with_all_that_belongs_to_them(evaluation: Evaluation) -> None:
    engine = ScriptedEngine(by_key=BY_KEY)
    collect_predictions(evaluation, engine)
    found = rows(evaluation, engine)
    assert set(found) == {*BY_KEY, "nothing"}
    stvg = found["stvg"]
    assert (stvg["object_ids"], stvg["start_s"], stvg["end_s"]) == ([1], 0.5, 1.5)
    assert (stvg["ids_status"], stvg["span_status"], stvg["formatted"], stvg["thought"]) == ("read", "read", True, "It is red.")
    assert stvg["texts"] == [BY_KEY["stvg"]]
    assert found["when"]["ids_status"] == "", "nobody asked for an object"
    assert found["ask"]["answer"] == "B. move"
    assert found["nothing"]["failed"].startswith("no_objects: "), "a video with no object, by name"
    assert {row["identity"] for row in found.values()} == {evaluation.store(engine).spec.key}


def test_what_is_asked_are_the_stored_frames_with_the_true_interval_where_it_is_given(evaluation: Evaluation) -> None:
    engine = ScriptedEngine(by_key=BY_KEY)
    collect_predictions(evaluation, engine)
    asked = {request.key: request for request in engine.requests}
    assert "from 0.50 to 1.50 seconds" in asked["svg"].messages[1]["content"][0]["text"]
    assert 'event "it moves"' in asked["stvg"].messages[1]["content"][0]["text"]
    assert asked["ask"].messages[1]["content"][1]["text"].splitlines()[1] == "A. stay"
    stored = evaluation.dataset.frames("a.mp4", "late").column("jpeg").to_pylist()
    assert list(asked["stvg"].visual.frames) == stored
    assert "nothing" not in asked


def test_results_have_every_sample_in_the_denominator_and_reasons_and_intervals(evaluation: Evaluation) -> None:
    engine = ScriptedEngine(by_key=BY_KEY)
    store = collect_predictions(evaluation, engine)
    found = score_predictions(evaluation.dataset, store, ["paper", "hcstvg_official"])
    assert json.loads(Path(results_path(store)).read_text()) == found.model_dump(mode="json", exclude={"path"})
    paper = found.scores["paper"]
    stvg = paper.results[Task.SPATIO_TEMPORAL]
    assert stvg.samples == 3
    assert set(found.failures) == {"nothing"}
    m_tiou = stvg.metrics["m_tIoU"]
    assert stvg.metrics["m_vIoU"].mean == pytest.approx(1 / 3, abs=0.02), "one right, one the wrong object, one that failed"
    assert m_tiou.mean == pytest.approx(2 / 3)
    low, high = m_tiou.interval or (0, 0)
    assert 0 <= low < m_tiou.mean < high <= 1
    assert paper.results[Task.TEMPORAL].metrics["m_tIoU"].mean == pytest.approx(0.5)
    assert paper.results[Task.QUESTION].metrics["accuracy"].mean == 1
    assert set(found.scores) == {"paper", "hcstvg_official"}
    assert found.statuses.ids == {"read": 3}


@dataclass
class Breaking(ScriptedEngine):
    """Stops the run at a call, as a killed process would, after it has answered."""

    at: int = 0
    calls: int = field(default=0)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return super().answer(requests)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_stopped_run_goes_on_and_ends_as_an_undisturbed_one(evaluation: Evaluation, tmp_path: Path, at: int) -> None:
    undisturbed = replace(evaluation, folder=tmp_path / "undisturbed")
    collect_predictions(undisturbed, ScriptedEngine(by_key=BY_KEY))
    with pytest.raises(KeyboardInterrupt):
        collect_predictions(evaluation, Breaking(by_key=BY_KEY, at=at))
    again = ScriptedEngine(by_key=BY_KEY)
    collect_predictions(evaluation, again)
    assert rows(evaluation, again) == rows(undisturbed, again)
    done = {s.sample_id for batch in split_batches(evaluation.samples(), 2)[: at - 1] for s in batch.samples}
    assert not done & {request.key for request in again.requests}, "what was kept is not asked again"


@pytest.mark.parametrize("protocol", ["marked", "two-stage"])
def test_several_batches_under_way_together_end_as_one_after_the_other(
    evaluation: Evaluation, tmp_path: Path, protocol: str
) -> None:
    one = replace(evaluation, protocol=PROTOCOLS[protocol], batch_size=1)
    text = '{"bbox_2d": [10, 20, 60, 70]}' if protocol == "two-stage" else ""
    engine = ScriptedEngine(text=text, by_key=BY_KEY)
    collect_predictions(replace(one, folder=tmp_path / "single"), engine)
    events: list[Progress] = []
    slow = Together(text=text, by_key=BY_KEY)
    collect_predictions(one, slow, events.append, concurrency=3)
    assert rows(one, slow) == rows(replace(one, folder=tmp_path / "single"), slow)
    assert [event.completed for event in events] == list(range(events[0].total + 1)), "reported in order"


@dataclass
class Together(ScriptedEngine):
    """Answers nobody until three are under way."""

    started: int = 0
    three: threading.Event = field(default_factory=threading.Event)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        self.started += 1
        if self.started == 3:
            self.three.set()
        assert self.three.wait(20), "alone"
        return super().answer(requests)


def test_batches_are_cut_by_key_and_a_limit_takes_the_first(evaluation: Evaluation) -> None:
    names = [sample.sample_id for sample in evaluation.samples()]
    assert names == ["again", "ask", "stvg", "svg", "when", "nothing"]
    assert [len(batch.samples) for batch in split_batches(evaluation.samples(), 4)] == [4, 2]
    assert [sample.sample_id for sample in replace(evaluation, limit=2).samples()] == names[:2]


@dataclass
class Limited(ScriptedEngine):
    """Meets a limit that passes, at one sample."""

    refuses: str = "stvg"

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        limit = Response("", "failed", reason="rate_limit: HTTP 429, slow down", transient=True)
        return [
            limit if r.key == self.refuses else response for r, response in zip(requests, super().answer(requests), strict=True)
        ]


def test_what_failed_and_may_pass_is_asked_again_and_counts_until_then(evaluation: Evaluation) -> None:
    limited = Limited(by_key=BY_KEY)
    store = collect_predictions(evaluation, limited)
    told = score_predictions(evaluation.dataset, store, ["paper"])
    assert told.failures["stvg"] == "rate_limit: HTTP 429, slow down"
    assert told.samples == 6
    again = ScriptedEngine(by_key=BY_KEY)
    store = collect_predictions(evaluation, again)
    assert {request.key for request in again.requests} == {"stvg", "svg"}, "its batch, and no other"
    assert set(score_predictions(evaluation.dataset, store, ["paper"]).failures) == {"nothing"}


def test_an_engine_that_cannot_answer_stops_the_run_and_nothing_is_lost(evaluation: Evaluation) -> None:
    class Gone(Breaking):
        def answer(self, requests: Sequence[Request]) -> list[Response]:
            self.calls += 1
            if self.calls > 1:
                raise EngineError("the server at http://there cannot be reached")
            return ScriptedEngine.answer(self, requests)

    with pytest.raises(EngineError, match="cannot be reached"):
        collect_predictions(evaluation, Gone(by_key=BY_KEY))
    assert len(rows(evaluation, ScriptedEngine(by_key=BY_KEY))) == 2


def test_a_batch_that_fails_beside_others_stops_the_run_and_those_before_it_are_kept(evaluation: Evaluation) -> None:
    class Refusing(Together):
        def answer(self, requests: Sequence[Request]) -> list[Response]:
            responses = super().answer(requests)
            if requests[0].key == "stvg":
                raise EngineError("the third batch")
            return responses

    one = replace(evaluation, batch_size=1)
    with pytest.raises(EngineError, match="the third batch"):
        collect_predictions(one, Refusing(by_key=BY_KEY), concurrency=3)
    assert set(rows(one, ScriptedEngine(by_key=BY_KEY))) == {"again", "ask"}


def test_frames_without_markers_come_from_the_source_at_the_same_times(evaluation: Evaluation) -> None:
    engine = ScriptedEngine(text="Time range: 0.5 to 1.5")
    unmarked = replace(evaluation, protocol=PROTOCOLS["unmarked"])
    collect_predictions(unmarked, engine)
    marked = ScriptedEngine(by_key=BY_KEY)
    collect_predictions(evaluation, marked)
    theirs = {request.key: request.visual for request in marked.requests}
    for request in (r for r in engine.requests if r.key in theirs):
        own = theirs[request.key]
        assert (request.visual.size, request.visual.fps, request.visual.times_s) == (own.size, own.fps, own.times_s)
        assert request.visual.frames != own.frames
    assert rows(unmarked, engine)["nothing"]["start_s"] == 0.5, "times can be asked of a video without objects"


def test_two_stages_ask_for_boxes_on_shown_frames_of_both_spans(evaluation: Evaluation) -> None:
    seen = (252, 168)  # the size of a 240x180 frame that is shown alone, sides multiples of 28
    sides = zip((25, 20, 65, 60), seen * 2, (240, 180) * 2, strict=True)
    box = [side * width / native for side, width, native in sides]
    texts = {"stvg": "Time range: 0.5 to 1.5", "again": "Time range: 3 to 4"}
    engine = ScriptedEngine(text=f'{{"bbox_2d": {box}}}', by_key=texts)
    two = replace(evaluation, protocol=PROTOCOLS["two-stage"])
    store = collect_predictions(two, engine)
    found = rows(two, engine)
    frames = [entry["frame"] for entry in found["stvg"]["boxes"]]
    assert frames
    assert all(15 <= frame <= 24 for frame in frames)
    assert found["stvg"]["boxes"][0]["box"] == pytest.approx([25, 20, 65, 60], abs=0.5)
    assert found["again"]["boxes"] == [], "no frame is in both spans"
    assert found["svg"]["boxes"] == found["stvg"]["boxes"], "spatial grounding is given the true span"
    reports = score_predictions(two.dataset, store, ["paper"]).scores["paper"].results
    assert reports[Task.SPATIAL].metrics["m_vIoU"].mean > 0.8
    assert reports[Task.SPATIO_TEMPORAL].samples == 3


def test_a_protocol_without_a_task_of_the_dataset_is_refused(evaluation: Evaluation) -> None:
    protocol = replace(PROTOCOLS["released"], prompts={"segmentation": "figure-6"})
    with pytest.raises(ProtocolError, match="'released' asks for segmentation; the dataset holds question, spatial"):
        collect_predictions(replace(evaluation, protocol=protocol), ScriptedEngine())
