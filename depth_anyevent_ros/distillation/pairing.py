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
from statistics import median
from typing import Generic, TypeVar

from depth_anyevent_ros.events.packet_order import PacketOrder
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation, Window
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.types import Packet, PacketError
from depth_anyevent_ros.events.windows import AHEAD_NS, PlannedWindows
from depth_anyevent_ros.packet_queue import packet_bytes

Picture = TypeVar('Picture')
MOST_PICTURES = 16  # that wait for events
AHEAD_PICTURES = 2  # in a row, that may be wrong; of more it is sensor time that has leapt
CLOCK_PICTURES = 15  # by which the clock of their stamps is told
# A picture is older than the newest packet by its exposure and its way here, and seldom younger.
YOUNGER_COUNTS = 2


@dataclass(frozen=True)
class Pair(Generic[Picture]):
    """A picture, and the window of events that ends at its time."""

    picture: Picture
    window: Window


class FramePairing(Generic[Picture]):
    """
    Pairs pictures with windows of events, for one thread.

    clock: `sensor` where the stamps of pictures are in the events' own time (libcaer_driver),
    `ros` where they are in ROS time, `auto` to tell in which of the two they are nearer to the
    newest packet. max_bytes: of packets that wait; beyond it the oldest are dropped. health_of:
    see `EventPipeline`. `counts` tells what became of packets and pictures.
    """

    def __init__(self, representation_of: Callable[[int, int], Representation],
                 duration_ns: int, max_gap_ns: int, clock: str = 'auto',
                 max_bytes: int = 64 << 20,
                 health_of: Callable[[Packet], StreamHealth] | None = None):
        self.pipeline = EventPipeline(
            representation_of, PlannedWindows(duration_ns, max_gap_ns), health_of)
        self._clock, self._max_bytes = clock, max_bytes
        self._ahead = 0  # pictures in a row whose stamps are ahead of the packets
        self._nearer: deque[int] = deque(maxlen=CLOCK_PICTURES)  # to ROS than to sensor time, ns
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
            self._nearer.clear()
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
        while self._packets and not self._knows_time:
            yield from self._push()
        if not self._knows_time:
            self.counts['early_pictures'] += 1
            return
        t_end, newest = self._sensor_time(stamp_ns), self._newest()
        ahead = newest is not None \
            and t_end > self.pipeline.clock.to_sensor(newest) + AHEAD_NS
        self._ahead = self._ahead + 1 if ahead else 0
        if 0 < self._ahead <= AHEAD_PICTURES:
            self.counts['unpaired_pictures'] += 1  # its events are none of the next ones
            return
        while self._pictures and self._pictures[-1][0] > t_end + AHEAD_NS:
            self._pictures.pop()  # with a wrong stamp; plan() gives up its end
            self.counts['unpaired_pictures'] += 1
        latest = max(self.pipeline.time_ns, self._pictures[-1][0] if self._pictures else 0)
        if t_end > latest:
            self._pictures.append((t_end, picture))
        else:  # older than what was decoded or planned, so that it gets no window
            self.counts['unpaired_pictures'] += 1
        while len(self._pictures) > MOST_PICTURES:
            self._pictures.popleft()
            self.counts['unpaired_pictures'] += 1
        yield from self._paired(self.pipeline.plan(t_end))
        yield from self._go_on()

    def reset(self) -> None:
        """Forget what waits, and begin anew with the next packet."""
        self._packets.clear()
        self._pictures.clear()
        self._nearer.clear()
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

    @property
    def picture_clock(self) -> str:
        """What the stamps of pictures are taken to count: `sensor`, `ros`, '' while not known."""
        if self._clock != 'auto':
            return self._clock
        if self._nearer:
            return 'ros' if median(self._nearer) > 0 else 'sensor'
        return 'sensor' if self._knows_time else ''

    @property
    def _knows_time(self) -> bool:
        """Whether the events' time is known, and in ROS time too, where that may be needed."""
        last = self._order.last
        ros = self._clock == 'ros' or (self._clock == 'auto' and last and last.stamp_ns != 0)
        return self.pipeline.time_ns is not None and (
            not ros or self.pipeline.clock.synchronised)

    def _sensor_time(self, stamp_ns: int) -> int:
        """Return the time of a stamp in the events' clock."""
        clock, newest = self.pipeline.clock, self._newest()
        if newest is not None:
            self._nearer.append(_distance(clock.to_sensor(newest) - stamp_ns)
                                - _distance(newest - stamp_ns))
        return clock.to_sensor(stamp_ns) if self.picture_clock == 'ros' else stamp_ns

    def _newest(self) -> int | None:
        """
        Return the ROS time of the newest packet, None where packets have no stamps.

        The events' own time is no measure of now: they are decoded only as far as pictures want.
        """
        last = self._order.last
        return last.stamp_ns if self.pipeline.clock.synchronised and last.stamp_ns else None


def _distance(age_ns: int) -> int:
    """Return how far a picture is from the newest packet, ns."""
    return age_ns if age_ns >= 0 else -YOUNGER_COUNTS * age_ns
