# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sequence folders: what goes in comes out, in the layout of DSEC, and damage is told."""
import json
import pickle
import resource
import subprocess
import sys

import cv2
import h5py
import numpy as np
import pytest

from depth_anyevent_ros.datasets.part_folder import FolderInUse
from depth_anyevent_ros.datasets.sequences import (find_sequences, Sequence, SequenceError,
                                                   SequenceWriter)
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel

HEIGHT, WIDTH, LABELS = 24, 32, 5
CAMERA = CameraModel(WIDTH, HEIGHT, np.array([[30.0, 0, 15.5], [0, 31, 11.5], [0, 0, 1]]),
                     np.array([0.1, 0, 0, 0]))
INFO = {'source': 'simulated', 'camera': CAMERA, 'duration_ns': 250_000_000, 'world': 'car',
        'pauses': [[0, 5]], 'simulation': {'layout': 'street'}}


def make_events(count=40_000, seed=0, last_ns=250_000_000):
    """Return events with bursts and a pause, times in whole microseconds."""
    generator = np.random.default_rng(seed)
    t = np.sort(generator.integers(0, last_ns // 1000, count))
    t[(t > 100_000) & (t < 130_000)] = 100_000
    return Events(np.sort(t) * 1000, *(generator.integers(0, high, count).astype(np.uint16)
                                       for high in (WIDTH, HEIGHT)),
                  generator.integers(0, 2, count).astype(np.uint8))


def cut(events, begin, end):
    return Events(*(getattr(events, name)[begin:end] for name in ('t', 'x', 'y', 'p')))


def label(index):
    """Return inverse depth that float16 holds, with far and unknown pixels."""
    values = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH) / 1024 + index
    values[0], values[1] = 0, np.nan
    return values


def picture(index):
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write(path, events=None, extras=True, step=777):
    """Write a sequence; return its path."""
    events = make_events() if events is None else events
    with SequenceWriter(path, INFO) as writer:
        for begin in range(0, len(events), step):
            writer.add_events(cut(events, begin, begin + step))
        for index in range(LABELS):
            more = {'image': picture(index), 'moving': label(index) > 0.5,
                    'flow': np.full((HEIGHT, WIDTH, 2), index - 2.5)} if extras else {}
            writer.add_label((index + 1) * 50_000_000, label(index), **more)
    return path


def equal(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name))
               and getattr(one, name).dtype == getattr(other, name).dtype
               for name in ('t', 'x', 'y', 'p'))


@pytest.mark.parametrize('begin, end', [
    (0, 50_000_000), (99_999_001, 100_000_001), (101_000_000, 129_000_000),
    (123_456_789, 201_234_567), (-10, 3), (249_000_000, 10**12), (0, 10**12), (5, 5), (9, 2)])
def test_events_of_a_window(tmp_path, begin, end):
    events = make_events()
    sequence = Sequence(write(tmp_path / 'one'))
    inside = (events.t >= begin) & (events.t < end)
    assert equal(sequence.events(begin, end), Events(
        *(getattr(events, name)[inside] for name in ('t', 'x', 'y', 'p'))))


def test_labels_and_information(tmp_path):
    path = write(tmp_path / 'one')
    sequence = Sequence(path)
    assert len(sequence) == LABELS and sequence.name == 'one'
    assert sequence.times_ns.tolist() == [(i + 1) * 50_000_000 for i in range(LABELS)]
    for index in range(LABELS):
        np.testing.assert_array_equal(sequence.inverse_depth(index),
                                      label(index).astype(np.float16).astype(np.float32))
        np.testing.assert_array_equal(sequence.image(index), picture(index))
        np.testing.assert_array_equal(sequence.moving(index), label(index) > 0.5)
        assert np.all(sequence.flow(index) == index - 2.5)
    assert sequence.moving(0).dtype == bool and sequence.flow(0).dtype == np.float32
    np.testing.assert_array_equal(sequence.inverse_depth(-1), sequence.inverse_depth(LABELS - 1))
    np.testing.assert_array_equal(sequence.camera.k, CAMERA.k)
    np.testing.assert_array_equal(sequence.camera.d, CAMERA.d)
    assert (sequence.camera.width, sequence.camera.height) == (WIDTH, HEIGHT)
    saved = json.loads((path / 'sequence.json').read_text())
    assert saved['simulation'] == {'layout': 'street'} and saved['pauses'] == [[0, 5]]
    assert (saved['frames'], saved['events'], saved['format_version']) == (LABELS, 40_000, 1)
    with pytest.raises(IndexError, match='there is none of index 5'):
        sequence.image(LABELS)


def test_extras_may_be_absent(tmp_path):
    sequence = Sequence(write(tmp_path / 'one', extras=False))
    assert sequence.image(0) is None and sequence.moving(0) is None and sequence.flow(0) is None
    assert not (tmp_path / 'one' / 'image').exists()


def test_the_layout_is_that_of_dsec(tmp_path):
    events = make_events()
    with h5py.File(write(tmp_path / 'one') / 'events.h5') as file:
        kinds = {name: file[name].dtype.name for name in (
            'events/x', 'events/y', 'events/p', 'events/t', 'ms_to_idx', 't_offset')}
        assert kinds == {'events/x': 'uint16', 'events/y': 'uint16', 'events/p': 'uint8',
                         'events/t': 'uint32', 'ms_to_idx': 'uint64', 't_offset': 'int64'}
        t, index = file['events/t'][:].astype(np.int64), file['ms_to_idx'][:]
    np.testing.assert_array_equal(t * 1000, events.t)
    # By its definition: the first event at or after each millisecond.
    assert len(index) == t[-1] // 1000 + 1
    assert [next(i for i in range(len(t)) if t[i] >= ms * 1000)
            for ms in (0, 1, 57, 101, 129, 130, len(index) - 1)] == [
        index[ms] for ms in (0, 1, 57, 101, 129, 130, len(index) - 1)]


def test_events_of_dsec_with_an_offset_and_a_short_index(tmp_path):
    path = write(tmp_path / 'one')
    with h5py.File(path / 'events.h5', 'r+') as file:
        file['t_offset'][()] = 5_000_000
        index = file['ms_to_idx'][:-20]
        del file['ms_to_idx']
        file['ms_to_idx'] = index
    events = make_events()
    inside = events.t >= 200_000_000
    found = Sequence(path).events(5_200_000_000, 6_000_000_000)
    np.testing.assert_array_equal(found.t, events.t[inside] + 5_000_000_000)


def test_without_events_or_labels(tmp_path):
    with SequenceWriter(tmp_path / 'none', INFO) as writer:
        writer.add_events(make_events(0))
    sequence = Sequence(tmp_path / 'none')
    assert len(sequence) == 0 and len(sequence.events(0, 10**9)) == 0


def test_many_at_once_and_in_other_processes(tmp_path):
    path = write(tmp_path / 'one')
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = [Sequence(path) for _ in range(min(soft, 300) + 50)]
    copy = pickle.loads(pickle.dumps(many[-1]))
    assert equal(copy.events(0, 10**9), many[0].events(0, 10**9))


def test_a_sequence_is_whole_or_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with SequenceWriter(tmp_path / 'one', INFO) as writer:
            writer.add_events(make_events())
            assert (tmp_path / 'one.part').is_dir() and not (tmp_path / 'one').exists()
            raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    # What a killed process left behind is replaced.
    (tmp_path / 'one.part' / 'image').mkdir(parents=True)
    write(tmp_path / 'one', extras=False)
    assert [path.name for path in tmp_path.iterdir()] == ['one']
    assert not (tmp_path / 'one' / 'image').exists()
    (tmp_path / 'link').symlink_to(tmp_path / 'nothing')
    for name in ('one', 'link'):
        with pytest.raises(SequenceError, match='exists already'):
            SequenceWriter(tmp_path / name, INFO)


def test_two_do_not_write_the_same_sequence(tmp_path):
    with SequenceWriter(tmp_path / 'one', INFO) as writer:
        writer.add_events(make_events())
        with pytest.raises(FolderInUse, match='by another process'):
            SequenceWriter(tmp_path / 'one', INFO)
    assert equal(Sequence(tmp_path / 'one').events(0, 10**9), make_events())
    with pytest.raises(KeyboardInterrupt):
        with SequenceWriter(tmp_path / 'two', INFO):
            raise KeyboardInterrupt
    write(tmp_path / 'two')  # nobody holds it any more


@pytest.mark.parametrize('room', [20_000, 60_000, 100_000])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, room):
    # A limit on the size of files stands for the disk: writing fails in the same way.
    program = (
        'import resource, signal, sys\n'
        'import test_datasets_sequences as tests\n'
        'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
        f'resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n'
        'try:\n'
        f'    tests.write({str(tmp_path / "one")!r})\n'
        'except OSError as error:\n'
        '    print("told:", error)\n')
    done = subprocess.run([sys.executable, '-c', program], cwd=sys.path[0], text=True,
                          env={'PYTHONPATH': ':'.join(sys.path)}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert 'told:' in done.stdout and not list(tmp_path.iterdir())


@pytest.mark.parametrize('values', [np.int8, bool, np.float32])
def test_polarity_of_a_file_may_be_told_otherwise(tmp_path, values):
    events = make_events(2000)
    path = write(tmp_path / 'one', events)
    with h5py.File(path / 'events.h5', 'r+') as file:
        del file['events/p']
        p = events.p.astype(bool) if values is bool else (2.0 * events.p - 1).astype(values)
        file['events/p'] = p
    found = Sequence(path).events(0, 250_000_000)
    assert found.p.dtype == np.uint8
    np.testing.assert_array_equal(found.p, events.p)
    with h5py.File(path / 'events.h5', 'r+') as file:
        file['events/p'][5] = 3 if values is not bool else True
    if values is not bool:
        with pytest.raises(SequenceError, match='polarity has to be'):
            Sequence(path).events(0, 250_000_000)


@pytest.mark.parametrize('kind', ['>u2', '<i4', '>i8'])
def test_coordinates_of_a_file_may_be_of_another_type(tmp_path, kind):
    events = make_events(2000)
    path = write(tmp_path / 'one', events)
    for name in 'xy':
        edit(path / 'events.h5', f'events/{name}', lambda values: values.astype(kind))
    found = Sequence(path).events(0, 250_000_000)
    equal(found, events)
    assert found.x.dtype == found.y.dtype == np.dtype(np.uint16) and found.x.dtype.isnative


@pytest.mark.parametrize('change, words', [
    (lambda e: Events(e.t[::-1].copy(), e.x, e.y, e.p), 'steps back'),
    (lambda e: Events(e.t, e.x + WIDTH, e.y, e.p), 'beyond a sensor of 32 x 24'),
    (lambda e: Events(e.t, e.x, e.y + HEIGHT, e.p), 'beyond a sensor'),
    (lambda e: Events(e.t, e.x, e.y, e.p + 1), 'polarity'),
    (lambda e: Events(e.t + 2**32 * 1000, e.x, e.y, e.p), 'too late')])
def test_events_that_are_refused(tmp_path, change, words):
    with pytest.raises(SequenceError, match=words):
        write(tmp_path / 'one', change(make_events(100)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('label_of, words', [
    (dict(inverse_depth=np.full((HEIGHT, WIDTH), -1.0)), '0 to 60000'),
    (dict(inverse_depth=np.full((HEIGHT, WIDTH), np.inf)), '0 to 60000'),
    (dict(inverse_depth=np.zeros((HEIGHT, 3))), 'has to be of shape'),
    (dict(time_ns=10), 'times of labels'),
    (dict(image=np.zeros((HEIGHT, WIDTH, 3))), 'uint8'),
    (dict(image=None), 'the first one has'),
    (dict(moving=np.zeros((2, 2), bool)), 'moving')])
def test_labels_that_are_refused(tmp_path, label_of, words):
    good = {'time_ns': 20, 'inverse_depth': label(0), 'image': picture(0),
            'moving': label(0) > 1}
    with pytest.raises(SequenceError, match=words), SequenceWriter(tmp_path / 'a', INFO) as writer:
        writer.add_label(**{**good, 'time_ns': 10})
        writer.add_label(**good | label_of)


def test_information_that_is_refused(tmp_path):
    with pytest.raises(SequenceError, match='lacks source, camera'):
        SequenceWriter(tmp_path / 'a', {'duration_ns': 1})
    with pytest.raises(SequenceError, match='cannot be written as JSON'):
        SequenceWriter(tmp_path / 'a', {**INFO, 'seed': np.int64(3)})
    assert not list(tmp_path.iterdir())


def truncate(path, share):
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])


def edit(path, name, change):
    """Replace a data set of a file by what change makes of it; None removes it."""
    with h5py.File(path, 'r+') as file:
        values = change(file[name][()])
        del file[name]
        if values is not None:
            file[name] = values


def edit_info(path, **values):
    info = json.loads((path / 'sequence.json').read_text())
    (path / 'sequence.json').write_text(json.dumps({**info, **values}))


@pytest.mark.parametrize('damage, words', [
    (lambda p: (p / 'sequence.json').unlink(), 'is no sequence'),
    (lambda p: truncate(p / 'sequence.json', 0.5), 'is no JSON'),
    (lambda p: edit_info(p, format_version=2), 'format_version 2'),
    (lambda p: edit_info(p, frames=9), 'says 9'),
    (lambda p: edit_info(p, camera={'width': 3}), 'does not describe its camera'),
    (lambda p: edit_info(p, camera={'width': 8, 'height': HEIGHT, 'k': np.eye(3).tolist()}),
     'inverse_depth of shape'),
    *((lambda p, pauses=pauses: edit_info(p, pauses=pauses), 'pauses .*; expected a list')
      for pauses in (None, [1, 2], [[1, 2, 3]], [[1, '2']], {'begin': 1})),
    *((lambda p, level=level: edit_info(p, level=level), 'level of light .*above 0')
      for level in ('dusk', 0, -1.0, True, float('nan'))),
    (lambda p: (p / 'events.h5').unlink(), 'events.h5 is missing'),
    (lambda p: (p / 'labels.h5').unlink(), 'labels.h5 is missing'),
    (lambda p: truncate(p / 'events.h5', 0.7), 'damaged or was cut short'),
    (lambda p: truncate(p / 'labels.h5', 0.7), 'damaged or was cut short'),
    (lambda p: edit(p / 'events.h5', 'events/p', lambda v: v[:-1]), 'lengths that do not agree'),
    (lambda p: edit(p / 'events.h5', 'ms_to_idx', lambda v: None), 'lacks ms_to_idx'),
    (lambda p: edit(p / 'events.h5', 'ms_to_idx', lambda v: v + 10**6), 'index ms_to_idx'),
    (lambda p: edit(p / 'labels.h5', 'time_ns', lambda v: v[::-1].copy()), 'do not go on'),
    (lambda p: edit(p / 'labels.h5', 'time_ns', lambda v: v[:-1]), 'with 4 times'),
    (lambda p: edit(p / 'labels.h5', 'flow', lambda v: v[..., :1]), 'flow of shape')])
def test_damage_that_opening_tells(tmp_path, damage, words):
    path = write(tmp_path / 'one')
    damage(path)
    with pytest.raises(SequenceError, match=words):
        Sequence(path)


def swap(values):
    values[20_000], values[20_001] = values[20_001] + 5, values[20_000]
    return values


@pytest.mark.parametrize('damage, words', [
    (lambda p: edit(p / 'events.h5', 'events/t', swap), 'times go back'),
    (lambda p: edit(p / 'events.h5', 'events/t', lambda v: v + 7000), 'does not fit its times'),
    (lambda p: edit(p / 'events.h5', 'events/x', lambda v: v + 1), 'beyond a sensor'),
    (lambda p: edit(p / 'labels.h5', 'inverse_depth', lambda v: v - 1), 'below zero'),
    (lambda p: edit(p / 'labels.h5', 'inverse_depth', lambda v: v + np.inf), 'without bound'),
    (lambda p: (p / 'image' / '000000.png').unlink(), 'missing or no picture'),
    (lambda p: truncate(p / 'image' / '000000.png', 0.1), 'missing or no picture')])
def test_damage_that_reading_tells(tmp_path, damage, words):
    path = write(tmp_path / 'one')
    damage(path)
    sequence = Sequence(path)
    with pytest.raises(SequenceError, match=words):
        for begin in range(0, 250_000_000, 25_000_000):
            sequence.events(begin, begin + 25_000_000)
        sequence.inverse_depth(0)
        sequence.image(0)


def test_damaged_bytes_inside_a_file_are_told(tmp_path):
    path = write(tmp_path / 'one')
    with h5py.File(path / 'labels.h5') as file:
        begin = file['inverse_depth'].id.get_chunk_info(2).byte_offset
    data = bytearray((path / 'labels.h5').read_bytes())
    data[begin:begin + 40] = bytes(40)
    (path / 'labels.h5').write_bytes(data)
    sequence = Sequence(path)
    sequence.inverse_depth(1)
    with pytest.raises(SequenceError, match='labels.h5 cannot be read'):
        sequence.inverse_depth(2)


def test_finding_sequences(tmp_path):
    for name in ('b/two', 'b/one', 'a'):
        write(tmp_path / name, make_events(10), extras=False)
    (tmp_path / 'b' / 'three.part').mkdir()
    (tmp_path / 'b' / 'three.part' / 'sequence.json').write_text('{}')
    assert find_sequences([tmp_path / 'b', tmp_path / 'a', tmp_path]) == [
        tmp_path / 'b' / 'one', tmp_path / 'b' / 'two', tmp_path / 'a']
    (tmp_path / 'link').symlink_to(tmp_path / 'b')
    assert find_sequences([tmp_path / 'a', tmp_path / 'b' / '..' / 'a', tmp_path / 'link' / 'two',
                           tmp_path / 'b']) == [
        tmp_path / 'a', tmp_path / 'link' / 'two', tmp_path / 'b' / 'one']
    with pytest.raises(SequenceError, match='does not exist'):
        find_sequences([tmp_path / 'c'])
    (tmp_path / 'c').mkdir()
    with pytest.raises(SequenceError, match='nor a folder of some'):
        find_sequences(str(tmp_path / 'c'))


def test_pictures_are_plain_png(tmp_path):
    path = write(tmp_path / 'one')
    np.testing.assert_array_equal(cv2.imread(str(path / 'image' / '000003.png')), picture(3))
