# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a scene and a motion to labels, and to the packets that a camera driver publishes."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.packet_encoders import ENCODERS
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.simulation.configuration import Simulation
from depth_anyevent_ros.simulation.event_camera import EventCamera
from depth_anyevent_ros.simulation.labels import Label, Labeller
from depth_anyevent_ros.simulation.raycaster import Frame
from depth_anyevent_ros.simulation.rendering import sampled_frames, View

IN_ROS_TIME = ('libcaer', 'libcaer_cmp')  # encodings


class Stretch(NamedTuple):
    """Events from the end of the last stretch to time_ns."""

    time_ns: int
    events: Events


@dataclass(frozen=True)
class DriverConfig:
    """
    How the driver packs events and stamps packets, after metavision_driver, and for the
    encodings libcaer and libcaer_cmp after libcaer_driver, whose sensor time is ROS time.

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
    encoding: str = 'evt3'


def renders(simulation: Simulation) -> Iterator[tuple[int, Frame]]:
    """
    Yield (time, frame), so close together that no pixel moves by more than max_motion_px.

    The first frame is that of the start, the last that of the end.
    """
    return _renders(simulation, _view(simulation))


def record(simulation: Simulation, flow: bool = False) -> Iterator[Stretch | Label]:
    """
    Yield events and labels from one pass over the renders.

    Stretches of events follow each other from the start to the end; they are the same whatever
    labels and pictures are asked for. A label comes as soon as its picture has been taken, so
    that stretches of half an exposure after it may come before. The trajectory has to be
    known for so long after the end. flow: whether labels have it.
    """
    view = _view(simulation)
    sensor = EventCamera(simulation.sensor, view.camera.height, view.camera.width)
    labeller = Labeller(simulation, view, flow)
    for time_ns, frame in _renders(simulation, view):
        found = sensor.update(time_ns, view.luminance(frame))
        if time_ns > 0:
            yield Stretch(time_ns, found)
        yield from labeller.add(time_ns, frame)
    yield from labeller.finish()


def events(simulation: Simulation) -> Iterator[Stretch]:
    """Yield the events alone, in stretches of time that follow each other."""
    view = _view(simulation)
    sensor = EventCamera(simulation.sensor, view.camera.height, view.camera.width)
    for time_ns, frame in _renders(simulation, view):
        found = sensor.update(time_ns, view.luminance(frame))
        if time_ns > 0:
            yield Stretch(time_ns, found)


def labels(simulation: Simulation, flow: bool = False) -> Iterator[Label]:
    """Yield the labels alone, the same as record() does."""
    view = _view(simulation)
    labeller = Labeller(simulation, view, flow)
    frames = _renders(simulation, view) if labeller.needs_renders else (
        (time_ns, view.render(time_ns)) for time_ns in simulation.label_times_ns())
    for time_ns, frame in frames:
        yield from labeller.add(time_ns, frame)
    yield from labeller.finish()


def truth(simulation: Simulation, times_ns: list[int]) -> Iterator[Frame]:
    """Yield the exact frames at times (nanoseconds)."""
    view = _view(simulation)
    for time_ns in times_ns:
        yield view.render(time_ns)


def _view(simulation: Simulation) -> View:
    return View(simulation.scene, simulation.trajectory, simulation.camera)


def _renders(simulation: Simulation, view: View) -> Iterator[tuple[int, Frame]]:
    return sampled_frames(view, 0, simulation.duration_ns, simulation.max_motion_px,
                          simulation.max_step_ns)


def packets(simulation: Simulation, driver: DriverConfig) -> Iterator[tuple[Packet, int]]:
    """Yield each packet with the time at which a recorder receives it (ROS time, ns)."""
    return _packets(events(simulation), simulation, driver)


def messages(simulation: Simulation, driver: DriverConfig,
             flow: bool = False) -> Iterator[tuple[Packet | Label, int]]:
    """
    Yield packets, and the labels of record(), with the time at which a recorder receives them.

    A label's time_ns is still that of the simulation; its stamp is driver.ros_start_ns later.
    """
    waiting: list[Label] = []

    def stretches() -> Iterator[Stretch]:
        for item in record(simulation, flow):
            if isinstance(item, Label):
                waiting.append(item)
            else:
                yield item

    def received() -> Iterator[tuple[Label, int]]:
        for label in waiting:
            end_ns = label.time_ns if label.picture is None else label.picture.end_ns
            yield label, driver.ros_start_ns + end_ns + driver.latency_ns
        waiting.clear()

    for packet in _packets(stretches(), simulation, driver):
        yield from received()
        yield packet
    yield from received()


def _packets(stretches: Iterator[Stretch], simulation: Simulation,
             driver: DriverConfig) -> Iterator[tuple[Packet, int]]:
    encode = _encoder(driver)
    generator = np.random.default_rng([driver.seed, 2])
    offset_ns = driver.ros_start_ns
    for seq, (begin_ns, end_ns, part) in enumerate(
            cut(stretches, driver.period_ns, simulation.duration_ns)):
        data, time_base = encode(part, end_ns)
        arrival_ns, sending_ns = (
            driver.latency_ns + generator.exponential(driver.jitter_ns, 2)).astype(int).tolist()
        packet = Packet(data, driver.encoding, simulation.camera.width,
                        simulation.camera.height, seq, time_base,
                        stamp_ns=offset_ns + begin_ns + arrival_ns, frame_id=driver.frame_id)
        yield packet, offset_ns + end_ns + sending_ns


def _encoder(driver: DriverConfig) -> Callable[[Events, int], tuple[np.ndarray, int]]:
    """Return what makes the bytes and the time_base of a packet from its events and its end."""
    start_ns = driver.ros_start_ns if driver.encoding in IN_ROS_TIME else driver.sensor_start_ns

    def shifted(part: Events) -> Events:
        return Events(part.t + start_ns, part.x, part.y, part.p)

    if driver.encoding == 'evt3':
        evt3 = Evt3Encoder(driver.vectors, driver.time_high_interval_us)
        return lambda part, end_ns: (evt3.encode(shifted(part), end_ns=end_ns + start_ns), 0)
    encoder = ENCODERS[driver.encoding](start_ns)
    return lambda part, end_ns: encoder.encode(shifted(part))


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
