# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sensors that can be simulated."""
import numpy as np
import pytest

from depth_anyevent_ros.simulation.event_camera import EventCamera, EventCameraConfig
from depth_anyevent_ros.simulation.sensors import SensorRanges, SENSORS


def test_sizes_and_encodings():
    assert {name: (s.width, s.height) for name, s in SENSORS.items()} == {
        'davis346': (346, 260), 'vga': (640, 480), 'evk4': (1280, 720)}
    assert {s.encoding for s in SENSORS.values()} == {'evt3'}


@pytest.mark.parametrize('name', SENSORS)
def test_drawn_pixels_are_within_the_ranges(name):
    ranges = SENSORS[name].ranges
    generator = np.random.default_rng(0)
    drawn = [ranges.draw(generator, seed) for seed in range(300)]
    threshold = [(pixels.threshold_on * pixels.threshold_off) ** 0.5 for pixels in drawn]
    bias = [pixels.threshold_on / pixels.threshold_off for pixels in drawn]
    values = {'threshold': threshold, 'bias': bias}
    for field, (low, high) in vars(ranges).items():
        found = values.get(field) or [getattr(pixels, field) for pixels in drawn]
        assert low * 0.999 <= min(found) <= low * (high / low) ** 0.05
        assert high * (high / low) ** -0.05 <= max(found) <= high * 1.001
    assert [pixels.seed for pixels in drawn] == list(range(300))
    assert drawn[:9] == [ranges.draw(generator, seed) for generator in [np.random.default_rng(0)]
                         for seed in range(9)]


@pytest.mark.parametrize('name', SENSORS)
def test_the_middle_pixels_work(name):
    pixels = SENSORS[name].pixels
    assert isinstance(pixels, EventCameraConfig)
    assert pixels.threshold_on == pytest.approx(pixels.threshold_off)
    camera = EventCamera(pixels, 20, 30)
    camera.update(0, np.full((20, 30), 0.1))
    assert len(camera.update(5_000_000, np.full((20, 30), 0.5))) > 600


def test_a_range_of_one_value_draws_it():
    pixels = SensorRanges(threshold=(0.3, 0.3), bias=(1.44, 1.44)).draw(
        np.random.default_rng(0), 0)
    assert (pixels.threshold_on, pixels.threshold_off) == pytest.approx((0.36, 0.25))
