# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What commands read: it is not written over, and what of it is of no use is an error."""
from dataclasses import replace
import json
import os
import sqlite3

import cv2
from evt3_words import event_words, packet
import numpy as np
import pytest
from ros_graph import write_calibration

from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import BagWriter
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.images import load_picture

WIDTH, HEIGHT = 140, 98
TOPIC = '/cam/events'


def run(*arguments):
    return execute([str(argument) for argument in arguments])


def write_bag(path, count=40):
    """Write packets of 10 ms with 100 random events each."""
    rng = np.random.default_rng(0)
    with BagWriter(path) as writer:
        for i in range(count):
            words = np.concatenate([
                event_words(int(t), int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)),
                            int(rng.integers(2)))
                for t in np.sort(rng.integers(0, 10_000, 100)) + i * 10_000])
            writer.write_event_packet(TOPIC, packet(words, seq=i, width=WIDTH, height=HEIGHT), i)
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize('arguments', [
    ('infer', '--bag', '{bag}', '--output', '{new}', '--json', '{bag}/bag.db3'),
    ('infer', '--bag', '{bag}/bag.db3', '--output', '{new}', '--picture', '{bag}/bag.db3'),
    ('inspect', '{bag}', '--json', '{bag}/metadata.yaml'),
    ('inspect', '{bag}/bag.db3', '--hot-pixels', '{bag}/bag.db3'),
    ('evaluate', '--data', '{bag}', '--json', '{bag}/metadata.yaml'),
    ('export', '--checkpoint', '{bag}/bag.db3', '--output', '{bag}/bag.db3')])
def test_what_is_read_is_not_written(tmp_path, capsys, arguments):
    bag = write_bag(tmp_path / 'bag')
    before = contents(bag)
    assert run(*(word.format(bag=bag, new=tmp_path / 'new') for word in arguments)) == 1
    assert 'which is read' in capsys.readouterr().err
    assert contents(bag) == before and not (tmp_path / 'new').exists()


def test_a_result_may_lie_beside_what_is_read(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    for _ in range(2):
        assert run('inspect', bag, '--json', bag / 'result.json') == 0
    assert (bag / 'result.json').exists()


def test_a_bag_without_a_window_leaves_nothing_in_the_way(tmp_path, capsys):
    bag = write_bag(tmp_path / 'bag', count=4)
    for _ in range(2):
        assert run('infer', '--bag', bag, '--output', tmp_path / 'out') == 1
        assert 'do not fill one window' in capsys.readouterr().err
    with BagWriter(tmp_path / 'empty') as writer:
        writer.write_event_packet(TOPIC, packet(event_words(0, 1, 1, 1)), 0)
    empty = bag_without_messages(tmp_path / 'empty')
    assert run('infer', '--bag', empty, '--output', tmp_path / 'out') == 1
    assert f'no message is on {TOPIC}' in capsys.readouterr().err


def test_infer_tells_what_was_dropped_and_mended(tmp_path, capsys):
    bag, result = tmp_path / 'bag', tmp_path / 'result.json'
    with BagWriter(bag) as writer:
        for i in range(60):  # the driver says that the sensor is smaller than it is, for a while
            words = np.concatenate([event_words(i * 10_000 + x * 60, x, 50, 1)
                                    for x in range(WIDTH)])
            width = WIDTH // 2 if i < 40 else WIDTH
            writer.write_event_packet(TOPIC, packet(words, seq=i, width=width, height=HEIGHT), i)
    assert run('infer', '--bag', bag, '--output', tmp_path / 'out', '--json', result) == 0
    beyond = 40 * (WIDTH - WIDTH // 2)
    assert json.loads(result.read_text())['damage'] == {'out_of_range': beyond, 'size_changes': 1}
    assert f'{beyond} out of range, 1 size changes' in capsys.readouterr().err


def test_windows_of_a_count_that_pauses_begin_anew_are_told(tmp_path, capsys):
    with BagWriter(tmp_path / 'bag') as writer:
        for i in range(10):
            words = np.concatenate([event_words(i * 300_000 + j, j, 50, 1) for j in range(40)])
            writer.write_event_packet(TOPIC, packet(words, seq=i, width=WIDTH, height=HEIGHT), i)
    assert run('infer', '--bag', tmp_path / 'bag', '--output', tmp_path / 'out',
               '--window-count', '100') == 1
    assert 'each pause of 200 ms begins it anew' in capsys.readouterr().err


def bag_without_messages(bag):
    with sqlite3.connect(bag / f'{bag.name}.db3') as database:
        database.execute('DELETE FROM messages')
    database.close()
    (bag / 'metadata.yaml').unlink()
    return bag


@pytest.mark.parametrize('changes, words', [
    ({'width': WIDTH // 2}, 'is for 70x98 pixels'), ({'k': np.zeros((3, 3))}, 'not calibrated'),
    ({'distortion_model': 'foo'}, 'foo'), (None, 'CameraInfo')])
def test_a_named_calibration_of_no_use_is_an_error(tmp_path, capsys, changes, words):
    bag, named = write_bag(tmp_path / 'bag'), TOPIC
    if changes is not None:
        named = tmp_path / 'camera.yaml'
        write_calibration(named, replace(
            CameraModel(WIDTH, HEIGHT, np.array([[60.0, 0, 70], [0, 60, 49], [0, 0, 1]]),
                        np.array([0.1, 0, 0, 0, 0]), 'plumb_bob'), **changes))
    assert run('infer', '--bag', bag, '--output', tmp_path / 'out', '--camera-info', named) == 1
    assert words in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_a_damaged_calibration_in_a_bag_is_told_and_left(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise CalibrationError('a region of interest that cannot be')
    monkeypatch.setattr('depth_anyevent_ros.cli.infer.read_camera', refuse)
    bag = write_bag(tmp_path / 'bag')
    assert run('infer', '--bag', bag, '--output', tmp_path / 'out') == 0
    assert 'that cannot be' in capsys.readouterr().err


def test_names_that_are_no_text_are_drawn(tmp_path):
    bag = write_bag(tmp_path / os.fsdecode(b'dr\xfc'))
    picture = tmp_path / os.fsdecode(b'p\xfc.png')
    assert run('infer', '--bag', bag, '--output', tmp_path / 'out', '--picture', picture) == 0
    assert load_picture(picture).ndim == 3


def test_a_result_is_whole_or_not_there(tmp_path, monkeypatch):
    bag, file = write_bag(tmp_path / 'bag'), tmp_path / 'result.json'
    file.write_text('an older one')

    def full(*_):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr('os.fsync', full)
    assert run('inspect', bag, '--json', file) == 1
    assert file.read_text() == 'an older one'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag', 'result.json']


def test_what_is_no_plain_file_is_not_replaced(tmp_path, capsys):
    bag, pipe = write_bag(tmp_path / 'bag'), tmp_path / 'pipe'
    os.mkfifo(pipe)  # as /dev/null, which root may replace
    assert run('inspect', bag, '--hot-pixels', pipe) == 1
    assert f'{pipe}: is no plain file' in capsys.readouterr().err
    assert pipe.is_fifo()


@pytest.mark.parametrize('option, value', [
    ('--rate', 'nan'), ('--rate', '-1'), ('--end', 'inf'), ('--start', '1e300'),
    ('--shift', 'nan'), ('--scale', '-2')])
def test_numbers_of_label_are_named_where_they_are_no_use(tmp_path, capsys, option, value):
    bag = write_bag(tmp_path / 'bag')
    assert run('label', bag, '--output', tmp_path / 'labels', f'{option}={value}') == 1
    said = capsys.readouterr().err
    assert option.strip('-') in said and 'should not happen' not in said
    assert not (tmp_path / 'labels').exists()


def test_a_picture_that_is_none_is_none(tmp_path):
    (tmp_path / 'empty').write_bytes(b'')
    (tmp_path / 'text').write_text('no picture')
    assert load_picture(tmp_path / 'empty') is None and load_picture(tmp_path / 'text') is None
    cv2.imwrite(str(tmp_path / 'one.png'), np.full((4, 5, 3), 7, np.uint8))
    assert (load_picture(tmp_path / 'one.png') == 7).all()
