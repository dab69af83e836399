"""Samples on their way in batches: cut by key, prepared beside the engine, answered several at once, each batch whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import NamedTuple

from rl.engines.base import Engine, Request
from rl.evaluation.protocols import Asker, Taken, refused
from rl.evaluation.samples import Asked, ShownError
from storage.folders.files import json_digest

_BOXES_AT_ONCE = 16


class Batch(NamedTuple):
    """Samples asked together; its name and fingerprint come from their keys."""

    name: str
    samples: tuple[Asked, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of its samples."""
        return json_digest([asdict(asked) for asked in self.samples])


def batches(samples: Sequence[Asked], size: int) -> list[Batch]:
    """Cut samples, in the order of their keys, into batches."""
    starts = range(0, len(samples), size)
    return [Batch(f"batch-{number:06d}", tuple(samples[at : at + size])) for number, at in enumerate(starts)]


class Prepared(NamedTuple):
    """A batch with what is first asked of each sample: a request, none, or why it cannot be shown."""

    batch: Batch
    first: list[Request | ShownError | None]


def prepared(asker: Asker, todo: Iterable[Batch]) -> Iterator[Prepared]:
    """Prepare batches; meant to run in a thread beside the engine, with an asker of its own."""
    for batch in todo:
        yield Prepared(batch, [_first(asker, asked) for asked in batch.samples])


def _first(asker: Asker, asked: Asked) -> Request | ShownError | None:
    try:
        return asker.first(asked)
    except ShownError as error:
        return error


Answered = tuple[Batch, list[Taken]]


def answered(engine: Engine, asker: Asker, made: Prepared) -> Answered:
    """Ask a batch, further requests included; what was taken from each sample's replies, in order.

    Raises:
        EngineError: the engine cannot answer.
    """
    requests = [request for request in made.first if isinstance(request, Request)]
    responses = dict(zip((r.key for r in requests), engine.answer(requests), strict=True)) if requests else {}
    taken = []
    for asked, first in zip(made.batch.samples, made.first, strict=True):
        if isinstance(first, ShownError):
            taken.append(refused(first))
        else:
            taken.append(_with_boxes(asker, engine, asked, asker.take(asked, responses[first.key] if first else None)))
    return made.batch, taken


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


def each_answered(engine: Engine, askers: Sequence[Asker], ready: Iterable[Prepared]) -> Iterator[Answered]:
    """`answered` of each batch, in order; as many under way together as there are askers, each in a thread of its own.

    Whoever stops it does not wait for those under way.
    """
    if len(askers) == 1:
        yield from (answered(engine, askers[0], made) for made in ready)
        return
    pool, running = ThreadPoolExecutor(len(askers), thread_name_prefix="asking"), deque[Future[Answered]]()
    try:
        for number, made in enumerate(ready):
            # The batch that had this asker before has ended: no more are under way than there are askers, in order.
            running.append(pool.submit(answered, engine, askers[number % len(askers)], made))
            if len(running) == len(askers):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
