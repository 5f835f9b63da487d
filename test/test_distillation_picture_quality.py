# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that must not teach, made from simulated ones."""
import cv2
import numpy as np
import pytest

from depth_anyevent_ros.distillation.picture_quality import PictureQuality
from depth_anyevent_ros.simulation.output import Counts, driver_messages, IMAGE, observed
from depth_anyevent_ros.simulation.recording import DriverConfig
from depth_anyevent_ros.simulation.worlds import make_world


def pictures(world, level):
    """Return two pictures of a world in a light, RGB."""
    made = make_world(world, 3, 220_000_000, level=level, max_motion_px=3.0)
    simulation = observed(made.simulation, 10.0, True)
    return [message.value[..., ::-1] for message in driver_messages(
        simulation, DriverConfig(), Counts()) if message.topic == IMAGE]


@pytest.fixture(scope='module')
def day():
    return pictures('car', 0.5)


@pytest.mark.parametrize('world', ['car', 'drone'])
def test_pictures_by_day_and_in_dusk_may_teach(world):
    for level in (0.5, 0.01):
        quality = PictureQuality()
        assert [quality.refusal(picture) for picture in pictures(world, level)] == [None, None]


@pytest.mark.parametrize('world', ['car', 'drone'])
def test_pictures_of_a_dark_night_may_not(world):
    quality = PictureQuality()
    assert {quality.refusal(picture) for picture in pictures(world, 1e-4)} <= {
        'noisy', 'dark', 'blurred', 'flat'}


def test_each_fault_has_its_reason(day):
    picture = day[0]
    noise = np.random.default_rng(0).normal(0, 30, picture.shape)
    smear = cv2.blur(picture, (21, 1))
    for reason, spoilt in (('dark', picture // 8), ('bright', np.maximum(picture, 120) * 2.0),
                           ('flat', picture * 0.0 + 90), ('noisy', picture + noise),
                           ('blurred', smear)):
        spoilt = np.clip(spoilt, 0, 255).astype(np.uint8)
        assert PictureQuality().refusal(spoilt) == reason


def test_a_frozen_camera_is_noticed(day):
    quality = PictureQuality()
    assert [quality.refusal(day[i]) for i in (0, 0, 1, 1, 0)] == [None, 'frozen', None, 'frozen',
                                                                  None]
