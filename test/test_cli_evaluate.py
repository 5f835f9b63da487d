# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command evaluate as a user meets it."""
from dataclasses import replace
import json

import cv2
from evaluation_data import slope, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.sequences import Sequence
from depth_anyevent_ros.evaluation.baselines import label_sums, mean_maps, save_mean_maps
from depth_anyevent_ros.evaluation.metrics import METRICS
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student
from depth_anyevent_ros.simulation.boxes import boxes_simulation
from depth_anyevent_ros.simulation.output import write_sequence
from depth_anyevent_ros.simulation.rgb_camera import RgbCameraConfig


def run(*arguments):
    return execute([str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def simulated(tmp_path_factory):
    """Return a folder of three simulated sequences, and their mean map."""
    folder = tmp_path_factory.mktemp('sequences')
    camera = CameraModel(98, 70, np.array([[75., 0, 48.5], [0, 75, 34.5], [0, 0, 1]]),
                         np.zeros(5))
    for seed, level in enumerate((1.0, 0.1, 0.01)):
        simulation = replace(boxes_simulation(seed, 600_000_000), camera=camera, rate_hz=20.0,
                             rgb=RgbCameraConfig())
        write_sequence(folder / f'boxes{seed}', simulation,
                       {'source': 'simulated', 'world': ('boxes', 'more')[seed % 2],
                        'level': level, 'pauses': [[200_000_000, 400_000_000]]})
    maps = mean_maps(label_sums(Sequence(path)) for path in sorted(folder.iterdir()))
    return folder, maps


@pytest.fixture
def data(simulated, tmp_path):
    """Return the folder of sequences, a student, a teacher and a mean map, as files."""
    folder, maps = simulated
    save_mean_maps(tmp_path / 'mean_map.npz', maps)
    student = untrained_student('tiny-r', seed=1)
    size = {'height': 56, 'width': 70}
    config = replace(student.config, input=replace(student.config.input, **size))
    save_checkpoint(tmp_path / 'student.safetensors', student.network, config)
    config = replace(config, input=replace(config.input, representation='rgb',
                                           placement='resize'))
    save_checkpoint(tmp_path / 'teacher.safetensors', student.network, config)
    return folder, tmp_path


def test_evaluate_a_student(data, capsys):
    folder, tmp_path = data
    output, picture = tmp_path / 'result.json', tmp_path / 'deep' / 'sheet.png'
    assert run('evaluate', '--data', folder, '--checkpoint', tmp_path / 'student.safetensors',
               '--mean-map', tmp_path / 'mean_map.npz', '--picture', picture,
               '--json', output) == 0
    found = json.loads(output.read_text())
    assert found['protocol'] == 'clean'
    assert found['frames'] == 18  # three times 12 labels, every second
    sets = [found['metrics'], *found['baselines'].values(), found['per_sequence_alignment'],
            found['pauses'], *found['range'].values(), *found['sequences'].values()]
    assert list(found['baselines']) == ['constant', 'mean_map', 'hold_last']
    for figures in sets:
        assert all(np.isfinite(figures[name]) for name in METRICS)
    assert found['pauses']['frames'] == 6  # labels at 0.25 and 0.35 s of each
    assert set(found['worlds']) == {'boxes', 'more'} and len(found['sequences']) == 3
    assert set(found['few_events']) >= {*METRICS, 'frames', 'baselines'}
    # A random network does not beat what was made of the very same sequences.
    assert found['ratio_to_mean_map']['abs_rel'] > 1
    assert found['checkpoint']['checkpoint'] == 'student.safetensors'
    assert found['skipped'] == {'sequences': {}, 'frames': {}}
    said = capsys.readouterr()
    assert 'mean map' in said.out and 'UNTRAINED' in said.err
    assert run('evaluate', '--data', folder, '--checkpoint', tmp_path / 'student.safetensors',
               '--without-memory', '--json', output) == 0
    without = json.loads(output.read_text())
    assert found['memory'] and not without['memory']
    assert without['metrics'] != found['metrics']
    assert 'student.safetensors, without memory, protocol' in capsys.readouterr().out
    assert cv2.imread(str(picture)).shape[0] > 600


def test_light_is_compared_between_checkpoints(data):
    folder, tmp_path = data
    assert run('evaluate', '--data', folder, '--checkpoint', tmp_path / 'student.safetensors',
               '--compare', tmp_path / 'teacher.safetensors', '--limit', 2,
               '--compare', tmp_path / 'student.safetensors',
               '--light-plot', tmp_path / 'light.png', '--json', tmp_path / 'r.json') == 0
    found = json.loads((tmp_path / 'r.json').read_text())
    assert found['baselines']['mean_map'] is None or found['frames'] == 6
    teacher, again = found['compared']  # of both --compare
    assert teacher == 'teacher.safetensors' and again.endswith('/student.safetensors')
    levels = found['light']['levels']
    assert [row['level'] for row in levels] == [1.0, 0.1, 0.01]
    assert set(levels[0]['abs_rel']) == {'student.safetensors', teacher, again}
    assert cv2.imread(str(tmp_path / 'light.png')) is not None


def test_what_cannot_be_used_is_skipped_and_counted(data, capsys):
    folder, tmp_path = data
    write_labels(tmp_path / 'more' / 'dark', [slope()] * 3, counts=[0, 0, 0])
    sky = np.zeros_like(slope())
    write_labels(tmp_path / 'more' / 'sky', [sky] * 3)
    write_labels(tmp_path / 'more' / 'mixed', [sky, slope(), np.full_like(sky, np.nan), slope()])
    assert run('evaluate', '--data', tmp_path / 'more', '--rate', 20,
               '--checkpoint', tmp_path / 'student.safetensors', '--protocol', 'paper',
               '--mean-map', tmp_path / 'mean_map.npz', '--json', tmp_path / 'r.json') == 0
    found = json.loads((tmp_path / 'r.json').read_text())
    assert found['protocol'] == 'paper'
    assert found['skipped']['sequences'] == {'no_events': 1, 'no_truth': 1}
    assert found['skipped']['frames']['unknown_depth'] == 1
    assert 'skipped: ' in capsys.readouterr().err
    assert run('evaluate', '--data', tmp_path / 'more' / 'dark', '--json', '-') == 1
    assert 'none of the 1 sequences' in capsys.readouterr().err


def test_a_picture_of_nothing_is_no_success(data, capsys):
    folder, tmp_path = data
    for name, label in (('a', slope()), ('b', np.zeros_like(slope()))):
        write_labels(tmp_path / 'more' / name, [label])
    assert run('evaluate', '--data', tmp_path / 'more', '--rows', 1, '--checkpoint',
               tmp_path / 'student.safetensors', '--picture', tmp_path / 'sheet.png',
               '--json', tmp_path / 'r.json') == 1
    assert 'sheet.png: none of the sequences chosen' in capsys.readouterr().err
    assert json.loads((tmp_path / 'r.json').read_text())['frames'] == 1
    assert not (tmp_path / 'sheet.png').exists()


@pytest.mark.parametrize('options, words', [
    (('--data', '/nowhere'), 'does not exist'),
    (('--checkpoint', '/nowhere.safetensors'), 'does not exist'),
    (('--mean-map', '/nowhere.npz'), 'does not exist'),
    (('--rows', '0'), 'rows must be 1'), (('--json', '/'), 'cannot be written'),
    (('--picture', '/'), 'cannot be written'), (('--json', '/dev/null/x/y'), 'cannot be written'),
    (('--picture', 'p.foo'), 'its ending must be one of'),
    (('--light-plot', 'p.foo'), 'its ending must be one of'),
    (('--rate', '0'), 'rate'), (('--limit', '-3'), 'limit'), (('--device', 'tpu'), 'device')])
def test_what_cannot_be_done_is_a_sentence(data, capsys, options, words):
    folder, tmp_path = data
    checkpoint = ('--checkpoint', tmp_path / 'student.safetensors')
    assert run('evaluate', '--data', folder, *checkpoint, *options) == 1
    said = capsys.readouterr()
    assert words in said.err and 'Traceback' not in said.err
    assert not said.out  # nothing was evaluated before it was refused


def test_what_fails_leaves_no_folder_of_its_files(data, capsys):
    folder, tmp_path = data
    files = [option for name in ('json', 'picture', 'light-plot')
             for option in (f'--{name}', tmp_path / 'made' / f'{name}.png')]
    assert run('evaluate', '--data', folder, '--checkpoint', tmp_path / 'no.pth', *files) == 1
    assert not (tmp_path / 'made').exists()
