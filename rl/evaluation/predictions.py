"""Stored predictions of an evaluation: one typed row a sample, in the folder that is named by all that shapes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rl.evaluation.batches import Batch, BatchResult
from rl.evaluation.requests import ParsedResponse
from rl.evaluation.samples import EvalSample
from storage.commit import BundleEntry, read_rows
from storage.folders.open import folder_at
from storage.outcomes import Outcome
from storage.schema import PREDICTIONS
from storage.stages import SHARD_VIDEOS, STAGE, StageSpec, StageStore
from tasks.benchmarks.samples import Task
from tasks.masks.instances import Box
from tasks.metrics.predictions import Prediction

TABLE = "predictions"


@dataclass(frozen=True)
class StoredPrediction:
    """A row of the predictions table.

    Attributes:
        sample_id, video_id, task: of the sample.
        object_ids: object IDs of the answer, in its order.
        span_s: time range of the answer, seconds of the clip, half-open; None without one.
        answer: to a question, or the descriptions of a clip as text; None without one.
        boxes: native frame -> box, pixels, half-open.
        captions: object ID -> its description.
        ids_status, span_status: status of parsing each; empty where it was not requested.
        formatted: whether thought and answer are in their tags.
        thought: of the model.
        texts, finishes: text and end of each response, in the order of the requests.
        prompt_tokens, tokens: of all requests and of all responses.
        seconds: of all responses, each the time of its batch.
        failure: reason why there is no response; empty if there is.
        identity: key of the store.
    """

    sample_id: str
    video_id: str
    task: Task
    object_ids: tuple[int, ...]
    span_s: tuple[float, float] | None
    answer: str | None
    boxes: Mapping[int, Box]
    captions: Mapping[int, str]
    ids_status: str
    span_status: str
    formatted: bool
    thought: str
    texts: tuple[str, ...]
    finishes: tuple[str, ...]
    prompt_tokens: int
    tokens: int
    seconds: float
    failure: str
    identity: str

    @property
    def prediction(self) -> Prediction:
        """The part of it that is scored; an unreadable answer is not the answer that an expression means no object."""
        unread = self.failure or (f"object IDs: {self.ids_status}" if self.ids_status in {"missing", "unreadable"} else "")
        invalid = unread if self.task is Task.SEGMENTATION else ""
        return Prediction(
            object_ids=self.object_ids, span_s=self.span_s, answer=self.answer, boxes=self.boxes or None, invalid=invalid
        )

    def row(self) -> dict[str, Any]:
        """The row of the table."""
        start_s, end_s = self.span_s or (None, None)
        return {
            "sample_id": self.sample_id,
            "video_id": self.video_id,
            "task": self.task.value,
            "object_ids": list(self.object_ids),
            "start_s": start_s,
            "end_s": end_s,
            "answer": self.answer,
            "boxes": [{"frame": frame, "box": list(box)} for frame, box in sorted(self.boxes.items())],
            "captions": [{"object_id": object_id, "text": text} for object_id, text in sorted(self.captions.items())],
            "ids_status": self.ids_status,
            "span_status": self.span_status,
            "formatted": self.formatted,
            "thought": self.thought,
            "texts": list(self.texts),
            "finishes": list(self.finishes),
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "failed": self.failure,
            "identity": self.identity,
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> StoredPrediction:
        """Parse a row of the table."""
        same = ("sample_id", "video_id", "answer", "ids_status", "span_status", "formatted", "thought")
        counted = ("prompt_tokens", "tokens", "seconds", "identity")
        return cls(
            **{name: row[name] for name in (*same, *counted)},
            task=Task(row["task"]),
            object_ids=tuple(row["object_ids"]),
            span_s=None if row["start_s"] is None or row["end_s"] is None else (row["start_s"], row["end_s"]),
            boxes={entry["frame"]: tuple(entry["box"]) for entry in row["boxes"]},
            captions={entry["object_id"]: entry["text"] for entry in row["captions"]},
            texts=tuple(row["texts"]),
            finishes=tuple(row["finishes"]),
            failure=row["failed"],
        )

    @classmethod
    def of_response(cls, sample: EvalSample, parsed: ParsedResponse, identity: str) -> StoredPrediction:
        """The prediction of a sample.

        Args:
            sample: that was requested.
            parsed: from its responses.
            identity: key of the store.
        """
        responses = parsed.responses
        return cls(
            sample_id=sample.sample_id,
            video_id=sample.video_id,
            task=sample.task,
            object_ids=parsed.object_ids,
            span_s=parsed.span_s,
            answer=parsed.answer,
            boxes=parsed.boxes,
            captions=parsed.captions,
            ids_status=parsed.ids_status,
            span_status=parsed.span_status,
            formatted=parsed.formatted,
            thought=parsed.thought,
            texts=tuple(response.text for response in responses),
            finishes=tuple(response.finish for response in responses),
            prompt_tokens=sum(response.prompt_tokens for response in responses),
            tokens=sum(response.tokens for response in responses),
            seconds=sum(response.seconds for response in responses),
            failure=parsed.failure,
            identity=identity,
        )


def open_predictions(path: str) -> StageStore:
    """The store of predictions in a folder, by the parameters that the folder records.

    Args:
        path: path or URL of the folder, `.../predictions-<hash>`.

    Raises:
        FileNotFoundError: the folder has no such record.
    """
    parent, _, key = path.rpartition("/")
    folder = folder_at(parent or ".")
    stage = json.loads(folder.child(key).read(STAGE))
    return StageStore(folder, StageSpec(stage["name"], stage["version"], stage["params"], (TABLE,)))


def stored_predictions(store: StageStore) -> Iterator[StoredPrediction]:
    """Every prediction, in the order of keys; each sample once."""
    shards = [(store.folder, bundle) for bundle in store.shards()]
    parts = [(store.folder.child("parts"), bundle) for bundle in store.parts().values()]
    places = {name: (folder, bundle) for folder, bundle in (*parts, *shards) for name in bundle.tables[TABLE].videos}
    for name in sorted(places):
        for _, rows in read_rows(*places[name], TABLE, [name]):
            yield from map(StoredPrediction.of_row, rows.to_pylist())


def pending_batches(store: StageStore, batches: Sequence[Batch]) -> list[Batch]:
    """The batches that are not stored, or failed in a way that another attempt may pass.

    Args:
        store: of the predictions.
        batches: of the whole evaluation.
    """
    final = {entry.fingerprint for entries in store.entries().values() for entry in entries if entry.outcome.is_final}
    return [batch for batch in batches if batch.fingerprint not in final]


def store_batch(store: StageStore, result: BatchResult) -> None:
    """Store a batch, complete or not at all; one with a transient failure will be pending again.

    Args:
        store: of the predictions.
        result: of the batch.
    """
    batch, parsed = result
    pairs = zip(batch.samples, parsed, strict=True)
    rows = [StoredPrediction.of_response(sample, one, store.spec.key).row() for sample, one in pairs]
    transient = [one.failure for one in parsed if one.failure and one.transient]
    outcome = Outcome("failed", "engine", transient[0]) if transient else Outcome("done")
    table = pa.Table.from_pylist(rows, schema=PREDICTIONS)
    store.write_part(BundleEntry(batch.name, batch.fingerprint, outcome), {TABLE: table})


def commit_batches(store: StageStore, batches: Sequence[Batch]) -> None:
    """Combine stored batches into shards; batches that will be pending again stay apart.

    Args:
        store: of the predictions.
        batches: of the whole evaluation.
    """
    parts = store.parts()
    final = [batch.name for batch in batches if batch.name in parts and parts[batch.name].entries[0].outcome.is_final]
    for at in range(0, len(final), SHARD_VIDEOS):
        store.commit(final[at : at + SHARD_VIDEOS])
