"""The manifest: one file, written last, that alone makes a dataset visible.

Readers find every row through it and nothing else. Replacing it publishes a new version at once; the files of the old
one stay until they are collected. `content_hash` covers the rows and how each video ended, not when or how fast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.bundles import Bundle, TableFile
from storage.files import digest, replacing, write_json
from storage.outcomes import Outcome, tally
from storage.schema import OUTCOMES, SCHEMA_VERSION, versioned
from storage.stages import Spec, StageStore

MANIFEST = "manifest.json"


class DatasetError(Exception):
    """A dataset that is not there, is damaged, or is of a version this code does not read."""


@dataclass(frozen=True)
class PublishedStage:
    """One stage in the manifest.

    Attributes:
        key: its folder below the dataset.
        version: of its code.
        params: what shaped its rows.
        shards: table files of each shard, by table.
        videos: done video -> index of its shard in `shards`.
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


Ending = tuple[str, str, Outcome]
"""A video, the stage that ended it, and how."""


def publish(
    folder: Path,
    stages: Mapping[str, PublishedStage],
    endings: Sequence[Ending],
    records: Mapping[str, int],
    tools: Mapping[str, str],
) -> Manifest:
    """Write the outcomes table, then the manifest of the dataset in `folder`. The same rows give the same hash."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    ordered = sorted(endings, key=lambda ending: ending[:2])
    told = [[video_id, stage, outcome.status, outcome.reason] for video_id, stage, outcome in ordered]
    content_hash = digest([{name: asdict(stage) for name, stage in stages.items()}, told, dict(records), SCHEMA_VERSION])
    outcomes = f"outcomes-{content_hash[:8]}.parquet"
    with replacing(folder / outcomes) as temporary:
        pq.write_table(_outcome_rows(ordered), temporary, compression="zstd")
    counts = tally(outcome for _, _, outcome in ordered)
    manifest = Manifest(folder.name, content_hash, counts, dict(records), dict(stages), outcomes, dict(tools))
    write_json(folder / MANIFEST, asdict(manifest))
    return manifest


def _outcome_rows(endings: Sequence[Ending]) -> pa.Table:
    rows = [{"video_id": video_id, "stage": stage, **asdict(outcome)} for video_id, stage, outcome in endings]
    return pa.Table.from_pylist(rows, schema=versioned(OUTCOMES))


def published_stage(store: StageStore, chosen: Mapping[str, str]) -> PublishedStage:
    """Describe a stage's committed rows.

    Args:
        store: the stage.
        chosen: done video -> the fingerprint whose rows count.
    """
    shards: list[dict[str, TableFile]] = []
    videos: dict[str, int] = {}
    for bundle in store.shards():
        mine = [v for v in _done(bundle) if v[0] in chosen and chosen[v[0]] == v[1] and v[0] not in videos]
        if mine:
            videos.update({video_id: len(shards) for video_id, _ in mine})
            shards.append(bundle.tables)
    spec: Spec = store.spec
    return PublishedStage(spec.key, spec.version, dict(spec.params), shards, videos)


def _done(bundle: Bundle) -> list[tuple[str, str]]:
    return [(entry.video_id, entry.fingerprint) for entry in bundle.entries if entry.outcome.status == "done"]


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of the dataset in `folder`.

    Raises:
        DatasetError: there is none, it is damaged, or its schema version is not read here.
    """
    path = folder / MANIFEST
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        version = value["schema_version"]
        if version != SCHEMA_VERSION:
            raise DatasetError(f"{path} has schema version {version}; this code reads version {SCHEMA_VERSION}: build it again")
        value["stages"] = {name: _stage_from(stage) for name, stage in value["stages"].items()}
        return Manifest(**value)
    except FileNotFoundError:
        raise DatasetError(f"{folder} holds no published dataset (no {MANIFEST}): build it first") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is damaged ({error!r}): build the dataset again to publish it anew") from error


def _stage_from(value: dict[str, Any]) -> PublishedStage:
    shards = [{table: TableFile(**file) for table, file in shard.items()} for shard in value["shards"]]
    return PublishedStage(**{**value, "shards": shards})
