# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole simulations: sampling, event counts, packets."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.simulation.event_camera import EventCameraConfig
from depth_anyevent_ros.simulation.recording import (
    cut, DriverConfig, events, Label, labels, messages, packets, record, renders, Simulation,
    Stretch, truth)
from depth_anyevent_ros.simulation.rendering import View
from depth_anyevent_ros.simulation.rgb_camera import RgbCameraConfig
from depth_anyevent_ros.simulation.scene import Box, Light, Rectangle, Scene
from depth_anyevent_ros.simulation.texture import leaves_texture, noise_texture
from depth_anyevent_ros.simulation.trajectory import Sway

MS = 1_000_000
CAMERA = CameraModel(64, 48, np.array([[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1.0]]), np.zeros(5))
IDEAL = EventCameraConfig(0.02, 0.02, mismatch=0.0, refractory_ns=0)


def simulation(sensor=IDEAL, velocity=(0, 1.0, 0, 0, 0, 0), duration_ns=100 * MS, boxes=()):
    wall = Rectangle((4, 0, 0), (0, -1, 0), (0, 0, 1), 50, 50, 0, 3.0)
    return Simulation(
        Scene((wall,), (noise_texture(1, 256), leaves_texture(2, 128, 100)), boxes),
        Sway((0,) * 6, velocity), CAMERA, sensor, duration_ns)


def test_no_pixel_moves_too_far_between_two_renders():
    boxes = (Box((2, 0.2, 0), (0.3, 0.3, 0.3), texture=1),)
    world = simulation(velocity=(3.0, 1.0, 0, 1.0, 0.5, 2.0), boxes=boxes)
    times, depths = zip(*((time, frame.depth) for time, frame in renders(world)))
    assert times[0] == 0 and times[-1] == world.duration_ns
    assert np.all(np.diff(times) > 0) and np.all(np.array(times) % 1000 == 0)
    rays = np.dstack([CAMERA.rays(), np.ones((48, 64))])
    largest = []
    for begin, end, depth in zip(times, times[1:], depths):
        here, there = (world.trajectory.pose(time * 1e-9) for time in (begin, end))
        points = rays * depth[..., None] @ here.rotation.T + here.position - there.position
        moved = points @ there.rotation
        pixels = (moved / moved[..., 2:] - rays)[..., :2] * 60
        largest.append(np.linalg.norm(pixels, axis=-1).max())
    assert max(largest) < 0.7 * 1.15
    # And it does not render more often than it needs to.
    assert np.median(largest) > 0.5


def test_a_camera_at_rest_sees_nothing():
    world = simulation(velocity=(0,) * 6, sensor=EventCameraConfig())
    assert [time for time, _ in renders(world)] == list(range(0, 101 * MS, 5 * MS))
    assert sum(len(part) for _, part in events(world)) == 0


@pytest.mark.parametrize('velocity', [(0, 1.0, 0, 0, 0, 0), (2.0, 0, 0, 0, 0, 0),
                                      (0, 0, 0, 0, 0, 0.6)])
def test_number_of_events_is_the_change_of_log_luminance_by_the_threshold(velocity):
    # So low a threshold that what a pixel keeps at a turn of direction is little of the whole.
    sensor = EventCameraConfig(0.004, 0.004, mismatch=0.0, refractory_ns=0)
    world = simulation(sensor, velocity)
    # The path that log luminance covers, from pictures of one every millisecond.
    logs = np.log([frame.luminance for frame in truth(world, list(range(0, 101 * MS, MS)))])
    path = np.abs(np.diff(logs, axis=0)).sum(0)
    counts = np.zeros((48, 64))
    for _, part in events(world):
        np.add.at(counts, (part.y, part.x), 1)
    assert counts.sum() > 2000
    assert counts.sum() * 0.004 == pytest.approx(path.sum(), rel=0.05)
    assert np.corrcoef(counts.ravel(), path.ravel())[0, 1] > 0.99


def test_events_rebuild_the_pictures():
    world = simulation(velocity=(1.0, 0.5, 0.2, 0.1, 0.2, 0.4))
    first, last = (np.log(frame.luminance) for frame in truth(world, [0, 100 * MS]))
    total = np.zeros((48, 64))
    for _, part in events(world):
        np.add.at(total, (part.y, part.x), np.where(part.p, 0.02, -0.02))
    # One threshold, and one more for where the pixel stood at the start.
    assert np.abs(last - first).max() > 0.5
    assert np.abs(last - first - total).max() < 0.04 + 1e-6


def test_polarity_and_place_of_an_edge():
    # The camera goes right, so a dark box before a bright sky goes left in the picture.
    tile = np.full((4, 4), 0.1, np.float32)
    world = Simulation(Scene((), (tile,), (Box((4, 0, 0), (0.2, 1.0, 9.0)),),
                             light=Light(ambient=1.0, sky_horizon=0.85, sky_zenith=0.85)),
                       Sway((0,) * 6, (0, -1.0, 0, 0, 0, 0)), CAMERA, IDEAL, 100 * MS)
    parts = [part for _, part in events(world)]
    found = Events.concatenate(parts)
    # Edges at -0.5 and 0.5 m, 3.9 m ahead, move by 0.1 m or 1.5 pixels: OFF on the left.
    left, right = 31.5 - 0.5 / 3.9 * 60, 31.5 + 0.5 / 3.9 * 60
    assert set(found.x[found.p == 0]) <= set(range(int(left) - 2, int(left) + 2))
    assert set(found.x[found.p == 1]) <= set(range(int(right) - 2, int(right) + 2))
    # About log 8.5, for each of the rows and 1.54 pixels of the way.
    first, last = (np.log(frame.luminance) for frame in truth(world, [0, 100 * MS]))
    for polarity, change in ((0, np.minimum(last - first, 0)), (1, np.maximum(last - first, 0))):
        assert np.abs(change).sum() == pytest.approx(48 * 1.54 * np.log(8.5), rel=0.25)
        assert np.sum(found.p == polarity) * 0.02 == pytest.approx(np.abs(change).sum(), rel=0.02)


def test_cutting_keeps_every_event_in_its_period():
    generator = np.random.default_rng(0)
    times = np.sort(generator.integers(0, 50_000, 3000)) * 1000
    whole = Events(times, *(np.arange(3000).astype(kind) for kind in (
        np.uint16, np.uint16, np.uint8)))
    ends = [*np.cumsum(generator.integers(1, 9_000_000, 8)).tolist(), 50 * MS]
    ends = sorted({end for end in ends if end <= 50 * MS})
    stretches, done = [], 0
    for end in ends:
        upto = int(np.searchsorted(times, end)) if end < 50 * MS else 3000
        stretches.append((end, Events(times[done:upto], whole.x[done:upto], whole.y[done:upto],
                                      whole.p[done:upto])))
        done = upto
    parts = list(cut(iter(stretches), 4 * MS, 50 * MS))
    assert [(begin, end) for begin, end, _ in parts] == [
        (k * 4 * MS, min((k + 1) * 4, 50) * MS) for k in range(13)]
    for begin, end, part in parts:
        assert np.all((part.t >= begin) & (part.t < end))
    np.testing.assert_array_equal(np.concatenate([part.x for _, _, part in parts]), whole.x)


@pytest.mark.parametrize('vectors', [False, True])
def test_packets_are_those_of_the_driver_and_hold_all_events(vectors):
    world = simulation(EventCameraConfig(shot_noise_hz=20.0), duration_ns=50 * MS)
    # The sensor's clock wraps during the recording.
    driver = DriverConfig(sensor_start_ns=16_760 * MS, ros_start_ns=10**18, vectors=vectors)
    made = list(packets(world, driver))
    expected = Events.concatenate([part for _, part in events(world)])
    assert len(made) == 13 and [packet.seq for packet, _ in made] == list(range(13))
    decoder = Evt3Decoder(64, 48)
    found = Events.concatenate([decoder.decode(packet) for packet, _ in made])
    np.testing.assert_array_equal(found.t - 16_760 * MS, expected.t)
    for name in ('x', 'y', 'p'):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for packet, received_ns in made:
        begin_ns = 10**18 + packet.seq * 4 * MS
        assert begin_ns + 200_000 <= packet.stamp_ns < begin_ns + 3 * MS
        assert received_ns > packet.stamp_ns and received_ns >= begin_ns + 2 * MS
        assert (packet.encoding, packet.width, packet.height) == ('evt3', 64, 48)
        assert packet.frame_id == 'event_camera_optical_frame' and packet.time_base == 0


def test_same_seed_same_bytes():
    def made(seed):
        world = simulation(EventCameraConfig(leak_hz=1.0, shot_noise_hz=5.0, seed=seed),
                           duration_ns=30 * MS)
        return [(packet.events.tobytes(), packet.stamp_ns, received)
                for packet, received in packets(world, DriverConfig(seed=seed))]

    assert made(4) == made(4)
    assert made(4) != made(5)


MOVING = (1.0, 0.5, 0, 0, 0.2, 0.3)


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in 'txyp')


def test_one_pass_makes_the_same_events_and_labels_as_two():
    sensor = EventCameraConfig(shot_noise_hz=20.0, leak_hz=3.0, bandwidth_hz=1e4)
    plain = simulation(sensor, MOVING)
    full = replace(plain, rgb=RgbCameraConfig(), rate_hz=40.0)
    items = list(record(full))
    alone = list(events(plain))
    stretches = [item for item in items if isinstance(item, Stretch)]
    assert [s.time_ns for s in stretches] == [time_ns for time_ns, _ in alone]
    assert all(same(s.events, part) for s, (_, part) in zip(stretches, alone))
    assert sum(len(s.events) for s in stretches) > 100
    made = [item for item in items if isinstance(item, Label)]
    assert [label.time_ns for label in made] == [25 * MS, 50 * MS, 75 * MS, 100 * MS]
    exact = list(truth(full, [label.time_ns for label in made]))
    for label, frame, other in zip(made, exact, labels(full)):
        np.testing.assert_array_equal(label.frame.depth, frame.depth)
        np.testing.assert_array_equal(label.picture.image, other.picture.image)
        assert label.moving.shape == (48, 64) and not label.moving.any()
        assert label.picture.image.shape == (48, 64, 3) and label.flow is None
        assert label.picture.time_ns == label.time_ns
    # A label comes once its exposure has ended, and no later than the next render.
    for index, item in enumerate(items):
        if isinstance(item, Label):
            before = [s.time_ns for s in items[:index] if isinstance(s, Stretch)]
            assert item.picture.end_ns <= before[-1] or item.picture.end_ns > full.duration_ns
            assert all(time_ns < item.picture.end_ns for time_ns in before[:-1])


def test_labels_without_pictures_come_at_once():
    world = replace(simulation(EventCameraConfig(), MOVING), rate_hz=30.0)
    assert [label.time_ns for label in labels(world)] == [33_333_000, 66_667_000, 100 * MS]
    seen = 0
    for item in record(world):
        if isinstance(item, Label):
            assert seen >= item.time_ns and item.picture is None
        else:
            assert seen <= item.time_ns
            seen = item.time_ns


def wall_edge(level=1.0, speed=20.0, flicker=0.0, **settings):
    """Return a dark wall that begins at y = 0, 4 m away, seen while going left at speed."""
    tile = np.full((4, 4), 0.1, np.float32)
    wall = Rectangle((4, 20, 0), (0, -1, 0), (0, 0, 1), 40, 50, 0, 3.0)
    light = Light(ambient=1.0, sky_horizon=0.85, sky_zenith=0.85, level=level, flicker=flicker)
    settings = {'duration_ns': 50 * MS, 'sensor': IDEAL, **settings}
    # At 50 ms the edge is before the camera's middle.
    start = (0, -speed * 0.05, 0, 0, 0, 0)
    return Simulation(Scene((wall,), (tile,), light=light), Sway(start, (0, speed, 0, 0, 0, 0)),
                      CAMERA, **settings)


def edge(image):
    """Return where the edge in the middle row is, and how many columns its 10 to 90 % take."""
    value = image[24].mean(1) / 255
    row = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    share = (row - row.min()) / (row.max() - row.min())
    return np.interp(0.5, share, np.arange(64)), np.sum((share > 0.1) & (share < 0.9))


CLEAN = RgbCameraConfig(full_well=1e8, read_noise=0.0, vignetting=0.0, target_mean=0.1)


@pytest.mark.parametrize('own', [False, True])
def test_exposure_blurs_what_moves(own):
    # The edge goes by at 300 pixels a second.
    rgb = replace(CLEAN, camera=CAMERA if own else None)
    day, = (label.picture for label in labels(wall_edge(1.0, rgb=rgb)))
    dusk, = (label.picture for label in labels(wall_edge(1.2e-2, rgb=rgb)))
    assert day.exposure_ns < MS and 12 * MS < dusk.exposure_ns < 20 * MS
    place, width = edge(day.image)
    assert place == pytest.approx(31.5, abs=0.3) and width <= 1
    # The middle of the blur is where the edge is in the middle of the exposure.
    place, width = edge(dusk.image)
    blur = dusk.exposure_ns * 1e-9 * 300
    assert width == pytest.approx(0.8 * blur, abs=1.5)
    assert place == pytest.approx(31.5, abs=0.3)


def test_a_lamp_that_flickers_does_not_in_pictures_of_many_of_its_periods():
    world = wall_edge(1e-3, 0.0, 0.5, duration_ns=600 * MS, rate_hz=13.0, max_step_ns=10 * MS,
                      rgb=replace(CLEAN, camera=CAMERA))
    pictures = [label.picture for label in labels(world)][2:]
    assert len(pictures) > 4 and pictures[0].exposure_ns > 25 * MS
    means = [float(picture.image.mean()) for picture in pictures]
    assert np.ptp(means) < 0.08 * np.mean(means)


def test_a_second_camera_sees_the_parallax():
    rgb = replace(CLEAN, to_event=Transform(np.eye(3), np.array([0.4, 0, 0])))
    label, = labels(wall_edge(rgb=rgb))
    # It stands 0.4 m to the right, so that what is 4 m away is 60 * 0.4 / 4 pixels further left.
    assert edge(label.picture.image)[0] == pytest.approx(31.5 - 6, abs=0.6)
    wide = CameraModel(80, 48, np.array([[30, 0, 39.5], [0, 30, 23.5], [0, 0, 1.0]]), np.zeros(5))
    label, = labels(wall_edge(rgb=replace(CLEAN, camera=wide)))
    assert label.picture.image.shape == (48, 80, 3) and label.frame.depth.shape == (48, 64)


def test_a_lamp_makes_events_of_its_frequency():
    world = wall_edge(speed=0.0, flicker=0.5, duration_ns=100 * MS)
    times = [time_ns for time_ns, _ in renders(world)]
    assert np.diff(times).max() <= MS
    found = Events.concatenate([part for _, part in events(world)])
    # Ten periods of 10 ms, each of them up by log 2 and down again.
    assert len(found) == pytest.approx(64 * 48 * 20 * np.log(2) / 0.02, rel=0.1)
    phase = (found.t % (10 * MS)) // (10 * MS // 4)
    assert np.mean(found.p[(phase == 0) | (phase == 3)]) > 0.97
    assert np.mean(found.p[(phase == 1) | (phase == 2)]) < 0.03


def test_in_a_pause_only_leak_and_noise_make_events():
    sensor = EventCameraConfig(leak_hz=2.0, shot_noise_hz=3.0)
    found = Events.concatenate([part for _, part in events(
        wall_edge(speed=0.0, sensor=sensor, duration_ns=1000 * MS))])
    # Two thresholds of leak, of which the start, anywhere between both, takes half of one.
    assert len(found) == pytest.approx(64 * 48 * (1.5 + 3), rel=0.03)
    assert np.mean(found.p) == pytest.approx((1.5 + 1.5) / 4.5, abs=0.01)
    frames = [frame for _, frame in renders(wall_edge(speed=0.0))]
    assert all(frame is frames[0] for frame in frames)


def test_night_has_fewer_and_later_events_and_more_noise():
    sensor = replace(IDEAL, threshold_on=0.2, threshold_off=0.2, bandwidth_hz=5e5,
                     dark_current=2e-6)

    def found(level, **settings):
        return Events.concatenate([part for _, part in events(
            wall_edge(level, sensor=replace(sensor, **settings)))])

    day, night = found(1.0), found(1e-4)
    assert len(night) < 0.9 * len(day)
    # The edge passes column 24 in the middle of the recording; by night its events come later.
    at_day, at_night = (part.t[part.x == 24].mean() for part in (day, night))
    assert at_day == pytest.approx(25 * MS, abs=3 * MS)
    assert at_night > at_day + 2 * MS
    noise = {'shot_noise_hz': 20.0, 'shot_noise_bright': 0.25}
    assert len(found(1e-4, **noise)) - len(night) > 1.5 * (len(found(1.0, **noise)) - len(day))


class Slide:
    """A body that goes left at 2 m/s."""

    def pose(self, time_s):
        return np.array([4.0, -0.2 + 2 * time_s, 0.0]), 0.0


def test_something_that_moves_before_a_camera_at_rest():
    tile = np.full((4, 4), 0.1, np.float32)
    scene = Scene((), (tile,), (Box((0, 0, 0), (0.4, 1.0, 0.6), body=1),), bodies=(Slide(),))
    world = Simulation(scene, Sway((0,) * 6), CAMERA, IDEAL, 100 * MS)
    # Its front, 3.8 m away, moves by 60 * 2 / 3.8 = 31.6 pixels a second.
    times = [time_ns for time_ns, _ in renders(replace(world, max_motion_px=0.1))]
    assert np.diff(times).max() * 1e-9 * 31.6 == pytest.approx(0.1, rel=0.02)
    _, label = labels(world, flow=True)
    assert label.moving.sum() == pytest.approx((60 / 3.8) ** 2 * 0.6, rel=0.15)
    np.testing.assert_array_equal(label.moving, np.isfinite(label.frame.depth))
    front = label.moving & (label.frame.depth < 3.85)
    np.testing.assert_allclose(label.flow[front][:, 0], -31.58, rtol=1e-3)
    np.testing.assert_allclose(label.flow[front][:, 1], 0, atol=1e-3)
    found = Events.concatenate([part for _, part in events(world)])
    assert len(found) > 500 and found.y.min() > 15 and found.y.max() < 32


def test_a_render_that_is_not_kept_leaves_no_trace_in_those_after_it():
    world = wall_edge(speed=0.0, flicker=0.5)
    view, other = (View(world.scene, world.trajectory, CAMERA) for _ in range(2))
    view.render(3 * MS, keep=False)
    for time_ns in (7 * MS, 11 * MS, 13 * MS):
        np.testing.assert_array_equal(view.render(time_ns).luminance,
                                      other.render(time_ns).luminance)


def test_messages_are_packets_and_labels_in_order():
    world = replace(simulation(EventCameraConfig(shot_noise_hz=20.0), MOVING),
                    rgb=RgbCameraConfig())
    driver = DriverConfig(ros_start_ns=10**18)
    made = list(messages(world, driver))
    expected = list(packets(world, driver))
    found = [item for item in made if isinstance(item[0], Packet)]
    for (packet, received_ns), (other, other_ns) in zip(found, expected):
        assert received_ns == other_ns and packet.stamp_ns == other.stamp_ns
        np.testing.assert_array_equal(packet.events, other.events)
    assert len(found) == len(expected) == 25
    times = [received_ns for _, received_ns in made]
    assert np.diff(times).min() > -5 * MS
    stamps = [(item.time_ns, received_ns) for item, received_ns in made
              if isinstance(item, Label)]
    assert [time_ns for time_ns, _ in stamps] == [50 * MS, 100 * MS]
    assert all(received_ns > 10**18 + time_ns for time_ns, received_ns in stamps)


@pytest.mark.parametrize('name', ['rate_hz', 'max_motion_px'])
@pytest.mark.parametrize('value', [0.0, -1.0, np.nan, np.inf])
def test_refuses_rates_and_motions_that_are_none(name, value):
    with pytest.raises(ValueError, match='rate_hz and max_motion_px have to be positive'):
        replace(simulation(), **{name: value})
