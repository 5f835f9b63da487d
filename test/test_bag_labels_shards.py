# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shards of labels, written without a bag, and of small bags that something is odd in."""
from dataclasses import replace
import json

from event_packets import HEIGHT, MS, packets_of, START_NS, WIDTH
import numpy as np
import pytest

from depth_anyevent_ros.bag_labels.shard_reader import Slot, WITHIN
from depth_anyevent_ros.bag_labels.shard_writers import SequenceShard
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bag_writer import BagWriter
from depth_anyevent_ros.datasets.sequences import find_sequences, Sequence
from depth_anyevent_ros.events.pipeline import Window
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel


@pytest.mark.parametrize('alignment', ['relative', 'as published'])
def test_maps_that_go_below_0(tmp_path, alignment):
    """Relative ones are shifted; what lies behind the camera in 1/m is unknown."""
    ramp = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    ramp[1, 2] = np.nan
    maps = [ramp, ramp - np.float32(0.5), ramp - np.float32(5e-4), ramp - np.float32(2)]
    camera = CameraModel(4, 3, np.array([[4.0, 0, 1.5], [0, 4.0, 1], [0, 0, 1]]), np.zeros(5))
    shard = SequenceShard(tmp_path / 's', camera, {
        'source': 'a test', 'labels': {'alignment': alignment}})
    one = np.ones(1, np.uint16)
    shard.events(WITHIN, Events(np.zeros(1, np.int64), one, one, one.astype(np.uint8)))
    for index, inverse_depth in enumerate(maps):
        end_ns = 50_000_000 * (index + 1)
        window = Window(None, 0, end_ns, end_ns, 1, False, 1)
        shard.label(Slot(end_ns, window=window), inverse_depth)
    shard.finish()
    hair = np.maximum(maps[2], 0)
    expected = [ramp, ramp, hair, ramp] if alignment == 'relative' else [
        ramp, np.where(maps[1] < 0, np.nan, maps[1]), hair, np.full_like(ramp, np.nan)]
    sequence = Sequence(tmp_path / 's')
    assert sequence.relative == (alignment == 'relative') and len(sequence) == len(maps)
    for found, wanted in zip(map(sequence.inverse_depth, range(len(maps))), expected):
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def small_bag(path, odd_sizes=(), size=(HEIGHT, WIDTH), leap_s=0):
    """
    Write 4 s of events and maps, ten a second; those of these numbers have another size.

    leap_s: by which sensor time leaps after 2 s.
    """
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(0, 4_000_000, 20_000)) * 1000
    leapt = np.where(times < 2 * 10 ** 9, times, times + leap_s * 10 ** 9)
    events = Events(START_NS + leapt, rng.integers(0, WIDTH, len(times)).astype(np.uint16),
                    rng.integers(0, HEIGHT, len(times)).astype(np.uint16),
                    rng.integers(0, 2, len(times)).astype(np.uint8))
    # Where time leaps a packet ends: none spans more than 1073 s.
    cuts = sorted({*range(200, 20_000, 200), int(np.searchsorted(times, 2 * 10 ** 9))})
    items = [(int(times[end - 1]) + MS, replace(packet, frame_id='camera'))
             for end, packet in zip([*cuts, len(times)], packets_of(events, 'libcaer', cuts))]
    for number in range(36):
        height, width = size if number in odd_sizes else (HEIGHT, WIDTH)
        items.append(((300 + 100 * number) * MS, np.tile(
            np.linspace(0.1, 1, width, dtype=np.float32), (height, 1))))
    with BagWriter(path) as writer:
        for at_ns, item in sorted(items, key=lambda item: item[0]):
            stamp_ns = START_NS + at_ns + (leap_s * 10 ** 9 if at_ns >= 2 * 10 ** 9 else 0)
            at_ns += START_NS
            if isinstance(item, np.ndarray):
                writer.write_image('/map', item, '32FC1', stamp_ns, 'camera', at_ns + 2 * MS)
            else:
                writer.write_event_packet('/events', replace(item, stamp_ns=at_ns), at_ns)
    return path


def label(bag, output, kind='sequence'):
    return execute(['label', str(bag), '--output', str(output), '--format', kind,
                    '--teacher', 'topic:/map'])


@pytest.mark.parametrize('kind', ['sequence', 'mcap'])
def test_a_picture_of_another_size_is_one_without_a_label(tmp_path, kind, capsys):
    bag = small_bag(tmp_path / 'bag', odd_sizes=(3, 9, 10), size=(48, 48))
    assert label(bag, tmp_path / 'labels', kind) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / 'labels' / 'report.json').read_text())['bags']['bag']
    assert report['refused']['other size'] == 3 and report['labels'] >= 30
    assert '3 other size' in capsys.readouterr().out


def test_a_bag_of_pictures_of_another_size_is_refused(tmp_path, capsys):
    bag = small_bag(tmp_path / 'bag', odd_sizes=range(36), size=(48, 48))
    assert label(bag, tmp_path / 'labels') == 1
    assert 'of another shape: they cannot be the same picture' in capsys.readouterr().err
    assert not list(tmp_path.rglob('sequence.json'))


@pytest.mark.parametrize('leap_s, parts', [(5, 1), (60, 2), (7200, 2)])
def test_a_leap_of_sensor_time_ends_a_sequence(tmp_path, leap_s, parts, capsys):
    bag = small_bag(tmp_path / 'bag', leap_s=leap_s)
    assert label(bag, tmp_path / 'labels') == 0, capsys.readouterr().err
    sequences = list(map(Sequence, find_sequences(tmp_path / 'labels')))
    # Some pictures are lost until it is clear that it is not their stamps that are wrong.
    assert len(sequences) == parts and sum(map(len, sequences)) >= 25
    assert max(sequence.info['duration_ns'] for sequence in sequences) < (leap_s + 4) * 10 ** 9
    if parts > 1:
        assert all(sequence.info['duration_ns'] < 3 * 10 ** 9 for sequence in sequences)


def test_a_leap_amid_the_events_of_several_packets(tmp_path):
    camera = CameraModel(4, 3, np.array([[4.0, 0, 1.5], [0, 4.0, 1], [0, 0, 1]]), np.zeros(5))
    shard = SequenceShard(tmp_path / 's', camera, {
        'source': 'a test', 'labels': {'alignment': 'relative'}})
    for times_s in ((0, 1, 30, 31), (60, 61)):
        times = np.array(times_s, np.int64) * 10 ** 9
        some = np.ones(len(times), np.uint16)
        shard.events(WITHIN, Events(times, some, some, some.astype(np.uint8)))
        end_ns = int(times[-1])
        shard.label(Slot(end_ns, window=Window(None, 0, end_ns, end_ns, 1, False, 1)),
                    np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    assert shard.finish() == {'sequences': ['s', 's_2']}
    durations = [Sequence(tmp_path / name).info['duration_ns'] for name in ('s', 's_2')]
    assert durations == [10 ** 9] * 2
