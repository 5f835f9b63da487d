# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: figures, files, exit status, sentences."""
import json
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import cv2
from evt3_words import event_words, packet
import numpy as np
import pytest
import torch

from depth_anyevent_ros.cli.main import COMMANDS, execute
from depth_anyevent_ros.datasets.bags import BagWriter, decode, open_bag
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = ('type', 'encoding', 'width', 'height', 'packets', 'bytes', 'on', 'off', 'sum_t',
            'sum_x', 'sum_y', 'triggers', 'gaps', 'first', 'last')


def run(*arguments):
    return execute([str(argument) for argument in arguments])


@pytest.mark.parametrize('command', COMMANDS)
def test_help_shows_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        run(command, '--help')
    assert end.value.code == 0
    assert f'depth_anyevent {command}' in capsys.readouterr().out.split('examples:')[1]


@pytest.mark.parametrize('missing, arguments, status, words', [
    ('torch', ('doctor', '--no-transport'), 1, '[BAD ] torch: missing'),
    ('torch', ('doctor', '--no-transport'), 1, '[BAD ] student: cannot be loaded'),
    ('h5py', ('evaluate', '--data', 'x'), 1, 'depth_anyevent doctor shows what is missing')])
def test_a_missing_package_is_told(missing, arguments, status, words):
    code = (f'import sys; sys.modules[{missing!r}] = None\n'
            'from depth_anyevent_ros.cli.main import main; main(sys.argv[1:])')
    done = subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True)
    assert done.returncode == status and words in done.stdout + done.stderr
    assert 'Traceback' not in done.stderr


def test_a_gpu_without_memory_is_told_with_advice(monkeypatch, capsys):
    def run_out(_):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory.')
    monkeypatch.setattr('depth_anyevent_ros.cli.infer.run', run_out)
    assert run('infer', '--bag', 'x', '--output', 'y') == 1
    assert 'on the CPU' in (said := capsys.readouterr().err) and 'should not' not in said


def test_inspect_tells_of_a_sensor_that_changes(tmp_path, capsys):
    with BagWriter(tmp_path / 'bag') as writer:
        for i, width in enumerate((140, 140, 200)):
            writer.write_event_packet('/cam/events', packet(
                event_words(i * 10_000, 1, 1, 1), seq=i, width=width), i)
    assert run('inspect', tmp_path / 'bag') == 0
    assert 'the sensor changes from 140x48 to 200x48' in capsys.readouterr().err


def test_without_a_command_help_is_shown(capsys):
    assert run() == 2
    assert 'inspect' in capsys.readouterr().out


def test_inspect_real_recording_as_expected(shared_data, tmp_path):
    expected = json.loads((shared_data / 'bags' / 'expected.json').read_text())
    expected = expected['test_data_evt3_trigger']
    output = tmp_path / 'deep' / 'inspect.json'
    assert run('inspect', shared_data / 'bags' / 'test_data_evt3_trigger', '--json', output) == 0
    figures = json.loads(output.read_text())['topics']['/event_camera/events']
    assert set(CONTRACT) <= set(figures)
    for name in set(CONTRACT) & set(expected):
        assert figures[name] == expected[name], name
    assert (figures['width'], figures['height']) == tuple(expected['wh'])
    assert figures['triggers'] == expected['trig']['n'] and figures['gaps'] == 0


@pytest.mark.parametrize('damage', ['no metadata', 'bare file', 'renamed', 'nonsense'])
def test_inspect_does_not_need_good_metadata(shared_data, tmp_path, damage, capsys):
    bag = shutil.copytree(shared_data / 'bags' / 'test_data_evt3_trigger', tmp_path / 'bag',
                          copy_function=shutil.copy)
    path = bag
    for file in bag.iterdir():
        file.chmod(0o644)
    bag.chmod(0o755)
    if damage == 'no metadata':
        (bag / 'metadata.yaml').unlink()
    elif damage == 'bare file':
        path = next(bag.glob('*.db3'))
    elif damage == 'renamed':
        next(bag.glob('*.db3')).rename(bag / 'other.db3')
    else:
        (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 99}\n')
    output = tmp_path / 'inspect.json'
    assert run('inspect', path, '--json', output) == 0
    assert json.loads(output.read_text())['topics']['/event_camera/events']['packets'] == 105


def write_bag(path, encoding='evt3', topic='/cam/events', count=60, skip=()):
    """Write a bag of packets of 10 ms with 20 events each, with a calibration."""
    k = np.array([[100., 0, 69.5], [0, 110, 48.5], [0, 0, 1]])
    with BagWriter(path) as writer:
        writer.write_camera_info('/cam/camera_info', CameraModel(140, 98, k, np.zeros(5)),
                                 10**18, 'cam_optical_frame', 10**18)
        for i in range(count):
            if i in skip:
                continue
            words = np.concatenate([event_words(i * 10_000 + j * 500, j, i, j % 2)
                                    for j in range(20)])
            one = packet(words, 140, 98, seq=i, stamp_ns=10**18 + i * 10**7,
                         frame_id='cam_optical_frame')
            object.__setattr__(one, 'encoding', encoding)
            writer.write_event_packet(topic, one, 10**18 + i * 10**7)
    return path


def test_inspect_counts_gaps_and_tells_an_unknown_encoding(tmp_path, capsys):
    bag = write_bag(tmp_path / 'gaps', skip=(7, 30, 31))
    assert run('inspect', bag, '--json', tmp_path / 'a.json') == 0
    figures = json.loads((tmp_path / 'a.json').read_text())['topics']['/cam/events']
    assert (figures['packets'], figures['gaps'], figures['on']) == (57, 2, 570)
    capsys.readouterr()
    assert run('inspect', write_bag(tmp_path / 'odd', encoding='evt21')) == 1
    assert "'evt21'" in capsys.readouterr().err


def test_inspect_takes_a_stream_that_begins_anew_as_two(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for run_number in range(2):
            for i in range(5):
                words = np.concatenate([event_words(i * 10_000 + j * 500, j, i, 1)
                                        for j in range(20)])
                writer.write_event_packet('/events', packet([*words, 0xA001], 140, 98, seq=i),
                                          run_number * 10**9 + i * 10**7)
    assert run('inspect', tmp_path / 'bag', '--json', tmp_path / 'a.json') == 0
    figures = json.loads((tmp_path / 'a.json').read_text())['topics']['/events']
    assert (figures['on'], figures['restarts'], figures['triggers']) == (200, 1, 10)
    assert figures['last'][0] == 49_500_000
    assert figures['sum_t'] == 2 * sum(range(0, 50_000_000, 500_000))


def test_infer_writes_depth_with_its_calibration(tmp_path, capsys):
    student = untrained_student('tiny-r', seed=1)
    save_checkpoint(tmp_path / 'student.safetensors', student.network, student.config)
    result = tmp_path / 'infer.json'
    assert run('infer', '--bag', write_bag(tmp_path / 'bag'), '--output', tmp_path / 'out',
               '--checkpoint', tmp_path / 'student.safetensors', '--rate', 20, '--visualization',
               '--picture', tmp_path / 'sheet.png', '--json', result) == 0
    said = capsys.readouterr()
    assert 'UNTRAINED' in said.err and f'See {tmp_path / "sheet.png"}' in said.out
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))
    # Six moments of eleven windows, two side by side; the sensor has 140x98 pixels.
    assert sheet.shape[1] == 2 * 680 and sheet.shape[0] > 3 * 336 * 98 / 140
    figures = json.loads(result.read_text())
    assert {name: figures[name] for name in ('windows', 'published', 'packets', 'events',
                                             'dropped', 'gaps')} == {
        'windows': 11, 'published': 11, 'packets': 60, 'events': 1200, 'dropped': 0, 'gaps': 0}
    assert figures['checkpoint']['checkpoint'] == 'student.safetensors'
    assert figures['seconds'] > 0
    with open_bag(tmp_path / 'out') as reader:
        messages = [(raw.topic, decode(raw)) for raw in reader.messages()]
    images = [m for topic, m in messages if topic == '/inverse_depth/image']
    infos = [m for topic, m in messages if topic == '/inverse_depth/camera_info']
    pictures = [m for topic, m in messages if topic == '/visualization/image']
    assert len(images) == len(infos) == len(pictures) == 11
    assert [m.header for m in images] == [m.header for m in infos]
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in images]
    assert np.allclose(np.diff(stamps), 5e7)
    # Packets are stamped 0.5 ms after the last event of the packet before.
    assert stamps[0] == 10**18 + 5 * 10**7 + 500_000
    assert (infos[0].k[0], infos[0].width) == (100.0, 140)
    assert np.isfinite(images[0].data.view(np.float32)).all()


def test_infer_leaves_the_bag_where_the_picture_cannot_be_written(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr('depth_anyevent_ros.evaluation.depth_sheet.replace_file', full)
    assert run('infer', '--bag', write_bag(tmp_path / 'bag'), '--output', tmp_path / 'out',
               '--picture', tmp_path / 'sheet.png') == 1
    assert 'No space left' in capsys.readouterr().err
    assert (tmp_path / 'out').exists() and not (tmp_path / 'sheet.png').exists()


def test_infer_cuts_windows_of_a_count_of_events(tmp_path):
    result = tmp_path / 'infer.json'
    assert run('infer', '--bag', write_bag(tmp_path / 'bag'), '--output', tmp_path / 'out',
               '--window-count', 250, '--json', result) == 0
    figures = json.loads(result.read_text())
    assert (figures['windows'], figures['published'], figures['events']) == (4, 4, 1200)


def test_infer_twice_gives_the_same_bytes(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    depths = []
    for name in ('a', 'b'):
        assert run('infer', '--bag', bag, '--output', tmp_path / name) == 0
        with open_bag(tmp_path / name) as reader:
            depths.append([raw.data for raw in reader.messages(['/inverse_depth/image'])])
    assert depths[0] == depths[1] and len(depths[0]) == 5


def test_json_alone_goes_to_standard_output(tmp_path, capsys):
    assert run('inspect', write_bag(tmp_path / 'bag'), '--json', '-') == 0
    said = capsys.readouterr()
    assert json.loads(said.out)['topics'] and 'evt3' in said.err


@pytest.mark.parametrize('arguments', [
    ('models', 'list'), ('doctor', '--no-transport'), ('inspect', 'BAG'),
    ('infer', '--bag', 'BAG', '--output', 'NEW'), ('benchmark', 'decode', '--repeats', '1')])
def test_a_result_that_cannot_be_written_is_told_at_the_door(tmp_path, capsys, arguments):
    bag = write_bag(tmp_path / 'bag', count=8)
    (tmp_path / 'file').write_text('')
    places = {'BAG': bag, 'NEW': tmp_path / 'new'}
    arguments = [places.get(argument, argument) for argument in arguments]
    (tmp_path / 'link').symlink_to(tmp_path / 'file' / 'x')
    for file in (tmp_path, tmp_path / 'file' / 'x' / 'result.json', tmp_path / 'link'):
        assert run(*arguments, '--json', file) == 1
        said = capsys.readouterr()
        assert f'{file} cannot be written' in said.err and not said.out
        assert sorted(path.name for path in tmp_path.iterdir()) == ['bag', 'file', 'link']


def test_a_result_may_lie_in_the_folder_that_a_command_makes(tmp_path):
    bag, folder = write_bag(tmp_path / 'bag'), tmp_path / 'new'
    arguments = ('infer', '--output', folder, '--json', folder / 'made' / 'result.json')
    assert run(*arguments, '--bag', tmp_path / 'nowhere') == 1 and not folder.exists()
    assert run(*arguments, '--bag', bag) == 0
    assert json.loads((folder / 'made' / 'result.json').read_text())


def test_infer_that_is_interrupted_leaves_nothing(tmp_path):
    arguments = ['infer', '--bag', str(write_bag(tmp_path / 'bag')), '--rate', '1000',
                 '--output', str(tmp_path / 'out')]
    # A shell that starts tests in the background has them ignore what Ctrl-C sends.
    code = ('import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n'
            'from depth_anyevent_ros.cli.main import main; main()')
    process = subprocess.Popen([sys.executable, '-c', code, *arguments], cwd=ROOT,
                               stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    # Until depth is written: an interruption may be lost while loops are being compiled.
    while not any(path.stat().st_size > 1 << 20 for path in tmp_path.glob('out.part/out/*.db3')):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130 and 'Interrupted' in process.stderr.read()
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_a_bag_without_events_names_its_topics(tmp_path, capsys):
    k = np.eye(3)
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_camera_info('/rgb/camera_info', CameraModel(4, 3, k, np.zeros(5)), 1, 'f', 1)
    for arguments in (('inspect', tmp_path / 'bag'),
                      ('infer', '--bag', tmp_path / 'bag', '--output', tmp_path / 'out')):
        assert run(*arguments) == 1
        error = capsys.readouterr().err
        assert '/rgb/camera_info' in error and 'EventPacket' in error
        assert 'Traceback' not in error


@pytest.mark.parametrize('arguments, words', [
    (('inspect', '/nowhere'), 'does not exist'),
    (('infer', '--bag', 'BAG', '--output', 'BAG'), 'exists already'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--checkpoint', '/nowhere.pth'),
     'does not exist'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--rate', '0'), 'rate_hz'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--topic', '/x'), 'no event topic /x'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--picture', 'x.txt'), 'cannot be drawn'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--picture', '/dev/null/x.png'),
     'cannot be written'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--picture', 'NEW'),
     '--output and --picture both name'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--json', 'BAG/../new'), 'both name'),
    (('inspect', 'BAG', '--hot-pixels', 'NEW', '--json', 'NEW'), '--hot-pixels and --json both'),
    (('evaluate', '--data', 'BAG', '--picture', 'NEW.png', '--light-plot', 'NEW.png'),
     'give each a name of its own'),
    (('infer', '--bag', 'BAG', '--output', 'NEW', '--device', 'tpu'), 'device')])
def test_what_cannot_be_done_is_a_sentence(tmp_path, capsys, arguments, words):
    places = {'BAG': write_bag(tmp_path / 'bag', count=8), 'NEW': tmp_path / 'new',
              'BAG/../new': tmp_path / 'bag' / '..' / 'new'}
    assert run(*(places.get(argument, argument) for argument in arguments)) == 1
    error = capsys.readouterr().err
    assert words in error and 'Traceback' not in error
    assert not (tmp_path / 'new').exists()


def test_events_that_fill_no_window_are_no_success(tmp_path, capsys):
    bag = write_bag(tmp_path / 'bag', count=4)
    assert run('infer', '--bag', bag, '--output', tmp_path / 'out') == 1
    assert 'window' in capsys.readouterr().err


def test_an_interruption_within_a_compiled_loop_is_one(monkeypatch, capsys):
    """As numba lets it out, which a user would read as a fault of the program."""
    def loop(_arguments):
        raise SystemError('look returned a result with an exception set') from KeyboardInterrupt()
    monkeypatch.setattr('depth_anyevent_ros.cli.models.run', loop)
    assert run('models', 'list') == 130
    assert capsys.readouterr().err == 'Interrupted.\n'


@pytest.mark.parametrize('module', ['depth_anyevent_ros.cli.main', 'json', 'tempfile'])
def test_an_interruption_while_imports_run_is_one(module):
    # The launcher of ros2 run, with a Ctrl-C as it comes to a module.
    code = ('import os, runpy, signal, sys\n'
            'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
            'class CtrlC:\n'
            '    def find_spec(name, *_):\n'
            '        if name == sys.argv[2]:\n'
            '            os.kill(os.getpid(), signal.SIGINT)\n'
            'sys.meta_path.insert(0, CtrlC)\n'
            'runpy.run_path(sys.argv[1], run_name="__main__")')
    launcher = ROOT / 'scripts' / 'launchers' / 'depth_anyevent'
    done = subprocess.run([sys.executable, '-c', code, launcher, module], cwd=ROOT,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, 'Interrupted.\n')


def test_debug_shows_the_traceback(capsys):
    assert run('inspect', '/nowhere', '--debug') == 1
    assert 'Traceback' in capsys.readouterr().err


@pytest.mark.ros
def test_doctor_without_transport_finds_what_is_installed(capsys, tmp_path):
    status = run('doctor', '--no-transport', '--json', tmp_path / 'doctor.json')
    checks = {c['name']: c for c in json.loads((tmp_path / 'doctor.json').read_text())['checks']}
    for name in ('Python', 'torch', 'numba', 'rclpy', 'event_camera_msgs'):
        assert checks[name]['state'] == 'ok', checks[name]
    assert status == int(any(check['state'] == 'bad' for check in checks.values()))


@pytest.mark.ros
def test_doctor_measures_large_messages(monkeypatch):
    from depth_anyevent_ros.nodes.transport_check import check_transport
    monkeypatch.setenv('ROS_DOMAIN_ID', '19')
    result = check_transport()
    assert result.sent == 150 and 0 < result.received <= 150
    assert 0 < result.p50_ms <= result.p99_ms


def test_infer_rectifies_by_a_calibration_file(tmp_path):
    student = untrained_student('tiny-r', seed=1)
    save_checkpoint(tmp_path / 'student.safetensors', student.network, student.config)
    (tmp_path / 'event_camera.yaml').write_text(CALIBRATION_YAML)
    bag, pictures = write_bag(tmp_path / 'bag'), {}
    for name, options in (('rectified', ()), ('distorted', ('--no-rectify',))):
        result = tmp_path / f'{name}.json'
        assert run('infer', '--bag', bag, '--output', tmp_path / name, '--checkpoint',
                   tmp_path / 'student.safetensors', '--camera-info',
                   tmp_path / 'event_camera.yaml', *options, '--json', result) == 0
        figures = json.loads(result.read_text())
        assert figures['rectified'] == (name == 'rectified')
        assert figures['calibration'] == 'event_camera.yaml'
        with open_bag(tmp_path / name) as reader:
            info = decode(next(reader.messages(['/inverse_depth/camera_info'])))
            image = decode(next(reader.messages(['/inverse_depth/image'])))
        pictures[name] = image.data.view(np.float32).reshape(98, 140), info
    (rectified, flat), (distorted, bent) = pictures['rectified'], pictures['distorted']
    assert not np.any(flat.d) and flat.k[0] == flat.p[0] == 60.0
    assert bent.d[0] == -0.3 and bent.k[0] == 100.0
    # Beyond what the lens saw there is no depth, in the middle there is.
    assert np.isnan(rectified[0, 0]) and np.isfinite(rectified[30:70, 40:100]).all()
    assert np.isfinite(distorted).all()
    assert run('infer', '--bag', bag, '--output', tmp_path / 'x', '--camera-info',
               tmp_path / 'missing.yaml') == 1


CALIBRATION_YAML = """
image_width: 140
image_height: 98
camera_name: event_camera
camera_matrix: {rows: 3, cols: 3, data: [100, 0, 69.5, 0, 110, 48.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.05, 0, 0, 0]}
projection_matrix: {rows: 3, cols: 4, data: [60, 0, 69.5, 0, 0, 66, 48.5, 0, 0, 0, 1, 0]}
"""
