# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which calibration holds: a file's, a published one, and of several that are published."""
import numpy as np

from depth_anyevent_ros.geometry.calibration_choice import CalibrationChoice
from depth_anyevent_ros.geometry.camera import CameraModel

SIZE = (346, 260)


def camera(focal, size=SIZE):
    k = np.array([[focal, 0, 170], [0, focal, 130], [0, 0, 1.0]])
    return CameraModel(*size, k, np.zeros(5), 'plumb_bob', np.eye(3), np.c_[k, np.zeros(3)])


def test_a_file_holds_whatever_is_published():
    choice = CalibrationChoice(camera(300))
    assert not choice.contradicts(camera(300)) and choice.contradicts(camera(310))
    for focal in (300, 310):
        assert not choice.hear(camera(focal), 0.0, SIZE)
    assert not choice.settle(99.0)
    assert (choice.source, choice.camera.k[0, 0]) == ('file', 300)


def test_what_is_not_calibrated_or_of_another_size_replaces_nothing():
    choice = CalibrationChoice()
    assert choice.hear(camera(300), 0.0, SIZE)
    assert not choice.hear(CameraModel.uncalibrated(*SIZE), 0.0, SIZE)
    assert not choice.hear(camera(600, (692, 520)), 0.1, SIZE)
    assert not choice.settle(99.0) and choice.source == 'received'
    # While nothing better is known, they tell at least that something is published.
    choice = CalibrationChoice()
    assert choice.hear(CameraModel.uncalibrated(*SIZE), 0.0, None)
    assert choice.hear(camera(300), 0.1, None) and choice.camera.calibrated


def test_two_that_are_published_in_turns_do_not_change_places():
    choice = CalibrationChoice()
    assert choice.hear(camera(300), 0.0, SIZE)
    for i in range(1, 200):
        now = i * 0.03
        assert not choice.hear(camera(300 + i % 2), now, SIZE) and not choice.settle(now)
    assert choice.camera.k[0, 0] == 300


def test_another_follows_one_that_has_fallen_silent():
    choice = CalibrationChoice()
    choice.hear(camera(300), 0.0, SIZE)
    assert not choice.hear(camera(301), 0.1, SIZE)
    assert not choice.settle(0.9)
    assert choice.settle(1.1) and choice.camera.k[0, 0] == 301
    assert not choice.settle(9.0)


def test_one_of_another_size_gives_way():
    choice = CalibrationChoice()
    assert choice.hear(camera(600, (692, 520)), 0.0, None)
    assert not choice.contradicts(camera(300))
    assert choice.hear(camera(300), 0.0, SIZE) and choice.camera.width == 346
