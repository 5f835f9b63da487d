# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a simulation to what is kept of it: a sequence folder, a bag, or messages as they come."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depth_anyevent_ros.datasets.bag_writer import BagWriter, whole_bag
from depth_anyevent_ros.datasets.sequence_writer import SequenceWriter
from depth_anyevent_ros.events.decoders import make_decoder
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.simulation.configuration import Simulation
from depth_anyevent_ros.simulation.labels import Label
from depth_anyevent_ros.simulation.recording import DriverConfig, messages, record

# Names of the topics: relative, and as they stand in a bag.
EVENTS, CAMERA_INFO = 'events', 'camera_info'
IMAGE, IMAGE_INFO = 'image', 'image/camera_info'
TRUTH, TRUTH_INFO = 'truth/inverse_depth/image', 'truth/inverse_depth/camera_info'
BAG_TOPICS = {EVENTS: '/event_camera/events', CAMERA_INFO: '/event_camera/camera_info',
              IMAGE: '/camera/image', IMAGE_INFO: '/camera/camera_info',
              TRUTH: f'/{TRUTH}', TRUTH_INFO: f'/{TRUTH_INFO}'}
IMAGE_FRAME_ID = 'camera_optical_frame'
# What was simulated, in the folder of a bag.
SIMULATION_FILE = 'simulation.json'
# Told how far the simulation is, in ns.
Progress = Callable[[int], None]


class Message(NamedTuple):
    """
    A message of a driver, or of the truth.

    received_ns, stamp_ns: ROS time at which a recorder gets it, and of its header. value: a
    Packet, a CameraModel, or the array of an image, whose encoding it then names.
    """

    received_ns: int
    topic: str
    value: Packet | CameraModel | np.ndarray
    stamp_ns: int
    frame_id: str
    encoding: str = ''


class Counts:
    """Numbers of labels, events, packets and renders that came so far."""

    def __init__(self) -> None:
        self.frames = self.events = self.packets = self.renders = 0


def observed(simulation: Simulation, rate_hz: float, images: bool) -> Simulation:
    """Return the simulation with labels at another rate, and with or without its pictures."""
    return replace(simulation, rate_hz=rate_hz, rgb=simulation.rgb if images else None)


def write_sequence(path: Path, simulation: Simulation, info: dict, flow: bool = False,
                   progress: Progress = lambda _: None) -> Counts:
    """
    Simulate into a new sequence folder; return what came.

    info: what sequence.json is to say beside camera, duration_ns and rate_hz.
    """
    counts = Counts()
    info = {**info, 'camera': simulation.camera, 'duration_ns': simulation.duration_ns,
            'rate_hz': simulation.rate_hz}
    with SequenceWriter(path, info) as writer:
        for item in record(simulation, flow):
            if isinstance(item, Label):
                picture = item.picture
                writer.add_label(
                    item.time_ns, inverse_depth(item), moving=item.moving, flow=item.flow,
                    image=picture and picture.image, image_time_ns=picture and picture.time_ns)
                counts.frames += 1
            else:
                writer.add_events(item.events)
                counts.events += len(item.events)
                counts.renders += 1
            progress(item.time_ns)
    return counts


def write_bag(path: Path, simulation: Simulation, driver: DriverConfig, info: dict,
              storage: str = 'sqlite3', progress: Progress = lambda _: None) -> Counts:
    """
    Simulate into a new bag with the topics of BAG_TOPICS; return what came.

    Where the colour camera stands otherwise, /tf_static says how.

    info: goes into SIMULATION_FILE beside the bag's files. The bag is there when it is whole.
    """
    counts = Counts()
    with whole_bag(path, storage) as writer:
        (writer.path / SIMULATION_FILE).write_text(json.dumps(info, indent=2) + '\n')
        if simulation.rgb is not None and simulation.rgb.own_view:
            writer.write_static_transform(driver.frame_id, IMAGE_FRAME_ID,
                                          simulation.rgb.to_event, driver.ros_start_ns)
        for message in driver_messages(simulation, driver, counts):
            _write_message(writer, message)
            progress(message.received_ns - driver.ros_start_ns)
    return counts


def driver_messages(simulation: Simulation, driver: DriverConfig,
                    counts: Counts) -> Iterator[Message]:
    """Yield what the driver of the event camera, that of the colour camera and truth send."""
    decoder = None
    next_info_ns = driver.ros_start_ns
    for item, received_ns in messages(simulation, driver):
        if isinstance(item, Label):
            counts.frames += 1
            yield from _label_messages(item, received_ns, simulation, driver)
            continue
        if item.stamp_ns >= next_info_ns:
            next_info_ns += simulation.period_ns
            yield Message(received_ns, CAMERA_INFO, simulation.camera, item.stamp_ns,
                          item.frame_id)
        counts.packets += 1
        decoder = decoder or make_decoder(item)
        counts.events += len(decoder.decode(item))
        yield Message(received_ns, EVENTS, item, item.stamp_ns, item.frame_id)


def inverse_depth(label: Label) -> np.ndarray:
    """Return the inverse depth of a label, float32 (H, W), 1/m, 0 for the sky."""
    return 1 / label.frame.depth


def _label_messages(label: Label, received_ns: int, simulation: Simulation,
                    driver: DriverConfig) -> Iterator[Message]:
    stamp_ns = driver.ros_start_ns + label.time_ns
    if label.picture is not None:
        about = (driver.ros_start_ns + label.picture.time_ns,
                 IMAGE_FRAME_ID if simulation.rgb.own_view else driver.frame_id)
        camera = simulation.rgb.camera or simulation.camera
        yield Message(received_ns, IMAGE, label.picture.image, *about, 'bgr8')
        yield Message(received_ns, IMAGE_INFO, camera, *about)
    yield Message(received_ns, TRUTH, inverse_depth(label), stamp_ns, driver.frame_id, '32FC1')
    yield Message(received_ns, TRUTH_INFO, simulation.camera, stamp_ns, driver.frame_id)


def _write_message(writer: BagWriter, message: Message) -> None:
    topic, value = BAG_TOPICS[message.topic], message.value
    if isinstance(value, Packet):
        writer.write_event_packet(topic, value, message.received_ns)
    elif isinstance(value, CameraModel):
        writer.write_camera_info(topic, value, message.stamp_ns, message.frame_id,
                                 message.received_ns)
    else:
        writer.write_image(topic, value, message.encoding, message.stamp_ns, message.frame_id,
                           message.received_ns)
