"""Background loading: a sequence ahead of its consumer, results of a function in order, and values by key."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)

_END = object()


def prefetch(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Yield `items` in order while one background thread computes the next ones.

    Nothing runs before the first item is requested. From then on at most `depth` items exist beyond the consumer's, so
    depth + 1 in all if the consumer releases each before it requests the next. Closing the generator, explicitly or through an
    error of the consumer, waits for the item in progress and ends the thread.

    Args:
        items: iterated in the background thread alone.
        depth: maximum number of items beyond the consumer's, at least 1.

    Raises:
        ValueError: depth is below 1.
        Exception: whatever `items` raises, in the place of the item that it did not yield.
    """
    if depth < 1:
        raise ValueError(f"prefetching takes a depth of at least 1, not {depth}")
    return _prefetch(iter(items), depth)


def _prefetch(iterator: Iterator[T], depth: int) -> Generator[T, None, None]:
    pending: deque[Future[object]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    try:
        while True:
            while len(pending) <= depth:
                pending.append(pool.submit(next, iterator, _END))
            if pending[0].result() is _END:
                return
            # No local name for the item: it would outlive the consumer's while the next ones are computed.
            yield cast(T, pending.popleft().result())
    finally:
        pool.shutdown(cancel_futures=True)
        pending.clear()  # an error's traceback holds this frame, and so the futures, one of which holds the error


def ordered_map(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yield `function(item)` in the order of `items`, computed by threads that run at most `threads` items ahead.

    Args:
        function: called in a background thread; with one thread, in the caller's.
        items: iterated in the caller's thread.
        threads: number of threads, at least 1.
    """
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def parallel_map(function: Callable[[T], R], items: Iterable[T], threads: int, name: str) -> Iterator[R]:
    """Yield `function(item)` in the order of `items`, computed by threads that take the next item as soon as they are free.

    Args:
        function: called in a thread; with one thread, in the caller's, which an interrupt stops.
        items: all of them are taken at the start; those that are not begun are dropped when the generator is closed.
        threads: number of threads, at least 1.
        name: prefix of the threads' names.
    """
    if threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


class Prefetcher(Generic[K, R]):
    """Values by key, loaded by one background thread that starts the next key early and retains the last few values."""

    def __init__(self, load: Callable[[K], R], capacity: int, name: str) -> None:
        """Start no thread yet.

        Args:
            load: returns the value of a key; called in the background thread alone.
            capacity: maximum number of values retained, at least 2: the requested one and the next.
            name: prefix of the thread's name.
        """
        self._load, self._capacity = load, capacity
        self._values: OrderedDict[K, Future[R]] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def get(self, key: K, upcoming: K | None = None) -> R:
        """Value of a key; loading of the `upcoming` key starts meanwhile.

        Args:
            key: key of the requested value.
            upcoming: key that is likely to be requested next; None for no guess.

        Raises:
            Exception: whatever `load` raises for the key.
        """
        value = self._start(key)
        self._values.move_to_end(key)
        if upcoming is not None:
            self._start(upcoming)
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)
        return value.result()

    def close(self) -> None:
        """Release the values and end the thread."""
        self._values.clear()
        self._pool.shutdown(cancel_futures=True)

    def _start(self, key: K) -> Future[R]:
        if key not in self._values:
            self._values[key] = self._pool.submit(self._load, key)
        return self._values[key]
