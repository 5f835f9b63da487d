# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encodings whose packets stand on their own: real recordings, there and back, and damage."""
from dataclasses import replace
import json

from event_packets import (
    ALL, HEIGHT, LONGEST_NS, MS, packets_of, random_events, short_enough, sparse_events, START_NS,
    WIDTH)
import numpy as np
import pytest

from depth_anyevent_ros.datasets.bags import decode_event_packet, open_bag
from depth_anyevent_ros.events.decoders import make_decoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.types import Events, Packet


def decode_all(packets):
    decoder = make_decoder(packets[0])
    parts = [decoder.decode(packet) for packet in packets]
    return Events.concatenate([*parts, decoder.flush()]), decoder


def assert_same(a, b):
    for name in 'txyp':
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize('bag', ['test_data_libcaer_rollover', 'test_data_mono_cd'])
def test_real_recordings(shared_data, bag):
    expected = json.loads((shared_data / 'bags' / 'expected.json').read_text())[bag]
    with open_bag(shared_data / 'bags' / bag) as reader:
        packets = [decode_event_packet(raw) for raw in reader.messages()]
    events, decoder = decode_all(packets)
    assert [int(v[0]) for v in (events.t, events.x, events.y, events.p)] == expected['first']
    assert [int(v[-1]) for v in (events.t, events.x, events.y, events.p)] == expected['last']
    sums = {f'sum_{name}': int(getattr(events, name).astype(np.uint64).sum())
            for name in 'txyp'}
    assert sums == {name: expected[name] for name in sums}
    counters = decoder.counters()
    assert counters['on'] == expected['on']
    dropped = set(counters) - {'events', 'on'}
    assert not any(counters[name] for name in dropped)


@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('seed', range(4))
def test_there_and_back_however_it_is_cut(encoding, seed):
    events = random_events(seed)
    rng = np.random.default_rng(seed)
    for pieces in (0, 3, 40):
        cuts = np.unique(rng.integers(1, len(events), pieces)).tolist()
        found, decoder = decode_all(packets_of(events, encoding, cuts))
        assert_same(found, events)
        assert decoder.counters()['events'] == len(events)


@pytest.mark.parametrize('encoding', (*ALL, 'evt3'))
@pytest.mark.parametrize('seed', range(8))
def test_long_pauses_wherever_packets_are_cut(encoding, seed):
    events = sparse_events(seed)
    rng = np.random.default_rng(seed)
    second = int(np.argmax(events.t > START_NS))  # it has to come soon, and to begin a packet
    for pieces in (0, 3, 12, 60):
        cuts = {second, *rng.integers(second, len(events), pieces).tolist()}
        cuts = short_enough(events, encoding, cuts)
        found, decoder = decode_all(packets_of(events, encoding, cuts))
        shift = START_NS if encoding == 'evt3' else 0
        assert_same(replace(found, t=found.t + shift), events)
        assert decoder.counters()['corrupt_times'] == 0


def at_times(*times_us):
    """Return events at these times after START_NS."""
    t = START_NS + np.array(times_us, np.int64) * 1000
    return Events(t, *np.ones((2, len(t)), np.uint16), np.ones(len(t), np.uint8))


def test_a_pause_within_a_packet_of_libcaer_cmp_waits_for_what_follows():
    events = at_times(0, 10, 1_500_000, 1_500_010, 1_600_000)
    packets = packets_of(events, 'libcaer_cmp', (1, 4))
    decoder = make_decoder(packets[0])
    found = [*map(decoder.decode, packets), decoder.flush()]
    assert [len(part) for part in found] == [0, 2, 3, 0]
    assert_same(Events.concatenate(found), events)


def test_a_corrupt_high_half_of_libcaer_cmp_is_refuted_by_the_next_packet():
    events = at_times(0, 10, 20, 5000)
    first, second = packets_of(events, 'libcaer_cmp', (3,))
    words = first.events.view('<u2')
    corrupt = np.insert(words, np.flatnonzero(words >> 12 == 1)[-1], 0x0800)
    found, decoder = decode_all([replace(first, events=corrupt.view(np.uint8)), second])
    assert_same(found, events)
    assert decoder.counters()['corrupt_times'] == 1


def test_long_pauses_within_a_packet_of_libcaer_cmp():
    events = at_times(0, 1_500_000, 12_000_000, 16_000_000, 16_000_010)
    assert_same(decode_all(packets_of(events, 'libcaer_cmp'))[0], events)


@pytest.mark.parametrize('encoding', ALL)
def test_the_declared_order_of_bytes_is_honoured(encoding):
    events = random_events(5)
    size = {'libcaer': 4, 'libcaer_cmp': 2, 'mono': 8}[encoding]
    swapped = [replace(packet, is_bigendian=True,
                       events=packet.events.reshape(-1, size)[:, ::-1].reshape(-1).copy())
               for packet in packets_of(events, encoding, (1000, 2000))]
    assert_same(decode_all(swapped)[0], events)


@pytest.mark.parametrize('encoding', ALL)
def test_bytes_may_lie_anywhere(encoding):
    events = random_events(6)
    packets = packets_of(events, encoding, (1000, 2000))
    moved = [replace(packet, events=np.frombuffer(b'abc' + packet.events.tobytes(), np.uint8, -1,
                                                  3)) for packet in packets]
    assert_same(decode_all(moved)[0], events)


@pytest.mark.parametrize('encoding', ['libcaer', 'mono'])
@pytest.mark.parametrize('count', [1, 15, 16, 17, 255, 256, 257, 300, 512, 529])
def test_an_event_beside_the_sensor_is_counted_wherever_it_lies(encoding, count):
    events = random_events(7, count + 100)
    begin, packet = packets_of(events, encoding, (100,))
    for place in {0, count // 2, count - 1}:
        data = packet.events.copy()
        data[8 * place:][:8].view('<u4')[0 if encoding == 'libcaer' else 1] = \
            HEIGHT << 2 if encoding == 'libcaer' else HEIGHT << 16
        found, decoder = decode_all([begin, replace(packet, events=data)])
        kept = np.arange(len(events)) != 100 + place
        assert_same(found, Events(events.t[kept], events.x[kept], events.y[kept],
                                  events.p[kept]))
        assert decoder.counters()['out_of_range'] == 1


def plain_cmp(words, base):
    """Decode libcaer_cmp word by word, by the description of its words alone."""
    high = low = x = y = p = 0
    rows = []
    for word in words.tolist():
        kind, value = word >> 12, word & 0xFFF
        t = base + ((high << 12) + low) * 1000
        if kind == 0:
            high = value
        elif kind == 1:
            low = value
        elif kind == 2:
            x = value & 0x7FF
        elif kind == 3:
            rows.append((t, x, value & 0x7FF, value >> 11))
        elif kind == 4:
            y, p = value & 0x7FF, value >> 11
        elif kind == 5:
            rows += [(t, x, y + bit, p) for bit in range(8) if value >> bit & 1]
            y += 8
    return rows


def test_every_word_of_libcaer_cmp():
    words = np.array([0x2005, 0x3803, 0x1010, 0x3004, 0x4808, 0x5081, 0x5003, 0x0001, 0x1001,
                      0x2009, 0x3001], np.uint16)
    packet = Packet(words.view(np.uint8), 'libcaer_cmp', WIDTH, HEIGHT, 0, START_NS)
    events, _ = decode_all([packet])
    assert list(zip(*(getattr(events, name).tolist() for name in 'txyp'))) \
        == plain_cmp(words, START_NS)
    assert events.y.tolist() == [3, 4, 8, 15, 16, 17, 1]


def test_vectors_of_libcaer_cmp_take_fewer_bytes():
    column = Events(np.full(48, START_NS), np.full(48, 7, np.uint16),
                    np.arange(48, dtype=np.uint16), np.ones(48, np.uint8))
    data, _ = ENCODERS['libcaer_cmp'](START_NS).encode(column)
    assert len(data) == 2 * (1 + 2 * 6)


def test_a_driver_that_cuts_the_high_half_to_four_bits_does_not_send_time_back():
    # libcaer_driver keeps it in 16 bits of microseconds, so it wraps within a long packet.
    times = np.arange(0, 300_000, 500)
    words = [0x2005]
    for time in times.tolist():
        words += [time >> 12 & 0xF, 0x1000 | time & 0xFFF, 0x3003]
    packet = Packet(np.array(words, np.uint16).view(np.uint8), 'libcaer_cmp', WIDTH, HEIGHT, 0,
                    START_NS)
    assert (decode_all([packet])[0].t - START_NS).tolist() == (times * 1000).tolist()


def test_a_high_half_that_was_left_out_does_not_send_time_back():
    words = np.array([0x2005, 0x1FF0, 0x3003, 0x1010, 0x3004, 0x0001, 0x1020, 0x3005], np.uint16)
    packet = Packet(words.view(np.uint8), 'libcaer_cmp', WIDTH, HEIGHT, 0, START_NS)
    assert ((decode_all([packet])[0].t - START_NS) // 1000).tolist() == [4080, 4112, 4128]


def test_libcaer_rolls_over_within_and_between_packets():
    events = random_events(6, begin_us=(1 << 31) - 5000)
    assert (events.t[0] - START_NS) // 1000 < 1 << 31 < (events.t[-1] - START_NS) // 1000
    rolls = int(np.searchsorted(events.t, START_NS + (1 << 31) * 1000))
    for cuts in ((), (rolls,), (rolls - 10, rolls + 10)):
        packets = packets_of(events, 'libcaer', cuts)
        assert_same(decode_all(packets)[0], events)
    assert packets[-1].time_base == START_NS + (1 << 31) * 1000


def rewritten(packet, index, word):
    """Return a packet with another 32-bit word."""
    words = packet.events.view('<u4').copy()
    words[index] = word
    return replace(packet, events=words.view(np.uint8))


@pytest.mark.parametrize('corrupt', [0, 3_000_000, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize('event', [0, 57, 999])
def test_one_corrupt_time_of_libcaer_moves_nothing(corrupt, event):
    events = random_events(7, begin_us=20_000_000)
    packets = packets_of(events, 'libcaer', (500, 1000, 2000))
    packets[2] = rewritten(packets[2], 2 * event + 1, corrupt)
    found, decoder = decode_all(packets)
    kept = np.delete(np.arange(len(events)), 1000 + event)
    assert_same(found, Events(*(getattr(events, name)[kept] for name in 'txyp')))
    assert decoder.counters()['corrupt_times'] == 1


@pytest.mark.parametrize('encoding', ALL)
def test_one_corrupt_time_base_costs_its_packet_only(encoding):
    events = random_events(8)
    packets = packets_of(events, encoding, (500, 1000, 2000))
    packets[2] = replace(packets[2], time_base=packets[2].time_base + 3600 * 10**9)
    found, decoder = decode_all(packets)
    kept = np.r_[0:1000, 2000:3000]
    assert_same(found, Events(*(getattr(events, name)[kept] for name in 'txyp')))
    counters = decoder.counters()
    assert (counters['corrupt_times'], counters['unsynchronised']) in ((1, 1000), (1, 999))


@pytest.mark.parametrize('corrupt', [0x0800, 0x0FFF])
def test_one_corrupt_high_half_of_libcaer_cmp_moves_nothing(corrupt):
    events = random_events(9)
    whole, = packets_of(events, 'libcaer_cmp')
    words = whole.events.view('<u2')
    second = np.flatnonzero(words >> 12 == 0)[1]
    damaged = replace(whole, events=np.insert(words, second, corrupt).view(np.uint8))
    found, decoder = decode_all([damaged])
    assert_same(found, events)
    assert decoder.counters()['corrupt_times'] == 1


@pytest.mark.parametrize('encoding', ALL)
def test_a_long_pause_is_no_corrupt_time(encoding):
    parts = [random_events(seed, 50, begin_us=seed * 7_000_000) for seed in range(4)]
    events = Events.concatenate(parts)
    found, decoder = decode_all(packets_of(events, encoding, (50, 100, 150)))
    assert_same(found, events)
    assert decoder.counters()['corrupt_times'] == 0


def test_a_clock_that_is_set_back_under_the_same_base_goes_on():
    first, second = (packets_of(random_events(seed, 500, begin_us), 'libcaer', (250,))
                     for seed, begin_us in ((1, 50_000_000), (2, 10)))
    found, decoder = decode_all([*first, *second])
    assert len(found) == 1000
    assert np.all(np.diff(found.t) >= 0)
    assert found.t[-1] - found.t[0] < 100 * MS
    assert decoder.counters()['time_jumps'] == 1


@pytest.mark.parametrize('encoding', ALL)
def test_what_lies_outside_and_what_is_cut_short_is_counted(encoding):
    events = random_events(10)
    cut = [replace(packet, height=40, events=packet.events[:-1])
           for packet in packets_of(events, encoding, (1500,))]
    found, decoder = decode_all(cut)
    counters = decoder.counters()
    assert counters['truncated'] == 2
    assert found.y.max() < 40
    assert counters['out_of_range'] > 100
    assert len(events) - 40 < counters['out_of_range'] + len(found) < len(events)


def test_unknown_words_of_libcaer_cmp_are_counted():
    words = np.array([0x2005, 0x6123, 0xF000, 0x3003], np.uint16)
    packet = Packet(words.view(np.uint8), 'libcaer_cmp', WIDTH, HEIGHT, 0, START_NS)
    events, decoder = decode_all([packet])
    assert len(events) == 1
    assert decoder.counters()['unknown_words'] == 2


def test_the_encoders_refuse_what_does_not_fit():
    events = random_events(16)
    for encoding in ALL:
        encoder = ENCODERS[encoding](START_NS)
        with pytest.raises(ValueError, match='sorted'):
            encoder.encode(Events(events.t[::-1], events.x, events.y, events.p))
        with pytest.raises(ValueError, match='polarity'):
            encoder.encode(replace(events, p=events.p + 1))
        with pytest.raises(ValueError, match='x has to'):
            encoder.encode(replace(events, x=events.x + np.uint16(encoder.largest)))
        with pytest.raises(ValueError, match='y has to'):
            encoder.encode(replace(events, y=events.y.astype(np.int16) - 1))
        assert encoder.encode(events.part(0, 0))[0].size == 0


@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('begin_us', [0, (1 << 31) - 5])
def test_the_longest_packet_decodes_and_a_longer_one_is_refused(encoding, begin_us):
    longest_us = -(-LONGEST_NS[encoding] // 1000) - 1
    events = at_times(begin_us, begin_us + 5, begin_us + longest_us)
    assert_same(decode_all(packets_of(events, encoding))[0], events)
    with pytest.raises(ValueError, match='seconds at most'):
        packets_of(at_times(begin_us, begin_us + longest_us + 1), encoding)


@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('pause_s, kept', [(59, 4), (61, 3)])
def test_a_first_event_long_before_the_second_is_not_believed(encoding, pause_s, kept):
    later = pause_s * 1_000_000
    events = at_times(0, later, later + 10, later + 20)
    found, decoder = decode_all(packets_of(events, encoding, (1, 3)))
    assert_same(found, events.part(4 - kept, 4))
    assert decoder.counters()['corrupt_times'] == 4 - kept
