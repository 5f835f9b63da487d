# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a scene and a motion to the packets that a camera driver would publish."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.event_camera import EventCamera, EventCameraConfig
from depth_anyevent_ros.simulation.motion import fastest_pixel
from depth_anyevent_ros.simulation.raycaster import Frame, RayCaster
from depth_anyevent_ros.simulation.scene import Scene
from depth_anyevent_ros.simulation.trajectory import Trajectory, twist


@dataclass(frozen=True)
class Simulation:
    """
    What is simulated: a scene, how the camera moves in it, its optics, and its pixels.

    Times of a simulation are nanoseconds from its start. max_motion_px: no pixel moves further
    between two renders. max_step_ns: longest time between two renders.
    """

    scene: Scene
    trajectory: Trajectory
    camera: CameraModel
    sensor: EventCameraConfig
    duration_ns: int
    max_motion_px: float = 0.7
    max_step_ns: int = 5_000_000


@dataclass(frozen=True)
class DriverConfig:
    """
    How the driver packs events and stamps packets, after metavision_driver.

    period_ns: length of a packet. sensor_start_ns: the sensor's own clock at the start.
    ros_start_ns: ROS time at the start. latency_ns, jitter_ns: a packet arrives after its
    beginning by latency_ns and an exponential time of mean jitter_ns. vectors,
    time_high_interval_us: of the evt3 encoder.
    """

    period_ns: int = 4_000_000
    sensor_start_ns: int = 0
    ros_start_ns: int = 1_700_000_000_000_000_000
    latency_ns: int = 200_000
    jitter_ns: int = 100_000
    frame_id: str = 'event_camera_optical_frame'
    vectors: bool = False
    time_high_interval_us: int = 16
    seed: int = 0


def renders(simulation: Simulation) -> Iterator[tuple[int, Frame]]:
    """
    Yield (time, frame), so close together that no pixel moves by more than max_motion_px.

    The first frame is that of the start, the last that of the end.
    """
    caster = RayCaster(simulation.scene, simulation.camera)

    def look(time_ns: int) -> tuple[Frame, float]:
        frame = caster.render(simulation.trajectory.pose(time_ns * 1e-9))
        return frame, fastest_pixel(frame.depth, simulation.camera,
                                    *twist(simulation.trajectory, time_ns * 1e-9))

    time_ns = 0
    frame, speed = look(time_ns)
    yield time_ns, frame
    while time_ns < simulation.duration_ns:
        step_ns = _step_ns(simulation, speed)
        while True:
            next_ns = min(time_ns + step_ns, simulation.duration_ns)
            frame, next_speed = look(next_ns)
            # Something near may have come into view, or the camera turned faster.
            step_ns = _step_ns(simulation, max(speed, next_speed))
            if next_ns - time_ns <= step_ns * 1.05 or step_ns == 1000:
                break
        time_ns, speed = next_ns, next_speed
        yield time_ns, frame


def _step_ns(simulation: Simulation, speed: float) -> int:
    step_ns = simulation.max_step_ns
    if speed > 0:
        step_ns = min(step_ns, int(simulation.max_motion_px / speed * 1e9))
    return max(step_ns // 1000 * 1000, 1000)


def events(simulation: Simulation) -> Iterator[tuple[int, Events]]:
    """Yield (end, events) for stretches of time that follow each other; times in nanoseconds."""
    camera = EventCamera(
        simulation.sensor, simulation.camera.height, simulation.camera.width)
    for time_ns, frame in renders(simulation):
        found = camera.update(time_ns, frame.luminance)
        if time_ns > 0:
            yield time_ns, found


def truth(simulation: Simulation, times_ns: list[int]) -> Iterator[Frame]:
    """Yield the exact frames at times (nanoseconds)."""
    caster = RayCaster(simulation.scene, simulation.camera)
    for time_ns in times_ns:
        yield caster.render(simulation.trajectory.pose(time_ns * 1e-9))


def packets(simulation: Simulation, driver: DriverConfig) -> Iterator[tuple[Packet, int]]:
    """Yield each packet with the time at which a recorder receives it (ROS time, ns)."""
    encoder = Evt3Encoder(driver.vectors, driver.time_high_interval_us)
    generator = np.random.default_rng([driver.seed, 2])
    offset_ns = driver.ros_start_ns
    for seq, (begin_ns, end_ns, part) in enumerate(
            cut(events(simulation), driver.period_ns, simulation.duration_ns)):
        data = encoder.encode(
            Events(part.t + driver.sensor_start_ns, part.x, part.y, part.p),
            end_ns=end_ns + driver.sensor_start_ns)
        arrival_ns, sending_ns = (
            driver.latency_ns + generator.exponential(driver.jitter_ns, 2)).astype(int).tolist()
        packet = Packet(data, 'evt3', simulation.camera.width, simulation.camera.height, seq,
                        stamp_ns=offset_ns + begin_ns + arrival_ns, frame_id=driver.frame_id)
        yield packet, offset_ns + end_ns + sending_ns


def cut(stretches: Iterator[tuple[int, Events]], period_ns: int,
        duration_ns: int) -> Iterator[tuple[int, int, Events]]:
    """Yield (begin, end, events in [begin, end)) for every period of stretches of any length."""
    begin_ns = 0
    held: list[Events] = []
    for time_ns, part in stretches:
        held.append(part)
        # Times are cut to microseconds, so later stretches have nothing before time_ns.
        while begin_ns + period_ns <= time_ns // 1000 * 1000:
            end_ns = begin_ns + period_ns
            joined = Events.concatenate(held)
            split = int(np.searchsorted(joined.t, end_ns))
            yield begin_ns, end_ns, _slice(joined, 0, split)
            held = [_slice(joined, split, len(joined))]
            begin_ns = end_ns
    if begin_ns < duration_ns:
        yield begin_ns, duration_ns, Events.concatenate(held)


def _slice(part: Events, begin: int, end: int) -> Events:
    return Events(part.t[begin:end], part.x[begin:end], part.y[begin:end], part.p[begin:end])
