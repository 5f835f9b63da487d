# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What of a bag is labelled, with what calibration, and in which shards; problems at the door."""
from __future__ import annotations

from dataclasses import dataclass, replace
import os
from pathlib import Path

import numpy as np

from depth_anyevent_ros.bag_labels import topics
from depth_anyevent_ros.bag_labels.settings import LabelSettings
from depth_anyevent_ros.bag_labels.shard_reader import Shard
from depth_anyevent_ros.datasets.bag_writer import TF_STATIC
from depth_anyevent_ros.datasets.bags import (
    BagError, BagReader, decode_event_packet, first_message)
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.geometry.depth import MetricScale
from depth_anyevent_ros.geometry.rig import Rig
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.hot_pixel_memory import pixels_of, read_mask


@dataclass(frozen=True)
class BagPlan:
    """
    name: of the bag's output. events, image: topics. rig: what is known of the cameras, the
    event camera's of the sensor's size. frame_id: of the events. watched: topics of the
    calibrations. left_out: bool (height, width), hot pixels, None for none. notes: what the user
    has to know.
    """

    reader: BagReader
    name: str
    settings: LabelSettings
    events: str
    image: str
    rig: Rig
    frame_id: str
    watched: tuple[str, ...]
    shards: tuple[Shard, ...]
    left_out: np.ndarray | None
    notes: tuple[str, ...]

    @property
    def camera(self) -> CameraModel:
        """Return the event camera."""
        return self.rig.event

    def identity(self, teacher: str, teacher_sha256: str) -> dict:
        """Return, as JSON values, all that the labels depend on."""
        identity = {
            'bag': {'name': self.name, 'start_ns': self.reader.start_ns,
                    'end_ns': self.reader.end_ns,
                    'messages': {name: self.reader.topics[name].count
                                 for name in (self.events, self.image)}},
            'teacher': teacher, 'teacher_sha256': teacher_sha256,
            'registration': self.rig.settled(), 'calibration_sha256': self.rig.sha256(),
            'settings': self.settings.of_the_labels()}
        if self.left_out is not None:
            identity['hot_pixels'] = pixels_of(self.left_out)
        return identity


def make_plan(reader: BagReader, settings: LabelSettings) -> BagPlan:
    """Return the plan of a bag; raise BagError or CalibrationError for what cannot be done."""
    events = topics.choose_events(reader, settings.events)
    image = topics.choose_image(reader, settings.teacher_topic or settings.image,
                                bool(settings.teacher_topic))
    first_events = first_message(reader, events)
    first_image = first_message(reader, image)
    for name, first in ((events, first_events), (image, first_image)):
        if first is None:
            raise BagError(f'{reader.path} has no message on {name}; its topics are '
                           f'{topics.describe_topics(reader)}.')
    packet = decode_event_packet(first_events)
    event_camera, event_source = topics.read_camera(reader, settings.camera_info, events)
    color_camera, color_source = topics.read_camera(reader, settings.image_info, image)
    notes = []
    pose, pose_note = _pose(reader, settings, topics.frame_of(first_image), packet.frame_id)
    scale = MetricScale(settings.scale, settings.shift) if settings.scale else None
    mode = 'same' if settings.teacher_topic and settings.registration == 'auto' \
        else settings.registration
    rig = Rig(mode, event_camera, color_camera, pose, scale)
    try:
        settled = rig.settled()
        notes.append(rig.caution())
    except CalibrationError as error:
        raise CalibrationError(
            f'{reader.path}: {error}. The options are --camera-info, --image-info (topics, or '
            'files as camera_calibration writes them), --registration, --scale, --translation '
            f'and --rotation. Topics: {topics.describe_topics(reader)}.') from error
    if settled != 'same':
        notes.append(pose_note)
    size = packet.width, packet.height
    if event_camera is None or (event_camera.width, event_camera.height) != size:
        if settled != 'same':
            rig.registration(size, size, size[::-1])  # says what does not fit
        event_camera = CameraModel.uncalibrated(*size)
        rig = replace(rig, event=event_camera)
    left_out = _left_out(settings.hot_pixels, *size) if settings.hot_pixels else None
    watched = tuple(source for source in (event_source, color_source) if source in reader.topics)
    return BagPlan(reader, bag_name(reader.path), settings, events, image, rig, packet.frame_id,
                   watched, _shards(reader, settings), left_out, tuple(filter(None, notes)))


def _left_out(path: str, width: int, height: int) -> np.ndarray:
    try:
        return read_mask(Path(path), width, height)
    except ValueError as error:
        raise ValueError(f'{path} is no file of hot pixels of this sensor: {error}') from error


def bag_name(path: Path) -> str:
    """Return what the output of a bag is called."""
    path = Path(os.path.abspath(path))  # `..` is no name
    return path.name if path.is_dir() else path.name.removesuffix('.zstd').rsplit('.', 1)[0]


def _pose(reader: BagReader, settings: LabelSettings, color_frame: str,
          event_frame: str) -> tuple[Transform, str]:
    """Return the pose of the colour camera and, where it is only assumed, a note on that."""
    if settings.rotation or settings.translation:
        return Transform.from_quaternion(*(settings.rotation or (0.0, 0.0, 0.0, 1.0)),
                                         settings.translation or (0.0, 0.0, 0.0)), ''
    found = topics.static_transform(reader, color_frame, event_frame)
    if found is not None:
        return found, ''
    return Transform.identity(), (
        f'{TF_STATIC} does not lead from {color_frame!r} to {event_frame!r}, and neither '
        '--rotation nor --translation is given: both cameras are taken to look the same way from '
        'the same place')


def _shards(reader: BagReader, settings: LabelSettings) -> tuple[Shard, ...]:
    begin = reader.start_ns + round(settings.start_s * 1e9)
    end = reader.end_ns + 1
    if settings.end_s:
        end = min(end, reader.start_ns + round(settings.end_s * 1e9))
    length = round(settings.shard_s * 1e9)
    if begin >= end:
        raise BagError(f'{reader.path} is {(reader.end_ns - reader.start_ns) / 1e9:.1f} s long: '
                       f'there is nothing from {settings.start_s:g} s on.')
    return tuple(Shard(index, at, min(at + length, end))
                 for index, at in enumerate(range(begin, end, length)))
