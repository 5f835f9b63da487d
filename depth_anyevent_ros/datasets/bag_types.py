# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of bag files have in common."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
import heapq
from typing import NamedTuple


class BagError(ValueError):
    """A recording that cannot be used; the message says what was expected and what came."""


@dataclass(frozen=True)
class TopicInfo:
    """A topic of a bag or of its metadata; count is None where metadata does not say it."""

    name: str
    type: str
    count: int | None


class RawMessage(NamedTuple):
    """
    One message as it lies in the bag.

    timestamp_ns: nanoseconds, when the recorder received it. data: the CDR bytes with their
    four bytes of encapsulation header.
    """

    topic: str
    type: str
    timestamp_ns: int
    data: bytes


def merge_in_time(
    sources: Iterable[tuple[int, Callable[[], Iterator[RawMessage]]]],
) -> Iterator[RawMessage]:
    """
    Merge sources into one stream in time order, opening each source only when its time comes.

    sources: pairs of the time of the first message (nanoseconds, may be early, not late) and a
    function that opens an iterator in time order. Equal times keep the order of the sources.
    """
    heap = [(start_ns, index, None, open_source)
            for index, (start_ns, open_source) in enumerate(sources)]
    heapq.heapify(heap)
    while heap:
        _, index, message, source = heapq.heappop(heap)
        if message is None:
            source = source()
        else:
            yield message
        # No detour through the heap while this source stays the earliest one.
        for message in source:
            if heap and (message.timestamp_ns, index) > heap[0][:2]:
                heapq.heappush(heap, (message.timestamp_ns, index, message, source))
                break
            yield message
