# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A process that sends a made-up evt3 stream at a steady rate, for the benchmark of the nodes.

  python -m depth_anyevent_ros.nodes.event_sender TOPIC WIDTH HEIGHT EVENTS_PER_SECOND SECONDS

A packet leaves when the time that it covers is over, and is stamped with the beginning of that
time, as a driver would that looks at every transfer. Prints JSON: what was sent, and how late.
"""
from __future__ import annotations

import json
import struct
import sys
import time

from event_camera_msgs.msg import EventPacket
import numpy as np
import rclpy

from depth_anyevent_ros.benchmarks.event_streams import made_up, PACKET_NS
from depth_anyevent_ros.datasets.messages import encode_event_packet
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.malloc import keep_large_blocks
from depth_anyevent_ros.nodes.transport_check import best_effort

# The stream is made once and sent in rounds: so many packets, after which the high half of the
# time, in units of 4096 us, has moved on by a whole number.
ROUND_PACKETS, ROUND_UNITS = 512, 125
SEQ_MARK, STAMP_MARK = 0x5EC05EC05EC05EC0, 1_234_567_890 * 10**9 + 987_654_321
MATCH_TIMEOUT_S = 60.0
LEAD_S = 0.5  # between the discovery of a subscriber and the first packet


class Message:
    """The bytes of a message, of which stamp, seq and times are changed in place."""

    def __init__(self, packet: Packet):
        self._data = bytearray(encode_event_packet(packet))
        self._seq_at = self._data.index(struct.pack('<Q', SEQ_MARK))
        words = np.frombuffer(self._data, '<u2', offset=len(self._data) - len(packet.events))
        self._words, self._high = words, np.flatnonzero(words >> 12 == 8)

    def at(self, stamp_ns: int, seq: int) -> bytes:
        """Return the message with this stamp and seq."""
        struct.pack_into('<iI', self._data, 4, *divmod(stamp_ns, 10**9))
        struct.pack_into('<Q', self._data, self._seq_at, seq)
        return bytes(self._data)

    def next_round(self) -> None:
        """Move its times on."""
        high = self._words[self._high]
        self._words[self._high] = 0x8000 | (high + ROUND_UNITS) & 0xFFF


def send(topic: str, width: int, height: int, rate: float, seconds: float) -> int:
    """Send the stream once somebody listens; return the exit status."""
    keep_large_blocks()
    stream = made_up('evt3', width, height, rate, ROUND_PACKETS * PACKET_NS, seed=0)
    messages = [Message(Packet(packet.events, 'evt3', width, height, SEQ_MARK,
                               stamp_ns=STAMP_MARK, frame_id='event_camera'))
                for packet in stream.packets]
    rclpy.init()
    node = rclpy.create_node('event_sender')
    publisher = node.create_publisher(EventPacket, topic, best_effort())
    deadline = time.monotonic() + MATCH_TIMEOUT_S
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            print(f'nobody subscribed to {topic} within {MATCH_TIMEOUT_S:.0f} s', file=sys.stderr)
            return 1
        time.sleep(0.05)
    begin_ns = time.time_ns() + round(LEAD_S * 1e9)
    count, late_ms = round(seconds * 1e9 / PACKET_NS), []
    for seq in range(count):
        message = messages[seq % ROUND_PACKETS]
        if seq >= ROUND_PACKETS:
            message.next_round()
        stamp_ns = begin_ns + seq * PACKET_NS
        data = message.at(stamp_ns, seq)
        ahead_ns = stamp_ns + PACKET_NS - time.time_ns()
        if ahead_ns > 0:
            time.sleep(ahead_ns / 1e9)
        late_ms.append((time.time_ns() - stamp_ns - PACKET_NS) / 1e6)
        publisher.publish(data)
    time.sleep(1.0)
    rclpy.shutdown()
    p50, p99 = np.percentile(late_ms, (50, 99)).tolist()
    print(json.dumps({'packets': count, 'events': stream.events * count // ROUND_PACKETS,
                      'late_p50_ms': p50, 'late_p99_ms': p99}))
    return 0


if __name__ == '__main__':
    sys.exit(send(sys.argv[1], *map(int, sys.argv[2:4]), *map(float, sys.argv[4:6])))
