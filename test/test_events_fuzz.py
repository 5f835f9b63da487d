# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Damaged packets of every encoding: no crash, no hang, no write out of bounds, all counted.

100,000 packets each; `./scripts/test.sh test/test_events_fuzz.py --fuzz-packets 10000000` tries
more.
"""
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.events.decoders import DECODERS, make_decoder
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.sinks import ArraySink, SurfaceSink
from depth_anyevent_ros.events.stream_health import StreamHealth
from depth_anyevent_ros.events.surface import grid_of_pixels
from depth_anyevent_ros.events.types import Events, Packet, PacketError
from depth_anyevent_ros.events.windows import CountWindows, TimeWindows

START_NS = 1_700_000_000_000_000_000
WIDTH, HEIGHT = 64, 48
EVENTS, BYTES = 24, 96  # of a packet at most
BATCH = 5000
GUARD, MARK = 64, 77
DAMAGES = ('none', 'bit', 'word', 'noise', 'cut', 'base', 'swapped', 'gap', 'reset')


def whole_packets(encoding, rng, count):
    """Return bytes (count, BYTES), their lengths, and the time bases, of a good stream."""
    data = np.zeros((count, BYTES), np.uint8)
    lengths, bases = np.zeros(count, int), np.zeros(count, np.int64)
    evt3 = Evt3Encoder(vectors=True, time_high_interval_us=4096)
    encoder = None if encoding == 'evt3' else ENCODERS[encoding](START_NS)
    now_us = 0
    for i in range(count):
        times = now_us + np.sort(rng.integers(0, 3000, EVENTS)) // 300 * 300
        now_us += 3000
        y = np.sort(rng.integers(0, HEIGHT, EVENTS)).astype(np.uint16)
        events = Events(times * 1000, np.sort(rng.integers(0, WIDTH, EVENTS)).astype(np.uint16),
                        y, np.repeat(rng.integers(0, 2, EVENTS // 8), 8).astype(np.uint8))
        if encoder is None:
            packed = evt3.encode(events)
        else:
            packed, bases[i] = encoder.encode(
                Events(events.t + START_NS, events.x, events.y, events.p))
        lengths[i] = min(len(packed), BYTES)
        data[i, :lengths[i]] = packed[:BYTES]
    return data, lengths, bases


def damaged_packets(encoding, rng, whole):
    """Yield (packet, damage) for a stream of which a third is good."""
    data, lengths, bases = whole[0].copy(), whole[1].tolist(), whole[2].tolist()
    count = len(data)
    odds = np.r_[1 / 3, np.full(len(DAMAGES) - 1, 2 / 3 / (len(DAMAGES) - 1))]
    kinds = rng.choice(len(DAMAGES), count, p=odds)
    places, values = rng.integers(0, BYTES // 2, count), rng.integers(0, 1 << 16, count)
    bits, noise = 1 << rng.integers(0, 16, count), rng.integers(0, 256, data.shape, np.uint8)
    leaps = rng.choice([-1 << 60, -10**12, -10**8, 10**6, 10**9, 10**13, 1 << 61], count)
    words = data.view('<u2')
    for kind, change in (('bit', words[np.arange(count), places] ^ bits), ('word', values)):
        chosen = np.flatnonzero(kinds == DAMAGES.index(kind))
        words[chosen, places[chosen]] = change[chosen]
    chosen = kinds == DAMAGES.index('noise')
    data[chosen] = noise[chosen]
    order = np.arange(count)
    chosen = np.flatnonzero(kinds == DAMAGES.index('swapped'))
    order[chosen] = rng.integers(0, count, len(chosen))
    drawn = zip(kinds.tolist(), order.tolist(), places.tolist(), leaps.tolist(),
                (values == 0).tolist())
    for i, (kind, source, place, leap, bigendian) in enumerate(drawn):
        length, base = lengths[source], bases[source]
        if DAMAGES[kind] == 'cut':
            length = place
        elif DAMAGES[kind] == 'base':
            base = max(base + leap, 0)
        yield Packet(data[source, :length], encoding, WIDTH, HEIGHT, i, base,
                     bigendian), DAMAGES[kind]


class Guarded:
    """Sinks that tell whether anything was written beside them."""

    def __init__(self):
        self._arrays = [np.full(1 << 18, MARK, kind)
                        for kind in (np.int64, np.uint16, np.uint16, np.uint8)]
        self._cells = np.full(WIDTH * HEIGHT + 2 * GUARD, MARK, np.int64)
        cells, grid = self._cells[GUARD:-GUARD], grid_of_pixels(WIDTH, HEIGHT, WIDTH, HEIGHT)
        self._charge = np.full((WIDTH * HEIGHT + 2 * GUARD, 2), MARK, np.int32)
        charge = self._charge[GUARD:-GUARD]
        charge[:] = 0, 2
        self.surfaces = [SurfaceSink(cells, cells_of, charge=of_large)
                         for of_large in (None, charge)
                         for cells_of in (grid, np.add.outer(*grid))]

    def arrays(self, room):
        assert room + 2 * GUARD <= len(self._arrays[0])
        return ArraySink(*(array[GUARD:GUARD + room] for array in self._arrays))

    def check(self, room):
        times = self._arrays[0]  # the others are written at the same places
        assert (times[GUARD + room:2 * GUARD + room] == MARK).all()
        times[GUARD:GUARD + room] = MARK

    def check_borders(self):
        for array in (*self._arrays, self._cells, self._charge):
            assert np.all(array[:GUARD] == MARK) and np.all(array[-GUARD:] == MARK)


@pytest.mark.parametrize('encoding', DECODERS)
def test_damaged_packets(encoding, request):
    left = request.config.getoption('--fuzz-packets')
    rng = np.random.default_rng(20)
    guarded, decoder, seen, put = Guarded(), None, Counter(), 0
    whole = whole_packets(encoding, rng, BATCH)
    while left > 0:
        for packet, kind in damaged_packets(encoding, rng, whole):
            seen[kind] += 1
            decoder = decoder or make_decoder(packet)
            if kind == 'reset':
                decoder.reset()
            elif kind == 'gap':
                decoder.note_gap()
            decoder.feed(packet)
            room = decoder.room()
            if packet.seq % 2:
                sink = guarded.arrays(room)
                found = decoder.decode_until(None, sink)
                n = found.events
                assert n <= room
                if n:
                    assert max(sink.x[:n].tolist()) < WIDTH
                    assert max(sink.y[:n].tolist()) < HEIGHT and max(sink.p[:n].tolist()) < 2
                    assert found.t_first == sink.t[0] and found.t_last == sink.t[n - 1]
                guarded.check(room)
            else:
                # As windows do: some events, up to a time, then the rest.
                reached, surface = decoder.time_ns or 0, guarded.surfaces[packet.seq // 2 % 4]
                n = decoder.decode_until(reached + 1_000_000, surface, False, 7).events
                n += decoder.decode_until(None, surface).events
                assert n <= room
            put += n
        guarded.check_borders()
        left -= BATCH
    counters = decoder.counters()
    assert counters['events'] == put > 0
    assert 0 < counters['on'] < put
    dropped = ('out_of_range', 'corrupt_times', 'unsynchronised', 'truncated')
    assert all(counters[name] > 0 for name in dropped if (encoding, name) != ('mono', 'truncated')
               ), counters
    assert set(seen) == set(DAMAGES)


def misdescribed(packets, rng):
    """Yield the packets, some of which say something wrong of themselves."""
    encodings = (*DECODERS, 'evt9', '')
    for index, (packet, _) in enumerate(packets):
        # Packets of 3 ms.
        packet = replace(packet, stamp_ns=10**18 + index * 3_000_000)
        what = rng.integers(60)
        if what == 0:
            packet = replace(packet, width=int(rng.choice([0, 1, 14, 32, 128, 4096, 1 << 31])))
        elif what == 1:
            packet = replace(packet, encoding=str(rng.choice(encodings)))
        elif what == 2:
            packet = replace(packet, seq=max(packet.seq + int(rng.choice([-7, 5, 1 << 40])), 0))
        elif what == 3:
            leap = int(rng.choice([-10**18, -10**9, 10**9, 10**17]))
            packet = replace(packet, stamp_ns=packet.stamp_ns + leap)
        elif what == 4:
            packet = replace(packet, events=packet.events[:0])
        yield packet


@pytest.mark.parametrize('encoding', DECODERS)
@pytest.mark.parametrize('windows', [TimeWindows(20_000_000, 9_000_000, 10**9),
                                     CountWindows(40, 10**9)])
def test_damaged_packets_on_their_way_to_windows(encoding, windows, request):
    rng = np.random.default_rng(21)
    count = max(1500, request.config.getoption('--fuzz-packets') // 100)
    pipeline = EventPipeline(
        lambda width, height: Representation(min(height, 42), min(width, 56)), windows,
        lambda packet: StreamHealth(packet.width, packet.height, every_ns=10**9))
    table = rng.uniform(-20, 80, (HEIGHT, WIDTH, 2))
    before, made, refused = Counter(), 0, 0
    whole = whole_packets(encoding, rng, count)
    for index, packet in enumerate(misdescribed(damaged_packets(encoding, rng, whole), rng)):
        if index in (count // 3, 2 * count // 3):
            pipeline.rectify(table if index == count // 3 else None)
        try:
            for window in pipeline.push(packet):
                made += 1
                assert window.t_start < window.t_end and window.stamp_ns > 0
                assert window.image.min() >= 0 and window.image.max() <= 1
        except PacketError:
            refused += 1
        counters = Counter(pipeline.counters())
        assert all(counters[name] >= value for name, value in before.items()), (before, counters)
        before = counters
    list(pipeline.finish())
    assert made > 20 and refused > 5
    assert before['restarts'] and before['gaps'] and before['size_changes']
    # Refused, taken twice for one, or decoded: nothing else becomes of a packet.
    assert before['packets'] + before['bad_packets'] + before['duplicates'] == count
    assert before['bad_packets'] == refused


def long_packets(encoding, rng, count=12, most=2000):
    """Return packets of many events, some with a few damaged bits, or with a base of long ago."""
    encoder, packets = ENCODERS[encoding](START_NS), []
    now_us = (1 << 31) - int(rng.integers(0, 60_000))  # where libcaer rolls over
    for seq in range(count):
        size = int(rng.choice([256, 1024, rng.integers(1, most)]))
        times = now_us + np.cumsum(rng.integers(0, 30, size))
        now_us = int(times[-1]) + int(rng.choice([1, 1000, 1_500_000]))
        data, base = encoder.encode(Events(
            START_NS + times * 1000, rng.integers(0, WIDTH, size).astype(np.uint16),
            rng.integers(0, HEIGHT, size).astype(np.uint16),
            rng.integers(0, 2, size).astype(np.uint8)))
        data = data.copy()
        for _ in range(rng.choice([0, 0, 1, 4])):
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        packets.append(Packet(data, encoding, WIDTH, HEIGHT, seq,
                              base - int(rng.choice([0, 0, 0, 50_000_000]))))
    return packets


def decode_by(most, packets, limits, new_sink):
    """Return what decoding `most` events at a time puts into sinks up to each limit."""
    decoder, found = make_decoder(packets[0]), []
    for packet, limit in zip(packets, limits):
        decoder.feed(packet)
        for until, final in ((limit, False), (None, packet is packets[-1])):
            while True:
                sink = new_sink(decoder.room())
                part = decoder.decode_until(until, sink, final, most)
                if not part.events:
                    break
                if isinstance(sink, ArraySink):
                    found.append(list(zip(*(values[:part.events].tolist() for values in sink))))
                    assert (found[-1][0][0], found[-1][-1][0]) == (part.t_first, part.t_last)
            found.append([decoder.time_ns])
    return [event for part in found for event in part], decoder.counters()


@pytest.mark.parametrize('encoding', ('libcaer', 'mono'))
@pytest.mark.parametrize('seed', range(20))
def test_records_are_judged_together_as_they_are_one_by_one(encoding, seed):
    rng = np.random.default_rng(seed)
    packets = long_packets(encoding, rng)
    limits = [int(packet.time_base + rng.integers(0, 60_000_000)) for packet in packets]
    together, one_by_one = (decode_by(most, packets, limits, ArraySink.of_size)
                            for most in (1 << 20, 1))
    assert together == one_by_one
    mask = rng.random((HEIGHT, WIDTH)) < 0.1
    surfaces = []
    for most in (1 << 20, 1):
        cells = np.full(WIDTH * HEIGHT // 4, -1, np.int64)
        sink = SurfaceSink(cells, grid_of_pixels(WIDTH, HEIGHT, WIDTH // 2, HEIGHT // 2))
        sink._leave_out(mask)
        decode_by(most, packets, limits, lambda room: sink)
        surfaces.append(cells)
    np.testing.assert_array_equal(*surfaces)
    assert (surfaces[0] >= 0).any()
