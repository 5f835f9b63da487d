# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every decoder does to give arrays of events."""
from __future__ import annotations

from abc import ABC, abstractmethod

from depth_anyevent_ros.events.sinks import ArraySink, Segment
from depth_anyevent_ros.events.types import Events, Packet


class ArrayDecoding(ABC):
    """A decoder that is fed packets and puts events into sinks, and so into arrays."""

    @abstractmethod
    def feed(self, packet: Packet) -> None:
        """Take the bytes of the next packet of the stream."""

    @abstractmethod
    def room(self) -> int:
        """Return how many events what was fed can hold at most."""

    @abstractmethod
    def decode_until(self, limit_ns: int | None, sink: ArraySink, final: bool = False) -> Segment:
        """Put what was fed into the sink, up to a sensor time; final: nothing follows."""

    def decode(self, packet: Packet) -> Events:
        """Decode one packet to arrays."""
        self.feed(packet)
        return self.decode_fed()

    def decode_fed(self) -> Events:
        """Decode what was fed to arrays."""
        return self._to_arrays(final=False)

    def flush(self) -> Events:
        """Decode what is still held back at the end of a stream."""
        return self._to_arrays(final=True)

    def _to_arrays(self, final: bool) -> Events:
        sink = ArraySink.of_size(self.room())
        used = self.decode_until(None, sink, final).events
        return Events(*(array[:used] for array in sink))
