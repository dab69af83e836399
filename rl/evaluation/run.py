"""Asking a model every sample of a dataset, and keeping what it said as it comes.

Batches are cut from the samples' sorted keys, not from what is left to do, and a batch is kept whole or not at all: a run
that was stopped goes on with the batches it lacks, and ends with the predictions of an undisturbed one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from rl.engines.base import Engine, Response
from rl.engines.config import DecodingConfig
from rl.evaluation.batches import Batch, batches, each_answered, prepared
from rl.evaluation.protocols import Asker, Protocol, Taken, check_tasks, style_of
from rl.evaluation.samples import Asked, Clips, asked_samples
from rl.models.families import Model, differences
from rl.prompts.templates import prompts
from storage.commit import BundleEntry, read_rows
from storage.common.prefetch import prefetch
from storage.folders.folder import Where
from storage.folders.open import folder_at
from storage.outcomes import Outcome
from storage.progress import OnProgress, Progress, no_progress
from storage.reader import Dataset
from storage.schema import PREDICTIONS
from storage.stages import SHARD_VIDEOS, STAGE, StageSpec, StageStore
from tasks.benchmarks.samples import Task

PREDICTIONS_VERSION = 2
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
    decoding: DecodingConfig
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
        if self.protocol.captions:
            every = _one_a_clip(every)
        return every[: self.limit] if self.limit else every

    def rendering_differences(self) -> list[str]:
        """How the dataset renders frames differently than the model's training did, a phrase each."""
        return differences(self.model, self.dataset.manifest.stages["frames"].params["render"])

    def store(self, engine: Engine) -> StageStore:
        """Where its predictions are: a folder named by all that shapes them."""
        return self.store_of(engine.identity)

    def store_of(self, identity: Mapping[str, Any]) -> StageStore:
        """Where the predictions of an engine of this identity are."""
        wanted = {*self.protocol.prompts.values(), self.model.family.box_prompt if self.protocol.boxes else ""} - {""}
        params = {
            "dataset": self.dataset.manifest.content_hash,
            "protocol": self.protocol.name,
            "prompts": {name: {**asdict(prompts()[name]), "order": list(prompts()[name].order)} for name in sorted(wanted)},
            "engine": dict(identity),
            "decoding": self.decoding.model_dump(mode="json"),
            "batch_size": self.batch_size,
            "limit": self.limit,
        }
        return StageStore(self.folder, StageSpec(_TABLE, PREDICTIONS_VERSION, params, (_TABLE,)))


def _one_a_clip(samples: Sequence[Asked]) -> list[Asked]:
    """The first sample of each clip, for what is asked without a sentence."""
    first: dict[tuple[str, str], Asked] = {}
    for asked in samples:
        first.setdefault((asked.video_id, asked.clip_id), asked)
    return list(first.values())


def ask(evaluation: Evaluation, engine: Engine, on_progress: OnProgress = no_progress, at_once: int = 1) -> StageStore:
    """Ask what has not been asked yet; returns where the predictions are.

    Args:
        evaluation: what is asked.
        engine: who is asked.
        on_progress: called once before the first batch and after each batch.
        at_once: batches under way together, each in a thread of its own: the engine must bear it.

    Raises:
        ProtocolError: the dataset holds nothing that the protocol asks.
        EngineError: the engine cannot answer anything; what it answered before stays.
    """
    samples = evaluation.samples()
    store = evaluation.store(engine)
    store.prepare()
    store.sweep()
    every = batches(samples, evaluation.batch_size)
    todo = _unsettled(every, store)
    asked = len(samples) - sum(len(batch.samples) for batch in todo)
    failed = 0
    on_progress(Progress("samples", asked, len(samples), failed))
    askers = [_asker(evaluation) for _ in range(at_once)]
    for batch, taken in each_answered(engine, askers, prefetch(prepared(_asker(evaluation), todo))):
        _keep(store, batch, taken)
        asked, failed = asked + len(batch.samples), failed + sum(bool(t.failed) for t in taken)
        on_progress(Progress("samples", asked, len(samples), failed))
    _commit(store, every)
    return store


def left_to_ask(evaluation: Evaluation, store: StageStore) -> int:
    """Samples that a run would ask now.

    Raises:
        ProtocolError: the dataset holds nothing that the protocol asks.
    """
    every = batches(evaluation.samples(), evaluation.batch_size)
    return sum(len(batch.samples) for batch in _unsettled(every, store))


def kept_store(path: str) -> StageStore:
    """The predictions that are kept in a folder, a path or URL, by what it says of itself.

    Raises:
        FileNotFoundError: it says nothing.
    """
    parent, _, key = path.rpartition("/")
    folder = folder_at(parent or ".")
    told = json.loads(folder.child(key).read(STAGE))
    return StageStore(folder, StageSpec(told["name"], told["version"], told["params"], (_TABLE,)))


def _unsettled(every: Sequence[Batch], store: StageStore) -> list[Batch]:
    settled = {entry.fingerprint for entries in store.entries().values() for entry in entries if entry.outcome.is_final}
    return [batch for batch in every if batch.fingerprint not in settled]


def _asker(evaluation: Evaluation) -> Asker:
    # A dataset of its own: a reader's open files belong to one thread.
    dataset = Dataset(evaluation.dataset.folder)
    style = style_of(dataset.manifest.stages["frames"].params["render"])
    return Asker(evaluation.protocol, evaluation.model, Clips(dataset), style)


def _keep(store: StageStore, batch: Batch, taken: Sequence[Taken]) -> None:
    rows = [_row(asked, found, store.spec.key) for asked, found in zip(batch.samples, taken, strict=True)]
    transient = [found.failed for found in taken if found.failed and found.transient]
    outcome = Outcome("failed", "engine", transient[0]) if transient else Outcome("done")
    table = pa.Table.from_pylist(rows, schema=PREDICTIONS)
    store.write_part(BundleEntry(batch.name, batch.fingerprint, outcome), {_TABLE: table})


def _row(asked: Asked, taken: Taken, identity: str) -> dict[str, Any]:
    start_s, end_s = taken.span_s or (None, None)
    responses: list[Response] = taken.responses
    return {
        "sample_id": asked.sample_id,
        "video_id": asked.video_id,
        "task": asked.task.value,
        "object_ids": list(taken.object_ids),
        "start_s": start_s,
        "end_s": end_s,
        "answer": taken.answer,
        "boxes": [{"frame": frame, "box": list(box)} for frame, box in sorted(taken.boxes.items())],
        "captions": [{"object_id": object_id, "text": text} for object_id, text in sorted(taken.captions.items())],
        "ids_status": taken.ids,
        "span_status": taken.span,
        "formatted": taken.formatted,
        "thought": taken.thought,
        "texts": [response.text for response in responses],
        "finishes": [response.finish for response in responses],
        "prompt_tokens": sum(response.prompt_tokens for response in responses),
        "tokens": sum(response.tokens for response in responses),
        "seconds": sum(response.seconds for response in responses),
        "failed": taken.failed,
        "identity": identity,
    }


def _commit(store: StageStore, every: Sequence[Batch]) -> None:
    """Gather settled parts into shards; batches worth another try stay parts."""
    parts = store.parts()
    loose = [batch.name for batch in every if batch.name in parts and parts[batch.name].entries[0].outcome.is_final]
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
