# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command simulate: what it writes, that it writes the same again, and what it refuses."""
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import decode, decode_event_packet, open_bag
from depth_anyevent_ros.datasets.sequences import find_sequences, Sequence
from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.simulation.production import Recording
from depth_anyevent_ros.simulation.recording import truth
from depth_anyevent_ros.simulation.worlds import make_world

ROOT = Path(__file__).resolve().parents[1]
DURATION_NS = 100_000_000
# Few renders, so that it is quick; noise, light and pauses are as always.
QUICK = ('--duration', '0.1', '--max-motion-px', '8')
CAR = ('--world', 'car', '--seed', '3', '--split', 'validation', *QUICK)


def run(*arguments):
    return execute(['simulate', *(str(argument) for argument in arguments)])


def all_events(sequence):
    return sequence.events(0, 10**12)


def equal(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name))
               for name in ('t', 'x', 'y', 'p'))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Return the folder of a sequence and of a bag of one recording, and the JSON of both."""
    folder = tmp_path_factory.mktemp('made')
    for kind in ('sequence', 'bag'):
        assert run(*CAR, '--format', kind, '--output', folder / kind,
                   '--json', folder / f'{kind}.json') == 0
    return folder, {kind: json.loads((folder / f'{kind}.json').read_text())
                    for kind in ('sequence', 'bag')}


def messages(path):
    with open_bag(path) as reader:
        assert not reader.warnings
        return list(reader.messages())


def test_a_sequence_holds_the_truth(made):
    folder, results = made
    sequence = Sequence(folder / 'sequence')
    world = make_world('car', 3, DURATION_NS, split='validation')
    assert sequence.times_ns.tolist() == [50_000_000, 100_000_000]
    for index, frame in enumerate(truth(world.simulation, sequence.times_ns.tolist())):
        exact = 1 / frame.depth
        np.testing.assert_allclose(sequence.inverse_depth(index), exact, rtol=1e-3, atol=1e-6)
        assert sequence.image(index).shape == (260, 346, 3)
        assert sequence.moving(index).shape == (260, 346)
    assert sequence.flow(0) is None
    np.testing.assert_array_equal(sequence.camera.k, world.simulation.camera.k)
    events = all_events(sequence)
    assert len(events) == results['sequence']['events'] > 1000
    assert np.all(np.diff(events.t) >= 0) and events.t[-1] <= DURATION_NS


def test_a_sequence_says_what_it_is(made):
    folder, results = made
    info = Sequence(folder / 'sequence').info
    world = make_world('car', 3, DURATION_NS, split='validation')
    assert {name: info[name] for name in (
        'name', 'source', 'world', 'split', 'seed', 'sensor', 'duration_ns', 'frames',
        'rate_hz')} == {
        'name': 'sequence', 'source': 'simulated', 'world': 'car', 'split': 'validation',
        'seed': 3, 'sensor': 'davis346', 'duration_ns': DURATION_NS, 'frames': 2, 'rate_hz': 20.0}
    for name, value in world.factors.items():
        assert info['simulation'][name] == json.loads(json.dumps(value))
    assert info['simulation']['pixels']['threshold_on'] == world.simulation.sensor.threshold_on
    assert info['level'] == world.simulation.scene.light.level
    assert '--seed 3' in info['command'] and '--split validation' in info['command']
    result = results['sequence']
    assert result['frames'] == 2 and result['seconds'] > 0 and result['renders_per_second'] > 0
    assert result['output'] == str(folder / 'sequence') and result['skipped'] == 0


def test_a_bag_holds_the_same_as_the_sequence(made):
    folder, results = made
    sequence, decoder, parts, truths, stamps = Sequence(folder / 'sequence'), None, [], [], []
    kinds = {}
    for raw in messages(folder / 'bag'):
        kinds.setdefault(raw.topic, raw.type)
        if raw.topic == '/event_camera/events':
            packet = decode_event_packet(raw)
            decoder = decoder or Evt3Decoder(packet.width, packet.height)
            parts.append(decoder.decode(packet))
            stamps.append(packet.stamp_ns)
        elif raw.topic == '/truth/inverse_depth/image':
            truths.append(decode(raw))
    assert kinds == {
        '/event_camera/events': 'event_camera_msgs/msg/EventPacket',
        '/event_camera/camera_info': 'sensor_msgs/msg/CameraInfo',
        '/camera/image': 'sensor_msgs/msg/Image',
        '/camera/camera_info': 'sensor_msgs/msg/CameraInfo',
        '/truth/inverse_depth/image': 'sensor_msgs/msg/Image',
        '/truth/inverse_depth/camera_info': 'sensor_msgs/msg/CameraInfo'}
    events, exact = Events.concatenate(parts), all_events(sequence)
    # The encoder orders events of one microsecond by row and column.
    assert len(events) == len(exact) == results['bag']['events']
    order = [np.lexsort((e.p, e.x, e.y, e.t)) for e in (events, exact)]
    for name in ('t', 'x', 'y', 'p'):
        np.testing.assert_array_equal(getattr(events, name)[order[0]],
                                      getattr(exact, name)[order[1]])
    start_ns = min(stamps) // 10**9 * 10**9
    for index, image in enumerate(truths):
        assert (image.encoding, image.height, image.width) == ('32FC1', 260, 346)
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        assert stamp - start_ns == sequence.times_ns[index]
        np.testing.assert_allclose(
            np.frombuffer(image.data, np.float32).reshape(260, 346),
            sequence.inverse_depth(index), rtol=1e-3, atol=1e-6)
    assert len(truths) == 2 and (folder / 'bag' / 'simulation.json').is_file()


def test_pictures_of_the_bag_are_those_of_the_sequence(made):
    folder, _ = made
    sequence = Sequence(folder / 'sequence')
    images = [decode(raw) for raw in messages(folder / 'bag') if raw.topic == '/camera/image']
    assert [image.encoding for image in images] == ['bgr8'] * 2
    for index, image in enumerate(images):
        np.testing.assert_array_equal(image.data.reshape(260, 346, 3), sequence.image(index))


def test_the_same_seed_gives_the_same_bytes(made, tmp_path):
    folder, _ = made
    # The second time in processes, and among others.
    assert run(*CAR, '--seed', '2', '--count', '2', '--jobs', '2', '--format', 'sequence',
               '--output', tmp_path / 'several') == 0
    assert run(*CAR, '--output', tmp_path / 'bag') == 0
    other, again = map(Sequence, find_sequences(tmp_path / 'several'))
    first = Sequence(folder / 'sequence')
    assert again.info['seed'] == 3 and other.info['seed'] == 2
    assert equal(all_events(again), all_events(first))
    assert not equal(all_events(other), all_events(first))
    for index in range(len(first)):
        for name in ('inverse_depth', 'image', 'moving'):
            np.testing.assert_array_equal(getattr(again, name)(index),
                                          getattr(first, name)(index))
    assert messages(folder / 'bag') == messages(tmp_path / 'bag')


def test_options_that_change_what_is_kept(tmp_path):
    assert run('--world', 'drone', *QUICK, '--rate', '20', '--no-images', '--flow', '--level',
               '0.5', '--format', 'sequence', '--output', tmp_path / 'a') == 0
    sequence = Sequence(tmp_path / 'a')
    assert len(sequence) == 2 and sequence.image(0) is None
    assert sequence.flow(1).shape == (260, 346, 2) and sequence.info['level'] == 0.5


def test_pauses_are_where_they_are_asked_for(tmp_path, capsys):
    paused = ('--world', 'car', *QUICK, '--no-images', '--format', 'sequence', '--pause', '0.06',
              '0.02', '--pause', '0', '0.03', '--output', tmp_path)
    assert run(*paused, '--count', '1', '--seed', '2') == 0
    sequence = Sequence(tmp_path / 'car_train_00002')
    assert sequence.info['pauses'] == [[0, 30_000_000], [60_000_000, 80_000_000]]
    assert '--pause 0.06 0.02 --pause 0.0 0.03' in sequence.info['command']
    assert run(*paused, '--count', '1', '--seed', '2') == 0
    assert '1 were there already' in capsys.readouterr().out


@pytest.fixture
def quick(tmp_path):
    """Return the arguments of a flight that was made by them, and the file that tells of it."""
    wanted = ('--world', 'drone', *QUICK, '--no-images', '--format', 'sequence', '--output',
              tmp_path, '--count', '1')
    assert run(*wanted) == 0
    return wanted, tmp_path / 'drone_train_00001' / 'sequence.json'


def test_a_recording_of_an_older_version_is_known_again(quick, capsys):
    wanted, file = quick
    info = json.loads(file.read_text())
    del info['options']['pauses']
    file.write_text(json.dumps(info))
    assert run(*wanted) == 0
    assert '1 were there already' in capsys.readouterr().out


def test_a_recording_of_a_split_that_was_made_of_other_things_is_refused(quick, capsys):
    wanted, file = quick
    info = json.loads(file.read_text())
    file.write_text(json.dumps({**info, 'factors': 'f' * 16}))
    assert run(*wanted) == 1
    assert 'whose split train was made of other things' in capsys.readouterr().err


def test_what_is_there_is_not_made_again(made, tmp_path, capsys):
    several = ('--world', 'drone', *QUICK, '--rate', '10', '--no-images', '--seed', '5',
               '--format', 'sequence', '--output', tmp_path)
    assert run(*several, '--count', '1') == 0
    first = tmp_path / 'drone_train_00005'
    before = (first / 'events.h5').stat().st_mtime_ns
    (tmp_path / 'drone_train_00006.part').mkdir()  # as a killed process leaves it
    assert run(*several, '--count', '2', '--json', tmp_path / 'out.json') == 0
    result = json.loads((tmp_path / 'out.json').read_text())
    assert result['skipped'] == 1
    assert result['recordings'] == [str(tmp_path / 'drone_train_00006')]
    assert (first / 'events.h5').stat().st_mtime_ns == before
    assert [path.name for path in find_sequences(tmp_path)] == ['drone_train_00005',
                                                                'drone_train_00006']
    assert not list(tmp_path.glob('*.part'))
    capsys.readouterr()
    assert run(*several, '--count', '2', '--rate', '20') == 1
    assert 'with other options (rate_hz 10.0, not 20.0)' in capsys.readouterr().err


def test_what_exists_is_not_overwritten(made, capsys):
    folder, _ = made
    before = messages(folder / 'bag')
    for kind in ('bag', 'sequence'):
        assert run(*CAR, '--format', kind, '--output', folder / kind) == 1
        assert 'exists already' in capsys.readouterr().err
    assert messages(folder / 'bag') == before


def test_a_turned_rig_is_told_with_the_bag(tmp_path):
    assert run(*CAR, '--turn', '90', '0', '0', '--baseline', '0.2', '--output',
               tmp_path / 'bag') == 0
    told = json.loads((tmp_path / 'bag' / 'simulation.json').read_text())
    # Rolled to the right, the event camera has the colour camera above it.
    np.testing.assert_allclose(told['color_to_event']['translation'], [0, -0.2, 0], atol=1e-9)
    np.testing.assert_allclose(told['color_to_event']['rotation'],
                               [0, 0, -np.sqrt(0.5), np.sqrt(0.5)], atol=1e-9)
    assert '--turn 90.0 0.0 0.0' in told['command'] and '--baseline 0.2' in told['command']
    names = {message.topic for message in messages(tmp_path / 'bag')}
    assert {'/camera/image', '/event_camera/events'} <= names


def test_a_command_may_be_given_again(tmp_path):
    recording = Recording('car', 3, duration_s=0.02, turn_deg=(0.0, 0.0, -1e-5),
                          baseline_m=1e-7, pauses=((1e-6, 0.01),), binning=4, images=False)
    assert run(*recording.command()[1:], '--output', tmp_path / 'a') == 0


@pytest.mark.parametrize('output', ['.', '/', ''])
def test_an_output_without_a_name_is_refused(capsys, monkeypatch, tmp_path, output):
    monkeypatch.chdir(tmp_path)
    assert run('--world', 'car', *QUICK, '--output', output) == 1
    assert 'give another path' in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize('arguments, words', [
    (['--turn', '5', '0', '0', '--format', 'sequence'], 'cameras that stand apart'),
    (('--count', '0'), '--count has to be within 1 and 100000'),
    (('--count', '10000000000'), '--count has'), (('--jobs', '0'), '--jobs has'),
    (('--jobs', '257'), '--jobs has to be within 1 and 256'), (('--duration', '0'), 'duration'),
    (('--rate', '1e6'), 'rate_hz'), (('--rate', '1e-300'), 'rate_hz'),
    (('--max-motion-px', '1e306'), 'max_motion_px'), (('--max-motion-px', '1e-9'), 'max_motion'),
    (('--level', '1e39'), 'level'), (('--level', 'nan'), 'level'), (('--rate', 'nan'), 'rate_hz'),
    (('--rate', '9.9', '--format', 'sequence'), 'has no label'),
    (('--rate', '-3'), 'rate_hz'), (('--level', '-1'), 'level'), (('--seed', '-1'), 'seed'),
    (('--baseline', '11'), 'baseline within 10 m'), (('--baseline', 'nan'), 'baseline within'),
    (('--turn', '0', '400', '0'), 'turn has to be within 360'),
    (('--max-motion-px', '0'), 'max_motion_px'), (('--max-step-ms', '0'), 'max_step_ms'),
    (('--flow',), 'sequences only'), (('--pause', '0', '-1'), 'pause'),
    (('--pause', '0.2', '1'), 'after the end'), (('--pause', '0', 'inf'), 'pause'),
    (('--format', 'sequence', '--encoding', 'evt3'), 'encoding is one of event packets')])
def test_refused_options(tmp_path, capsys, arguments, words):
    assert run('--world', 'car', *QUICK, '--output', tmp_path / 'a', *arguments) == 1
    problem = capsys.readouterr().err
    assert words in problem and 'should not happen' not in problem
    assert not list(tmp_path.iterdir())


def simulate_process(*arguments, before=''):
    """Start the command as a process, after a line of Python."""
    # A shell that starts tests in the background has them ignore what Ctrl-C sends.
    code = (f'{before}\nimport signal, sys\n'
            'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
            'from depth_anyevent_ros.cli.main import execute\n'
            "sys.exit(execute(['simulate', *sys.argv[1:]]))")
    return subprocess.Popen([sys.executable, '-c', code, *map(str, arguments)], text=True,
                            stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True,
                            env={**os.environ, 'PYTHONPATH': str(ROOT)})


@pytest.mark.parametrize('kind', ['bag', 'sequence'])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, kind):
    # A limit on the size of files stands for the disk.
    process = simulate_process(
        *CAR, '--format', kind, '--output', tmp_path / 'a',
        before='import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
               'resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))')
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert 'could not be written' in errors and 'Traceback' not in errors
    assert not list(tmp_path.iterdir())


def simulate_in_two(tmp_path):
    """Start three long recordings in two processes; return the command when both are busy."""
    process = simulate_process('--world', 'drone', '--duration', '60', '--count', '3',
                               '--jobs', '2', '--format', 'sequence', '--output', tmp_path)
    wait_for(lambda: len(list(tmp_path.glob('*.part/labels.h5'))) == 2)
    return process


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_command_that_started_them(tmp_path, number):
    process = simulate_in_two(tmp_path)
    process.send_signal(number)
    process.wait(10)
    process.stderr.close()
    wait_for(lambda: not list(tmp_path.iterdir()))
    time.sleep(1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('send', [os.kill, os.killpg])  # the latter as a terminal does
def test_an_interruption_leaves_only_what_is_whole(tmp_path, send):
    process = simulate_in_two(tmp_path)
    send(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and 'Interrupted' in errors, errors
    assert not list(tmp_path.iterdir())
