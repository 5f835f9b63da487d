# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command benchmark, and that its baselines do the same work."""
from dataclasses import replace
import json
import time

import numpy as np
import pytest

from depth_anyevent_ros.benchmarks import label, simulator, training
from depth_anyevent_ros.benchmarks.case import compare, Work
from depth_anyevent_ros.benchmarks.numpy_caster import cast_depth
from depth_anyevent_ros.cli.benchmark import BENCHMARKS
from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.distillation.teachers import CheckpointTeacher
from depth_anyevent_ros.simulation.boxes import boxes_simulation, DAVIS346
from depth_anyevent_ros.simulation.raycaster import RayCaster
from depth_anyevent_ros.simulation.scene import Ellipsoid


class Sliding:
    """A body that moves to the left and turns."""

    def pose(self, time_s):
        return np.array([4.0, time_s, 1.0]), 0.3 * time_s


def test_a_ratio_above_one_is_faster():
    case = compare('name', 'things/s', Work(lambda: time.sleep(0.002), 10), 'slow',
                   Work(lambda: time.sleep(0.02), 10), repeats=3)
    assert case.min <= case.median <= case.max < 5000
    assert case.ratio == pytest.approx(10, rel=0.5) and case.baseline == 'slow'


def test_the_numpy_caster_sees_what_the_ray_caster_sees():
    simulation = boxes_simulation(0, 1)
    box = replace(simulation.scene.boxes[0], center=(0, 0, 0), body=1)
    scene = replace(simulation.scene, boxes=(*simulation.scene.boxes, box), bodies=(Sliding(),),
                    ellipsoids=(Ellipsoid((3, -1, 1), (0.3, 0.5, 0.2), yaw=0.4),
                                Ellipsoid((0, -1, 0), (0.3, 0.5, 0.2), yaw=-0.4, body=1)))
    camera = simulator.shrunk(DAVIS346, 4)
    pose = simulation.trajectory.pose(1.0)
    expected = RayCaster(scene, camera).render(pose, 1.0).depth
    found = cast_depth(scene, camera, pose, 1.0)
    assert np.array_equal(np.isinf(found), np.isinf(expected))
    good = np.isclose(found, expected, rtol=1e-4) | (np.isinf(found) & np.isinf(expected))
    assert good.mean() > 0.999


def test_a_shrunk_camera_has_the_same_view():
    small = simulator.shrunk(DAVIS346, 4)
    assert (small.width, small.height) == (86, 65)
    # The left edge of the first pixel looks in the same direction.
    for camera in (DAVIS346, small):
        assert (-0.5 - camera.k[0, 2]) / camera.k[0, 0] == pytest.approx(
            (-0.5 - DAVIS346.k[0, 2]) / DAVIS346.k[0, 0])


def test_benchmark_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, 'SIZES', ((70, 84),))
    monkeypatch.setattr(training, 'STEPS', 2)
    assert execute(['benchmark', 'training', '--repeats', '2', '--json',
                    str(tmp_path / 'b.json')]) == 0
    (case,) = json.loads((tmp_path / 'b.json').read_text())['cases']
    assert set(case) == {'name', 'median', 'min', 'max', 'unit', 'baseline', 'ratio'}
    assert 0 < case['min'] <= case['median'] <= case['max'] and case['ratio'] > 0
    assert 'times' in capsys.readouterr().out


def test_benchmark_simulator(monkeypatch):
    monkeypatch.setattr(simulator, 'FRAMES', 1)
    monkeypatch.setattr(simulator, 'SHRINK', 16)
    monkeypatch.setattr(simulator, 'STRETCH_NS', 2_000_000)
    monkeypatch.setattr(simulator, 'WORLDS', simulator.WORLDS[:1])
    rendering, events = simulator.cases(repeats=1, seed=0)
    assert rendering.unit == 'frames/s' and rendering.ratio > 1
    assert events.baseline == 'real time' and events.ratio == events.median > 0


def test_benchmark_label(monkeypatch, untrained_teacher):
    monkeypatch.setattr(label, 'SECONDS', 2.0)
    monkeypatch.setattr(label, 'FEW_SECONDS', 1.0)
    # The size of Depth Anything V2 takes a second for a picture.
    monkeypatch.setattr(label, '_random_teacher',
                        lambda seed: CheckpointTeacher.from_file(str(untrained_teacher)))
    tiny, other = label.cases(repeats=1, seed=0)
    made, few = (int(case.name.split()[1]) for case in (tiny, other))
    assert 10 <= made <= 20 and 1 <= few <= 2 and 'tiny-teacher' in tiny.name
    for case in (tiny, other):
        assert case.unit == 'labels/s' and 'bare teacher' in case.baseline
        assert case.min == case.median == case.max > 0
        # All of the labelling holds the teacher's part, but a busy machine may slow that alone.
        assert 0 < case.ratio < 3


@pytest.mark.parametrize('arguments, words', [
    (['magic'], ', '.join(BENCHMARKS)), (['--repeats', '0'], 'repeats')])
def test_what_cannot_be_done_is_a_sentence(capsys, arguments, words):
    assert execute(['benchmark', *arguments]) == 1
    assert words in capsys.readouterr().err
