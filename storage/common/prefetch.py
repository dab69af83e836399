"""Working ahead: an iterator's next items are made in a background thread while the present one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")

_END = object()


def ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Yield `items` in order while one background thread makes the next ones.

    Nothing runs before the first item is asked for. From then on at most `depth` items are made beyond the one that the
    consumer has, so that depth + 1 exist at most if the consumer lets go of each before it asks for the next. Closing the
    generator, by hand or by an error of the consumer, waits for the item under way and ends the thread.

    Args:
        items: what is iterated, in the background thread alone.
        depth: most items made beyond the one that the consumer has, at least 1.

    Raises:
        ValueError: depth is below 1.
        Exception: whatever `items` raises, in the place of the item that it did not give.
    """
    if depth < 1:
        raise ValueError(f"working ahead takes a depth of at least 1, not {depth}")
    return _ahead(iter(items), depth)


def _ahead(iterator: Iterator[T], depth: int) -> Generator[T, None, None]:
    made: deque[Future[object]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        while True:
            while len(made) <= depth:
                made.append(pool.submit(next, iterator, _END))
            if made[0].result() is _END:
                return
            # No local name for the item: it would outlive the consumer's while the next ones are made.
            yield cast(T, made.popleft().result())
    finally:
        pool.shutdown(cancel_futures=True)
        made.clear()  # an error's traceback holds this frame, and so the futures, one of which holds the error
