# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Speed of decoding packets to arrays of events."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from depth_anyevent_ros.benchmarks.case import Case, compare, Work
from depth_anyevent_ros.benchmarks.event_streams import made_up, recorded, Stream
from depth_anyevent_ros.benchmarks.numpy_events import decode_evt3, decode_libcaer
from depth_anyevent_ros.events.decoders import make_decoder

DURATION_NS = 200_000_000
BASELINES = {'evt3': decode_evt3, 'libcaer': decode_libcaer}
# Encoding, size, events a second, and whether evt3 has vector words.
MADE_UP = (('evt3', 1280, 720, 20e6, False), ('evt3', 1280, 720, 20e6, True),
           ('evt3', 346, 260, 10e6, False), ('evt3', 346, 260, 10e6, True),
           ('libcaer', 346, 260, 10e6, False))


def cases(repeats: int, seed: int, bags: list[Path]) -> Iterator[Case]:
    """Yield the rate of each stream, then of each recording."""
    for encoding, width, height, rate, vectors in MADE_UP:
        yield _case(made_up(encoding, width, height, rate, DURATION_NS, seed, vectors), repeats)
    for bag in bags:
        yield _case(recorded(bag), repeats)


def _case(stream: Stream, repeats: int) -> Case:
    encoding = stream.packets[0].encoding
    if encoding not in BASELINES:
        raise ValueError(f'{stream.name}: there is a baseline for {", ".join(BASELINES)} only')

    def decode():
        decoder = make_decoder(stream.packets[0])
        for packet in stream.packets:
            decoder.decode(packet)

    return compare(f'decode: {stream.name}', 'Mev/s', Work(decode, stream.events / 1e6),
                   'vectorised numpy, all packets at once',
                   Work(lambda: BASELINES[encoding](stream.packets), stream.events / 1e6),
                   repeats)
