# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of decoding packets to arrays of events."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.event_streams import made_up, recorded, Stream
from depth_anyevent_ros.benchmarks.numpy_events import (
    decode_evt3, decode_evt3_by_packet, decode_libcaer, decode_libcaer_by_packet,
    decode_libcaer_cmp, decode_libcaer_cmp_by_packet, decode_mono, decode_mono_by_packet)
from depth_anyevent_ros.events.decoders import make_decoder
from depth_anyevent_ros.events.types import Events, Packet

DURATION_NS = 200_000_000
ALL_AT_ONCE = {'evt3': decode_evt3, 'libcaer': decode_libcaer,
               'libcaer_cmp': decode_libcaer_cmp, 'mono': decode_mono}
BY_PACKET = {'evt3': decode_evt3_by_packet, 'libcaer': decode_libcaer_by_packet,
             'libcaer_cmp': decode_libcaer_cmp_by_packet, 'mono': decode_mono_by_packet}
# Encoding, size, events a second, and whether evt3 has vector words.
MADE_UP = (('evt3', 1280, 720, 20e6, False), ('evt3', 1280, 720, 20e6, True),
           ('evt3', 346, 260, 10e6, False), ('evt3', 346, 260, 10e6, True),
           ('libcaer', 346, 260, 10e6, False), ('libcaer_cmp', 346, 260, 10e6, False),
           ('mono', 346, 260, 10e6, False))


def cases(repeats: int, seed: int, bags: list[Path]) -> Iterator[Case]:
    """Yield the rate of each stream, then of each recording, beside numpy."""
    for encoding, width, height, rate, vectors in MADE_UP:
        yield from _cases(made_up(encoding, width, height, rate, DURATION_NS, seed, vectors),
                          repeats)
    for bag in bags:
        yield from _cases(recorded(bag), repeats)


def numpy_baseline(stream: Stream, baselines: dict):
    """Return the one for a stream's encoding."""
    return baselines[stream.packets[0].encoding]


def decode_by_packet(packets: list[Packet]) -> Iterator[Events]:
    """Yield the events of each packet, by the decoders of this package."""
    decoder = make_decoder(packets[0])
    return (decoder.decode(packet) for packet in packets)


def use_up(values: Iterable) -> None:
    """Take one after the other, and keep none."""
    deque(values, maxlen=0)


def _cases(stream: Stream, repeats: int) -> Iterator[Case]:
    all_at_once = numpy_baseline(stream, ALL_AT_ONCE)
    by_packet = numpy_baseline(stream, BY_PACKET)

    for words, baseline in (
            ('packet by packet', lambda: use_up(by_packet(stream.packets))),
            ('all packets at once', lambda: all_at_once(stream.packets))):
        yield compare(f'decode: {stream.name}', 'Mev/s',
                      Work(lambda: use_up(decode_by_packet(stream.packets)), stream.events / 1e6),
                      f'vectorised numpy, {words}', Work(baseline, stream.events / 1e6), repeats)
