# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The subscription to pictures, or to the maps of a teacher elsewhere."""
from __future__ import annotations

from collections.abc import Callable
import time

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from depth_anyevent_ros.distillation.label_stream import Picture
from depth_anyevent_ros.images import decode_compressed, decode_image, decode_map
from depth_anyevent_ros.nodes import topics


class ImageSubscription:
    """
    Hands pictures on as they come, encoded; best effort, which hears every publisher.

    source: `checkpoint` for pictures, `topic` for maps. topic: the name after remapping.
    frame_id: of the last picture. name, subscription, heard: as a Listener has them.
    """

    def __init__(self, node: Node, source: str, transport: str, take: Callable[[Picture], None]):
        self._node, self._take = node, take
        if source == 'topic':
            self.name, kind, read = topics.TEACHER, Image, read_map
        elif transport == 'compressed':
            self.name, kind, read = topics.IMAGE_COMPRESSED, CompressedImage, read_compressed
        else:
            self.name, kind, read = topics.IMAGE, Image, read_image
        self._read = read
        self.topic = node.resolve_topic_name(self.name)
        self.frame_id, self.heard = '', False
        self.subscription = node.create_subscription(
            kind, self.name, self._on_message, qos_profile_sensor_data,
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self.subscription)

    def _on_message(self, msg) -> None:
        stamp = msg.header.stamp
        self.frame_id, self.heard = msg.header.frame_id, True
        self._take(Picture(stamp.sec * 10**9 + stamp.nanosec, lambda: self._read(msg),
                           len(msg.data), time.monotonic_ns()))


def read_image(msg: Image) -> np.ndarray:
    """Return the RGB picture of a message; ImageError."""
    return decode_image(msg.data, msg.encoding, msg.height, msg.width, msg.step,
                        msg.is_bigendian)


def read_compressed(msg: CompressedImage) -> np.ndarray:
    """Return the RGB picture of a message; ImageError."""
    return decode_compressed(msg.data, f'a compressed image ({msg.format})')


def read_map(msg: Image) -> np.ndarray:
    """Return the map of a message, float32 (h, w); ImageError."""
    return decode_map(msg.data, msg.encoding, msg.height, msg.width, msg.step, msg.is_bigendian)
