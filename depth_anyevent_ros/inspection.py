# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is in a recording: every packet decoded, counted and summed."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from depth_anyevent_ros.datasets.bags import (BagReader, decode_event_packet, event_topics,
                                              RawMessage)
from depth_anyevent_ros.events.decoders import check_packet, DROPPED, make_decoder
from depth_anyevent_ros.events.sinks import ArraySink
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.types import Events, Packet, PacketError
from depth_anyevent_ros.events.watch import LOOK_NS
from depth_anyevent_ros.hot_pixel_memory import pixels_of


class EventTopic:
    """
    Figures of one topic of event packets, each run of rising `seq` decoded as one stream.

    Behind a gap in `seq` nothing is left out, so that the figures are those of the bytes:
    events there may bear row and time from before the gap until the next words that tell them.
    """

    def __init__(self, message_type: str):
        self._type = message_type
        self._decoder = None
        self._counters = Counter()
        self._last_seq: int | None = None
        self._figures = dict.fromkeys(('packets', 'bytes', 'on', 'off', 'gaps', 'restarts',
                                       'bad_packets'), 0)
        self._sums = np.zeros(3, np.uint64)  # of t, x, y; sums of t wrap
        self._encoding, self._size = '', (0, 0)
        self._first = self._last = None
        self._stamps: list[int] = []
        self._health: StreamHealth | None = None
        self.problem = ''

    def add(self, raw: RawMessage) -> None:
        """Take the next message of the topic; what is wrong with it is counted and kept."""
        try:
            packet = decode_event_packet(raw)
            restarted = self._count(packet)
            check_packet(packet)
        except PacketError as error:
            self._figures['bad_packets'] += 1
            self.problem = self.problem or str(error)
            return
        size = (packet.width, packet.height)
        if self._decoder is not None and (size != self._size or restarted):
            self._end_stream()
            if size != self._size:
                self.problem = self.problem or (
                    f'the sensor changes from {self._size[0]}x{self._size[1]} to '
                    f'{size[0]}x{size[1]} pixels')
        if self._decoder is None:
            if self._health is None or size != self._size:
                self._health = StreamHealth(*size, every_ns=LOOK_NS, counted_hz=None)
            self._size, self._decoder = size, make_decoder(packet)
        self._sum(self._decoder.decode(packet))

    def finish(self) -> dict:
        """Return the figures, by the names of the JSON contract."""
        if self._decoder is not None:
            self._end_stream()
        counters = self._counters
        width, height = self._size
        figures = {'type': self._type, 'encoding': self._encoding, 'width': width,
                   'height': height, **self._figures}
        figures.update(zip(('sum_t', 'sum_x', 'sum_y'), (int(s) for s in self._sums)))
        figures.update(triggers=counters.get('triggers', 0), first=self._first, last=self._last)
        figures['dropped'] = {name: counters[name] for name in DROPPED if counters.get(name)}
        if self._stamps:
            figures['first_stamp'], figures['last_stamp'] = self._stamps[0], self._stamps[-1]
        if self._health is not None:
            figures['sensor'] = {'hot_pixels': self._health.masked,
                                 'hot_pixels_at': pixels_of(self._health.mask),
                                 'flicker_hz': self._health.flicker_hz,
                                 'rate_ceiling': round(self._health.rate_ceiling),
                                 'warnings': self._health.warnings()}
        if self.problem:
            figures['problem'] = self.problem
        return figures

    def _end_stream(self) -> None:
        """Take what the decoder still holds; the next packet begins a stream."""
        self._sum(self._decoder.flush())
        self._counters.update(self._decoder.counters())
        self._decoder = None

    def _count(self, packet: Packet) -> bool:
        """Count a packet; return whether a stream begins anew with it."""
        self._figures['packets'] += 1
        self._figures['bytes'] += len(packet.events)
        self._encoding = self._encoding or packet.encoding
        if self._size == (0, 0) and self._decoder is None:
            self._size = (packet.width, packet.height)
        last, self._last_seq = self._last_seq, packet.seq
        self._stamps[1:] = [packet.stamp_ns]
        if last is not None and packet.seq > last + 1:
            self._figures['gaps'] += 1
        restarted = last is not None and packet.seq < last
        self._figures['restarts'] += restarted
        return restarted

    def _sum(self, events: Events) -> None:
        if not len(events):
            return
        on = int(np.count_nonzero(events.p))
        self._figures['on'] += on
        self._figures['off'] += len(events) - on
        self._sums += [np.sum(values, dtype=np.uint64)
                       for values in (events.t.view(np.uint64), events.x, events.y)]
        self._health.take(ArraySink(events.t, events.x, events.y, events.p), len(events))
        if self._first is None:
            self._first = _event(events, 0)
        self._last = _event(events, -1)


def inspect_bag(reader: BagReader, progress: Callable[[int], object] = lambda n: None) -> dict:
    """
    Return what is in a bag: {path, topics: {name: figures}, warnings, truncated}.

    Event topics have the figures of `EventTopic`, others their type and number of messages.
    progress(n) is called with the number of messages that were read.
    """
    topics = {name: EventTopic(reader.topics[name].type) for name in event_topics(reader)}
    others = dict.fromkeys((name for name in reader.topics if name not in topics), 0)
    for raw in reader.messages():
        if raw.topic in topics:
            topics[raw.topic].add(raw)
        else:
            others[raw.topic] += 1
        progress(1)
    figures = {name: topic.finish() for name, topic in topics.items()}
    figures.update((name, {'type': reader.topics[name].type, 'messages': count})
                   for name, count in others.items())
    return {'path': str(reader.path), 'topics': figures, 'warnings': list(reader.warnings),
            'truncated': reader.truncated}


def _event(events: Events, index: int) -> list[int]:
    """Return one event as [t, x, y, p]."""
    return [int(values[index]) for values in (events.t, events.x, events.y, events.p)]
