# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures and the windows of events that end with them.

Packets wait, encoded, until a picture says where a window has to end; so each window ends at
the very time of its picture, whichever of them comes later.
"""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from depth_anyevent_ros.events.packet_order import PacketOrder
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation, Window
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.types import Packet, PacketError
from depth_anyevent_ros.events.windows import PlannedWindows
from depth_anyevent_ros.packet_queue import packet_bytes

Picture = TypeVar('Picture')
# Sensor time and a picture's stamp are of one clock if they are no further apart.
SAME_CLOCK_NS = 2_000_000_000
MOST_PICTURES = 16  # that wait for events


@dataclass(frozen=True)
class Pair(Generic[Picture]):
    """A picture, and the window of events that ends at its time."""

    picture: Picture
    window: Window


class FramePairing(Generic[Picture]):
    """
    Pairs pictures with windows of events, for one thread.

    clock: `sensor` where the stamps of pictures are in the events' own time (libcaer_driver),
    `ros` where they are in ROS time, `auto` to tell by how far they are from the events' time.
    max_bytes: of packets that wait; beyond it the oldest are dropped. health_of: see
    `EventPipeline`. `counts` tells what became of packets and pictures.
    """

    def __init__(self, representation_of: Callable[[int, int], Representation],
                 duration_ns: int, max_gap_ns: int, clock: str = 'auto',
                 max_bytes: int = 64 << 20,
                 health_of: Callable[[Packet], StreamHealth] | None = None):
        self.pipeline = EventPipeline(
            representation_of, PlannedWindows(duration_ns, max_gap_ns), health_of)
        self._clock, self._max_bytes = clock, max_bytes
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._order = PacketOrder()
        self._pictures: deque[tuple[int, Picture]] = deque()  # by the end of their window
        self.counts = Counter(packets=0, dropped_packets=0, bad_packets=0, pictures=0, pairs=0,
                              early_pictures=0, unpaired_pictures=0)
        self.problem: str | None = None

    def add_packet(self, packet: Packet) -> Iterator[Pair[Picture]]:
        """Take a packet; yield the pairs that it completes."""
        self.counts['packets'] += 1
        anew = self._order.falls_back(packet)
        self._order.add(packet)
        if anew:
            # Pictures to come are those of the new stream, whose time only its packets tell.
            while self._packets:
                yield from self._push()
            self.counts['unpaired_pictures'] += len(self._pictures)
            self._pictures.clear()
            self._append(packet)
            yield from self._push()
            return
        self._append(packet)
        while self._bytes > self._max_bytes and len(self._packets) > 1:
            self._pop()
            self.counts['dropped_packets'] += 1
            self.pipeline.note_loss()
        yield from self._go_on()

    def add_picture(self, stamp_ns: int, picture: Picture) -> Iterator[Pair[Picture]]:
        """Take a picture, whose exposure has its middle at stamp_ns; yield complete pairs."""
        self.counts['pictures'] += 1
        while self._packets and self._sensor_time(stamp_ns) is None:
            yield from self._push()
        t_end = self._sensor_time(stamp_ns)
        if t_end is None:
            self.counts['early_pictures'] += 1
            return
        self._pictures.append((t_end, picture))
        while len(self._pictures) > MOST_PICTURES:
            self._pictures.popleft()
            self.counts['unpaired_pictures'] += 1
        yield from self._paired(self.pipeline.plan(t_end))
        yield from self._go_on()

    def reset(self) -> None:
        """Forget what waits, and begin anew with the next packet."""
        self._packets.clear()
        self._pictures.clear()
        self._bytes = 0
        self._order.forget()
        self.pipeline.reset()

    def _append(self, packet: Packet) -> None:
        self._packets.append(packet)
        self._bytes += packet_bytes(packet)

    def _pop(self) -> Packet:
        packet = self._packets.popleft()
        self._bytes -= packet_bytes(packet)
        return packet

    def _go_on(self) -> Iterator[Pair[Picture]]:
        while self._packets and self.pipeline.waiting:
            yield from self._push()

    def _push(self) -> Iterator[Pair[Picture]]:
        packet = self._pop()
        try:
            yield from self._paired(self.pipeline.push(packet))
        except PacketError as error:
            self.counts['bad_packets'] += 1
            self.problem = str(error)

    def _paired(self, windows: Iterator[Window]) -> Iterator[Pair[Picture]]:
        for window in windows:
            ends = [t_end for t_end, _ in self._pictures]
            if window.t_end not in ends:
                continue
            # What waits before it will get no window any more, be it older, or of a stream that
            # has begun anew since.
            for _ in range(ends.index(window.t_end)):
                self._pictures.popleft()
                self.counts['unpaired_pictures'] += 1
            self.counts['pairs'] += 1
            yield Pair(self._pictures.popleft()[1], window)

    def _sensor_time(self, stamp_ns: int) -> int | None:
        """Return the time of a stamp in the events' clock, None while that is not known."""
        now, clock = self.pipeline.time_ns, self.pipeline.clock
        if now is None:
            return None
        same = abs(stamp_ns - now) < SAME_CLOCK_NS
        if self._clock == 'sensor' or (self._clock == 'auto' and same):
            return stamp_ns
        return clock.to_sensor(stamp_ns) if clock.synchronised else None
