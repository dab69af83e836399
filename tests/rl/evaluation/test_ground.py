"""From what a model says of a clip to a tube: span, boxes, masks, and the clip with it drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.scripted_engine import ScriptedEngine
from rl.engines.base import EngineError, Request, Response
from rl.evaluation.ground.drawing import write_clip
from rl.evaluation.ground.locate import GroundError, ground
from rl.evaluation.ground.result import read_ground_result, write_ground_result
from rl.models.families import Model
from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.benchmarks.samples import Benchmark, Clip, VideoJob
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source, open_video

Section = Callable[..., Dataset]


@pytest.fixture
def section(tmp_path: Path, models: object) -> Section:
    """A published dataset of one section of one video."""

    def make(video: Path, start_s: float = 0.0, end_s: float | None = None) -> Dataset:
        jobs = [VideoJob(Source(video.name, video), (Clip("section", start_s, end_s),))]
        build = Build(tmp_path / "section", Benchmark(jobs), BuildConfig(detector="motion"))
        run_build(build, run_here, lambda _: None, 1.0)
        return Dataset(build.folder)

    return make


def told(ids: str, times: str) -> ScriptedEngine:
    return ScriptedEngine(f"<think>It moves.</think><answer>Target ID: {ids}, Time range: {times}</answer>")


def test_the_tube_lies_where_the_object_is_and_in_the_seconds_of_the_video(
    section: Section, square_clip: Path, tiny: Callable[[str], Model]
) -> None:
    dataset = section(square_clip, 1.0, 4.0)
    answer = ground(dataset, "It moves.", tiny("tiny"), told("1", "0.5 to 1.5"))
    assert (answer.ids_status, answer.span_status, answer.thought) == ("read", "read", "It moves.")
    assert answer.span_s == (1.5, 2.5), "the model saw a clip that begins at 1 s"
    assert answer.span_frames == (15, 24), "frames on screen in these seconds, at 10 a second"
    places = answer.tubes[1]
    assert [place.frame for place in places] == list(range(15, 25))
    assert {place.repair for place in places} == {"kept"}
    assert [place.box for place in places] == [dataset.boxes(square_clip.name, f)[1] for f in range(15, 25)]
    mask = decode_counts(places[0].mask.counts.encode(), answer.size[1], answer.size[0])
    rows, columns = np.nonzero(mask)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == places[0].box
    stored = json.loads(answer.model_dump_json())
    assert stored["tubes"]["1"][0]["mask"]["size"] == [answer.size[1], answer.size[0]]


@pytest.mark.parametrize(
    ("said", "ids", "span"),
    [("nothing that can be read", "missing", "missing"), ("Target ID: 3 or 5, Time range: 1 to 2", "unreadable", "read")],
)
def test_an_answer_that_names_no_place_is_kept_as_it_is(
    section: Section, square_clip: Path, tiny: Callable[[str], Model], said: str, ids: str, span: str
) -> None:
    answer = ground(section(square_clip), "It moves.", tiny("tiny"), ScriptedEngine(said))
    assert (answer.ids_status, answer.span_status, answer.tubes, answer.text) == (ids, span, {}, said)


def test_times_outside_the_clip_have_no_frames(section: Section, square_clip: Path, tiny: Callable[[str], Model]) -> None:
    answer = ground(section(square_clip), "It moves.", tiny("tiny"), told("1", "90 to 95"))
    assert (answer.span_s, answer.span_frames, answer.tubes) == ((90, 95), None, {})


def test_an_id_that_is_nowhere_falls_back_and_says_so(
    section: Section, square_clip: Path, tiny: Callable[[str], Model]
) -> None:
    answer = ground(section(square_clip), "It moves.", tiny("tiny"), told("77", "1 to 2"))
    first, *others = (place.repair for place in answer.tubes[77])
    assert (first, set(others)) == ("fallback", {"corrected"}), "the largest object, which Algorithm 1 then follows"
    assert 77 not in {place.object_id for place in answer.tubes[77]}


def test_a_video_without_objects_is_refused_with_a_remedy(
    section: Section, clip_factory: Callable[..., Path], tmp_path: Path, tiny: Callable[[str], Model]
) -> None:
    grey = clip_factory(tmp_path / "grey.mp4", [np.full((180, 240, 3), 90, np.uint8)] * 20)
    with pytest.raises(GroundError, match=r"'grey.mp4' cannot be shown: nothing was found .*another detector"):
        ground(section(grey), "It moves.", tiny("tiny"), told("1", "0 to 1"))


class Broken(ScriptedEngine):
    """Fails at everything."""

    def answer(self, requests: list[Request]) -> list[Response]:  # type: ignore[override]
        """Fail."""
        return [Response("", "failed", reason="the server said no") for _ in requests]


def test_an_engine_that_fails_says_why(section: Section, square_clip: Path, tiny: Callable[[str], Model]) -> None:
    with pytest.raises(EngineError, match="the server said no"):
        ground(section(square_clip), "It moves.", tiny("tiny"), Broken())


def test_the_clip_shows_the_answer_while_it_lasts(
    section: Section, square_clip: Path, tiny: Callable[[str], Model], tmp_path: Path
) -> None:
    dataset = section(square_clip, 1.0, 4.0)
    answer = ground(dataset, "It moves.", tiny("tiny"), told("1", "0.5 to 1.5"))
    drawn = open_video(Source("drawn", write_clip(dataset, square_clip.name, answer, tmp_path / "drawn.mp4")))
    source = open_video(Source("source", square_clip))
    assert len(drawn) == 30
    height = drawn.height - 10  # without the bar of time
    for frame, meant in ((12, False), (18, True), (22, True), (30, False)):
        before, after = source.frames([frame])[0][:height], drawn.frames([frame - 10])[0][:height]
        changed = np.abs(before.astype(int) - after).max() > 60
        assert changed == meant, f"frame {frame}"


def test_an_answer_of_an_earlier_version_is_read(
    tmp_path: Path, section: Section, square_clip: Path, tiny: Callable[[str], Model]
) -> None:
    answer = ground(section(square_clip, 1.0, 4.0), "It moves.", tiny("tiny"), told("1", "0.5 to 1.5"))
    path = tmp_path / "answer.json"
    write_ground_result(path, answer)
    assert read_ground_result(path) == answer.model_copy(update={"path": str(path)})
    stored = json.loads(path.read_text())
    del stored["version"]
    stored["ids"], stored["span"] = stored.pop("ids_status"), stored.pop("span_status")
    for place in stored["tubes"]["1"]:
        place["how"] = place.pop("repair")
    path.write_text(json.dumps(stored))
    assert read_ground_result(path) == answer.model_copy(update={"path": str(path)})
