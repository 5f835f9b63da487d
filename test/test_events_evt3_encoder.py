# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The evt3 encoder against a decoder written here by the format's description alone."""
import numpy as np
import pytest

from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.types import Events


class PlainDecoder:
    """EVT 3.0 word by word, in plain Python; its state lives on between packets."""

    def __init__(self):
        self.high = self.low = self.y = self.base = self.wraps = None
        self.events = []
        self.triggers = []
        self.words = []

    def feed(self, data):
        for word in np.frombuffer(data.tobytes(), '<u2').tolist():
            kind, value = word >> 12, word & 0xFFF
            self.words.append(kind)
            time = None
            if self.low is not None and self.high is not None:
                time = ((self.wraps << 24) + (self.high << 12) + self.low) * 1000
            if kind == 0x0:
                self.y = value & 0x7FF
            elif kind == 0x2:
                self.events.append((time, value & 0x7FF, self.y, value >> 11))
            elif kind == 0x3:
                self.base = value & 0x7FF, value >> 11
            elif kind in (0x4, 0x5):
                x, p = self.base
                size = 12 if kind == 0x4 else 8
                assert value >> size == 0
                self.events += [
                    (time, x + bit, self.y, p) for bit in range(size) if value >> bit & 1]
                self.base = x + size, p
            elif kind == 0x6:
                self.low = value
            elif kind == 0x8:
                if self.high is None:
                    self.wraps = 0
                elif value < self.high:
                    self.wraps += 1
                if value != self.high:
                    self.low = None
                self.high = value
            elif kind == 0xA:
                self.triggers.append((time, value & 1, value >> 8))
            else:
                raise AssertionError(f'unexpected word {word:#06x}')


def random_events(count, seed, start_us=0, step_us=3, rows=480, columns=640):
    """Make events in bursts of one time, as a sensor reads whole rows at once."""
    generator = np.random.default_rng(seed)
    times = start_us + np.cumsum(generator.integers(0, step_us, count) *
                                 (generator.random(count) < 0.3))
    return Events(times.astype(np.int64) * 1000,
                  generator.integers(0, columns, count).astype(np.uint16),
                  generator.integers(0, rows, count).astype(np.uint16),
                  generator.integers(0, 2, count).astype(np.uint8))


def rows_of_runs(count, seed):
    """Make events of few rows, sorted in x within one time, row and polarity."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        x = np.flatnonzero(generator.random(300) < generator.random())
        time = index * 37 * 1000
        rows += [(time, int(column), index % 5, index // 5 % 2)
                 for column in x]
    t, x, y, p = np.array(rows).T
    return Events(t.astype(np.int64), x.astype(np.uint16), y.astype(np.uint16),
                  p.astype(np.uint8))


def as_rows(events):
    return list(zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist()))


@pytest.mark.parametrize('vectors', [False, True])
@pytest.mark.parametrize('make', [random_events, rows_of_runs])
def test_round_trip_in_one_packet(make, vectors):
    events = make(2000, 1)
    decoder = PlainDecoder()
    decoder.feed(Evt3Encoder(vectors).encode(events))
    assert decoder.events == as_rows(events)
    assert (0x4 in decoder.words and 0x5 in decoder.words) == (
        vectors and make is rows_of_runs)


@pytest.mark.parametrize('vectors', [False, True])
@pytest.mark.parametrize('self_contained', [False, True])
def test_round_trip_in_many_packets_equals_one_stream(vectors, self_contained):
    events = rows_of_runs(300, 2)
    encoder = Evt3Encoder(vectors, self_contained=self_contained)
    decoder = PlainDecoder()
    cuts = np.sort(np.random.default_rng(3).integers(0, len(events), 40))
    for begin, end in zip([0, *cuts], [*cuts, len(events)]):
        packet = encoder.encode(events.part(begin, end))
        decoder.feed(packet)
        if self_contained and end > begin:
            alone = PlainDecoder()
            alone.feed(packet)
            assert [row[1:] for row in alone.events] == [
                row[1:] for row in as_rows(events.part(begin, end))]
    assert decoder.events == as_rows(events)


def test_vectors_take_fewer_words():
    events = rows_of_runs(500, 4)
    plain, vectors = Evt3Encoder().encode(events), Evt3Encoder(True).encode(events)
    assert len(vectors) < 0.6 * len(plain)
    assert len(vectors) <= len(plain)


def test_isolated_events_stay_single_words():
    events = random_events(1000, 5)
    assert np.array_equal(Evt3Encoder(True).encode(events), Evt3Encoder().encode(events))


def test_words_by_hand():
    events = Events(np.array([5_000_000, 5_000_000, 5_001_000]), np.array([3, 4, 700], np.uint16),
                    np.array([9, 9, 10], np.uint16), np.array([1, 0, 1], np.uint8))
    words = Evt3Encoder(time_high_interval_us=4096).encode(events).view('<u2')
    assert [f'{word:04x}' for word in words] == [
        '8001', f'6{5000 - 4096:03x}', '0009', '2803', '2004', f'6{5001 - 4096:03x}', '000a',
        f'2{0x800 | 700:03x}']
    run = Events(np.zeros(22, np.int64), np.r_[100:120, 131:133].astype(np.uint16),
                 np.zeros(22, np.uint16), np.ones(22, np.uint8))
    words = Evt3Encoder(vectors=True).encode(run).view('<u2')
    assert [f'{word:04x}' for word in words] == [
        '8000', '6000', '0000', f'3{0x800 | 100:03x}', '4fff', '40ff', '4180']


def test_time_wraps_after_24_bits_and_silence():
    times = np.array([16_777_210, 16_777_215, 16_777_216, 16_777_300, 50_331_700]) * 1000
    ones = np.ones(5, np.uint16)
    decoder = PlainDecoder()
    decoder.feed(Evt3Encoder(time_high_interval_us=4096).encode(
        Events(times, ones, ones, ones.astype(np.uint8))))
    assert [row[0] for row in decoder.events] == times.tolist()


def test_time_high_is_repeated_without_events():
    nothing = Events(np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint16),
                     np.empty(0, np.uint8))
    encoder = Evt3Encoder()
    words = encoder.encode(nothing, end_ns=0).view('<u2')
    assert words.tolist() == [0x8000]
    words = encoder.encode(nothing, end_ns=8_192_000).view('<u2')
    assert len(words) == 512 and words[254] == 0x8000 and words[-1] == 0x8002
    assert set((words >> 12).tolist()) == {8}
    assert len(encoder.encode(nothing)) == 0


def test_a_stream_that_begins_late_needs_no_room_for_the_time_before():
    start_ns = 10**9 * 3600 * 24 * 365  # words for all of it would be terabytes
    events = Events(np.array([start_ns, start_ns + 5000]), np.array([3, 4], np.uint16),
                    np.array([1, 1], np.uint16), np.array([1, 0], np.uint8))
    assert len(Evt3Encoder().encode(events)) < 40
    assert len(Evt3Encoder().encode(Events.concatenate([]), end_ns=start_ns)) < 40


def test_triggers_stand_among_the_events():
    events = random_events(500, 6, step_us=9)
    half = int(events.t[250])
    triggers = [(0, 1, 0), (half, 0, 7), (int(events.t[-1]) + 90_000, 1, 15)]
    decoder = PlainDecoder()
    decoder.feed(Evt3Encoder().encode(events, triggers))
    assert decoder.triggers == triggers
    assert decoder.events == as_rows(events)


def test_times_are_cut_to_microseconds():
    events = Events(np.array([1999]), np.array([1], np.uint16), np.array([1], np.uint16),
                    np.array([1], np.uint8))
    decoder = PlainDecoder()
    decoder.feed(Evt3Encoder().encode(events))
    assert decoder.events == [(1000, 1, 1, 1)]


@pytest.mark.parametrize('change, message', [
    ({'t': [2000, 1000]}, 'sorted by time'), ({'t': [-5000, 0]}, 'sorted by time'),
    ({'x': [1, 2048]}, 'x has to lie within 0 to 2047'),
    ({'y': [2048, 0]}, 'y has to lie within 0 to 2047'), ({'p': [0, 2]}, 'polarity')])
def test_refuses(change, message):
    values = {'t': [0, 1000], 'x': [1, 2], 'y': [3, 4], 'p': [0, 1], **change}
    types = {'t': np.int64, 'x': np.uint16, 'y': np.uint16, 'p': np.uint8}
    events = Events(**{name: np.array(values[name], types[name]) for name in values})
    with pytest.raises(ValueError, match=message):
        Evt3Encoder().encode(events)


def test_refuses_to_go_back():
    encoder = Evt3Encoder()
    encoder.encode(random_events(10, 7), end_ns=9_000_000)
    with pytest.raises(ValueError, match='end of the last packet'):
        encoder.encode(random_events(10, 7))
    with pytest.raises(ValueError, match='ends at'):
        encoder.encode(random_events(10, 7, start_us=9_100), end_ns=8_000_000)
    with pytest.raises(ValueError, match='value of 0 or 1'):
        encoder.encode(random_events(10, 7, start_us=9_100), [(9_200_000, 1, 16)])
    with pytest.raises(ValueError, match='divide 4096'):
        Evt3Encoder(time_high_interval_us=100)
