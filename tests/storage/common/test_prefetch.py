"""Working ahead: order, how far, errors, and that no thread is left over."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from storage.common.prefetch import prefetch

PATIENCE_S = 20.0
"""Longest wait for an event that is bound to come: only a broken program waits this long."""


class Item:
    """Something that can be referred to weakly."""


class Source:
    """Yields numbers; tells which it was asked for, and can be held up before one of them."""

    def __init__(self, count: int, hold_before: int | None = None) -> None:
        self.count, self.hold_before = count, hold_before
        self.asked: list[int] = []
        self.threads: set[int] = set()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            self.asked.append(number)
            self.threads.add(threading.get_ident())
            if number == self.hold_before:
                self.reached.set()
                assert self.go_on.wait(PATIENCE_S)
            yield number


def ahead_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_items_come_in_order_from_one_other_thread(count: int, depth: int) -> None:
    source = Source(count)
    assert list(prefetch(source, depth)) == list(range(count))
    assert source.asked == list(range(count))
    assert len(source.threads) <= 1
    assert threading.get_ident() not in source.threads
    assert ahead_threads() == []


def test_the_next_item_is_made_while_this_one_is_used() -> None:
    source = Source(5, hold_before=1)
    with closing(prefetch(source)) as items:
        assert next(items) == 0
        assert source.reached.wait(PATIENCE_S), "item 1 is begun without being asked for"
        source.go_on.set()
        assert list(items) == [1, 2, 3, 4]


@pytest.mark.parametrize("depth", [1, 3])
def test_at_most_so_many_items_are_made_ahead(depth: int) -> None:
    made = threading.Semaphore(0)
    asked = []

    def source() -> Iterator[int]:
        for number in range(20):
            asked.append(number)
            made.release()
            yield number

    with closing(prefetch(source(), depth)) as items:
        for number in range(10):
            assert next(items) == number
            while len(asked) < number + 1 + depth:
                assert made.acquire(timeout=PATIENCE_S)
            # The thread has nothing more to do: what is not submitted cannot be made.
            assert len(asked) == number + 1 + depth


def test_nothing_runs_before_the_first_item_is_parameters_of() -> None:
    source = Source(3)
    items = prefetch(source)
    assert ahead_threads() == []
    items.close()
    assert source.asked == []


def test_items_are_let_go_once_the_consumer_lets_go() -> None:
    known: list[weakref.ref[Item]] = []
    most = 0

    def source() -> Iterator[Item]:
        nonlocal most
        for _ in range(8):
            known.append(weakref.ref(item := Item()))
            most = max(most, sum(ref() is not None for ref in known))
            yield item
            del item

    for _ in map(id, prefetch(source())):
        pass
    assert most <= 2
    assert [ref() for ref in known] == [None] * 8


def test_an_error_of_the_producer_comes_in_its_items_place() -> None:
    def source() -> Iterator[int]:
        yield 0
        yield 1
        raise MemoryError("no more")

    items = prefetch(source(), depth=3)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(MemoryError, match="no more"):
        next(items)
    assert ahead_threads() == []
    assert list(items) == []


def test_closing_early_waits_for_the_item_under_way_and_makes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(10, hold_before=1)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            source.go_on.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr("storage.common.prefetch.ThreadPoolExecutor", Pool)
    items = prefetch(source, depth=4)
    assert next(items) == 0
    assert source.reached.wait(PATIENCE_S)
    items.close()
    assert source.asked == [0, 1]
    assert ahead_threads() == []
    assert list(items) == []


def test_an_error_of_the_consumer_leaves_no_thread() -> None:
    def use() -> None:
        with closing(prefetch(Source(10))) as items:
            for number in items:
                raise KeyError(number)

    with pytest.raises(KeyError):
        use()
    assert ahead_threads() == []


def test_a_depth_below_one_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="depth of at least 1, not 0"):
        prefetch([1], 0)
