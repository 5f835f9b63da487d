# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every decoder does to give arrays of events."""
from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from depth_anyevent_ros.events.sinks import ArraySink, GridSink
from depth_anyevent_ros.events.types import Events, Packet

NO_LIMIT = np.iinfo(np.int64).max


class ArrayDecoding(ABC):
    """A decoder that is fed packets and puts events into sinks, and so into arrays."""

    @abstractmethod
    def feed(self, packet: Packet) -> None:
        """Take the bytes of the next packet of the stream."""

    @abstractmethod
    def room(self) -> int:
        """Return how many events what was fed can hold at most."""

    @abstractmethod
    def _decode_until(self, sink: ArraySink | GridSink, limit: int, final: bool,
                      limit_events: int) -> tuple[int, int, int]:
        """Return a Segment's fields; limit is in the unit of time of the encoding."""

    def decode(self, packet: Packet) -> Events:
        """Decode one packet to arrays."""
        self.feed(packet)
        return self.decode_fed()

    def flush(self) -> Events:
        """Decode what is still held back at the end of a stream."""
        return self.decode_fed(final=True)

    def decode_fed(self, final: bool = False) -> Events:
        """Decode what was fed to arrays; final: nothing follows."""
        sink = ArraySink.of_size(self.room())
        used = self._decode_until(sink, NO_LIMIT, final, NO_LIMIT)[0]
        if used == len(sink.t):  # of short packets four slices take as long as the loop
            return Events(*sink)
        return Events(*[array[:used] for array in sink])
