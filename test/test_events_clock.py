# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sensor time to ROS time under jitter, drift, outliers and missing stamps."""
import numpy as np
import pytest

from depth_anyevent_ros.events.clock import SensorClock

EPOCH = 1_760_000_000_000_000_000


def arrivals(seconds, drift, seed, jitter_ms=3.0, step_ms=4):
    """Return sensor times and stamps with exponential delays of at least 0.2 ms."""
    rng = np.random.default_rng(seed)
    sensor = np.arange(1, seconds * 1000, step_ms, dtype=np.int64) * 1_000_000
    delay = 200_000 + rng.exponential(jitter_ms * 1e6, len(sensor))
    delay[rng.random(len(sensor)) < 0.01] += 80e6  # now and then the host is busy
    return sensor, EPOCH + sensor + (sensor * drift).astype(np.int64) + delay.astype(np.int64)


@pytest.mark.parametrize('drift', [-80e-6, 0.0, 30e-6])
@pytest.mark.parametrize('seed', range(3))
def test_lower_envelope_finds_offset_and_drift(drift, seed):
    clock = SensorClock()
    errors = []
    for sensor, stamp in zip(*arrivals(300, drift, seed)):
        clock.observe(int(sensor), int(stamp))
        truth = EPOCH + int(sensor) + round(sensor * drift)
        errors.append(clock.to_ros(int(sensor)) - truth)
    settled = np.array(errors[len(errors) // 10:]) / 1e6
    assert clock.drift == pytest.approx(drift, abs=5e-6)
    assert 0 < np.median(settled) < 0.6  # ms; the least delay is 0.2
    assert np.abs(settled).max() < 1.5


def test_first_packet_serves_at_once():
    clock = SensorClock()
    assert not clock.synchronised
    assert clock.to_ros(123) == 123
    clock.observe(1_000, EPOCH + 6_000)
    assert clock.to_ros(2_000) == EPOCH + 7_000


def test_stamp_zero_and_repeated_sensor_times_say_nothing():
    clock = SensorClock()
    clock.observe(5_000, 0)
    assert not clock.synchronised
    clock.observe(5_000, EPOCH)
    clock.observe(5_000, EPOCH - 10**9)
    clock.observe(4_000, EPOCH - 10**9)
    assert clock.to_ros(5_000) == EPOCH


def test_sensor_time_since_the_epoch_loses_no_nanosecond():
    clock = SensorClock()
    clock.observe(EPOCH + 1, EPOCH + 2_500_001)
    assert clock.to_ros(EPOCH + 1001) == EPOCH + 2_501_001


def test_reset_forgets():
    clock = SensorClock()
    clock.observe(5_000, EPOCH)
    clock.reset()
    clock.observe(1_000, EPOCH)
    assert clock.to_ros(1_000) == EPOCH
