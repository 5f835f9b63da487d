# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encodings whose packets stand on their own: surface, windows, and streams that begin anew."""
from dataclasses import replace

from event_packets import ALL, HEIGHT, MS, packets_of, random_events, START_NS, WIDTH
import numpy as np
import pytest

from depth_anyevent_ros.events.decoders import DECODERS, make_decoder
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.sinks import SurfaceSink
from depth_anyevent_ros.events.surface import grid_of_pixels, LatestEventSurface
from depth_anyevent_ros.events.types import Events, Packet, PacketError
from depth_anyevent_ros.events.windows import CountWindows, TimeWindows


class Onlooker:
    """An observer that leaves pixels out, and looks at every second piece or never."""

    def __init__(self, mask, curious):
        self.mask, self._curious, self._turn = mask, curious, 0
        self.seen = self.passed = 0

    def looks(self):
        self._turn += 1
        return self._curious and self._turn % 2 == 0

    def pass_by(self, t_first, t_last):
        assert t_first <= t_last
        self.passed += 1

    def take(self, events, count):
        self.seen += count
        return False


def in_large_pixels(events, cell, charge, cells):
    """Write into cells what large pixels see of events, one after the other."""
    for t, p, at in zip(events.t.tolist(), events.p.tolist(), cell.tolist()):
        charge[at, 0] += 1 if p else -1
        if abs(charge[at, 0]) >= charge[at, 1]:
            cells[at], charge[at, 0] = 2 * t + p, 0


@pytest.mark.parametrize('encoding', DECODERS)
@pytest.mark.parametrize('large', [False, True])
def test_every_way_to_the_surface_gives_the_same(encoding, large):
    events = random_events(12)
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.2
    grid = grid_of_pixels(WIDTH, HEIGHT, WIDTH // 2, HEIGHT // 3)
    expected = np.full((HEIGHT // 3) * (WIDTH // 2), -1)
    shown = ~mask[events.y, events.x]
    cell = np.add.outer(*grid)[events.y, events.x]
    before = np.random.default_rng(1).integers((-1, 2), (2, 5), (len(expected), 2), np.int32)
    charge = before.copy()
    in_large_pixels(events.outside(mask), cell[shown], charge, expected)
    if large:
        assert 0 < np.count_nonzero(expected >= 0) < len(expected)
    else:
        expected[cell[shown]] = (2 * events.t + events.p)[shown]
    for cells_of, curious in ((grid, False), (grid, True), (np.add.outer(*grid), False)):
        onlooker = Onlooker(mask, curious)
        gathered = before.copy() if large else None
        sink = SurfaceSink(np.full(len(expected), -1), cells_of, onlooker, gathered)
        packets = of_every_encoding(events, (700, 1400))[encoding]
        decoder = make_decoder(packets[0])
        for packet in packets:
            decoder.feed(packet)
            decoder.decode_until(None, sink)
        decoder.decode_until(None, sink, final=True)
        # evt3 has its own clock, and begins it at 0.
        seen = sink.cells + (2 * START_NS * (encoding == 'evt3') * (sink.cells >= 0))
        np.testing.assert_array_equal(seen, expected)
        if large:
            np.testing.assert_array_equal(gathered, charge)
        assert bool(onlooker.passed) == isinstance(cells_of, tuple)
        assert bool(onlooker.seen) == (curious or not isinstance(cells_of, tuple))


@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('step_ns', [300_000, 7 * MS])
def test_decoding_up_to_times_gives_the_same_events(encoding, step_ns):
    events = random_events(11)
    decoder = make_decoder(packets_of(events, encoding)[0])
    surface = LatestEventSurface(WIDTH, HEIGHT, WIDTH, HEIGHT)
    limit, counted = START_NS, 0
    for packet in [*packets_of(events, encoding, (700, 1400)), None]:
        if packet is not None:
            decoder.feed(packet)
        while True:
            segment = decoder.decode_until(limit, surface.sink, final=packet is None)
            counted += segment.events
            if segment.events:
                assert limit - step_ns <= segment.t_first <= segment.t_last < limit
            assert counted == min(int(np.searchsorted(events.t, limit)), counted)
            if decoder.time_ns is None or decoder.time_ns < limit:
                break
            assert counted == np.searchsorted(events.t, limit)
            limit += step_ns
    assert counted == len(events)


def windows_of(packets, rule, representation=Representation(HEIGHT, WIDTH)):
    pipeline = EventPipeline(lambda width, height: representation, rule)
    made = [window for packet in packets for window in pipeline.push(packet)]
    return made + list(pipeline.finish()), pipeline


def of_every_encoding(events, cuts):
    """Return the packets of the same events in each encoding, evt3 with its own clock."""
    streams = {encoding: packets_of(events, encoding, cuts) for encoding in ALL}
    encoder, bounds = Evt3Encoder(), [0, *cuts, len(events)]
    streams['evt3'] = [
        Packet(encoder.encode(Events(part.t - START_NS, part.x, part.y, part.p)), 'evt3', WIDTH,
               HEIGHT, seq)
        for seq, part in enumerate(events.part(*ends) for ends in zip(bounds, bounds[1:]))]
    assert set(streams) == set(DECODERS)
    return streams


@pytest.mark.parametrize('rule', [TimeWindows(5 * MS, 4 * MS, 10**9), CountWindows(400, 10**9)])
def test_the_same_events_give_the_same_windows(rule):
    # START_NS is a multiple of both period and wrap, so that windows end at the same times.
    events = random_events(12, begin_us=3)
    found = {}
    for encoding, packets in of_every_encoding(events, (600, 1300, 2500)).items():
        windows, _ = windows_of(packets, rule)
        base = 0 if encoding == 'evt3' else START_NS
        found[encoding] = [(w.t_start - base, w.t_end - base, w.events, w.image.tobytes())
                           for w in windows]
    assert len(found['libcaer']) >= 3
    for encoding in ALL:
        assert found[encoding] == found['libcaer'], encoding
    # evt3 knows that time goes on without events, so that it may begin a window earlier.
    assert set(found['libcaer'][1:-1]) <= set(found['evt3'])


@pytest.mark.parametrize('encoding', ALL)
def test_one_corrupt_time_base_does_not_restart_the_stream(encoding):
    packets = packets_of(random_events(13), encoding, (500, 1000, 1500, 2000, 2500))
    good, pipeline = windows_of(packets, TimeWindows(5 * MS, 5 * MS, 10**9))
    events = pipeline.counters()['events']
    packets[2] = replace(packets[2], time_base=packets[2].time_base + 3600 * 10**9)
    windows, pipeline = windows_of(packets, TimeWindows(5 * MS, 5 * MS, 10**9))
    counters = pipeline.counters()
    assert counters['restarts'] == counters['interruptions'] == 0
    assert [w.t_end for w in windows] == [w.t_end for w in good]
    assert sum(w.interrupted for w in windows) == 1
    # Nothing is lost that is not counted.
    assert counters['events'] + counters['unsynchronised'] + counters['corrupt_times'] in (
        events, events + 1)


@pytest.mark.parametrize('encoding', ALL)
def test_what_is_held_back_when_a_stream_restarts_is_counted(encoding):
    packets = packets_of(random_events(13), encoding, (500, 1000, 1500))
    decoder = make_decoder(packets[0])
    decoder.feed(replace(packets[0], time_base=packets[0].time_base + 3600 * 10**9))
    decoder.reset()
    assert decoder.counters()['unsynchronised'] >= 500 and decoder.room() == 0


@pytest.mark.parametrize('encoding', ALL)
def test_a_time_base_that_falls_back_begins_anew(encoding):
    packets = packets_of(random_events(13), encoding, (500, 1000, 2000))
    again = [replace(packet, seq=packet.seq + 4, time_base=packet.time_base - 60 * 10**9)
             for packet in packets]
    windows, pipeline = windows_of(packets + again, TimeWindows(5 * MS, 5 * MS, 10**9))
    assert pipeline.counters()['restarts'] == 1
    assert [w.interrupted for w in windows].count(True) == 2


LARGE = Representation(HEIGHT // 4, WIDTH // 4, cell_threshold=0.15)  # 2 of 16 pixels


@pytest.mark.parametrize('encoding', ['libcaer', 'mono'])
def test_large_pixels_remember_over_windows_of_count(encoding):
    events = random_events(16)
    windows, _ = windows_of(packets_of(events, encoding, (700, 1400)), CountWindows(50, 10**9),
                            LARGE)
    assert len(windows) == len(events) // 50
    charge = LatestEventSurface(WIDTH, HEIGHT, WIDTH // 4, HEIGHT // 4,
                                cell_threshold=0.15).sink._charge
    assert np.unique(charge[:, 0]).tolist() == [-1, 0, 1] and (charge[:, 1] == 2).all()
    cell_of_pixel = np.add.outer(*grid_of_pixels(WIDTH, HEIGHT, WIDTH // 4, HEIGHT // 4))
    for number, window in enumerate(windows):
        part = events.part(50 * number, 50 * number + 50)
        cells = np.full(len(charge), -1)
        in_large_pixels(part, cell_of_pixel[part.y, part.x], charge, cells)
        on, off = window.image[[0, 2]].reshape(2, -1)
        np.testing.assert_array_equal(on, (cells >= 0) & (cells & 1))
        np.testing.assert_array_equal(off, (cells >= 0) & ~cells & 1)


@pytest.mark.parametrize('encoding', ALL)
def test_large_pixels_forget_where_a_stream_begins_anew(encoding):
    packets = packets_of(random_events(13), encoding, (500, 1000, 2000))
    again = [replace(packet, seq=packet.seq + 4, time_base=packet.time_base - 60 * 10**9)
             for packet in packets]
    # A window of the end of a stream comes with finish() only.
    windows, _ = windows_of(packets + again, TimeWindows(5 * MS, 5 * MS, 10**9), LARGE)
    begin = [window.interrupted for window in windows].index(True, 1)
    assert begin >= 2
    for first, second in zip(windows[:begin], windows[begin:]):
        assert second.t_end == first.t_end - 60 * 10**9
        np.testing.assert_array_equal(first.image, second.image)


def test_a_camera_that_changes_its_encoding_begins_anew():
    events = random_events(14)
    packets = [*packets_of(events, 'libcaer', (1500,)),
               *(replace(p, seq=p.seq + 2) for p in packets_of(events, 'mono', (1500,)))]
    windows, pipeline = windows_of(packets, TimeWindows(5 * MS, 5 * MS, 10**9))
    assert [w.interrupted for w in windows].count(True) == 2
    assert pipeline.counters()['events'] == 6000
    assert pipeline.counters()['size_changes'] == 0


@pytest.mark.parametrize('fields', [{'time_base': 1 << 63}, {'width': 5000}, {'height': 0},
                                    {'encoding': 'trigger'}])
def test_packets_that_cannot_be_are_refused(fields):
    packet = replace(packets_of(random_events(15), 'libcaer')[0], **fields)
    with pytest.raises(PacketError):
        windows_of([packet], TimeWindows(5 * MS, 5 * MS, 10**9))
