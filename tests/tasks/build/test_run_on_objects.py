"""A whole build into an object store, from videos in one: the same dataset as on disk, whatever it was stopped at."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from storage.folders.cache import RemoteFile, cache_folder, find_remote
from storage.folders.folder import Folder, StoreError
from storage.folders.open import folder_at, write_json
from storage.manifest import Manifest, load_manifest
from storage.reader import Dataset
from tasks.benchmarks.folder import read_folder
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.own import read_own
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, VideoJob
from tasks.build.check import check_videos, states
from tasks.build.estimate import estimate
from tasks.build.parameters import BENCHMARKS
from tasks.build.plan import Build, plan_frames, plan_masks
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig, masks_spec
from tasks.detection.base import DetectorConfig, build_detector
from tasks.preview import write_preview
from tasks.preview.clip import write_object_clip
from tasks.tracking.annotator import AnnotatorWeights
from tasks.video.reader import Source
from tasks.weights import WeightsError, find_weights

pytestmark = pytest.mark.usefixtures("models")


def run(build: Build) -> Manifest:
    masks = run_masks(build, run_here, lambda _progress: None)
    frames = run_frames(build, masks, run_here, lambda _progress: None)
    return publish_build(build, masks, frames, 1.0)


@pytest.fixture
def videos(bucket: str, square_clip: Path) -> str:
    """Two good videos and a bad one below a prefix."""
    folder = folder_at(f"{bucket}/in")
    for name in ("a.mp4", "deep/b.mp4"):
        folder.write(name, square_clip.read_bytes())
    folder.write("bad.mp4", b"no video at all, but long enough")
    folder.write("notes.txt", b"not looked at")
    return str(folder)


def build_of(videos: str, where: Folder) -> Build:
    return Build(where, read_folder(videos), BuildConfig(detector="motion"))


def test_a_build_is_the_same_dataset_on_disk_and_in_a_store(videos: str, bucket: str, tmp_path: Path) -> None:
    here, there = (build_of(videos, folder_at(where).child("set")) for where in (tmp_path, bucket))
    assert run(there).content_hash == run(here).content_hash
    assert load_manifest(f"{bucket}/set").counts == {"done": 2, "quarantined: not_a_video": 1}
    one, other = Dataset(tmp_path / "set"), Dataset(f"{bucket}/set")
    assert other.video_ids() == ["a.mp4", "deep/b.mp4"]
    for table in ("videos", "masks", "clips", "frames", "samples"):
        assert other.table(table).equals(one.table(table))
    assert other.boxes("a.mp4", 7) == one.boxes("a.mp4", 7)
    assert other.source("deep/b.mp4") == find_remote(f"{videos}/deep/b.mp4")
    assert [f.name for f in there.folder.files() if "part-" in f.name or f.name.endswith(".tmp")] == []


def test_videos_on_disk_are_built_into_a_store_with_the_same_rows(square_clip: Path, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(square_clip, tmp_path / "in" / "a.mp4")
    for where in (tmp_path, bucket):
        run(build_of(str(tmp_path / "in"), folder_at(where).child("set")))
    one, other = Dataset(tmp_path / "set"), Dataset(f"{bucket}/set")
    assert other.table("masks").equals(one.table("masks"))
    assert other.table("frames").equals(one.table("frames"))
    assert other.source("a.mp4") == tmp_path / "in" / "a.mp4"


def test_running_again_does_nothing_and_asks_for_no_video(s3: Any, videos: str, bucket: str, models: Any) -> None:
    build = build_of(videos, folder_at(f"{bucket}/set"))
    first = run(build)
    opened = models.opened
    s3.seen.clear()
    again = build_of(videos, build.folder)
    assert run(again).content_hash == first.content_hash
    assert plan_masks(again).counts() == {"done": 2, "quarantined": 1}
    assert models.opened == opened
    assert not [path for method, path in s3.seen if method != "PUT" and path.endswith(".mp4")]


def test_a_changed_object_is_done_again_and_an_equal_one_is_not(videos: str, bucket: str, models: Any) -> None:
    build = build_of(videos, folder_at(f"{bucket}/set"))
    first = run(build)
    data = folder_at(videos).read("a.mp4")
    folder_at(videos).write("a.mp4", data)
    models.opened = 0
    assert run(build_of(videos, build.folder)).content_hash == first.content_hash
    assert models.opened == 0
    folder_at(videos).write("a.mp4", data + bytes(8))
    assert plan_masks(build_of(videos, build.folder)).counts()["stale"] == 1


class Killed(BaseException):
    """What no handler takes for an error."""


@pytest.mark.heavy
def test_a_build_stopped_at_any_request_that_writes_ends_with_the_same_dataset(
    videos: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop before the n-th upload or removal, for every n; resume; compare with an undisturbed build."""
    folder_at(videos).remove(["deep/b.mp4"])
    expected = run(build_of(videos, folder_at(f"{bucket}/whole/set"))).content_hash
    stopped = 0
    for at in itertools.count(1):
        build = build_of(videos, folder_at(f"{bucket}/stopped-{at}/set"))
        with monkeypatch.context() as patch:
            requests = itertools.count(1)
            for name in ("put", "delete"):
                patch.setattr(obstore, name, _stopping(getattr(obstore, name), at, requests))
            try:
                run(build)
            except Killed:
                stopped += 1
            else:
                break
        assert run(build).content_hash == expected, f"stopped at request {at}"
        assert not [f.name for f in build.folder.files() if "part-" in f.name]
    assert stopped >= 20


def _stopping(real: Callable[..., Any], at: int, requests: Iterator[int]) -> Callable[..., Any]:
    def request(*args: Any, **kwargs: Any) -> Any:
        if next(requests) == at:
            raise Killed
        return real(*args, **kwargs)

    return request


def test_a_video_that_cannot_be_fetched_is_a_failure_of_its_own_and_tried_again(
    s3: Any, videos: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = build_of(videos, folder_at(f"{bucket}/set"))
    s3.fault = lambda method, path: "403" if method == "GET" and path.endswith("in/a.mp4") else None
    assert run(build).counts == {"done": 1, "failed: store": 1, "quarantined: not_a_video": 1}
    details = {row["video_id"]: row["detail"] for row in Dataset(build.folder).outcomes.to_pylist()}
    assert details["a.mp4"] == f"{videos}/a.mp4 cannot be used: 403 Forbidden (AccessDenied)"
    s3.fault = lambda _method, _path: None
    again = build_of(videos, build.folder)
    assert plan_masks(again).counts() == {"retry": 1, "done": 1, "quarantined": 1}
    assert run(again).counts["done"] == 2


def test_a_named_video_that_is_not_there_is_missing(videos: str, bucket: str, tmp_path: Path) -> None:
    jobs = [VideoJob(Source(n, RemoteFile(f"{videos}/{n}")), (Clip(n),)) for n in ("none.mp4",)]
    build = Build(folder_at(f"{bucket}/set"), Benchmark(jobs), BuildConfig(detector="motion"))
    assert run(build).counts == {"quarantined: missing": 1}
    (tmp_path / "own.jsonl").write_text(
        '{"video": "deep/b.mp4", "sentence": "x"}\n{"video": "b.mp4", "sentence": "y"}\n', encoding="utf-8"
    )
    read = read_own(tmp_path / "own.jsonl", videos)
    assert read.records["samples of missing videos"] == 1
    assert {job.source.video_id: bool(job.source.path.version) for job in read.jobs} == {"b.mp4": False, "deep/b.mp4": True}


def test_annotations_may_lie_beside_the_videos(videos: str, bucket: str) -> None:
    record = {"bbox": [[1, 2, 3, 4]], "st_time": 0, "ed_time": 1, "st_frame": 1, "English": "It moves.", "img_size": [180, 240]}
    write_json(folder_at(bucket), "val.json", {"b.mp4": record, "none.mp4": record})
    read = BENCHMARKS["hcstvg"](annotations=f"{bucket}/val.json", videos=videos).read()
    assert read.records["videos missing"] == 1
    findings = check_videos(read.jobs, decode=True, on_progress=lambda _: None)
    assert states(findings) == {"there": 1, "missing": 1}
    with pytest.raises(AnnotationError, match=r"there is no annotation file 's3://.*/none\.json'"):
        BENCHMARKS["hcstvg"](annotations=f"{bucket}/none.json", videos=videos).read()
    with pytest.raises(AnnotationError, match=r"there is no folder of videos 's3://.*/nothing'"):
        read_folder(f"{bucket}/nothing")
    for jpegs in (lambda: read_folder(videos, 6.0), lambda: read_mevis(Path("x"), None, videos, 6.0)):
        with pytest.raises(AnnotationError, match="must be a folder on disk"):
            jpegs()


def test_preview_clip_and_estimate_find_their_videos(videos: str, bucket: str, tmp_path: Path) -> None:
    build = build_of(videos, folder_at(f"{bucket}/set"))
    masks = plan_masks(build)
    assert estimate(build, masks, plan_frames(build, masks)).seconds > 0
    run(build)
    data = Dataset(build.folder)
    assert write_preview(data) == f"{bucket}/set/preview.html"
    assert build.folder.read("preview.html").startswith(b"<!")
    assert write_object_clip(data, "a.mp4", tmp_path / "a.mp4").stat().st_size > 1000
    folder_at(videos).remove(["a.mp4"])
    write_preview(data)


def test_a_form_takes_urls(videos: str, bucket: str) -> None:
    build = BENCHMARKS["folder"](root=bucket, name="mine", videos=videos, detector="motion").build()
    assert str(build.folder) == f"{bucket}/mine"
    paths = [str(job.source.path) for job in build.benchmark.jobs]
    assert paths == [f"{videos}/{name}" for name in ("a.mp4", "bad.mp4", "deep/b.mp4")]


def test_weights_come_by_url_and_sha256_where_a_model_is_built(bucket: str) -> None:
    script = b'{"a.mp4": {"0": [[0, 0, 5, 5, "person", 0.9]]}}'
    folder_at(bucket).write("script.json", script)
    sha256 = hashlib.sha256(script).hexdigest()
    weights = find_weights(f"{bucket}/script.json#sha256={sha256.upper()}")
    config = BuildConfig(detector="scripted")
    (cache_folder().parent / "same.json").write_bytes(script)
    local = find_weights(str(cache_folder().parent / "same.json"))
    assert masks_spec(config, AnnotatorWeights(weights)).key == masks_spec(config, AnnotatorWeights(local)).key
    assert not (cache_folder() / "files").exists(), "nothing is fetched where no model is built"
    build_detector(config.detector, weights)
    assert [path.read_bytes() for path in (cache_folder() / "files").iterdir()] == [script]
    wrong = find_weights(f"{bucket}/script.json#sha256={'0' * 64}")
    with pytest.raises(StoreError, match=f"has sha256 {sha256}, not 0000"):
        build_detector(DetectorConfig(name="scripted"), wrong)
    with pytest.raises(WeightsError, match=r"there are no weights at 's3://.*/none\.pt'"):
        build_detector(DetectorConfig(name="scripted"), find_weights(f"{bucket}/none.pt#sha256={'0' * 64}"))
    for name in ("s3://bucket/x.pt", "s3://bucket/x.pt#sha256=12", f"https://host/x.pt#sha256={sha256}"):
        with pytest.raises(WeightsError, match=r"has no sha256: name weights by URL as s3://"):
            find_weights(name)
