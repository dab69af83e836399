from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from storage.commit import BundleEntry
from storage.manifest import DatasetError, Ending, load_manifest, manifest_version, publish, published_stage
from storage.outcomes import Outcome
from storage.reader import Dataset
from storage.schema import MASKS, SCHEMA_VERSION, TABLES, VIDEOS
from storage.stages import StageSpec, StageStore

SNAPSHOT = Path(__file__).parent / "schemas.txt"


def mask_rows(video_id: str, frames: int) -> pa.Table:
    rows = [
        {"video_id": video_id, "frame_index": f, "object_id": i, "category": "person", "x1": f, "y1": 0, "x2": f + 2, "y2": 3}
        | {"area": 6, "anchor_x": f + 1, "anchor_y": 1, "rle_counts": b"x"}
        for f in range(frames)
        for i in (1, 2)
    ]
    return pa.Table.from_pylist(rows, schema=MASKS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published dataset: `a` and `b` done, `bad` quarantined with two sentences."""
    store = StageStore(tmp_path / "set", StageSpec("masks", 1, {}, ("videos", "masks")))
    store.prepare()
    for video_id in ("a", "b"):
        video = pa.Table.from_pylist([{"video_id": video_id, "width": 64, "height": 48, "path": "../x"}], schema=VIDEOS)
        store.write_part(BundleEntry(video_id, video_id, Outcome("done")), {"videos": video, "masks": mask_rows(video_id, 4)})
    store.write_part(BundleEntry("bad", "bad", Outcome("quarantined", "truncated")), {})
    store.commit(["a", "b", "bad"])
    endings = [Ending(v, "masks", Outcome("done")) for v in "ab"]
    endings.append(Ending("bad", "masks", Outcome("quarantined", "truncated"), 2))
    publish(tmp_path / "set", {"masks": published_stage(store, {v: v for v in ("a", "b", "bad")})}, endings, {}, {"x": "1"})
    return tmp_path / "set"


def test_a_reader_finds_rows_by_video_frame_and_object(folder: Path) -> None:
    data = Dataset(folder)
    assert data.video_ids() == ["a", "b"]
    assert data.boxes("b", 3) == {1: (3, 0, 5, 3), 2: (3, 0, 5, 3)}
    assert data.boxes("b", 4) == {}
    assert list(data.tube("a", 2)) == [(f, (f, 0, f + 2, 3)) for f in range(4)]
    assert [i.anchor for i in data.instances("a", 0)] == [(1, 1), (1, 1)]
    assert data.source("a") == folder / "../x"
    assert data.table("masks", ["video_id"]).num_rows == 16
    with pytest.raises(DatasetError, match="'set' holds no finished video 'bad'"):
        data.boxes("bad", 0)


def test_what_was_lost_is_told_with_its_reason_and_sentences(folder: Path) -> None:
    rows = {row["video_id"]: row for row in Dataset(folder).outcomes.to_pylist()}
    assert (rows["bad"]["status"], rows["bad"]["reason"], rows["bad"]["samples"]) == ("quarantined", "truncated", 2)
    assert load_manifest(folder).counts == {"done": 2, "quarantined: truncated": 1}


def test_the_hash_covers_endings_but_not_tools_times_or_attempts(folder: Path, tmp_path: Path) -> None:
    manifest = load_manifest(folder)

    def again(tools: dict[str, str], outcome: Outcome) -> str:
        return publish(
            tmp_path / "set", manifest.stages, [Ending("a", "masks", outcome)], {}, tools, manifest_version(folder)
        ).content_hash

    first = again({}, Outcome("done"))
    assert again({"y": "2"}, Outcome("done", attempts=3, seconds=9.0)) == first
    assert again({}, Outcome("filtered", "no_objects")) != first


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda _: "[]", "is damaged"),
        (lambda text: text.replace('"counts"', '"count"'), "is damaged"),
        (lambda text: text.replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'), "schema version 99"),
        (
            lambda text: text.replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 2'),
            "schema version 2; .* build it",
        ),
        (lambda text: text.replace("shard-", "../shard-"), "is damaged"),
    ],
)
def test_a_damaged_or_foreign_manifest_is_refused_in_one_sentence(folder: Path, damage: object, said: str) -> None:
    path = folder / "manifest.json"
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with pytest.raises(DatasetError, match=said) as error:
        Dataset(folder)
    assert "\n" not in str(error.value)


def test_a_dataset_without_a_finished_video_can_be_read(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "set", StageSpec("masks", 1, {}, ("videos", "masks")))
    store.prepare()
    publish(tmp_path / "set", {"masks": published_stage(store, {})}, [], {}, {})
    assert Dataset(tmp_path / "set").table("videos").num_rows == 0
    assert Dataset(tmp_path / "set").video_ids() == []


def test_the_manifest_names_every_file_with_its_hash(folder: Path) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    for shard in value["stages"]["masks"]["shards"]:
        for file in shard.values():
            assert (folder / value["stages"]["masks"]["key"] / file["path"]).stat().st_size == file["bytes"]
            assert len(file["sha256"]) == 64


def test_the_schemas_are_as_they_were() -> None:
    """The Parquet schemas are a public surface: raise SCHEMA_VERSION with a change, and renew the snapshot."""
    text = f"version {SCHEMA_VERSION}\n" + "".join(f"\n{name}\n{schema}\n" for name, schema in TABLES.items())
    assert SNAPSHOT.read_text() == text, f"if wanted, write:\n{text}"
