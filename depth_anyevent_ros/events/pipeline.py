# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets in, network input out: the whole way from bytes to Tencode in one object."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from depth_anyevent_ros.events.clock import SensorClock
from depth_anyevent_ros.events.decoders import check_packet, Decoder, make_decoder
from depth_anyevent_ros.events.packet_order import PacketOrder
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.surface import LatestEventSurface
from depth_anyevent_ros.events.tencode import TIME_NORMALIZATIONS
from depth_anyevent_ros.events.types import Packet, PacketError
from depth_anyevent_ros.events.windows import (
    CountWindows, OpenWindow, PlannedWindows, TimeWindows)


@dataclass(frozen=True)
class Representation:
    """
    How a window becomes a network input of height x width.

    placement: `grid` puts each event straight into the cell of the input that it falls into;
    `resize` is the Tencode at sensor resolution resized by bicubic interpolation, as the authors
    of Depth AnyEvent do. time_normalization: see `tencode.py`. background: of places
    without an event, 'black' or 'white'. cell_threshold: see `InputConfig`.
    """

    height: int
    width: int
    placement: str = 'grid'
    time_normalization: str = 'window'
    background: str = 'black'
    cell_threshold: float = 0.0

    def __post_init__(self):
        if self.placement not in ('grid', 'resize'):
            raise ValueError(f"placement is 'grid' or 'resize', not {self.placement!r}")
        if self.time_normalization not in TIME_NORMALIZATIONS:
            raise ValueError(f'time_normalization is one of {TIME_NORMALIZATIONS}, '
                             f'not {self.time_normalization!r}')
        if self.background not in ('black', 'white'):
            raise ValueError(f"background is 'black' or 'white', not {self.background!r}")


@dataclass(frozen=True)
class Window:
    """
    One window of events as network input.

    image: Tencode, float32 (3, H, W). t_start, t_end: sensor time in ns, half-open. stamp_ns:
    t_end in ROS time. events: how many fell into the window. interrupted: the stream began
    anew before this window, so recurrent state from before does not apply. stretch: how often it
    has done so; whoever leaves windows out knows by it what belongs together.
    """

    image: np.ndarray
    t_start: int
    t_end: int
    stamp_ns: int
    events: int
    interrupted: bool
    stretch: int


class EventPipeline:
    """
    One stream of event packets, cut into windows and rendered as Tencode.

    representation_of(width, height) tells the network input for a sensor of that size, as the
    size is known only when the first packet comes. health_of(packet): what watches the sensor
    that sent the packet, and is `health` then; None for nothing. push() takes packets in order
    of arrival; the counters tell what was lost, dropped or mended. Not to be shared between
    threads.
    """

    def __init__(self, representation_of: Callable[[int, int], Representation],
                 windows: TimeWindows | CountWindows | PlannedWindows,
                 health_of: Callable[[Packet], StreamHealth] | None = None):
        self._representation_of = representation_of
        self._health_of = health_of
        self.health: StreamHealth | None = None
        self._cutter = windows.cutter()
        self._clock = SensorClock()
        self._decoder: Decoder | None = None
        self._surface: LatestEventSurface | None = None
        self._representation: Representation | None = None
        self._coordinates: np.ndarray | None = None
        self._order = PacketOrder()
        self._last_stamp = 0
        self._loss_noted = False
        self._interrupted = True
        self._interruptions_seen = self._stretch = 0
        self._counts = Counter(packets=0, bytes=0, windows=0, gaps=0, lost_packets=0,
                               restarts=0, size_changes=0, bad_packets=0, duplicates=0,
                               recalibrations=0)
        self._retired = Counter()  # what decoders of former sensor sizes counted

    @property
    def size(self) -> tuple[int, int] | None:
        """Return (width, height) of the sensor, None before the first packet."""
        return (self._decoder.width, self._decoder.height) if self._decoder else None

    @property
    def time_ns(self) -> int | None:
        """Return the sensor time that was reached, None where it is not known yet."""
        return self._decoder.time_ns if self._decoder else None

    @property
    def clock(self) -> SensorClock:
        """Return the map from sensor time to ROS time."""
        return self._clock

    def counters(self) -> dict[str, int]:
        """
        Count since the construction.

        gaps: places where `seq` leaps, lost_packets: by how much. restarts: time or `seq` went
        backwards, or a gap was too long for the sensor's clock. recalibrations: how often
        `rectify` began the stream anew. interruptions: leaps of sensor
        time over the bound. clock_steps: steps of the host's clock. The rest as in
        `Evt3Decoder.counters`.
        """
        total = Counter(self._counts)
        total.update(self._retired)
        total.update(interruptions=self._cutter.interruptions, clock_steps=self._clock.steps)
        if self._decoder:
            total.update(self._decoder.counters())
        return dict(total)

    def reset(self) -> None:
        """Begin anew, as if the next packet were the first of a stream."""
        if self._decoder:
            self._decoder.reset()
            self._surface.reset()
        self._cutter.restart()
        self._clock.reset()
        self._order.forget()
        self._last_stamp = 0
        self._interrupted = True

    def replace_rules(self, representation_of: Callable[[int, int], Representation],
                      windows: TimeWindows | CountWindows) -> None:
        """Go on with another network input and other windows; the stream begins anew."""
        self._representation_of = representation_of
        self._retired['interruptions'] += self._cutter.interruptions
        self._cutter = windows.cutter()
        self._interruptions_seen = 0
        if self._decoder:
            self._set_sensor(type(self._decoder)(*self.size))

    def rectify(self, coordinates: np.ndarray | None) -> None:
        """
        Put events where coordinates say, None for where they are; the stream begins anew.

        coordinates: float (height, width, 2), see `grid_of_coordinates`; they are used while
        they have the sensor's size.
        """
        self._coordinates = coordinates
        if self._decoder:
            self._counts['recalibrations'] += 1
            self._set_sensor(type(self._decoder)(*self.size))

    @property
    def rectified(self) -> bool:
        """Whether events are put where `rectify` said."""
        coordinates = self._coordinates  # once: other threads ask too
        return coordinates is not None and coordinates.shape[1::-1] == self.size

    def note_loss(self) -> None:
        """Say that the caller dropped packets, so that the leap of `seq` is not the sender's."""
        self._loss_noted = True

    def push(self, packet: Packet) -> Iterator[Window]:
        """
        Take the next packet; yield the windows that it completes.

        Raises PacketError for a packet that cannot be used; the stream goes on after it.
        """
        try:
            check_packet(packet)
        except PacketError:
            self._counts['bad_packets'] += 1
            raise
        if self._order.is_duplicate(packet):
            self._counts['duplicates'] += 1
            return iter(())
        self._watch_sequence(packet)
        if (packet.width, packet.height) != self.size \
                or packet.encoding != self._decoder.encoding:
            self._counts['size_changes'] += (
                self.size is not None and (packet.width, packet.height) != self.size)
            if self._health_of and (packet.width, packet.height) != self.size:
                self.health = self._health_of(packet)
            self._set_sensor(make_decoder(packet))
        self._counts['packets'] += 1
        self._counts['bytes'] += len(packet.events)
        self._order.add(packet)
        # Whatever the packet begins with was made after what the last one ended with.
        reached = self._decoder.time_ns
        self._decoder.feed(packet)
        if reached is not None:
            self._clock.observe(reached, packet.stamp_ns)
        return self._windows(final=False)

    def plan(self, t_end: int) -> Iterator[Window]:
        """
        Ask for the window that ends at t_end, ns of sensor time, of PlannedWindows.

        Yields it if packets that were pushed already reach it.
        """
        self._cutter.plan(t_end)
        return self._windows(final=False) if self._decoder else iter(())

    @property
    def waiting(self) -> bool:
        """Whether a planned window needs more packets."""
        return self._cutter.waiting

    def finish(self) -> Iterator[Window]:
        """Decode what was held back at the end of a stream; yield windows that it completes."""
        return self._windows(final=True) if self._decoder else iter(())

    def _watch_sequence(self, packet: Packet) -> None:
        """Notice lost packets, and a stream that began anew."""
        self._loss_noted, noted = False, self._loss_noted
        if self._order.last is None:
            return
        missing = self._order.missing(packet)
        if missing and not noted and not self._order.falls_back(packet):
            self._counts['gaps'] += 1
            self._counts['lost_packets'] += missing
        if self._order.begins_anew(packet, missing > 0 or noted):
            self._counts['restarts'] += 1
            self.reset()
        elif missing or noted:
            self._decoder.note_gap()

    def _set_sensor(self, decoder: Decoder) -> None:
        """Begin anew with a sensor of this decoder's size and encoding."""
        width, height = decoder.width, decoder.height
        representation = self._representation_of(width, height)
        if self._decoder:
            self._retired.update(self._decoder.counters())
        self._representation, self._decoder = representation, decoder
        size = representation.height, representation.width
        in_grid = representation.placement == 'grid'
        grid_height, grid_width = size if in_grid else (height, width)
        self._surface = LatestEventSurface(width, height, grid_width, grid_height, self._placed(),
                                           self.health, None if in_grid else size,
                                           representation.cell_threshold)
        self.reset()

    def _placed(self) -> np.ndarray | None:
        """Return where pixels lie in the picture that is drawn, None for where they are."""
        if not self.rectified:
            return None
        return placed(self._coordinates, self._representation.placement)

    def _windows(self, final: bool) -> Iterator[Window]:
        for window in self._cutter.advance(self._decoder, self._surface.sink, final):
            self._counts['windows'] += 1
            made = self._render(window)
            if self._cutter.disjoint:
                # Events of one time may belong to two windows, which time cannot tell apart.
                self._surface.clear()
            yield made

    def _render(self, window: OpenWindow) -> Window:
        interrupted = (self._interrupted
                       or self._cutter.interruptions != self._interruptions_seen)
        self._interrupted = False
        self._stretch += interrupted
        self._interruptions_seen = self._cutter.interruptions
        if self._representation.time_normalization == 'window':
            t0, t1 = window.t_start, window.t_end
        elif window.t_first < 0:  # planned after its events were decoded
            t0, t1 = self._surface.bounds(window.t_start, window.t_end)
        else:
            t0, t1 = window.t_first, window.t_last
        image = self._surface.tencode(window.t_start, window.t_end, t0, t1,
                                      self._representation.background)
        # The fit of the clock is refined while packets arrive; stamps must not fall back by it.
        # Within the first packet of a stream nothing is known but that packet's own stamp.
        end = self._clock.to_ros(window.t_end) if self._clock.synchronised \
            else self._order.last.stamp_ns or window.t_end
        self._last_stamp = max(end, self._last_stamp + 1)
        return Window(image, window.t_start, window.t_end, self._last_stamp, window.events,
                      interrupted, self._stretch)


def placed(coordinates: np.ndarray, placement: str) -> np.ndarray:
    """
    Return where events are drawn, float (height, width, 2), by where they lie.

    The authors cut rectified coordinates to whole numbers, and their weights, whose placement is
    `resize`, know no other.
    """
    return coordinates if placement == 'grid' else np.floor(coordinates)
