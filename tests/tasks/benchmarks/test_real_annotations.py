"""The real annotation files, where they are at hand, with the counts known of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tasks.benchmarks.charades import read_charades
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.samples import Task
from tasks.benchmarks.stvg_r1_train import held_out_names
from tasks.benchmarks.tvgbench import read_tvgbench
from tasks.benchmarks.vidstg import read_vidstg


@pytest.fixture(scope="module")
def annotations(shared: Path) -> Path:
    return shared / "data" / "annotations"


def test_vidstg_val(annotations: Path, tmp_path: Path) -> None:
    path = annotations / "vidstg" / "val_annotations.json"
    read = read_vidstg(path, tmp_path)
    samples = [sample for job in read.jobs for sample in job.samples]
    assert (read.records["records"], len(samples), len(read.jobs)) == (3996, 8956, 602)
    assert sum(len(job.clips) for job in read.jobs) == 2048
    assert read.records["records without a question"] == 180
    assert max(len(job.clips) for job in read.jobs) == 44
    raw = json.loads(path.read_text())
    assert Counter(s.group for s in samples)["interrogative"] == sum(len(record["questions"]) for record in raw)
    at_the_end = sum(record["temporal_gt"]["end_fid"] == record["frame_count"] for record in raw)
    assert at_the_end == 744
    assert read.records.get("spans beyond the stated frames", 0) == 0, "the end is exclusive"
    assert len(held_out_names(annotations / "vidstg" / "val_files.json")) == 618


def test_tvgbench(annotations: Path, tmp_path: Path) -> None:
    read = read_tvgbench(annotations / "timer1" / "tvgbench.json", tmp_path)
    assert (read.records["items"], read.records["spans of no length"], read.records["ends beyond the duration"]) == (
        800,
        11,
        27,
    )
    assert {sample.task for job in read.jobs for sample in job.samples} == {Task.TEMPORAL}
    assert len({sample.group for job in read.jobs for sample in job.samples}) == 11


@pytest.mark.parametrize(
    ("name", "videos", "queries", "beyond"), [("charades_test_ood", 1442, 3375, 348), ("novel_word", 580, 695, 109)]
)
def test_charades(annotations: Path, tmp_path: Path, name: str, videos: int, queries: int, beyond: int) -> None:
    read = read_charades(annotations / "charades-sta" / f"{name}.json", tmp_path)
    assert (read.records["videos"], read.records["queries"], read.records["ends beyond the duration"]) == (
        videos,
        queries,
        beyond,
    )


def test_hcstvg_test_queries(annotations: Path, tmp_path: Path) -> None:
    read = read_hcstvg(annotations / "hcstvg" / "query_v2.json", tmp_path)
    assert read.records["records without truth"] == 2931
    assert len(held_out_names(annotations / "hcstvg" / "query_v2.json")) == 2931
