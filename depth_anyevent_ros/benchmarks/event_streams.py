# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams of packets to be timed: made up, or of a recording."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_anyevent_ros.datasets.bags import decode_event_packet, open_bag, require_event_topics
from depth_anyevent_ros.events.decoders import make_decoder
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.types import Events, Packet

PACKET_NS = 1_000_000
START_NS = 4096 * 4096 * 1000  # of sensor time, so that evt3 begins with a time of 0
RUN = 9  # events of one row, time and polarity side by side, in streams of vectors


@dataclass(frozen=True)
class Stream:
    """Packets of one camera, how many events they hold, and how long they last."""

    name: str
    packets: list[Packet]
    events: int
    begin_ns: int
    end_ns: int


def made_up(encoding: str, width: int, height: int, rate: float, duration_ns: int, seed: int,
            vectors: bool = False) -> Stream:
    """
    Return events at random places, `rate` a second, in packets of PACKET_NS.

    vectors: in runs along rows, which evt3 packs into vector words, as sensors of the fourth
    generation do.
    """
    generator = np.random.default_rng(seed)
    packets = []
    evt3 = Evt3Encoder(vectors)
    encoder = None if encoding == 'evt3' else ENCODERS[encoding](START_NS)
    per_packet = int(rate * PACKET_NS / 1e9)
    for seq, begin in enumerate(range(START_NS, START_NS + duration_ns, PACKET_NS)):
        part = (_runs if vectors else _scattered)(generator, per_packet, width, height, begin)
        data, base = (evt3.encode(part, end_ns=begin + PACKET_NS), 0) if encoder is None \
            else encoder.encode(part)
        packets.append(Packet(data, encoding, width, height, seq, base))
    return _stream(f'{encoding}, {width}x{height}, {"vectors" if vectors else "scattered"}',
                   packets)


def recorded(path: Path) -> Stream:
    """Return the packets of the first event topic of a bag; BagError, PacketError."""
    with open_bag(path) as reader:
        topic = require_event_topics(reader)[0]
        packets = [decode_event_packet(raw) for raw in reader.messages([topic])]
    first = packets[0]
    return _stream(f'{first.encoding}, {first.width}x{first.height}, {path.name}', packets)


def decoded(packets: list[Packet]) -> Events:
    """Return the events of packets."""
    decoder = make_decoder(packets[0])
    return Events.concatenate([*(decoder.decode(packet) for packet in packets),
                               decoder.flush()])


def _stream(name: str, packets: list[Packet]) -> Stream:
    events = decoded(packets)
    return Stream(name, packets, len(events), int(events.t[0]), int(events.t[-1]) + 1)


def _scattered(generator, count: int, width: int, height: int, begin_ns: int) -> Events:
    times = np.sort(generator.integers(0, PACKET_NS // 1000, count)) * 1000 + begin_ns
    return Events(times, generator.integers(0, width, count).astype(np.uint16),
                  generator.integers(0, height, count).astype(np.uint16),
                  generator.integers(0, 2, count).astype(np.uint8))


def _runs(generator, count: int, width: int, height: int, begin_ns: int) -> Events:
    runs = _scattered(generator, count // RUN, width - RUN, height, begin_ns)
    along = np.tile(np.arange(RUN, dtype=np.uint16), len(runs))
    return Events(*(np.repeat(values, RUN) for values in (runs.t,)),
                  np.repeat(runs.x, RUN) + along, np.repeat(runs.y, RUN),
                  np.repeat(runs.p, RUN))
