"""Asking a model every sample of a dataset, and keeping what it said as it comes.

Batches are cut from the samples' sorted keys, not from what is left to do, and a batch is kept whole or not at all: a run
that was stopped goes on with the batches it lacks, and ends with the predictions of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from rl.clips import Asked, Clips, ShownError, asked_samples
from rl.engines.base import Decoding, Engine, Reply, Request
from rl.models import Model
from rl.prompts import prompts
from rl.protocols import Asker, Protocol, Taken, check_tasks, refused, style_of
from storage.bundles import Entry, read_rows
from storage.files import digest
from storage.folders import Where
from storage.outcomes import Outcome
from storage.reader import Dataset
from storage.schema import PREDICTIONS
from storage.stages import SHARD_VIDEOS, Spec, StageStore
from tasks.ahead import ahead
from tasks.datasets.base import Task

PREDICTIONS_VERSION = 1
"""Version of the code that shapes predictions: raised when the same replies give other rows."""
_TABLE = "predictions"


@dataclass(frozen=True)
class Evaluation:
    """What is asked of whom, and where the answers go.

    Attributes:
        dataset: published.
        protocol: how it is asked.
        model: who is asked; its weights are the engine's.
        decoding: how answers are drawn.
        folder: below which predictions are kept.
        batch_size: samples asked together; part of what shapes an answer, as padding is.
        limit: only the first samples, by key; 0 asks all.
    """

    dataset: Dataset
    protocol: Protocol
    model: Model
    decoding: Decoding
    folder: Where
    batch_size: int = 8
    limit: int = 0

    def samples(self) -> list[Asked]:
        """What is asked, in the order of its keys.

        Raises:
            ProtocolError: the dataset holds nothing that the protocol asks.
        """
        there = asked_samples(self.dataset, set(Task))
        check_tasks(self.protocol, {asked.task for asked in there})
        every = [asked for asked in there if asked.task in self.protocol.tasks]
        return every[: self.limit] if self.limit else every

    def store(self, engine: Engine) -> StageStore:
        """Where its predictions are: a folder named by all that shapes them."""
        wanted = {*self.protocol.prompts.values(), self.model.family.box_prompt if self.protocol.boxes else ""} - {""}
        params = {
            "dataset": self.dataset.manifest.content_hash,
            "protocol": self.protocol.name,
            "prompts": {name: {**asdict(prompts()[name]), "order": list(prompts()[name].order)} for name in sorted(wanted)},
            "engine": dict(engine.identity),
            "decoding": asdict(self.decoding),
            "batch_size": self.batch_size,
            "limit": self.limit,
        }
        return StageStore(self.folder, Spec(_TABLE, PREDICTIONS_VERSION, params, (_TABLE,)))


class Batch(NamedTuple):
    """Samples asked together; its name and fingerprint come from their keys."""

    name: str
    samples: tuple[Asked, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of its samples."""
        return digest([asdict(asked) for asked in self.samples])


def batches(samples: Sequence[Asked], size: int) -> list[Batch]:
    """Cut samples, in the order of their keys, into batches."""
    starts = range(0, len(samples), size)
    return [Batch(f"batch-{number:06d}", tuple(samples[at : at + size])) for number, at in enumerate(starts)]


OnAsked = Callable[[int, int, int], None]
"""Called after each batch with the samples that have an answer or a reason, all samples, and how many failed so far."""


def ask(evaluation: Evaluation, engine: Engine, on_asked: OnAsked = lambda *_: None) -> StageStore:
    """Ask what has not been asked yet; returns where the predictions are.

    Raises:
        ProtocolError: the dataset holds nothing that the protocol asks.
        EngineError: the engine cannot answer anything; what it answered before stays.
    """
    samples = evaluation.samples()
    store = evaluation.store(engine)
    store.prepare()
    store.sweep()
    every = batches(samples, evaluation.batch_size)
    settled = {entry.fingerprint for entries in store.known().values() for entry in entries if entry.outcome.settled}
    todo = [batch for batch in every if batch.fingerprint not in settled]
    asked = len(samples) - sum(len(batch.samples) for batch in todo)
    failed = 0
    on_asked(asked, len(samples), failed)
    asker = _asker(evaluation)
    for batch, prepared in ahead(_prepared(evaluation, todo)):
        taken = _answered(asker, engine, batch, prepared)
        _keep(store, batch, taken)
        asked, failed = asked + len(batch.samples), failed + sum(bool(t.failed) for t in taken)
        on_asked(asked, len(samples), failed)
    _commit(store, every)
    return store


def _asker(evaluation: Evaluation) -> Asker:
    # A dataset of its own: a reader's open files belong to one thread.
    dataset = Dataset(evaluation.dataset.folder)
    style = style_of(dataset.manifest.stages["frames"].params["render"])
    return Asker(evaluation.protocol, evaluation.model, Clips(dataset), style)


Prepared = list[Request | ShownError | None]


def _prepared(evaluation: Evaluation, todo: Sequence[Batch]) -> Iterator[tuple[Batch, Prepared]]:
    """First requests of each batch; runs in a thread beside the engine."""
    asker = _asker(evaluation)
    for batch in todo:
        yield batch, [_first(asker, asked) for asked in batch.samples]


def _first(asker: Asker, asked: Asked) -> Request | ShownError | None:
    try:
        return asker.first(asked)
    except ShownError as error:
        return error


def _answered(asker: Asker, engine: Engine, batch: Batch, prepared: Prepared) -> list[Taken]:
    requests = [request for request in prepared if isinstance(request, Request)]
    replies = dict(zip((r.key for r in requests), engine.answer(requests), strict=True)) if requests else {}
    taken = []
    for asked, first in zip(batch.samples, prepared, strict=True):
        if isinstance(first, ShownError):
            taken.append(refused(first))
        else:
            taken.append(_with_boxes(asker, engine, asked, asker.take(asked, replies[first.key] if first else None)))
    return taken


def _with_boxes(asker: Asker, engine: Engine, asked: Asked, taken: Taken) -> Taken:
    """What was taken, with the boxes of further requests, where the protocol makes them."""
    try:
        requests = asker.further(asked, taken)
    except ShownError as error:
        return refused(error)
    for at in range(0, len(requests), _BOXES_AT_ONCE):
        some = requests[at : at + _BOXES_AT_ONCE]
        asker.add(asked, taken, some, engine.answer(some))
    return taken


_BOXES_AT_ONCE = 16


def _keep(store: StageStore, batch: Batch, taken: Sequence[Taken]) -> None:
    rows = [_row(asked, found, store.spec.key) for asked, found in zip(batch.samples, taken, strict=True)]
    passing = [found.failed for found in taken if found.failed and found.passing]
    outcome = Outcome("failed", "engine", passing[0]) if passing else Outcome("done")
    table = pa.Table.from_pylist(rows, schema=PREDICTIONS)
    store.write_part(Entry(batch.name, batch.fingerprint, outcome), {_TABLE: table})


def _row(asked: Asked, taken: Taken, identity: str) -> dict[str, Any]:
    start_s, end_s = taken.span_s or (None, None)
    replies: list[Reply] = taken.replies
    return {
        "sample_id": asked.sample_id,
        "video_id": asked.video_id,
        "task": asked.task.value,
        "object_ids": list(taken.object_ids),
        "start_s": start_s,
        "end_s": end_s,
        "answer": taken.answer,
        "boxes": [{"frame": frame, "box": list(box)} for frame, box in sorted(taken.boxes.items())],
        "ids_status": taken.ids,
        "span_status": taken.span,
        "formatted": taken.formatted,
        "thought": taken.thought,
        "texts": [reply.text for reply in replies],
        "finishes": [reply.finish for reply in replies],
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "tokens": sum(reply.tokens for reply in replies),
        "seconds": sum(reply.seconds for reply in replies),
        "failed": taken.failed,
        "identity": identity,
    }


def _commit(store: StageStore, every: Sequence[Batch]) -> None:
    """Gather settled parts into shards; batches worth another try stay parts."""
    parts = store.parts()
    loose = [batch.name for batch in every if batch.name in parts and parts[batch.name].entries[0].outcome.settled]
    for at in range(0, len(loose), SHARD_VIDEOS):
        store.commit(loose[at : at + SHARD_VIDEOS])


def predictions(store: StageStore) -> Iterator[Mapping[str, Any]]:
    """Every row of the predictions table, in the order of keys; each sample once."""
    shards = [(store.folder, bundle) for bundle in store.shards()]
    parts = [(store.folder.child("parts"), bundle) for bundle in store.parts().values()]
    places = {name: (folder, bundle) for folder, bundle in (*parts, *shards) for name in bundle.tables[_TABLE].videos}
    for name in sorted(places):
        for _, rows in read_rows(*places[name], _TABLE, [name]):
            yield from rows.to_pylist()
