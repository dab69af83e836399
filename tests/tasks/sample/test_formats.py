"""The sample in the formats of other benchmarks: read by the readers of these, it says what it says in its own."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.samples import Benchmark, Task
from tasks.sample import SampleConfig, generate
from tasks.sample.formats import FORMATS, read_in_format

TASKS = {
    "st-align-stvg": Task.SPATIO_TEMPORAL,
    "st-align-svg": Task.SPATIAL,
    "mevis": Task.SEGMENTATION,
    "charades-sta": Task.TEMPORAL,
    "tvgbench": Task.TEMPORAL,
    "mme-videoocr": Task.QUESTION,
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good videos."""
    folder = tmp_path_factory.mktemp("sample") / "sample"
    generate(folder, SampleConfig(videos=2, broken=False))
    return folder


def entries(sample: Path) -> list[dict[str, Any]]:
    return list(json.loads((sample / "annotations.json").read_text("utf-8")).values())


def samples(benchmark: Benchmark) -> list[Any]:
    return [sample for job in benchmark.jobs for sample in job.samples]


@pytest.mark.parametrize("form", [*FORMATS, "hcstvg-v2"])
def test_every_form_is_read_and_asks_for_its_task(sample: Path, form: str) -> None:
    made = read_in_format(sample, form)
    assert {one.task for one in samples(made)} == {TASKS.get(form, Task.SPATIO_TEMPORAL)}
    assert all(job.source.path.exists() for job in made.jobs)  # type: ignore[union-attr]
    assert len(made.jobs) == 2
    again = read_in_format(sample, form)
    assert [one.content() for one in samples(again)] == [one.content() for one in samples(made)]


@pytest.mark.parametrize("form", ["charades-sta", "tvgbench"])
def test_times_and_sentences_are_those_of_the_sample(sample: Path, form: str) -> None:
    told = {(one.sentence, one.start_s, one.end_s) for one in samples(read_in_format(sample, form))}
    assert told == {(entry["English"], entry["st_time"], entry["ed_time"]) for entry in entries(sample)}


def test_boxes_on_a_grid_are_those_of_the_sample(sample: Path) -> None:
    own = {one.sentence: one for one in samples(read_in_format(sample, "hcstvg-v2"))}
    for one in samples(read_in_format(sample, "st-align-svg")):
        [target], [true] = one.targets, own[one.sentence].targets
        assert (one.start_frame, one.end_frame) == (own[one.sentence].start_frame, own[one.sentence].end_frame)
        assert 2 <= len(target.frames) <= 100
        assert all(target.box_at(frame) == true.box_at(frame) for frame in target.frames.tolist())


def test_masks_are_of_the_target_and_of_all_figures(sample: Path) -> None:
    counts = Counter(len(one.targets) for one in samples(read_in_format(sample, "mevis")))
    assert counts[1] >= 2
    assert max(counts) > 1
    assert all(
        len(target.counts) == len(target.frames) for one in samples(read_in_format(sample, "mevis")) for target in one.targets
    )


def test_questions_have_the_true_sentence_for_answer(sample: Path) -> None:
    own = {name: entry["English"] for name, entry in json.loads((sample / "annotations.json").read_text("utf-8")).items()}
    for job in read_in_format(sample, "mme-videoocr").jobs:
        for one in job.samples:
            right = next(option for option in one.options if option.startswith(one.answer))
            assert right.partition(". ")[2] == own[Path(job.source.video_id).name]
