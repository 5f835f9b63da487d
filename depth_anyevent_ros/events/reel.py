# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A stream of packets as arrays of events, cut where sensor time begins anew."""
from __future__ import annotations

from collections import Counter

import numpy as np

from depth_anyevent_ros.events.decoders import check_packet, Decoder, make_decoder
from depth_anyevent_ros.events.packet_order import PacketOrder
from depth_anyevent_ros.events.types import Events, Packet


class EventReel:
    """
    Decodes packets to arrays in the very time that an `EventPipeline` gives its windows.

    Both have to begin with the same packet. counts: packets that were duplicates, times_mended:
    events whose time fell back within the stream, which the encodings do not allow.
    """

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._order = PacketOrder()
        self._latest_ns = 0
        self._decoded: list[Events] = []
        self.counts = Counter(duplicates=0, times_mended=0)

    def begins_anew(self, packet: Packet) -> bool:
        """
        Return whether the next packet begins a stream, or is of another size or encoding.

        Raises PacketError for one of no use.
        """
        check_packet(packet)
        last = self._order.last
        return last is None or (packet.width, packet.height, packet.encoding) != (
            last.width, last.height, last.encoding) \
            or self._order.begins_anew(packet, self._order.missing(packet) > 0)

    def push(self, packet: Packet) -> None:
        """Take the next packet; raise PacketError for one of no use."""
        anew = self.begins_anew(packet)
        if self._order.is_duplicate(packet):
            self.counts['duplicates'] += 1
            return
        if anew:
            self._decode(final=True)
            self._decoder = make_decoder(packet)
            self._order.forget()
            self._latest_ns = 0
        elif self._order.missing(packet):
            self._decode()
            self._decoder.note_gap()
        self._order.add(packet)
        self._decoder.feed(packet)

    def take(self, final: bool = False) -> Events:
        """
        Return the events of the packets since the last call; many at once take less time.

        final: nothing follows that tells whether what was held back is right.
        """
        self._decode(final)
        events, self._decoded = Events.concatenate(self._decoded), []
        return events

    def _decode(self, final: bool = False) -> None:
        if self._decoder is not None:
            decoder = self._decoder
            self._decoded.append(self._in_order(
                decoder.flush() if final else decoder.decode_fed()))

    def _in_order(self, events: Events) -> Events:
        if not len(events):
            return events
        times = np.maximum.accumulate(np.maximum(events.t, self._latest_ns))
        self.counts['times_mended'] += int(np.count_nonzero(times != events.t))
        self._latest_ns = int(times[-1])
        return Events(times, events.x, events.y, events.p)
