# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are meant, and what those that hardly change say: calibrations, TF."""
from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from depth_anyevent_ros.datasets.bags import (
    BagError, BagReader, decode, describe_topics, first_message, RawMessage,
    require_event_topics)
from depth_anyevent_ros.datasets.bag_writer import TF_STATIC
from depth_anyevent_ros.datasets.messages import full_type_name
from depth_anyevent_ros.geometry.calibration_file import read_calibration
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.transform import Transform
from depth_anyevent_ros.images import decode_compressed, decode_image, decode_map, ENCODINGS

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO, TF = 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage'
DEPTH_ENCODINGS = ('mono16', '16UC1')  # as most depth cameras send it
PICTURE_ENCODINGS = (*sorted(set(ENCODINGS) - set(DEPTH_ENCODINGS)), 'compressed')


def choose(reader: BagReader, wanted: str, candidates: list[str], what: str, option: str) -> str:
    """Return the topic to use; raise BagError with the topics found where it is unclear."""
    if wanted in candidates or (not wanted and len(candidates) == 1):
        return wanted or candidates[0]
    if wanted in reader.topics:
        raise BagError(f'{wanted} of {reader.path} is of type {reader.topics[wanted].type}, '
                       f'which is none of {what}; its topics are {describe_topics(reader)}.')
    if not candidates or wanted:
        raise BagError(f'{reader.path} has no topic {wanted or "of " + what}; its topics are '
                       f'{describe_topics(reader)}.')
    raise BagError(f'{reader.path} has several topics of {what}, '
                   f'{", ".join(sorted(candidates))}: choose one with {option}.')


def choose_events(reader: BagReader, wanted: str) -> str:
    """Return the topic of event packets."""
    return choose(reader, wanted, require_event_topics(reader), 'event packets', '--events')


def choose_image(reader: BagReader, wanted: str, maps: bool = False) -> str:
    """Return the topic of pictures, or of maps (32FC1); of one raw and compressed the raw one."""
    found = [name for name in reader.topics if _type(reader, name) in (IMAGE, COMPRESSED)]
    if wanted or maps:
        return choose(reader, wanted, found, 'images', '--image')
    said = {name: _encoding(reader, name) for name in found}
    found = [name for name in found if said[name] in PICTURE_ENCODINGS]
    if not found and said:
        raise BagError(
            f'{reader.path} has no topic of pictures; its topics are {describe_topics(reader)}. '
            + ', '.join(f'{name} is encoded as {encoding!r}' for name, encoding in said.items())
            + f', expected is one of {", ".join(PICTURE_ENCODINGS)}.')
    raw = [name for name in found if _type(reader, name) == IMAGE]
    found = [name for name in found
             if name in raw or name.removesuffix('/compressed') not in raw]
    return choose(reader, '', found, 'pictures', '--image')


def read_picture(raw: RawMessage) -> np.ndarray:
    """Return the RGB picture of a message, uint8 (H, W, 3); ValueError."""
    msg = decode(raw)
    if full_type_name(raw.type) == COMPRESSED:
        return decode_compressed(msg.data, f'a compressed image ({msg.format})')
    return decode_image(msg.data, msg.encoding, msg.height, msg.width, msg.step,
                        bool(msg.is_bigendian))


def read_map(raw: RawMessage) -> np.ndarray:
    """Return the map of a message, float32 (h, w), NaN unknown; ValueError."""
    msg = decode(raw)
    return decode_map(msg.data, msg.encoding, msg.height, msg.width, msg.step,
                      bool(msg.is_bigendian))


def read_camera(reader: BagReader, wanted: str, beside: str) -> tuple[CameraModel | None, str]:
    """
    Return a camera, None where nothing is known of it, and where that comes from.

    wanted: a topic, or a file; '' for the camera_info beside another topic.
    """
    if wanted and wanted not in reader.topics:
        if not Path(wanted).is_file():
            raise BagError(f'{wanted} is neither a topic of {reader.path} nor a file; its topics '
                           f'are {describe_topics(reader)}.')
        return read_calibration(wanted), Path(wanted).name
    topic = wanted or beside.removesuffix('/compressed').rsplit('/', 1)[0] + '/camera_info'
    raw = first_message(reader, topic) if topic in reader.topics else None
    if raw is None or full_type_name(raw.type) != CAMERA_INFO:
        if wanted:
            raise BagError(f'{wanted} of {reader.path} has no {CAMERA_INFO}; its topics are '
                           f'{describe_topics(reader)}.')
        return None, ''
    return CameraModel.from_info(decode(raw)), topic


def frame_of(raw: RawMessage) -> str:
    """Return the frame_id of a message with a header."""
    return decode(raw).header.frame_id


def static_transform(reader: BagReader, source: str, target: str) -> Transform | None:
    """Return the transform from one frame to another by /tf_static, None where it is not there."""
    if source and source == target:
        return Transform.identity()
    if TF_STATIC not in reader.topics or _type(reader, TF_STATIC) != TF:
        return None
    links: dict[str, list[tuple[str, Transform]]] = {}
    for raw in reader.messages([TF_STATIC]):
        for item in decode(raw).transforms:
            q, t = item.transform.rotation, item.transform.translation
            # Takes points of the child to the parent.
            up = Transform.from_quaternion(q.x, q.y, q.z, q.w, (t.x, t.y, t.z))
            parent, child = item.header.frame_id.strip('/'), item.child_frame_id.strip('/')
            links.setdefault(child, []).append((parent, up))
            links.setdefault(parent, []).append((child, up.inverse()))
    ways, open_ends = {source.strip('/'): Transform.identity()}, deque([source.strip('/')])
    while open_ends:
        frame = open_ends.popleft()
        for other, step in links.get(frame, ()):
            if other not in ways:
                ways[other] = step.after(ways[frame])
                open_ends.append(other)
    return ways.get(target.strip('/'))


def _encoding(reader: BagReader, topic: str) -> str:
    """Return what the pictures of a topic are encoded as, by its first message."""
    if _type(reader, topic) == COMPRESSED:
        return 'compressedDepth' if topic.endswith('compressedDepth') else 'compressed'
    raw = first_message(reader, topic)
    return 'nothing, since none came' if raw is None else decode(raw).encoding


def _type(reader: BagReader, topic: str) -> str:
    return full_type_name(reader.topics[topic].type)
