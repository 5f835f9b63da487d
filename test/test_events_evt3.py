# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The evt3 decoder against a plain one, real recordings, and damaged streams."""
import json

from evt3_words import event_words, packet, plain_decode, random_words, time_words
import numpy as np
import pytest

from depth_anyevent_ros.datasets.bags import decode_event_packet, open_bag
from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Events, Packet


def decode_all(packets, width=64, height=48):
    """Return all events of a stream of packets, and the decoder."""
    decoder = Evt3Decoder(width, height)
    parts = [decoder.decode(one) for one in packets]
    return Events.concatenate([*parts, decoder.flush()]), decoder


def assert_same(a: Events, b: Events):
    for name in ('t', 'x', 'y', 'p'):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize('seed', range(5))
def test_every_word_as_in_the_description(seed):
    words = random_words(seed)
    events, decoder = decode_all([packet(words)])
    assert len(events) > 500
    assert_same(events, plain_decode(words, 64, 48))
    kinds = words >> 12
    assert decoder.counters()['triggers'] == np.count_nonzero(kinds == 0xA)
    assert decoder.counters()['on'] == np.count_nonzero(events.p)
    assert decoder.counters()['out_of_range'] > 0


@pytest.mark.parametrize('seed', range(5))
def test_any_split_of_the_bytes_gives_the_same_events(seed):
    words = random_words(seed, start_us=(1 << 24) - 100_000)  # with a wrap of the clock
    data = words.view(np.uint8)
    rng = np.random.default_rng(seed)
    for pieces in (2, 17, 400):
        cuts = np.sort(rng.integers(0, len(data), pieces))
        packets = [Packet(part, 'evt3', 64, 48) for part in np.split(data, cuts)]
        assert_same(decode_all(packets)[0], plain_decode(words, 64, 48))


@pytest.mark.parametrize('seed', range(3))
def test_a_time_word_repeated_anywhere_changes_nothing(seed):
    words, high, repeated = random_words(seed, start_us=(1 << 24) - 100_000), 0, []
    rng = np.random.default_rng(seed)
    for word in words:
        high = word if word >> 12 == 8 else high
        repeated += [word, *[high] * rng.choice(5, p=[.3, .3, .2, .1, .1])]
    expected = plain_decode(words, 64, 48)
    for pieces in (1, 40):
        parts = np.array_split(np.array(repeated, np.uint16), pieces)
        events, decoder = decode_all([packet(part) for part in parts])
        assert_same(events, expected)
        assert decoder.counters()['time_jumps'] == decoder.counters()['corrupt_times'] == 0


def test_clock_wraps_after_16_seconds():
    times = np.arange(0, 3 << 24, 2000)
    words = np.concatenate([event_words(int(t), 1, 2, 1) for t in times])
    events, decoder = decode_all([packet(part) for part in np.array_split(words, 9)])
    np.testing.assert_array_equal(events.t, times * 1000)
    assert decoder.counters()['corrupt_times'] == 0


@pytest.mark.parametrize('corrupt', [0, 1000, 2500, 4095])
@pytest.mark.parametrize('cut', [False, True])
def test_one_corrupt_time_word_moves_nothing(corrupt, cut):
    times = np.arange(8_200_000, 8_300_000, 500)
    blocks = [event_words(int(t), 1, 2, 1) for t in times]
    clean = np.concatenate(blocks)
    blocks.insert(77, [0x8000 | corrupt, 0x2005])
    words = np.concatenate(blocks)
    position = 77 * 4 + 1
    parts = [words[:position], words[position:]] if cut else [words]
    events, decoder = decode_all([packet(part) for part in parts])
    expected = plain_decode(clean, 64, 48)
    kept = events.x != 5
    np.testing.assert_array_equal(events.t[kept], expected.t)
    assert events.t[~kept].tolist() == [times[76] * 1000]
    assert decoder.counters()['corrupt_times'] == 1


def test_a_leap_that_is_confirmed_is_believed():
    times = [1_000_000, 1_000_100, 3_000_000, 3_000_100]
    events, decoder = decode_all([packet(np.concatenate([event_words(t, 1, 2, 1)
                                                         for t in times]))])
    assert (events.t // 1000).tolist() == times
    assert decoder.counters()['time_jumps'] == 1


def test_a_small_step_back_is_no_wrap():
    words = np.concatenate([event_words(t, 1, 2, 1)
                            for t in (100 * 4096, 101 * 4096, 99 * 4096, 99 * 4096 + 10)])
    events, _ = decode_all([packet(words)])
    assert (events.t // 1000).tolist() == [100 * 4096, 101 * 4096, 99 * 4096, 99 * 4096 + 10]


def test_the_last_suspicious_word_is_settled_at_the_end():
    words = [*event_words(1_000_000, 1, 2, 1), *time_words(1_000_000), 0x8000, 0x2003]
    decoder = Evt3Decoder(64, 48)
    assert len(decoder.decode(packet(words))) == 1
    assert decoder.flush().x.tolist() == [3]


def test_events_before_the_first_time_and_row_are_dropped_and_counted():
    words = [0x2001, 0x3001, 0x4FFF, *time_words(5000), 0x2002, 3, 0x2004]
    events, decoder = decode_all([packet(words)])
    assert events.x.tolist() == [4]
    assert decoder.counters()['unsynchronised'] == 14


def test_after_a_gap_row_and_time_are_awaited():
    decoder = Evt3Decoder(64, 48)
    decoder.decode(packet([*event_words(1_000_000, 1, 2, 1), *time_words(1_000_000)]))
    decoder.note_gap()
    events = decoder.decode(packet([0x2005, *time_words(9_000_000), 0x2006, 7, 0x2007,
                                    *time_words(9_000_000)]))
    assert events.x.tolist() == [7]
    assert events.t.tolist() == [9_000_000_000]


def test_after_a_gap_the_low_half_of_the_time_alone_is_not_enough():
    decoder = Evt3Decoder(64, 48)
    decoder.decode(packet([*event_words(1_000_000, 1, 2, 1), *time_words(1_000_000)]))
    decoder.note_gap()
    t_us = 1_500_000
    events = decoder.decode(packet([time_words(t_us)[1], 2, 0x2005, *time_words(t_us), 0x2006,
                                    *time_words(t_us)]))
    assert (events.t.tolist(), events.x.tolist()) == ([t_us * 1000], [6])
    assert decoder.counters()['unsynchronised'] == 1


def test_a_corrupt_word_before_or_after_a_gap_is_not_believed_either():
    decoder = Evt3Decoder(64, 48)
    first = [*event_words(1_000_000, 1, 2, 1), *time_words(1_000_000), 0x8FFF, 0x2003]
    assert len(decoder.decode(packet(first))) == 1
    decoder.note_gap()  # the word that would have settled it is lost
    good = [*event_words(1_200_000, 4, 2, 1), *event_words(1_200_100, 5, 2, 1)]
    events = decoder.decode(packet([0x8ABC, *good]))
    assert events.x.tolist() == [4, 5]
    assert (events.t // 1000).tolist() == [1_200_000, 1_200_100]


@pytest.mark.parametrize('corrupt', [0, 17, 1000, 2047, 3000, 4095])
def test_a_corrupt_first_time_word_spoils_nothing(corrupt):
    words = np.concatenate([event_words(t, 1, 2, 1) for t in range(2_000_000, 2_100_000, 500)])
    events, _ = decode_all([packet([0x8000 | corrupt]), packet(words)])
    assert_same(events, plain_decode(words, 64, 48))


def test_time_words_of_a_converter_that_sends_few_are_believed():
    times = range(0, 40_000_000, 9000)  # steps of two and three units
    words = np.concatenate([event_words(t, 1, 2, 1) for t in times])
    events, decoder = decode_all([packet(part) for part in np.array_split(words, 7)])
    np.testing.assert_array_equal(events.t, np.array(times) * 1000)
    assert decoder.counters()['corrupt_times'] == 0


def test_unknown_words_and_coordinates_beyond_the_sensor_are_counted():
    words = [*event_words(5000, 63, 47, 1), 0x2000 | 64, 48, 0x2001, 0x1000, 0x9abc, 0xB000,
             0xC000, 0xD000]
    events, decoder = decode_all([packet(words)])
    assert (events.x.tolist(), events.y.tolist()) == ([63], [47])
    assert decoder.counters()['out_of_range'] == 2
    assert decoder.counters()['unknown_words'] == 5


def test_a_truncated_packet_does_not_shift_the_next_one():
    words = random_words(3, 2000)
    data = words.view(np.uint8)
    whole = Packet(data[2000:], 'evt3', 64, 48)
    decoder = Evt3Decoder(64, 48)
    decoder.decode(Packet(data[:1999], 'evt3', 64, 48))  # its last byte never comes
    events = decoder.decode(whole)
    reference = Evt3Decoder(64, 48)
    reference.decode(Packet(data[:1998], 'evt3', 64, 48))
    assert_same(events, reference.decode(whole))
    assert decoder.counters()['truncated'] == 1


def test_declared_byte_order_is_honoured():
    words = random_words(1)
    swapped = Packet(words.astype('>u2').view(np.uint8), 'evt3', 64, 48, is_bigendian=True)
    assert_same(decode_all([swapped])[0], plain_decode(words, 64, 48))


def test_garbage_neither_crashes_nor_leaves_the_sensor():
    rng = np.random.default_rng(0)
    decoder = Evt3Decoder(64, 48)
    for _ in range(300):
        data = rng.integers(0, 256, int(rng.integers(0, 4000)), dtype=np.uint8)
        events = decoder.decode(Packet(data, 'evt3', 64, 48))
        assert not len(events) or (events.x.max() < 64 and events.y.max() < 48)


def test_real_recording_decodes_as_expected(shared_data):
    expected = json.loads((shared_data / 'bags' / 'expected.json').read_text())
    expected = expected['test_data_evt3_trigger']
    with open_bag(shared_data / 'bags' / 'test_data_evt3_trigger') as reader:
        packets = [decode_event_packet(raw) for raw in reader.messages()]
    events, decoder = decode_all(packets, 1280, 720)
    assert len(events) == expected['on'] + expected['off']
    for name in ('t', 'x', 'y', 'p'):
        assert int(getattr(events, name).sum(dtype=np.uint64)) == expected[f'sum_{name}']
    assert [int(getattr(events, name)[-1]) for name in 'txyp'] == expected['last']
    assert decoder.counters()['triggers'] == expected['trig']['n']
