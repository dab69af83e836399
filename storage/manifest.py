"""The manifest: the one file, written last, that publishes a dataset.

Readers locate every row through the manifest. Replacing it publishes a new version atomically; the files of the old version
stay until garbage collection. `content_hash` covers the rows and the outcome of each video, without times and durations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from storage.card import dataset_card
from storage.commit import Bundle, TableFile
from storage.common.errors import InputError
from storage.folders.files import json_digest
from storage.folders.folder import ConflictError, Folder, FolderLike
from storage.folders.open import folder_at, json_bytes
from storage.outcomes import Outcome, count_outcomes
from storage.records import parse_record, with_digest
from storage.schema import OUTCOMES, SCHEMA_VERSION, with_version
from storage.stages import StageStore

MANIFEST = "manifest.json"
CARD = "README.md"


class DatasetError(InputError):
    """A dataset that is missing, damaged, or of an unsupported version."""


@dataclass(frozen=True)
class PublishedStage:
    """One stage in the manifest.

    Attributes:
        key: name of its folder below the dataset.
        version: version of the code of the stage.
        params: parameters that determine its rows.
        shards: table -> table file, for each shard.
        videos: ID of a video with rows -> index of its shard in `shards`.
    """

    key: str
    version: int
    params: dict[str, JsonValue]
    shards: list[dict[str, TableFile]]
    videos: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """A published dataset.

    Attributes:
        dataset: name of the dataset.
        content_hash: hash of rows and outcomes; datasets with equal hashes are equal.
        counts: number of videos by outcome, `status` or `status: reason`.
        records: counts of the benchmark's annotations, by kind of record and reason of omission.
        stages: stage name -> its rows.
        outcomes: file name of the outcomes table.
        tools: versions of the libraries used; not part of the hash.
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
    """Outcome of a planned video: the last stage, its outcome, and the number of sentences about the video."""

    video_id: str
    stage: str
    outcome: Outcome
    samples: int = 0


def manifest_version(where: FolderLike) -> str | None:
    """Version of the published manifest, which `publish` takes to detect conflicts; None without a manifest."""
    return folder_at(where).version(MANIFEST)


def publish(
    where: FolderLike,
    stages: Mapping[str, PublishedStage],
    endings: Sequence[Ending],
    records: Mapping[str, int],
    tools: Mapping[str, str],
    expected_version: str | None = None,
) -> Manifest:
    """Write the outcomes table, then the manifest of a dataset; equal rows give an equal content hash.

    Args:
        where: folder of the dataset, its path or `s3://` URL.
        stages: stage name -> its committed rows.
        endings: outcome of each planned video.
        records: counts of the annotations, by reason.
        tools: versions of the libraries used.
        expected_version: version of the manifest to replace, read before `stages` were listed; None if there was none.

    Raises:
        ConflictError: another build has published a different manifest since then.
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
    manifest = Manifest(
        dataset=folder.name,
        content_hash=content_hash,
        counts=counts,
        records=dict(records),
        stages=dict(stages),
        outcomes=outcomes,
        tools=dict(tools),
    )
    folder.write(CARD, _card(manifest).encode())
    return _swap(folder, manifest, expected_version)


def _published(folder: Folder) -> Manifest | None:
    """The published manifest; None if there is none that can be read."""
    try:
        return load_manifest(folder)
    except DatasetError:
        return None


def _swap(folder: Folder, manifest: Manifest, expected: str | None) -> Manifest:
    """Replace the manifest; an equal one that is published already, by another build or before a lost response, is accepted."""
    try:
        folder.swap(MANIFEST, json_bytes(with_digest(asdict(manifest))), expected)
    except ConflictError:
        published = load_manifest(folder)
        folder.write(CARD, _card(published).encode())
        if published.content_hash != manifest.content_hash:
            raise ConflictError(
                f"another build has published '{folder}' meanwhile: run this one again to continue from there"
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
    """Description of the committed rows of a stage, for the manifest.

    Args:
        store: store of the stage.
        chosen: video ID -> fingerprint of the rows to publish; videos without rows are omitted.
    """
    shards: list[dict[str, TableFile]] = []
    videos: dict[str, int] = {}
    for bundle in store.shards():
        fingerprints = bundle.fingerprints
        ids = [v for v in _with_rows(bundle) if v not in videos and v in chosen and chosen[v] == fingerprints.get(v)]
        if ids:
            videos.update(dict.fromkeys(ids, len(shards)))
            shards.append(bundle.tables)
    spec = store.spec
    return PublishedStage(key=spec.key, version=spec.version, params=dict(spec.params), shards=shards, videos=videos)


def _with_rows(bundle: Bundle) -> list[str]:
    return sorted({video_id for file in bundle.tables.values() for video_id in file.videos})


def load_manifest(where: FolderLike) -> Manifest:
    """Read the manifest of a dataset.

    Raises:
        DatasetError: there is no manifest, it is damaged, or its schema version is not supported.
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
    """Validate a manifest: file names have no folders, and each video is in an existing shard.

    Raises:
        ValueError: the manifest is not valid.
    """
    files = [f.path for s in manifest.stages.values() for shard in s.shards for f in shard.values()]
    names = [manifest.outcomes, *files, *(stage.key for stage in manifest.stages.values())]
    if odd := [name for name in names if PurePosixPath(name).name != name]:
        raise ValueError(f"'{odd[0]}' is not a plain file name")
    for name, stage in manifest.stages.items():
        if not all(0 <= shard < len(stage.shards) for shard in stage.videos.values()):
            raise ValueError(f"a video of stage '{name}' is in a shard that is not named")
    return manifest
