# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing rosbag2 recordings without ROS."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime)
from rosbags.rosbag2 import StoragePlugin, Writer
import yaml

from depth_anyevent_ros.atomic_file import replace_file
from depth_anyevent_ros.datasets.bag_types import BagError
from depth_anyevent_ros.datasets.messages import (
    encode_event_packet, EVENT_PACKET, NANOSECONDS, typestore)
from depth_anyevent_ros.datasets.part_folder import PartFolder
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.transform import Transform

PLUGINS = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}
TF_STATIC = '/tf_static'
FOREVER = QosTime(9223372036, 854775807)
# As tf2 publishes it, and as its listeners ask for: `ros2 bag play` offers what a bag says.
LATCHED = Qos(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
              FOREVER, FOREVER, QosLiveliness.AUTOMATIC, FOREVER, False)
COMMIT_BYTES = 8 << 20  # of messages, that are lost at most where the process is killed
# Version 8 is the latest whose QoS is one string, as the readers of Humble and Iron expect it.
METADATA_VERSION = 8
# Type and channels of the encodings of sensor_msgs/image_encodings that the project writes.
IMAGE_ENCODINGS = {
    'mono8': ('u1', 1), '8UC1': ('u1', 1), 'mono16': ('<u2', 1), '16UC1': ('<u2', 1),
    '32FC1': ('<f4', 1), 'rgb8': ('u1', 3), 'bgr8': ('u1', 3)}


@contextmanager
def whole_bag(path: str | Path, format: str = 'sqlite3') -> Iterator[BagWriter]:  # noqa: A002
    """
    Give the writer of a bag that appears at path when the block has ended without an error.

    It is written inside NAME.part, which is removed in any case. Raises BagError where there is
    something at path.
    """
    path = Path(path)
    folder = PartFolder(path)
    try:
        # Asked by who holds the folder, so that none can come in between.
        if os.path.lexists(path):
            raise _already_there(path)
        # Inside, since the bag's files have the name of their folder.
        with BagWriter(folder.path / path.name, format) as writer:
            yield writer
        writer.path.rename(path)
    finally:
        folder.remove()


class BagWriter:
    """
    A new rosbag2 folder that ROS 2 from Humble to Kilted reads; use it in a with statement.

    path: the folder, which must not exist; the folders above it are made. format: sqlite3 or
    mcap. Times are nanoseconds: stamp_ns goes into the header, timestamp_ns is when the message
    is taken to have been received. What was written before an error stays readable, without
    metadata.yaml, whose counts would be wrong. Raises OSError where the disk refuses.
    """

    def __init__(self, path: str | Path, format: str = 'sqlite3') -> None:  # noqa: A002
        path = Path(path)
        if format not in PLUGINS:
            raise BagError(f'The bag format {format!r} is unknown, expected '
                           f'{" or ".join(PLUGINS)}.')
        if path.exists():
            raise _already_there(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._pending, self._ended = path, 0, False
        self._writer = Writer(path, version=METADATA_VERSION, storage_plugin=PLUGINS[format])
        with self._refusals():
            self._writer.open()
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and the metadata; nothing more where the disk has refused."""
        if not self._ended:
            with self._refusals():
                self._writer.close()

    def abandon(self) -> None:
        """Close what is going to be removed, whatever the disk says."""
        try:
            self.close()
        except OSError:
            pass

    def write_raw(self, topic: str, message_type: str, data: bytes, timestamp_ns: int) -> None:
        """Write a message of CDR bytes; its type is a standard one or an event packet."""
        connection = self._connections.get(topic)
        if connection is not None and connection.msgtype != message_type:
            raise BagError(f'{topic} was begun with the type {connection.msgtype} and cannot '
                           f'take a message of type {message_type}.')
        with self._refusals():
            if connection is None:
                connection = self._writer.add_connection(
                    topic, message_type, typestore=typestore(),
                    offered_qos_profiles=[LATCHED] if topic == TF_STATIC else [])
                self._connections[topic] = connection
            self._writer.write(connection, timestamp_ns, data)
            self._pending += len(data)
            if self._pending > COMMIT_BYTES:
                self._commit()

    def _commit(self) -> None:
        """Have what was written so far on the disk; MCAP has, in chunks."""
        self._pending = 0
        database = getattr(self._writer.storage, 'conn', None)
        if database is not None:
            database.commit()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Tell what SQLite makes of a full disk as what it is."""
        try:
            yield
        except sqlite3.Error as error:
            self._ended = True
            if self._writer.storage is not None:
                self._writer.storage.abort()
            (self.path / 'metadata.yaml').unlink(missing_ok=True)
            raise OSError(f'{self.path} cannot be written: {error}') from error

    def write_event_packet(self, topic: str, packet: Packet, timestamp_ns: int) -> None:
        """Write a packet of events as event_camera_msgs/msg/EventPacket."""
        self.write_raw(topic, EVENT_PACKET, encode_event_packet(packet), timestamp_ns)

    def write_image(self, topic: str, array: np.ndarray, encoding: str, stamp_ns: int,
                    frame_id: str, timestamp_ns: int) -> None:
        """
        Write an image as sensor_msgs/msg/Image.

        array: (height, width) or (height, width, 3), of the type that the encoding says (one of
        IMAGE_ENCODINGS, e.g. float32 for 32FC1).
        """
        if encoding not in IMAGE_ENCODINGS:
            raise BagError(f'The image encoding {encoding!r} is unknown, expected one of '
                           f'{", ".join(IMAGE_ENCODINGS)}.')
        dtype, channels = IMAGE_ENCODINGS[encoding]
        expected = np.dtype(dtype)
        if array.shape[2:] != ((channels,) if channels > 1 else ()) or array.ndim < 2 \
                or array.dtype != expected.newbyteorder('='):
            raise BagError(f'An image of encoding {encoding} needs {expected.name} of shape '
                           f'(height, width{", 3" if channels > 1 else ""}), got '
                           f'{array.dtype.name} of shape {array.shape}.')
        height, width = array.shape[:2]
        data = np.frombuffer(np.ascontiguousarray(array, expected).tobytes(), np.uint8)
        types = typestore().types
        self._write('sensor_msgs/msg/Image', topic, timestamp_ns, types['sensor_msgs/msg/Image'](
            header=_header(stamp_ns, frame_id), height=height, width=width, encoding=encoding,
            is_bigendian=0, step=width * channels * expected.itemsize, data=data))

    def write_static_transform(self, parent: str, child: str, pose: Transform,
                               timestamp_ns: int) -> None:
        """
        Write on /tf_static how one frame stands in another.

        pose: takes points of the child's frame to the parent's.
        """
        types = typestore().types
        x, y, z, w = pose.quaternion()
        transform = types['geometry_msgs/msg/Transform'](
            translation=types['geometry_msgs/msg/Vector3'](
                **dict(zip('xyz', pose.translation.tolist()))),
            rotation=types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w))
        self._write('tf2_msgs/msg/TFMessage', TF_STATIC, timestamp_ns,
                    types['tf2_msgs/msg/TFMessage'](transforms=[
                        types['geometry_msgs/msg/TransformStamped'](
                            header=_header(timestamp_ns, parent), child_frame_id=child,
                            transform=transform)]))

    def write_string(self, topic: str, text: str, timestamp_ns: int) -> None:
        """Write a text as std_msgs/msg/String."""
        kind = 'std_msgs/msg/String'
        self._write(kind, topic, timestamp_ns, typestore().types[kind](data=text))

    def write_camera_info(self, topic: str, camera: CameraModel, stamp_ns: int, frame_id: str,
                          timestamp_ns: int) -> None:
        """
        Write a camera as sensor_msgs/msg/CameraInfo.

        Without r (or with zeros) it gets the identity, without p the camera matrix and a column
        of zeros.
        """
        types = typestore().types
        region = types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        self._write(
            'sensor_msgs/msg/CameraInfo', topic, timestamp_ns,
            types['sensor_msgs/msg/CameraInfo'](
                header=_header(stamp_ns, frame_id), height=camera.height, width=camera.width,
                distortion_model=camera.distortion_model, d=np.asarray(camera.d, np.float64),
                k=np.asarray(camera.k, np.float64).ravel(), r=camera.rotation.ravel(),
                p=camera.projection.ravel(), binning_x=0, binning_y=0, roi=region))

    def _write(self, message_type: str, topic: str, timestamp_ns: int, message: Any) -> None:
        data = typestore().serialize_cdr(message, message_type)
        self.write_raw(topic, message_type, data, timestamp_ns)


def write_split_metadata(path: Path, parts: list[dict], files: list[str]) -> None:
    """
    Write the metadata.yaml of a recording in several files, in one step.

    parts: rosbag2_bagfile_information of each file by itself, in order of time. files: names.
    """
    parts, files = zip(*[(part, file) for part, file in zip(parts, files)
                         if part['message_count']] or [(parts[0], files[0])])
    begin = min(_nanoseconds(part, 'starting_time') for part in parts)
    end = max(_nanoseconds(part, 'starting_time') + _nanoseconds(part, 'duration')
              for part in parts)
    topics: dict[str, dict] = {}
    for topic in (topic for part in parts for topic in part['topics_with_message_count']):
        name = topic['topic_metadata']['name']
        known = topics.setdefault(name, {**topic, 'message_count': 0})
        known['message_count'] += topic['message_count']
    whole = {**parts[0], 'relative_file_paths': list(files),
             'duration': {'nanoseconds': end - begin},
             'starting_time': {'nanoseconds_since_epoch': begin},
             'message_count': sum(part['message_count'] for part in parts),
             'topics_with_message_count': list(topics.values()),
             'files': [{'path': file, 'starting_time': part['starting_time'],
                        'duration': part['duration'], 'message_count': part['message_count']}
                       for part, file in zip(parts, files)]}
    replace_file(path, yaml.safe_dump({'rosbag2_bagfile_information': whole},
                                      sort_keys=False).encode())


def _nanoseconds(part: dict, name: str) -> int:
    return next(iter(part[name].values()))


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = typestore().types
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def _already_there(path: Path) -> BagError:
    return BagError(f'{path} exists already and is not overwritten; give another path or '
                    'remove it first.')
