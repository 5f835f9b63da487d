# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets on their way from the callback that receives them to the thread that decodes them."""
from __future__ import annotations

from collections import deque
import threading
import time

from depth_anyevent_ros.events.types import Packet


PACKET_BYTES = 512  # of a packet beside its events, about


def packet_bytes(packet: Packet) -> int:
    """Return about how much memory a packet that waits takes."""
    return len(packet.events) + PACKET_BYTES


class PacketQueue:
    """
    A first-in-first-out queue bounded in bytes, for one producer and one consumer.

    When full, the oldest packets are dropped, since the newest are worth most; `dropped` counts
    them. Every packet carries the monotonic time in ns at which it was put in.
    """

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._items: deque[tuple[Packet, int]] = deque()
        self._bytes = 0
        self._lost = False
        self._closed = False
        self._condition = threading.Condition()
        self.dropped = 0

    def put(self, packet: Packet) -> None:
        """Append a packet; drop the oldest ones where it does not fit."""
        with self._condition:
            self._items.append((packet, time.monotonic_ns()))
            self._bytes += packet_bytes(packet)
            while self._bytes > self._max_bytes and len(self._items) > 1:
                oldest, _ = self._items.popleft()
                self._bytes -= packet_bytes(oldest)
                self.dropped += 1
                self._lost = True
            self._condition.notify()

    def take_all(self, timeout: float) -> tuple[list[tuple[Packet, int]], bool]:
        """
        Return all that waits, [(packet, arrival)], and whether packets before it were dropped.

        Waits up to timeout seconds for the first packet; the list may be empty.
        """
        with self._condition:
            if not self._items and not self._closed:
                self._condition.wait(timeout)
            items, lost = list(self._items), self._lost
            self._items.clear()
            self._bytes, self._lost = 0, False
            return items, lost

    def close(self) -> None:
        """Wake the consumer for the last time."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
