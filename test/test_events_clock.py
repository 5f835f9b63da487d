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


def test_one_corrupt_sensor_time_moves_nothing():
    clock = SensorClock()
    errors = []
    for i, (sensor, stamp) in enumerate(zip(*arrivals(20, 0.0, 1))):
        clock.observe(int(sensor) + (4_000_000 if i in (300, 2000) else 0), int(stamp))
        errors.append(clock.to_ros(int(sensor)) - EPOCH - int(sensor))
    assert 0 < min(errors[200:]) and max(errors[200:]) < 1.5e6


@pytest.mark.parametrize('step_s', [3, 3600])
def test_a_host_clock_that_is_set_forward_is_followed(step_s):
    clock = SensorClock()
    for sensor, stamp in zip(*arrivals(20, 0.0, 1)):
        clock.observe(int(sensor), int(stamp) + (step_s * 10**9 if sensor > 10 * 10**9 else 0))
    truth = EPOCH + 20 * 10**9 + step_s * 10**9
    assert clock.to_ros(20 * 10**9) == pytest.approx(truth, abs=2e6)
    assert clock.steps == 1


@pytest.mark.parametrize('step_s', [0.08, 0.3, 0.99])
@pytest.mark.parametrize('at_s', [5, 30, 90])
def test_a_small_step_of_the_host_clock_is_followed(step_s, at_s):
    clock = SensorClock()
    errors = []
    for sensor, stamp in zip(*arrivals(at_s + 20, 20e-6, 4)):
        stamp += round(step_s * 1e9) if sensor > at_s * 10**9 else 0
        clock.observe(int(sensor), int(stamp))
        truth = EPOCH + sensor + sensor * 20e-6 + (sensor > at_s * 10**9) * step_s * 1e9
        errors.append(abs(clock.to_ros(int(sensor)) - truth) / 1e6)
    assert clock.steps == 1
    assert max(errors[-int(17.5 * 250):]) < 3  # from 2.5 s after it on


@pytest.mark.parametrize('silent_ms', [60, 300, 900])
def test_a_sensor_that_sees_hardly_any_events_is_no_step(silent_ms):
    """A packet comes with each event, and none in between."""
    clock = SensorClock()
    for sensor, stamp in zip(*arrivals(5, 0.0, 6)):
        clock.observe(int(sensor), int(stamp))
    for event_ms in range(5000 + silent_ms, 60_000, silent_ms):
        clock.observe((event_ms - silent_ms) * 10**6, EPOCH + (event_ms + 10) * 10**6)
    assert clock.steps == 0


def test_a_host_that_is_busy_for_a_moment_is_no_step():
    clock = SensorClock()
    for i, (sensor, stamp) in enumerate(zip(*arrivals(20, 0.0, 1))):
        clock.observe(int(sensor), int(stamp) + (3 * 10**9 if 500 <= i < 550 else 0))
    assert clock.steps == 0
    assert clock.to_ros(20 * 10**9) == pytest.approx(EPOCH + 20 * 10**9, abs=2e6)
