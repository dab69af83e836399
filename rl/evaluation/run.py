"""Running an evaluation: the requests of all samples of a dataset, with predictions stored batch by batch.

Batches are cut from the samples' sorted keys, not from what is pending, and a batch is stored complete or not at all: a run
that was interrupted continues with the pending batches, and ends with the predictions of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from rl.engines.base import Engine, EngineIdentity
from rl.engines.config import DecodingConfig
from rl.evaluation.batches import prepare_batches, run_batches, split_batches
from rl.evaluation.predictions import TABLE, commit_batches, pending_batches, store_batch
from rl.evaluation.protocols import Protocol, check_tasks
from rl.evaluation.requests import Requester
from rl.evaluation.samples import Clips, EvalSample, eval_samples
from rl.models.families import Model, differences
from rl.models.generation import generation_settings
from rl.prompts.templates import prompts
from storage.common.prefetch import prefetch
from storage.folders.folder import FolderLike
from storage.progress import OnProgress, Progress, no_progress
from storage.reader import Dataset
from storage.stages import StageSpec, StageStore
from tasks.benchmarks.samples import Task
from tasks.build.stages import frames_parameters

PREDICTIONS_VERSION = 3
"""Version of the code that shapes predictions: increased when the same responses give other rows."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a model on a dataset by a protocol.

    Attributes:
        dataset: published.
        protocol: the form of the requests.
        model: to be evaluated; its weights are the engine's.
        decoding: sampling of responses.
        folder: in which the store of predictions is.
        batch_size: samples of a batch; it shapes responses, as padding does.
        limit: maximum number of samples, the first by key; 0 evaluates all.
    """

    dataset: Dataset
    protocol: Protocol
    model: Model
    decoding: DecodingConfig
    folder: FolderLike
    batch_size: int = 8
    limit: int = 0

    def samples(self) -> list[EvalSample]:
        """The samples, in the order of their keys.

        Raises:
            ProtocolError: the dataset has no sample of a task of the protocol.
        """
        present = eval_samples(self.dataset, set(Task))
        check_tasks(self.protocol, {sample.task for sample in present})
        samples = [sample for sample in present if sample.task in self.protocol.tasks]
        if self.protocol.captions:
            samples = _one_per_clip(samples)
        return samples[: self.limit] if self.limit else samples

    def rendering_differences(self) -> list[str]:
        """How the dataset renders frames differently than the model's training did, a phrase each."""
        return differences(self.model, frames_parameters(self.dataset))

    def store(self, engine: Engine) -> StageStore:
        """The store of its predictions: a folder named by all that shapes them."""
        return self.store_of(engine.identity)

    def store_of(self, identity: EngineIdentity) -> StageStore:
        """The store of its predictions by an engine of this identity."""
        names = {*self.protocol.prompts.values(), self.model.family.box_prompt if self.protocol.boxes else ""} - {""}
        params = {
            "dataset": self.dataset.manifest.content_hash,
            "protocol": self.protocol.name,
            "prompts": {name: {**asdict(prompts()[name]), "order": list(prompts()[name].order)} for name in sorted(names)},
            "engine": dict(identity),
            "decoding": self._decoding(),
            "batch_size": self.batch_size,
            "limit": self.limit,
        }
        return StageStore(self.folder, StageSpec(TABLE, PREDICTIONS_VERSION, params, (TABLE,)))

    def _decoding(self) -> dict[str, JsonValue]:
        settings: dict[str, JsonValue] = {} if self.decoding.preset == "none" else {"folder": generation_settings(self.model)}
        return {**self.decoding.shaping(), **settings}


def _one_per_clip(samples: Sequence[EvalSample]) -> list[EvalSample]:
    """The first sample of each clip, for requests without a sentence."""
    first: dict[tuple[str, str], EvalSample] = {}
    for sample in samples:
        first.setdefault((sample.video_id, sample.clip_id), sample)
    return list(first.values())


def collect_predictions(
    evaluation: Evaluation, engine: Engine, on_progress: OnProgress = no_progress, concurrency: int = 1
) -> StageStore:
    """Run the pending batches of an evaluation.

    Args:
        evaluation: to be run.
        engine: that answers.
        on_progress: called once before the first batch and after each batch.
        concurrency: batches that run at a time, each in a thread of its own, which the engine must support.

    Returns:
        The store of the predictions.

    Raises:
        ProtocolError: the dataset has no sample of a task of the protocol.
        EngineError: the engine cannot answer; predictions of earlier batches are stored.
    """
    samples, store = evaluation.samples(), evaluation.store(engine)
    store.prepare()
    store.sweep()
    batches = split_batches(samples, evaluation.batch_size)
    pending = pending_batches(store, batches)
    completed, failed = len(samples) - sum(len(batch.samples) for batch in pending), 0
    on_progress(Progress("samples", completed, len(samples), failed))
    requesters = [_requester(evaluation) for _ in range(concurrency)]
    prepared = prefetch(prepare_batches(_requester(evaluation), pending))
    for result in run_batches(engine, requesters, prepared):
        store_batch(store, result)
        completed += len(result.batch.samples)
        failed += sum(bool(one.failure) for one in result.parsed)
        on_progress(Progress("samples", completed, len(samples), failed))
    commit_batches(store, batches)
    return store


def remaining_samples(evaluation: Evaluation, store: StageStore) -> int:
    """Number of samples that a run would request.

    Args:
        evaluation: to be run.
        store: of its predictions.

    Raises:
        ProtocolError: the dataset has no sample of a task of the protocol.
    """
    batches = split_batches(evaluation.samples(), evaluation.batch_size)
    return sum(len(batch.samples) for batch in pending_batches(store, batches))


def _requester(evaluation: Evaluation) -> Requester:
    # A dataset of its own: a reader's open files belong to one thread.
    dataset = Dataset(evaluation.dataset.folder)
    style = frames_parameters(dataset).markers.style
    return Requester(evaluation.protocol, evaluation.model, Clips(dataset), style)
