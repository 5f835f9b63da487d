# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pixels of the event camera against closed forms."""
import math

import numpy as np
import pytest

from depth_anyevent_ros.simulation.event_camera import EventCamera, EventCameraConfig

IDEAL = EventCameraConfig(threshold_on=0.2, threshold_off=0.3, mismatch=0.0, refractory_ns=0)
MS = 1_000_000


def run(camera, times_ns, pictures):
    """Return all events as rows (t, x, y, p) of one array."""
    parts = [camera.update(time, picture) for time, picture in zip(times_ns, pictures)]
    return np.concatenate([np.stack([e.t, e.x, e.y, e.p], 1).astype(np.int64).reshape(-1, 4)
                           for e in parts])


def ideal(height=1, width=1, start=0.0, config=IDEAL):
    camera = EventCamera(config, height, width)
    camera.difference[:] = start
    return camera


def test_a_ramp_fires_at_the_crossings():
    camera = ideal()
    events = run(camera, [0, 100 * MS], [np.full((1, 1), 0.1), np.full((1, 1), 0.2)])
    # log 2 = 0.693 is crossed three times by 0.2, in proportion to time.
    assert events[:, 0].tolist() == [
        int(k * 0.2 / math.log(2) * 1e5) * 1000 for k in (1, 2, 3)]
    assert events[:, 3].tolist() == [1, 1, 1]
    assert camera.difference[0, 0] == pytest.approx(math.log(2) - 0.6)
    events = run(camera, [200 * MS], [np.full((1, 1), 0.1)])
    # Back by 0.693 from 0.093: the OFF threshold of 0.3 is crossed at -0.3 and -0.6.
    back = [100 + (math.log(2) - 0.6 + k * 0.3) / math.log(2) * 100 for k in (1, 2)]
    np.testing.assert_allclose(events[:, 0], np.array(back) * MS, atol=1000)
    assert events[:, 3].tolist() == [0, 0]


def test_many_small_steps_equal_one_ramp():
    steps = 57
    times = np.linspace(0, 100, steps + 1) * MS
    pictures = [np.full((1, 1), 0.1 * math.exp(1.5 * k / steps)) for k in range(steps + 1)]
    many = run(ideal(), times.astype(int).tolist(), pictures)
    one = run(ideal(), [0, 100 * MS], [pictures[0], pictures[-1]])
    assert len(one) == 7
    np.testing.assert_allclose(many[:, 0], one[:, 0], atol=2000)


def test_nothing_moves_nothing_fires():
    camera = EventCamera(EventCameraConfig(), 30, 40)
    picture = np.random.default_rng(0).uniform(0.01, 1, (30, 40))
    assert len(run(camera, range(0, 50 * MS, 5 * MS), [picture] * 10)) == 0


def test_events_add_up_to_the_change_of_log_luminance():
    config = EventCameraConfig(mismatch=0.1, refractory_ns=0, seed=3)
    camera = EventCamera(config, 20, 30)
    generator = np.random.default_rng(1)
    log = generator.uniform(-3, -1, (20, 30))
    first, start = log.copy(), camera.difference.copy()
    camera.update(0, np.exp(log))
    total = np.zeros((20, 30))
    for step in range(1, 40):
        log += generator.normal(0, 0.3, log.shape)
        np.clip(log, -6, 0, out=log)
        events = camera.update(step * MS, np.exp(log))
        assert np.all(np.diff(events.t) >= 0)
        np.add.at(total, (events.y, events.x), np.where(
            events.p, camera.on[events.y, events.x], -camera.off[events.y, events.x]))
        rest = log - first + start - total
        assert np.all((rest <= camera.on + 1e-9) & (rest >= -camera.off - 1e-9))
    assert np.abs(total).max() > 1


@pytest.mark.parametrize('change', [0.13, 0.5, 2.0, -0.13, -0.5, -2.0])
def test_number_of_events_is_the_change_by_the_threshold(change):
    camera = EventCamera(IDEAL, 100, 100)
    start = camera.difference.copy()
    # The pixels begin anywhere between their thresholds.
    assert start.min() < -0.29 and start.max() > 0.19
    assert start.mean() == pytest.approx(-0.05, abs=0.005)
    events = run(camera, [0, MS], [
        np.full((100, 100), 0.1), np.full((100, 100), 0.1 * math.exp(change))])
    threshold = 0.2 if change > 0 else 0.3
    travelled = np.maximum(start * np.sign(change) + abs(change), 0)
    assert len(events) == np.floor(travelled / threshold).sum()
    assert np.all(events[:, 3] == (change > 0))


def test_a_steady_ramp_has_the_rate_of_its_slope():
    camera = EventCamera(IDEAL, 60, 60)
    pictures = [np.full((60, 60), 1e-2 * math.exp(k * 0.1)) for k in range(46)]
    events = run(camera, [k * MS for k in range(46)], pictures)
    # After the first event of every pixel: four thresholds of 0.2 in each 8 ms.
    late = events[(events[:, 0] >= 10 * MS) & (events[:, 0] < 42 * MS)]
    assert len(late) == pytest.approx(3600 * 3.2 / 0.2, rel=0.002)
    assert np.all(events[:, 3] == 1)


def test_refractory_time_starts_the_pixel_afresh():
    config = EventCameraConfig(threshold_on=0.2, mismatch=0.0, refractory_ns=10 * MS)
    # One threshold takes 20 ms; with 10 ms of rest after each event the period is 30 ms.
    pictures = [np.full((1, 1), 0.01 * math.exp(0.01 * k)) for k in range(200)]
    events = run(ideal(config=config), [k * MS for k in range(200)], pictures)
    np.testing.assert_allclose(events[:, 0], np.arange(20, 200, 30) * MS, atol=2000)
    whole = run(ideal(config=config), [0, 199 * MS], [pictures[0], pictures[-1]])
    np.testing.assert_allclose(whole[:, 0], events[:, 0], atol=2000)


def test_leak_makes_on_events_at_its_rate():
    camera = EventCamera(EventCameraConfig(leak_hz=10.0, mismatch=0.05), 50, 50)
    picture = np.full((50, 50), 0.4)
    events = run(camera, [0, 1000 * MS, 2000 * MS], [picture] * 3)
    assert np.all(events[:, 3] == 1)
    # Evenly from the start, as the pixels do not begin in step.
    assert len(events) == pytest.approx(2500 * 20, rel=0.03)
    counts, _ = np.histogram(events[:, 0], 20, (0, 2000 * MS))
    assert counts.std() / counts.mean() < 0.15


def test_shot_noise_comes_at_its_rate_in_both_polarities():
    camera = EventCamera(EventCameraConfig(shot_noise_hz=5.0), 50, 60)
    picture = np.full((50, 60), 0.4)
    events = run(camera, [k * 50 * MS for k in range(41)], [picture] * 41)
    assert len(events) == pytest.approx(3000 * 10, rel=0.03)
    assert events[:, 3].mean() == pytest.approx(0.5, abs=0.02)
    assert np.all(np.diff(events[:, 0]) >= 0)
    assert events[:, 1].max() == 59 and events[:, 2].max() == 49


def test_thresholds_differ_from_pixel_to_pixel():
    camera = EventCamera(EventCameraConfig(0.2, 0.3, mismatch=0.1), 100, 100)
    assert camera.on.std() == pytest.approx(0.02, rel=0.05)
    assert camera.off.mean() == pytest.approx(0.3, rel=0.02)
    assert abs(np.corrcoef(camera.on.ravel(), camera.off.ravel())[0, 1]) < 0.05


def test_the_seed_decides():
    def events(seed):
        camera = EventCamera(EventCameraConfig(leak_hz=5, shot_noise_hz=5, seed=seed), 20, 20)
        pictures = np.random.default_rng(9).uniform(0.1, 0.9, (10, 20, 20))
        return run(camera, [k * MS for k in range(10)], pictures)

    np.testing.assert_array_equal(events(1), events(1))
    assert not np.array_equal(events(1), events(2))


def test_times_are_whole_microseconds_in_order():
    camera = EventCamera(EventCameraConfig(), 30, 30)
    pictures = np.random.default_rng(2).uniform(0.1, 0.9, (6, 30, 30))
    events = run(camera, [k * 777_777 for k in range(6)], pictures)
    assert np.all(events[:, 0] % 1000 == 0) and np.all(np.diff(events[:, 0]) >= 0)
    order = np.lexsort((events[:, 1], events[:, 2], events[:, 0]))
    # Within one microsecond of one stretch the pixels come row by row.
    same = np.diff(events[:, 0]) == 0
    assert same.any() and np.mean(np.diff(order)[same] == 1) > 0.9


def test_refuses():
    camera = EventCamera(IDEAL, 2, 2)
    camera.update(5, np.ones((2, 2)))
    with pytest.raises(ValueError, match='time has to go on'):
        camera.update(5, np.ones((2, 2)))
    with pytest.raises(ValueError, match='positive'):
        EventCameraConfig(threshold_on=0.0)
    with pytest.raises(ValueError, match='negative'):
        EventCameraConfig(leak_hz=-1.0)
    with pytest.raises(ValueError, match='makes thresholds negative'):
        EventCamera(EventCameraConfig(mismatch=0.5), 50, 50)
