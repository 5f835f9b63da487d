# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations from files, and from what a camera_info_url may be."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.geometry.calibration_file import calibration_from_url, read_calibration
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel

TEXT = """\
image_width: 346
image_height: 260
camera_name: davis
camera_matrix: {rows: 3, cols: 3, data: [250.0, 0, 172.5, 0, 251.0, 129.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0.001, 0.002, 0]}
"""
REST = """\
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [240.0, 0, 170, 0, 0, 241.0, 128, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'share' / 'my_robot' / 'config' / 'event camera.yaml'
    path.parent.mkdir(parents=True)
    path.write_text(TEXT + REST)
    return path


def test_what_camera_calibration_writes(file):
    camera = read_calibration(file)
    assert (camera.width, camera.height, camera.distortion_model) == (346, 260, 'plumb_bob')
    assert camera.calibrated and camera.k[1].tolist() == [0, 251, 129.5]
    assert camera.d.tolist() == [-0.3, 0.1, 0.001, 0.002, 0]
    assert camera.p.shape == (3, 4) and np.array_equal(camera.r, np.eye(3))
    file.write_text(TEXT)
    assert read_calibration(file).p is None


def test_every_kind_of_url(file, tmp_path, monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    monkeypatch.setenv('HOME', str(file.parent))
    quoted = str(file).replace(' ', '%20')
    for url in (str(file), f'file://{quoted}', f'file://localhost{quoted}',
                'package://my_robot/config/event%20camera.yaml', '~/event camera.yaml'):
        assert calibration_from_url(url).says_the_same_as(read_calibration(file)), url
    assert calibration_from_url('') is None


@pytest.mark.parametrize('url, words', [
    ('http://robot/camera.yaml', 'expected a path'), ('http://[robot/x', 'cannot be read'),
    ('file://robot/camera.yaml', 'expected'),
    ('${ROS_HOME}/camera.yaml', 'expected a path'), ('/no/such/file.yaml', 'cannot be read'),
    ('package://no_robot/camera.yaml', 'AMENT_PREFIX_PATH'), ('package:///camera.yaml', 'AMENT')])
def test_what_is_no_place_of_a_file_is_refused(url, words, tmp_path, monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    with pytest.raises(CalibrationError, match=words):
        calibration_from_url(url)


@pytest.mark.parametrize('text', [
    '', 'image_width: 346', '- a list', 'a: [', TEXT.replace('346', 'wide'),
    TEXT.replace('251.0, ', ''), TEXT.replace('image_height: 260', 'image_height: 0'),
    TEXT.replace('data: [-0.3', 'data: [x'), '!!python/object/apply:os.getcwd []', '[' * 5000])
def test_a_damaged_file_is_refused(text, file):
    file.write_text(text)
    with pytest.raises(CalibrationError, match='event camera.yaml'):
        read_calibration(file)


def test_what_a_calibration_leaves_out_is_what_stands_for_it():
    k = np.array([[200.0, 0, 80], [0, 200, 60], [0, 0, 1]])
    bare = CameraModel(160, 120, k, np.zeros(5))
    zeros = replace(bare, r=np.zeros((3, 3)), p=np.zeros((3, 4)))
    whole = replace(bare, r=np.eye(3), p=np.hstack([k, np.zeros((3, 1))]))
    for one in (bare, zeros, whole):
        for other in (bare, zeros, whole):
            assert one.says_the_same_as(other)
        assert not one.says_the_same_as(replace(whole, p=1.01 * whole.p))
        assert not replace(whole, k=1.01 * k).says_the_same_as(one)
