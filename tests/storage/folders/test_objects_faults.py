"""What a store and a network do to a dataset that is written and read: nothing that can be seen."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from storage.commit import BundleEntry, read_rows
from storage.common.prefetch import ordered_map
from storage.folders.folder import ConflictError, StoreError
from storage.folders.open import folder_at
from storage.manifest import MANIFEST, DatasetError, Ending, load_manifest, manifest_version, publish, published_stage
from storage.outcomes import Outcome
from storage.reader import Dataset
from storage.schema import CLIPS
from storage.stages import StageSpec, StageStore

SPEC = StageSpec("frames", 1, {}, ("clips",))


def clip_rows(video_id: str) -> pa.Table:
    return pa.Table.from_pylist([{"clip_id": video_id, "video_id": video_id, "start_s": 1.0}], schema=CLIPS)


def published(where: str, videos: str, *, expected_version: str | None = None) -> str:
    """Write, commit and publish a dataset of these videos; its content hash."""
    store = StageStore(where, SPEC)
    store.prepare()
    for video_id in videos:
        store.write_part(BundleEntry(video_id, "f", Outcome("done")), {"clips": clip_rows(video_id)})
    store.sweep()
    store.commit(list(videos))
    stage = published_stage(store, dict.fromkeys(videos, "f"))
    return publish(
        where, {"frames": stage}, [Ending(v, "frames", Outcome("done")) for v in videos], {}, {}, expected_version
    ).content_hash


def every(number: int, kinds: str) -> Callable[[str, str], str | None]:
    """Each `number`-th request goes wrong, in one way after the other."""
    counter, ways = itertools.count(1), itertools.cycle(kinds.split())
    return lambda _method, _path: next(ways) if next(counter) % number == 0 else None


def once(kind: str, method: str, suffix: str) -> Callable[[str, str], str | None]:
    """The first such request goes wrong."""
    left = [kind]
    return lambda m, path: left.pop() if m == method and path.partition("?")[0].endswith(suffix) and left else None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tries, so that what never gets better is told soon."""
    from obstore.store import S3Store

    from storage.folders import bucket

    def store(name: str, _endpoint: str) -> S3Store:
        short = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2), "base": 2}
        return S3Store(name, client_options={"allow_http": True}, retry_config={"max_retries": 2, "backoff": short})  # type: ignore[arg-type, typeddict-item]

    monkeypatch.setattr(bucket, "_store", store)


@pytest.mark.parametrize("kinds", ["500", "503", "cut", "half", "slow", "500 cut 503 half"])
def test_errors_that_pass_leave_no_trace(s3: Any, bucket: str, kinds: str) -> None:
    expected = published(f"{bucket}/quiet/set", "abc")
    s3.fault = every(3, kinds)
    assert published(f"{bucket}/loud/set", "abc") == expected
    data = Dataset(f"{bucket}/loud/set")
    assert data.video_ids("clips") == ["a", "b", "c"]
    assert data.table("clips").column("clip_id").to_pylist() == ["a", "b", "c"]
    s3.fault = lambda _method, _path: None
    kept = {f.name for f in folder_at(f"{bucket}/loud").files()}
    assert kept == {f.name for f in folder_at(f"{bucket}/quiet").files()}


@pytest.mark.parametrize("kind", ["500", "503", "cut", "half", "lost"])
def test_each_kind_of_request_is_made_again(s3: Any, bucket: str, kind: str) -> None:
    folder = folder_at(bucket)
    folder.write("a", b"1")
    requests = [
        lambda: folder.read("a"),
        lambda: folder.names("*"),
        lambda: list(folder.files()),
        lambda: folder.version("a"),
        lambda: folder.write("a", b"2"),
        lambda: folder.remove(["a", "b"]),
    ]
    for request in requests:
        s3.seen.clear()
        s3.fault = lambda method, _path: kind if len(s3.seen) == 1 and (method, kind) != ("HEAD", "half") else None
        request()
    assert folder.names("*") == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("size", [100, 12_000_000])
def test_an_upload_that_is_always_cut_is_an_error_and_no_object(s3: Any, bucket: str, size: int) -> None:
    folder = folder_at(bucket)
    folder.write("shard.parquet", b"old")
    s3.fault = lambda method, _path: "cut" if method == "PUT" else None
    with pytest.raises(StoreError, match=r"shard\.parquet cannot be used"), folder.writing("shard.parquet") as path:
        path.write_bytes(b"x" * size)
    s3.fault = lambda _method, _path: None
    assert folder.read("shard.parquet") == b"old"


def test_a_writer_killed_in_the_middle_of_a_large_upload_leaves_no_object(s3: Any, bucket: str) -> None:
    script = f"""
from storage.folders.open import folder_at
with folder_at({bucket!r}).writing("shard.parquet") as path:
    path.write_bytes(bytes(40_000_000))
"""
    parts, started = itertools.count(1), threading.Event()

    def kill(method: str, path: str) -> str | None:
        if "partNumber" in path and next(parts) == 2:
            started.wait()
            os.kill(child.pid, signal.SIGKILL)
        return None

    s3.fault = kill
    child = subprocess.Popen([sys.executable, "-c", script])
    started.set()
    assert child.wait() == -signal.SIGKILL
    assert any("partNumber" in path for _, path in s3.seen)
    assert list(folder_at(bucket).files()) == []


@pytest.mark.parametrize("suffix", ["manifest.json", ".json", ".parquet"])
def test_an_answer_that_is_lost_is_no_second_write(s3: Any, bucket: str, suffix: str) -> None:
    expected = published(f"{bucket}/quiet/set", "ab")
    s3.fault = once("lost", "PUT", suffix)
    assert published(f"{bucket}/loud/set", "ab") == expected
    assert load_manifest(f"{bucket}/loud/set").content_hash == expected


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_committers_with_other_rows_one_wins_and_the_other_is_told(bucket: str, first: int) -> None:
    where = f"{bucket}/set"
    seen, videos = manifest_version(where), ("ab", "cd")
    hashes = [published(where, videos[first], expected_version=seen)]
    with pytest.raises(ConflictError, match=r"another build has published 's3://.*/set' meanwhile: run this one again"):
        published(where, videos[1 - first], expected_version=seen)
    assert [load_manifest(where).content_hash] == hashes
    assert Dataset(where).video_ids("clips") == list(videos[first])
    assert b"| done | 2 |" in folder_at(where).read("README.md")


@pytest.mark.parametrize("rival", ["ab", "abc"])
def test_of_two_committers_at_the_same_time_both_end_well_only_with_equal_rows(s3: Any, bucket: str, rival: str) -> None:
    """The first to ask for the manifest waits until the second does: their conditional writes are under way together."""
    where, together = f"{bucket}/set", threading.Barrier(2, timeout=30)
    for videos in {"ab", rival}:
        store = StageStore(where, SPEC)
        for video_id in videos:
            store.write_part(BundleEntry(video_id, "f", Outcome("done")), {"clips": clip_rows(video_id)})
        store.commit(list(videos))

    def meet(method: str, path: str) -> str | None:
        if method == "PUT" and path.endswith(MANIFEST) and not together.broken:
            together.wait()
        return None

    s3.fault = meet

    def commit(videos: str) -> Any:
        stage = published_stage(StageStore(where, SPEC), dict.fromkeys(videos, "f"))
        endings = [Ending(v, "frames", Outcome("done")) for v in videos]
        try:
            return publish(where, {"frames": stage}, endings, {}, {}).content_hash
        except ConflictError as error:
            return error

    results = list(ordered_map(commit, ["ab", rival], 2))
    hashes = [result for result in results if isinstance(result, str)]
    assert load_manifest(where).content_hash in hashes
    assert len(hashes) == (2 if rival == "ab" else 1)


def test_a_reader_sees_one_manifest_or_the_other_and_never_half_of_one(bucket: str) -> None:
    where = f"{bucket}/set"
    with pytest.raises(DatasetError, match="holds no published dataset"):
        load_manifest(where)
    published(where, "ab")
    hashes, stop = set(), threading.Event()

    def republish() -> None:
        for videos in itertools.cycle(["a", "ab"]):
            if stop.is_set():
                return
            stage = published_stage(StageStore(where, SPEC), dict.fromkeys(videos, "f"))
            endings = [Ending(v, "frames", Outcome("done")) for v in videos]
            hashes.add(publish(where, {"frames": stage}, endings, {}, {}, manifest_version(where)).content_hash)

    thread = threading.Thread(target=republish)
    thread.start()
    try:
        read = {load_manifest(where).content_hash for _ in range(60)}
    finally:
        stop.set()
        thread.join()
    assert read <= hashes
    assert len(read) == len(hashes) == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("ask", "fault", "said"),
    [
        (
            lambda url: Dataset(f"{url}/set"),
            "403",
            r"/set/manifest\.json cannot be used: 403 Forbidden \(AccessDenied\)",
        ),
        (lambda url: Dataset(f"{url}/set"), "500", r"cannot be used: 500 Internal Server Error \(InternalError\)"),
        (lambda url: folder_at(url).write("a", b"1"), "cut", r"cannot be used: "),
        (lambda url: folder_at(f"{url}-not").write("a", b"1"), None, r"cannot be used: there is no such bucket"),
        (lambda url: folder_at(f"{url}-not").names("*"), None, r"cannot be used: 404 Not Found \(NoSuchBucket\)"),
    ],
)
def test_what_does_not_pass_is_one_sentence_without_a_secret(
    s3: Any, bucket: str, ask: Callable[[str], object], fault: str | None, said: str
) -> None:
    s3.fault = lambda _method, _path: fault
    with pytest.raises(StoreError, match=said) as error:
        ask(bucket)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed(bucket: str) -> None:
    store = StageStore(bucket, SPEC)
    store.write_part(BundleEntry("a", "f", Outcome("done")), {"clips": clip_rows("a")})
    shard = store.commit(["a"])
    name = shard.tables["clips"].path
    big = pa.table({"n": list(range(400_000))})
    for table in (big, big.slice(1)):
        with store.folder.writing("big.parquet") as path:
            pa.parquet.write_table(table, path, compression="none", use_dictionary=False, row_group_size=100_000)
        if table is big:
            opened = store.folder.parquet("big.parquet")
    with pytest.raises(StoreError, match=r"big\.parquet has changed since it was first read"):
        opened.read_row_group(0)
    assert [video for video, _ in read_rows(store.folder, shard, "clips")] == ["a"], name


def test_many_parts_are_asked_for_at_once_and_each_with_one_request(s3: Any, bucket: str) -> None:
    store = StageStore(bucket, SPEC)
    videos = [f"v{n:02d}" for n in range(24)]
    for video_id in videos:
        store.write_part(BundleEntry(video_id, "f", Outcome("done")), {"clips": clip_rows(video_id)})
    s3.seen.clear()
    s3.fault, s3.most_at_once = lambda _method, _path: "slow", 0
    assert sorted(store.parts()) == videos
    assert s3.most_at_once > 8
    s3.seen.clear()
    store.commit(videos)
    tables = [path for method, path in s3.seen if method == "GET" and path.endswith(".parquet")]
    assert len(tables) == len(set(tables)) == 24
    assert store.parts() == {}
