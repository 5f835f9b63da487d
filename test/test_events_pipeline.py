# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets to windows: bounds, losses, restarts, and the whole against plain decoding."""
from dataclasses import replace

import cv2
from evt3_words import event_words, packet, plain_decode, random_words
import numpy as np
import pytest

from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.pipeline import EventPipeline, Representation
from depth_anyevent_ros.events.tencode import tencode
from depth_anyevent_ros.events.types import Events, Packet, PacketError
from depth_anyevent_ros.events.windows import CountWindows, TimeWindows

MS = 1_000_000


def full_size(normalization='window', placement='grid'):
    return lambda width, height: Representation(height, width, placement, normalization)


def steady_stream(begin_us, end_us, step_us=500, per_packet=40, x=1):
    """Return packets of one event each step_us, with seq and stamps."""
    times = np.arange(begin_us, end_us, step_us)
    return [packet(np.concatenate([event_words(int(t), x, 2, 1) for t in part]), seq=i,
                   stamp_ns=5 * 10**18 + int(part[-1]) * 1000)
            for i, part in enumerate(np.split(times, range(per_packet, len(times), per_packet)))]


def encoded(events, encoding, width, height, cuts):
    """Return events as packets that are cut at these indices."""
    encoder = Evt3Encoder() if encoding == 'evt3' else ENCODERS[encoding]()
    made = []
    for seq, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(events)])):
        data = encoder.encode(events.part(begin, end))
        data, base = (data, 0) if encoding == 'evt3' else data
        made.append(Packet(data, encoding, width, height, seq, base))
    return made


def run(packets, windows, representation=None):
    pipeline = EventPipeline(representation or full_size(), windows)
    made = [w for p in packets for w in pipeline.push(p)]
    return made + list(pipeline.finish()), pipeline


@pytest.mark.parametrize('normalization', ['window', 'first_last'])
@pytest.mark.parametrize('period, duration', [(20, 50), (50, 20), (7, 7), (33, 5)])
def test_windows_are_half_open_and_hold_their_events(normalization, period, duration):
    words = random_words(4, 6000, start_us=(1 << 24) - 300_000)
    parts = np.array_split(words, 23)
    rule = TimeWindows(duration * MS, period * MS, 10**9)
    windows, _ = run([packet(p, seq=i) for i, p in enumerate(parts)], rule,
                     full_size(normalization))
    events = plain_decode(words, 64, 48)
    assert len(windows) >= (events.t[-1] - events.t[0]) // (period * MS) - 3
    for window in windows:
        assert window.t_end % (period * MS) == 0
        assert window.t_end - window.t_start == duration * MS
        inside = (events.t >= window.t_start) & (events.t < window.t_end)
        part = Events(*(getattr(events, name)[inside] for name in 'txyp'))
        assert window.events == len(part)
        if normalization == 'window':
            t0, t1 = window.t_start, window.t_end
        else:
            t0, t1 = (int(part.t[0]), int(part.t[-1])) if len(part) else (0, 0)
        np.testing.assert_allclose(window.image, tencode(part, 64, 48, t0, t1), atol=1e-6)


def test_windows_do_not_depend_on_packets():
    words = random_words(8, 6000)
    rule = TimeWindows(30 * MS, 20 * MS, 10**9)
    whole, _ = run([packet(words)], rule)
    for pieces in (3, 50, 900):
        cut, _ = run([packet(p, seq=i) for i, p in enumerate(np.array_split(words, pieces))], rule)
        assert [w.t_end for w in cut] == [w.t_end for w in whole]
        for a, b in zip(cut, whole):
            np.testing.assert_array_equal(a.image, b.image)


def test_windows_of_count():
    windows, _ = run(steady_stream(10_000, 60_000), CountWindows(30, 10**9))
    assert [w.events for w in windows] == [30, 30, 30]
    assert windows[1].t_start == 25_000_000
    assert windows[1].t_end == 39_500_001


def test_a_pause_begins_a_new_window_of_count():
    packets = steady_stream(10_000, 30_000) + [
        replace(p, seq=p.seq + 1) for p in steady_stream(800_000, 830_000)]
    windows, pipeline = run(packets, CountWindows(30, 100 * MS))
    assert [w.t_start // MS for w in windows] == [10, 800, 815]
    assert [w.interrupted for w in windows] == [True, True, False]
    assert pipeline.counters()['interruptions'] == 1


@pytest.mark.parametrize('encoding', ['evt3', 'libcaer', 'libcaer_cmp', 'mono'])
@pytest.mark.parametrize('before', [30, 50, 60])
def test_a_pause_is_seen_wherever_packets_are_cut(encoding, before):
    """Whether the pause comes within a window or with a full one, in a packet or between two."""
    times = np.concatenate([10**9 + np.arange(before) * 10**5, 3 * 10**9 + np.arange(70) * 10**5])
    events = Events(times, *np.random.default_rng(0).integers(0, 40, (2, len(times)), np.uint16),
                    np.ones(len(times), np.uint8))
    expected = [30] * (before // 30) + [30, 30]
    for cuts in ([], [before], [20], [20, before], range(7, len(times), 7)):
        packets = encoded(events, encoding, 40, 40, cuts)
        windows, pipeline = run(packets, CountWindows(30, 200 * MS))
        assert [w.events for w in windows] == expected, cuts
        assert all(w.t_end - w.t_start < 4 * MS for w in windows), cuts
        assert pipeline.counters()['interruptions'] == 1, cuts
        assert [w.interrupted for w in windows].count(True) == 2, cuts


def test_events_of_one_time_are_in_one_window_of_count():
    times = np.repeat(10**9 + np.arange(8) * 10**6, 50)  # 50 at once; a window ends among them
    y, x = np.divmod(np.arange(400), 40)
    events = Events(times, x.astype(np.uint16), y.astype(np.uint16), np.ones(400, np.uint8))
    windows, _ = run(encoded(events, 'mono', 40, 40, [130]), CountWindows(80, 200 * MS))
    assert len(windows) == 5
    for number, window in enumerate(windows):
        shown = np.flatnonzero(window.image[0])
        np.testing.assert_array_equal(shown, np.arange(80 * number, 80 * (number + 1)))


@pytest.mark.parametrize('background', ['black', 'white'])
@pytest.mark.parametrize('size', [(28, 42), (14, 14), (48, 64), (56, 70), (154, 28), (1, 1)])
def test_resize_is_bicubic_without_antialias(size, background):
    def resized(width, height):
        return Representation(*size, 'resize', 'window', background)

    def whole(width, height):
        return Representation(height, width, 'grid', 'window', background)
    packets = [packet(p, seq=i) for i, p in enumerate(np.array_split(random_words(2, 4000), 5))]
    rule = TimeWindows(30 * MS, 20 * MS, 10**9)
    windows, _ = run(packets, rule, resized)
    large, _ = run(packets, rule, whole)
    assert len(windows) == len(large) > 3
    for a, b in zip(windows, large):
        expected = [cv2.resize(channel, size[::-1], interpolation=cv2.INTER_CUBIC)
                    for channel in b.image]
        np.testing.assert_allclose(a.image, expected, atol=1e-5)


def test_stamps_are_the_end_of_the_window_in_ros_time():
    windows, _ = run(steady_stream(0, 400_000), TimeWindows(50 * MS, 100 * MS, 10**9))
    # A packet of 20 ms is stamped with its last event, 20 ms after the last one of the packet
    # before: so much later than sensed is all that is known.
    for window in windows:
        assert window.stamp_ns == 5 * 10**18 + 20_000_000 + window.t_end


def test_lost_packets_are_counted_and_a_long_loss_resets():
    packets = steady_stream(0, 1_000_000)
    rule = TimeWindows(50 * MS, 50 * MS, 100 * MS)
    windows, pipeline = run(packets[:10] + packets[12:20] + packets[40:], rule)
    counters = pipeline.counters()
    assert (counters['gaps'], counters['lost_packets']) == (2, 22)
    assert counters['interruptions'] == 1
    interrupted = [w.t_end // MS for w in windows if w.interrupted]
    assert interrupted == [50, 850]


def test_packets_that_the_caller_dropped_are_no_gap_of_the_sender():
    packets = steady_stream(0, 400_000)
    pipeline = EventPipeline(full_size(), TimeWindows(50 * MS, 50 * MS, 10**9))
    for one in packets[:5]:
        list(pipeline.push(one))
    pipeline.note_loss()
    for one in packets[8:]:
        list(pipeline.push(one))
    assert pipeline.counters()['gaps'] == 0


def test_time_backwards_resets():
    packets = steady_stream(100_000, 400_000)
    looped = [replace(p, seq=p.seq) for p in packets]
    windows, pipeline = run(packets + looped, TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['restarts'] == 1
    ends = [w.t_end // MS for w in windows]
    assert ends == [*range(150, 400, 50)] * 2
    assert [w.interrupted for w in windows] == [i % 5 == 0 for i in range(10)]
    stamps = [w.stamp_ns for w in windows]
    assert stamps[5:] == stamps[:5]


@pytest.mark.parametrize('field, leap', [('seq', 10**6), ('stamp_ns', 3600 * 10**9)])
def test_one_damaged_number_does_not_restart_the_stream(field, leap):
    packets = steady_stream(0, 400_000)
    good, _ = run(packets, TimeWindows(50 * MS, 50 * MS, 10**9))
    packets[9] = replace(packets[9], **{field: getattr(packets[9], field) + leap})
    windows, pipeline = run(packets, TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['restarts'] == 0
    assert [w.t_end for w in windows] == [w.t_end for w in good]
    assert [w.interrupted for w in windows] == [w.interrupted for w in good]
    assert [w.events for w in windows] == [w.events for w in good]


def test_a_stream_that_begins_anew_after_a_gap_does_so():
    packets = steady_stream(100_000, 400_000)
    packets[-1] = replace(packets[-1], seq=packets[-1].seq + 100)
    windows, pipeline = run(packets + packets[:-1], TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['restarts'] == 1
    assert sum(w.interrupted for w in windows) == 2


def test_a_gap_that_the_sensors_clock_cannot_bridge_begins_anew():
    packets = steady_stream(0, 400_000)
    later = [replace(p, seq=p.seq + 10_000, stamp_ns=p.stamp_ns + 37 * 10**9)
             for p in steady_stream(0, 400_000)]
    windows, pipeline = run(packets + later, TimeWindows(50 * MS, 50 * MS, 10**9))
    counters = pipeline.counters()
    assert (counters['gaps'], counters['restarts']) == (1, 1)
    assert windows[-1].stamp_ns - windows[6].stamp_ns == 37 * 10**9


def test_the_same_packet_twice_counts_once():
    packets = [p for p in steady_stream(0, 400_000, per_packet=100) for _ in range(2)]
    windows, pipeline = run(packets, TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['duplicates'] == 8
    assert pipeline.counters()['events'] == 800 and len(windows) == 7


def test_a_stamp_that_falls_back_resets_where_seq_is_not_used():
    packets = [replace(p, seq=0) for p in steady_stream(100_000, 1_500_000)]
    _, pipeline = run(packets + packets, TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['restarts'] == 1
    assert pipeline.counters()['gaps'] == 0


def test_a_changed_sensor_begins_anew_and_is_counted():
    packets = steady_stream(0, 200_000)
    other = [replace(p, width=32, seq=p.seq + 100) for p in steady_stream(200_000, 400_000)]
    windows, pipeline = run(packets + other, TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['size_changes'] == 1
    assert pipeline.counters()['events'] == 800
    assert [w.image.shape for w in windows[:3:2]] == [(3, 48, 64)] * 2
    assert windows[-1].image.shape == (3, 48, 32)
    assert sum(w.interrupted for w in windows) == 2


@pytest.mark.parametrize('fields, words', [
    ({'encoding': 'evt2'}, 'evt2'), ({'width': 0}, '0x48'), ({'height': 1 << 20}, 'pixels')])
def test_a_packet_that_cannot_be_used_is_told_and_counted(fields, words):
    pipeline = EventPipeline(full_size(), TimeWindows(50 * MS, 50 * MS, 10**9))
    good, bad = steady_stream(0, 100_000), replace(steady_stream(0, 1000)[0], **fields)
    list(pipeline.push(good[0]))
    with pytest.raises(PacketError, match=words):
        pipeline.push(bad)
    assert pipeline.counters()['bad_packets'] == 1
    assert [w for p in good[1:] for w in pipeline.push(p)]


def test_an_empty_packet_is_harmless():
    packets = steady_stream(0, 200_000)
    empty = Packet(np.empty(0, np.uint8), 'evt3', 64, 48)
    _, pipeline = run([empty, *packets], TimeWindows(50 * MS, 50 * MS, 10**9))
    assert pipeline.counters()['windows'] == 3
