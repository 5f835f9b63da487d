# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pixels of the event camera against closed forms."""
import math

import numpy as np
import pytest

from depth_anyevent_ros.simulation.event_camera import (
    EventCamera, EventCameraConfig, HALF_NOISE_LUMINANCE)
from depth_anyevent_ros.simulation.event_pixels import log_row

IDEAL = EventCameraConfig(threshold_on=0.2, threshold_off=0.3, mismatch=0.0, refractory_ns=0,
                          dark_current=1e-12)
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
    assert camera.difference[0, 0] == pytest.approx(math.log(2) - 0.6, abs=1e-6)
    events = run(camera, [200 * MS], [np.full((1, 1), 0.0999)])
    # Back by 0.694 from 0.093: the OFF threshold of 0.3 is crossed at -0.3 and -0.6.
    back = [100 + (math.log(2) - 0.6 + k * 0.3) / math.log(2 / 0.999) * 100 for k in (1, 2)]
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
    config = EventCameraConfig(threshold_on=0.2, mismatch=0.0, refractory_ns=10 * MS,
                               dark_current=1e-12)
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


def test_leak_differs_from_pixel_to_pixel_and_is_irregular():
    config = EventCameraConfig(mismatch=0.0, refractory_ns=0, leak_hz=20.0, noise_spread=0.1,
                               reset_jitter=0.1)
    camera = EventCamera(config, 30, 40)
    events = run(camera, range(0, 5001 * MS, 5 * MS), [np.full((30, 40), 0.4)] * 1001)
    counts = np.bincount(events[:, 2] * 40 + events[:, 1], minlength=1200)
    # Of a normal decimal logarithm of deviation 0.1: the mean and the deviation of the rates.
    sigma = 0.1 * math.log(10)
    assert counts.mean() == pytest.approx(100 * math.exp(sigma ** 2 / 2), rel=0.03)
    assert np.log(counts).std() == pytest.approx(sigma, rel=0.1)
    # The time to the threshold starts anywhere within its tenth part, as a standard deviation.
    order = np.lexsort((events[:, 0], events[:, 2], events[:, 1]))
    times, place = events[order, 0], (events[:, 2] * 40 + events[:, 1])[order]
    intervals = np.diff(times)[np.diff(place) == 0] * counts[place[1:][np.diff(place) == 0]]
    assert intervals.std() / intervals.mean() == pytest.approx(0.1, rel=0.1)


def test_shot_noise_falls_with_light():
    config = EventCameraConfig(shot_noise_hz=10.0, shot_noise_bright=0.25)
    counts = []
    for luminance in (1e-5, HALF_NOISE_LUMINANCE, 30.0):
        camera = EventCamera(config, 100, 100)
        counts.append(len(run(camera, range(0, 1001 * MS, 50 * MS),
                              [np.full((100, 100), luminance)] * 21)))
    np.testing.assert_allclose(np.array(counts) / 100_000, (1.0, 0.625, 0.25), rtol=0.02)


def test_hot_pixels_fire_by_themselves():
    config = EventCameraConfig(leak_hz=0.01, hot_pixels=0.01, hot_hz=100.0, refractory_ns=0)
    events = run(EventCamera(config, 200, 200), range(0, 2001 * MS, 5 * MS),
                 [np.full((200, 200), 0.4)] * 401)
    counts = np.bincount(events[:, 2] * 200 + events[:, 1], minlength=40_000)
    assert np.sum(counts > 4) == pytest.approx(400 * 0.98, rel=0.15)
    assert counts.max() == pytest.approx(200, rel=0.1)
    assert counts[counts > 4].mean() == pytest.approx(100, rel=0.15)
    assert np.all(events[:, 3] == 1)


def test_refractory_time_limits_the_rate():
    config = EventCameraConfig(threshold_on=0.01, refractory_ns=2 * MS)
    pictures = [np.full((10, 10), math.exp(-8 + 0.08 * k)) for k in range(101)]
    events = run(EventCamera(config, 10, 10), range(0, 101 * MS, MS), pictures)
    # An eighth of a millisecond to the threshold, then 2 ms of rest.
    assert len(events) / 100 == pytest.approx(100 / 2.125, rel=0.02)
    order = np.lexsort((events[:, 0], events[:, 2], events[:, 1]))
    gaps = np.diff(events[order, 0])
    assert gaps[gaps > 0].min() >= 2 * MS


def test_unequal_thresholds_make_more_events_of_one_polarity():
    config = EventCameraConfig(0.2, 0.3, mismatch=0.0, refractory_ns=0, dark_current=1e-12)
    times = np.arange(0, 1001)
    # Up and down by 6 each, four times a second.
    pictures = [np.full((20, 20), 0.01 * math.exp(3 * math.sin(8 * math.pi * k / 1000)))
                for k in times]
    events = run(EventCamera(config, 20, 20), (times * MS).tolist(), pictures)
    on, off = np.sum(events[:, 3] == 1) / 400, np.sum(events[:, 3] == 0) / 400
    # At each turn what is left, half a threshold on average, is lost for both ways.
    assert on == pytest.approx((24 - 4 * 0.25) / 0.2, rel=0.02)
    assert off == pytest.approx((24 - 4 * 0.25) / 0.3, rel=0.02)


def slow(cutoff_hz, **settings):
    settings = {'bandwidth_min_hz': 1e-3, **settings}
    return EventCameraConfig(0.1, 0.1, mismatch=0.0, refractory_ns=0, dark_current=1e-12,
                             bandwidth_hz=cutoff_hz, **settings)


def test_bandwidth_delays_a_step():
    # 10 Hz at luminance 1, so 5 Hz at the luminance of 0.5 after the step.
    camera = ideal(config=slow(10.0))
    pictures = [np.full((1, 1), 0.5 * math.exp(-1)), *[np.full((1, 1), 0.5)] * 400]
    events = run(camera, [0, *range(1000, 400 * MS, MS)], pictures)
    expected = [-math.log(1 - 0.1 * k) / (2 * math.pi * 5) * 1e9 for k in range(1, 10)]
    np.testing.assert_allclose(events[:9, 0], expected, rtol=0.01, atol=20_000)


@pytest.mark.parametrize('cutoff_hz, frequency_hz', [(50, 100), (100, 100), (1000, 100)])
def test_bandwidth_weakens_a_lamp(cutoff_hz, frequency_hz):
    # So weak a flicker that the cut-off does not change with it: a linear filter.
    camera = ideal(config=slow(cutoff_hz))
    camera.on[:], camera.off[:] = 1e-5, 1e-5
    times = np.arange(0, 300 * MS, MS // 4)
    pictures = [np.full((1, 1), 1 + 0.01 * math.sin(2 * math.pi * frequency_hz * t * 1e-9))
                for t in times]
    events = run(camera, times.tolist(), pictures)
    late = events[events[:, 0] >= 200 * MS]
    gain = len(late) * 1e-5 / (4 * 0.01 * frequency_hz * 0.1)
    assert gain == pytest.approx(1 / math.hypot(1, frequency_hz / cutoff_hz), rel=0.03)


def test_bandwidth_has_bounds():
    def last(luminance, **settings):
        camera = ideal(config=slow(1e5, **settings))
        pictures = [np.full((1, 1), luminance * math.exp(-1)), *[np.full((1, 1), luminance)] * 500]
        return run(camera, [0, *range(1000, 10 * MS, 20_000)], pictures)[0, 0]

    first = -math.log(0.9) / (2 * math.pi) * 1e9
    # In the light no faster than 200 Hz, in the dark no slower than 20 Hz.
    assert last(1.0, bandwidth_max_hz=200.0) == pytest.approx(first / 200, rel=0.02, abs=2000)
    assert last(1e-6, bandwidth_min_hz=20.0) == pytest.approx(first / 20, rel=0.02, abs=2000)


def test_logarithm_is_that_of_numpy():
    values = np.exp(np.random.default_rng(0).uniform(-20, 12, 5000))
    part, found = np.empty(5000), np.empty(5000)
    log_row(values, values.view(np.int64), part, part.view(np.int64), found)
    np.testing.assert_allclose(found, np.log(values), rtol=0, atol=1e-9)


def test_room_for_events_grows():
    # 60 events of each pixel, where there is room for one at first.
    camera = EventCamera(EventCameraConfig(0.1, 0.1, refractory_ns=0), 30, 40)
    events = run(camera, [0, 5 * MS], [np.full((30, 40), 0.001), np.full((30, 40), 0.405)])
    assert len(events) == pytest.approx(1200 * 60, rel=0.01)
    counts = np.bincount(events[:, 2] * 40 + events[:, 1], minlength=1200)
    assert counts.min() > 50 and counts.max() < 70


def test_thresholds_differ_from_pixel_to_pixel():
    camera = EventCamera(EventCameraConfig(0.2, 0.3, mismatch=0.1), 100, 100)
    assert camera.on.std() == pytest.approx(0.02, rel=0.05)
    assert camera.off.mean() == pytest.approx(0.3, rel=0.02)
    assert abs(np.corrcoef(camera.on.ravel(), camera.off.ravel())[0, 1]) < 0.05


def test_the_seed_decides():
    def events(seed):
        config = EventCameraConfig(
            leak_hz=5, shot_noise_hz=5, seed=seed, shot_noise_bright=0.25, noise_spread=0.1,
            reset_jitter=0.1, hot_pixels=0.05, bandwidth_hz=1e4)
        camera = EventCamera(config, 20, 20)
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
    with pytest.raises(ValueError, match='shares'):
        EventCameraConfig(hot_pixels=2.0)
    with pytest.raises(ValueError, match='bandwidth_min_hz'):
        EventCameraConfig(bandwidth_min_hz=10.0, bandwidth_max_hz=5.0)
    with pytest.raises(ValueError, match='reset_jitter has to be at most'):
        EventCameraConfig(reset_jitter=0.5)
    with pytest.raises(ValueError, match='negative'):
        EventCameraConfig(leak_hz=-1.0)
    with pytest.raises(ValueError, match='makes thresholds negative'):
        EventCamera(EventCameraConfig(mismatch=0.5), 50, 50)
