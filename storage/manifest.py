"""The manifest: one file, written last, that alone makes a dataset visible.

Readers find every row through it and nothing else. Replacing it publishes a new version at once; the files of the old
one stay until they are collected. `content_hash` covers the rows and how each video ended, not when or how fast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from storage.card import dataset_card
from storage.commit import Bundle, TableFile
from storage.common.errors import InputError
from storage.folders.files import json_digest
from storage.folders.folder import ConflictError, Folder, Where
from storage.folders.open import folder_at, json_bytes
from storage.outcomes import Outcome, count_outcomes
from storage.records import parse_record, with_digest
from storage.schema import OUTCOMES, SCHEMA_VERSION, with_version
from storage.stages import StageStore

MANIFEST = "manifest.json"
CARD = "README.md"


class DatasetError(InputError):
    """A dataset that is not there, is damaged, or is of a version this code does not read."""


@dataclass(frozen=True)
class PublishedStage:
    """One stage in the manifest.

    Attributes:
        key: its folder below the dataset.
        version: of its code.
        params: what shaped its rows.
        shards: table files of each shard, by table.
        videos: video with rows -> index of its shard in `shards`.
    """

    key: str
    version: int
    params: dict[str, Any]
    shards: list[dict[str, TableFile]]
    videos: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """A published dataset.

    Attributes:
        dataset: its name.
        content_hash: of rows and endings; equal hashes mean equal datasets.
        counts: outcomes counted by status and reason.
        records: what the benchmark's annotations held and what was left out, counted by reason.
        stages: stage name -> where its rows are.
        outcomes: file name of the outcomes table.
        tools: versions of the libraries that made it; not part of the hash.
    """

    dataset: str
    content_hash: str
    counts: dict[str, int]
    records: dict[str, int]
    stages: dict[str, PublishedStage]
    outcomes: str
    tools: dict[str, str]
    schema_version: int = SCHEMA_VERSION


class Ending(NamedTuple):
    """How a planned video ended: in which stage, how, and how many sentences went with it."""

    video_id: str
    stage: str
    outcome: Outcome
    samples: int = 0


def manifest_version(where: Where) -> str | None:
    """The version of the manifest that is published now, to be replaced by `publish`; None without one."""
    return folder_at(where).version(MANIFEST)


def publish(
    where: Where,
    stages: Mapping[str, PublishedStage],
    endings: Sequence[Ending],
    records: Mapping[str, int],
    tools: Mapping[str, str],
    expected_version: str | None = None,
) -> Manifest:
    """Write the outcomes table, then the manifest of a dataset, last. The same rows give the same hash.

    Args:
        where: the dataset's folder.
        stages: stage name -> its committed rows.
        endings: how each planned video ended.
        records: what the annotations held, counted by reason.
        tools: versions of the libraries that made it.
        expected_version: version of the manifest to replace, from before `stages` were listed; None if there was none.

    Raises:
        ConflictError: another build has published something else since then.
    """
    folder = folder_at(where)
    folder.sweep()
    ordered = sorted(endings, key=lambda ending: ending[:2])
    outcome_key = [[e.video_id, e.stage, e.outcome.status, e.outcome.reason, e.samples] for e in ordered]
    content_hash = json_digest(
        [{name: asdict(stage) for name, stage in stages.items()}, outcome_key, dict(records), SCHEMA_VERSION]
    )
    if (published := _published(folder)) is not None and published.content_hash == content_hash:
        return published
    outcomes = f"outcomes-{content_hash[:8]}.parquet"
    with folder.writing(outcomes) as temporary:
        pq.write_table(_outcome_rows(ordered), temporary, compression="zstd", write_page_checksum=True)
    counts = count_outcomes(ending.outcome for ending in ordered)
    manifest = Manifest(folder.name, content_hash, counts, dict(records), dict(stages), outcomes, dict(tools))
    folder.write(CARD, _card(manifest).encode())
    return _swap(folder, manifest, expected_version)


def _published(folder: Folder) -> Manifest | None:
    """What is published now; None if that is nothing that can be read."""
    try:
        return load_manifest(folder)
    except DatasetError:
        return None


def _swap(folder: Folder, manifest: Manifest, expected: str | None) -> Manifest:
    """Publish, or find that an equal manifest stands there already: another build's, or this one's after a lost answer."""
    try:
        folder.swap(MANIFEST, json_bytes(with_digest(asdict(manifest))), expected)
    except ConflictError:
        published = load_manifest(folder)
        folder.write(CARD, _card(published).encode())
        if published.content_hash != manifest.content_hash:
            raise ConflictError(
                f"another build has published '{folder}' meanwhile: run this one again to go on from there"
            ) from None
        return published
    return manifest


def _card(manifest: Manifest) -> str:
    files = [(table, f.rows) for stage in manifest.stages.values() for shard in stage.shards for table, f in shard.items()]
    rows = {table: sum(n for t, n in files if t == table) for table, _ in files}
    return dataset_card(
        manifest.dataset, manifest.counts, rows, {name: stage.params for name, stage in manifest.stages.items()}
    )


def _outcome_rows(endings: Sequence[Ending]) -> pa.Table:
    rows = [{"video_id": e.video_id, "stage": e.stage, "samples": e.samples, **asdict(e.outcome)} for e in endings]
    return pa.Table.from_pylist(rows, schema=with_version(OUTCOMES))


def published_stage(store: StageStore, chosen: Mapping[str, str]) -> PublishedStage:
    """Describe a stage's committed rows.

    Args:
        store: the stage.
        chosen: video -> the fingerprint whose rows count; one without rows, done or not, is left out.
    """
    shards: list[dict[str, TableFile]] = []
    videos: dict[str, int] = {}
    for bundle in store.shards():
        known = bundle.fingerprints
        mine = [v for v in _with_rows(bundle) if v not in videos and v in chosen and chosen[v] == known.get(v)]
        if mine:
            videos.update(dict.fromkeys(mine, len(shards)))
            shards.append(bundle.tables)
    spec = store.spec
    return PublishedStage(spec.key, spec.version, dict(spec.params), shards, videos)


def _with_rows(bundle: Bundle) -> list[str]:
    return sorted({video_id for file in bundle.tables.values() for video_id in file.videos})


def load_manifest(where: Where) -> Manifest:
    """Read the manifest of a dataset.

    Raises:
        DatasetError: there is none, it is damaged, or its schema version is not read here.
    """
    folder = folder_at(where)
    path = f"{folder}/{MANIFEST}"
    try:
        data = folder.read(MANIFEST)
        version = json.loads(data)["schema_version"]
        if version != SCHEMA_VERSION:
            raise DatasetError(f"{path} has schema version {version}; this code reads version {SCHEMA_VERSION}: build it again")
        return _checked(parse_record(Manifest, data))
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"{folder} holds no published dataset (no {MANIFEST}): build it first") from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DatasetError(f"{path} is damaged ({error!r}): build the dataset again to publish it anew") from error


def _checked(manifest: Manifest) -> Manifest:
    """Make sure that what a manifest names can be there: plain file names, a shard of each video.

    Raises:
        ValueError: it cannot.
    """
    files = [f.path for s in manifest.stages.values() for shard in s.shards for f in shard.values()]
    names = [manifest.outcomes, *files, *(stage.key for stage in manifest.stages.values())]
    if odd := [name for name in names if PurePosixPath(name).name != name]:
        raise ValueError(f"'{odd[0]}' is no plain file name")
    for name, stage in manifest.stages.items():
        if not all(0 <= shard < len(stage.shards) for shard in stage.videos.values()):
            raise ValueError(f"a video of stage '{name}' is in a shard that is not named")
    return manifest
