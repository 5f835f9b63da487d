# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An iterator, or a consumer, on a thread of its own: stages that overlap, in bounded memory."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
import queue
import threading
from typing import Any

POLL_S = 0.1
END = object()


class Ahead:
    """
    Runs an iterable on a thread, at most `depth` items ahead of whoever iterates here.

    Use it in a with statement, which ends the thread. What the iterable raises is raised here.
    """

    def __init__(self, items: Iterable[Any], depth: int = 2):
        self._items = items
        self._queue: queue.Queue = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='ahead', daemon=True)

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Any]:
        while True:
            kind, value = self._queue.get()
            if kind is END:
                if value is not None:
                    raise value
                return
            yield value

    def _run(self) -> None:
        problem = None
        try:
            for item in self._items:
                if not put_unless(self._stop, self._queue, (None, item)):
                    return
        except BaseException as error:  # is raised where the items are taken
            problem = error
        put_unless(self._stop, self._queue, (END, problem))


class Behind:
    """
    Calls consume(item) on a thread for each item given to it, at most `depth` behind.

    Use it in a with statement, which waits for the last item unless it ends by an exception.
    What consume raises is raised by the next `put`, or at the end.
    """

    def __init__(self, consume: Callable[[Any], None], depth: int = 2):
        self._consume = consume
        self._queue: queue.Queue = queue.Queue(depth)
        self._stop = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name='behind', daemon=True)

    def __enter__(self) -> Behind:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None and self._problem is None:
            put_unless(self._stop, self._queue, END)
        else:
            self._stop.set()
        self._thread.join()
        if kind is None:
            self._raise()

    def put(self, item: Any) -> None:
        """Hand an item over."""
        put_unless(self._stop, self._queue, item)
        self._raise()

    def _raise(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    item = self._queue.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                if item is END:
                    return
                self._consume(item)
        except BaseException as error:  # is raised by `put`
            self._problem = error
        finally:
            self._stop.set()


def abreast(work: Callable[[Any], Any], items: Iterable[Any], lanes: int,
            begin: Callable[[], None] = lambda: None) -> Iterator[Any]:
    """
    Yield work(item) for each item, in their order, from `lanes` threads side by side.

    As many items are taken as there are lanes, and one more. begin: called first on each thread.
    What `work` raises is raised here.
    """
    with ThreadPoolExecutor(lanes, 'abreast', begin) as pool:
        under_way = deque()
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > lanes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def put_unless(stop: threading.Event, target: queue.Queue, item: Any) -> bool:
    """Put an item when there is room; return False if `stop` was set before."""
    while not stop.is_set():
        try:
            target.put(item, timeout=POLL_S)
            return True
        except queue.Full:
            pass
    return False
