# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a packet goes on with a stream, by its number and its times."""
from __future__ import annotations

from depth_anyevent_ros.events.types import Packet

# Stamps of one stream may fall back by scheduling; a looping bag falls back by more.
STAMP_STEP_BACK_NS = 500_000_000
# The clock of evt3 wraps every 16.8 s: over a longer gap than half of it, sensor time is unknown.
LONGEST_GAP_NS = 8_000_000_000


class PacketOrder:
    """
    Knows the last packets of a stream, and tells of the next one whether it follows them.

    A packet whose number or time leaps ahead is not believed where the next one goes on from the
    packet before it: one damaged number must not restart a stream.
    """

    def __init__(self) -> None:
        self.last: Packet | None = None
        self._before: Packet | None = None

    def add(self, packet: Packet) -> None:
        """Take a packet."""
        self._before, self.last = self.last, packet

    def forget(self) -> None:
        """Begin with the next packet."""
        self._before = self.last = None

    def is_duplicate(self, packet: Packet) -> bool:
        """Return whether this is the last packet once more; both its marks have to be in use."""
        last = self.last
        return (last is not None and packet.stamp_ns != 0
                and (packet.seq, packet.stamp_ns) == (last.seq, last.stamp_ns)
                and len(packet.events) == len(last.events))

    def missing(self, packet: Packet) -> int:
        """Return how many packets are missing before this one, by `seq`."""
        return max(packet.seq - self.last.seq - 1, 0) if self.last else 0

    def falls_back(self, packet: Packet) -> bool:
        """Return whether a packet belongs to a stream that began anew after the last one."""
        if self.last is None or not _falls_back(self.last, packet):
            return False
        before = self._before
        return before is None or not _leaps(before, self.last) or _falls_back(before, packet)

    def begins_anew(self, packet: Packet, leaps: bool) -> bool:
        """
        Return whether sensor time is no longer known with this packet.

        leaps: whether packets are missing between the two.
        """
        if self.last is None:
            return False
        return self.falls_back(packet) or (
            leaps and _between(self.last, packet) > LONGEST_GAP_NS)


def _between(last: Packet, packet: Packet) -> int:
    """Return ns from stamp to stamp, 0 where one is not in use."""
    return packet.stamp_ns - last.stamp_ns if packet.stamp_ns and last.stamp_ns else 0


def _falls_back(last: Packet, packet: Packet) -> bool:
    return (packet.seq < last.seq or _between(last, packet) < -STAMP_STEP_BACK_NS
            or packet.time_base < last.time_base - STAMP_STEP_BACK_NS)


def _leaps(before: Packet, last: Packet) -> bool:
    """Return whether a packet is further from the one before it than its neighbours are."""
    return (last.seq > before.seq + 1 or _between(before, last) > STAMP_STEP_BACK_NS
            or last.time_base > before.time_base + STAMP_STEP_BACK_NS)
