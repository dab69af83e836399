from __future__ import annotations

from pathlib import Path

import pytest

from infra.ray.build import BuiltDataset, throttled
from infra.ray.build_job import build_job, print_build_event, read_event
from infra.ray.client import code_sent
from infra.ray.session import ClusterError, _same_versions
from storage.common.config import changed
from storage.progress import Progress
from tasks.build.parameters import BENCHMARKS, BuildParameters


def test_what_a_job_tells_is_read_back_and_other_lines_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    events = [Progress("masks", 3, 8, 1), BuiltDataset("/data/d", "abc", {"done": 7, "failed: x": 1}, "/data/d/preview.html")]
    for event in events:
        print_build_event(event)
    lines = capsys.readouterr().out.splitlines()
    assert [read_event(line) for line in lines] == events
    for line in (
        "",
        "error: no",
        "{",
        '{"progress": 3}',
        '{"progress": {"stage": "masks"}}',
        '{"other": {}}',
        '{"a": 1, "b": 2}',
        "[1]",
    ):
        assert read_event(line) is None


def test_progress_is_passed_on_seldom_but_never_without_its_end() -> None:
    seen: list[Progress] = []
    report = throttled(seen.append, interval_s=3600)
    for stage in ("masks", "frames"):
        for ended in range(1, 101):
            report(Progress(stage, ended, 100, 0))
    assert [(p.stage, p.completed) for p in seen] == [("masks", 1), ("masks", 100), ("frames", 100)]


def stem_of(build: BuildParameters) -> str:
    return build_job(build).stem


def test_a_jobs_id_is_made_of_what_the_build_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    build = BENCHMARKS["folder"](videos="videos", name="mine", ray="http://a:1")
    start = stem_of(build)
    assert start.startswith("stvg-mine-")
    assert stem_of(BENCHMARKS["folder"].model_validate_json(build.model_dump_json())) == start, "2 and 2.0 are one number"
    assert stem_of(build.model_copy(update={"ray": "http://b:2", "hours": 3})) == start, "where and how long is no part of it"
    assert stem_of(build.located()) == start, "nor the folder it was started from"
    assert stem_of(changed(build, {"markers.theta": 0.5})) != start
    monkeypatch.setattr("infra.ray.build_job.code_version", lambda: "other code")
    assert stem_of(build) != start


def test_only_a_cluster_needs_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    placed = BENCHMARKS["folder"](videos="videos", root="s3://bucket/sets", detector={"weights": "yolo12x.pt"}).located()
    assert (placed.videos, placed.root, placed.detector.weights) == (str(tmp_path / "videos"), "s3://bucket/sets", "yolo12x.pt")


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", "http://", "auto "])
def test_an_address_of_no_known_kind_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="ray"):
        BENCHMARKS["folder"](videos="videos", ray=address)


def test_rays_own_words_on_versions_become_one_sentence() -> None:
    said = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
        "This process on 10.0.0.1 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    with pytest.raises(
        ClusterError, match=r"^the cluster runs Python 3\.12\.1, and this machine 3\.11\.7: install the same on both$"
    ):
        _same_versions(said)
    _same_versions("something else")


def test_the_code_is_the_images_unless_it_is_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_sent() == {}
    monkeypatch.setenv("STVG_CODE", "upload")
    sent = [Path(folder) for folder in code_sent()["py_modules"]]
    assert [folder.name for folder in sent] == ["infra", "rl", "tasks", "storage"]
    assert all((folder / "__init__.py").is_file() for folder in sent)
