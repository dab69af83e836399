"""Batches of samples: cut by key, prepared while the engine runs, several at a time, and each complete or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import NamedTuple

from rl.engines.base import Engine, Request
from rl.evaluation.requests import ParsedResponse, Requester, clip_failure
from rl.evaluation.samples import ClipError, EvalSample
from storage.folders.files import json_digest

_BOXES_PER_CALL = 16
"""Box requests of a sample that an engine gets together."""


class Batch(NamedTuple):
    """Samples that are requested together.

    Attributes:
        name: by its position among all batches.
        samples: in the order of their keys.
    """

    name: str
    samples: tuple[EvalSample, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of its samples."""
        return json_digest([asdict(sample) for sample in self.samples])


def split_batches(samples: Sequence[EvalSample], size: int) -> list[Batch]:
    """Cut samples into batches.

    Args:
        samples: in the order of their keys.
        size: samples of a batch; the last one may have fewer.
    """
    starts = range(0, len(samples), size)
    return [Batch(f"batch-{number:06d}", tuple(samples[at : at + size])) for number, at in enumerate(starts)]


class PreparedBatch(NamedTuple):
    """A batch with the first request of each sample.

    Attributes:
        batch: the samples.
        requests: one a sample; None where the protocol begins with boxes, an error where the clip cannot be shown.
    """

    batch: Batch
    requests: list[Request | ClipError | None]


class BatchResult(NamedTuple):
    """A batch with what was parsed from the responses to each sample, in order."""

    batch: Batch
    parsed: list[ParsedResponse]


def prepare_batches(requester: Requester, batches: Iterable[Batch]) -> Iterator[PreparedBatch]:
    """Prepare batches, in a thread beside the engine.

    Args:
        requester: of this thread alone.
        batches: to prepare, in order.
    """
    for batch in batches:
        yield PreparedBatch(batch, [_first_request(requester, sample) for sample in batch.samples])


def _first_request(requester: Requester, sample: EvalSample) -> Request | ClipError | None:
    try:
        return requester.first_request(sample)
    except ClipError as error:
        return error


def run_batch(engine: Engine, requester: Requester, prepared: PreparedBatch) -> BatchResult:
    """Send all requests of a batch, those for boxes included, and parse the responses.

    Args:
        engine: that answers.
        requester: of this thread alone.
        prepared: the batch.

    Raises:
        EngineError: the engine cannot answer.
    """
    requests = [request for request in prepared.requests if isinstance(request, Request)]
    responses = dict(zip((r.key for r in requests), engine.answer(requests), strict=True)) if requests else {}
    parsed = []
    for sample, first in zip(prepared.batch.samples, prepared.requests, strict=True):
        if isinstance(first, ClipError):
            parsed.append(clip_failure(first))
        else:
            answer = requester.parse(sample, responses[first.key] if first else None)
            parsed.append(_with_boxes(requester, engine, sample, answer))
    return BatchResult(prepared.batch, parsed)


def _with_boxes(requester: Requester, engine: Engine, sample: EvalSample, parsed: ParsedResponse) -> ParsedResponse:
    """What was parsed, with the boxes of further requests, where the protocol has them."""
    try:
        requests = requester.box_requests(sample, parsed)
    except ClipError as error:
        return clip_failure(error)
    for at in range(0, len(requests), _BOXES_PER_CALL):
        some = requests[at : at + _BOXES_PER_CALL]
        requester.add_boxes(sample, parsed, some, engine.answer([request for _, request in some]))
    return parsed


def run_batches(engine: Engine, requesters: Sequence[Requester], prepared: Iterable[PreparedBatch]) -> Iterator[BatchResult]:
    """Run batches, in order, as many at a time as there are requesters, each in a thread of its own.

    Closing the iterator does not wait for the batches that are running.

    Args:
        engine: that answers, from several threads where there are several requesters.
        requesters: one a thread.
        prepared: the batches.
    """
    if len(requesters) == 1:
        yield from (run_batch(engine, requesters[0], one) for one in prepared)
        return
    pool, running = ThreadPoolExecutor(len(requesters), thread_name_prefix="batch"), deque[Future[BatchResult]]()
    try:
        for number, one in enumerate(prepared):
            # The previous batch of this requester has ended: no more batches run than there are requesters, and in order.
            running.append(pool.submit(run_batch, engine, requesters[number % len(requesters)], one))
            if len(running) == len(requesters):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
