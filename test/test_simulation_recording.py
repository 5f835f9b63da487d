# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole simulations: sampling, event counts, packets."""
import numpy as np
import pytest

from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.types import Events
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.event_camera import EventCameraConfig
from depth_anyevent_ros.simulation.recording import (
    cut, DriverConfig, events, packets, renders, Simulation, truth)
from depth_anyevent_ros.simulation.scene import Box, Rectangle, Scene
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
    world = Simulation(Scene((), (tile,), (Box((4, 0, 0), (0.2, 1.0, 9.0)),), ambient=1.0),
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
