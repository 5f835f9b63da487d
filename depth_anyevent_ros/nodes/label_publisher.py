# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels and announcements of weights as messages."""
from __future__ import annotations

import json

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from depth_anyevent_ros.distillation.labelling import ProxyLabel
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.conversions import to_camera_info, to_header, to_image

QUEUE_DEPTH = 5
TYPES = {topics.PROXY_LABEL: Image, topics.PROXY_LABEL_INFO: CameraInfo,
         topics.PROXY_LABEL_FACTS: String}


class LabelPublisher:
    """Publishes labels where anybody listens; weights stay for those who come later."""

    def __init__(self, node: LifecycleNode, frame_id: str):
        self._node, self._frame_id = node, frame_id
        overrides = QoSOverridingOptions.with_default_policies()
        self._publishers = {
            name: node.create_lifecycle_publisher(kind, name, QoSProfile(depth=QUEUE_DEPTH),
                                                  qos_overriding_options=overrides)
            for name, kind in TYPES.items()}
        self._weights = node.create_publisher(
            String, topics.WEIGHTS,
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def wanted(self) -> bool:
        """Return whether anybody listens to labels."""
        return any(publisher.get_subscription_count() for publisher in self._publishers.values())

    def label(self, label: ProxyLabel, camera: CameraModel | None, frame_id: str,
              facts: dict) -> None:
        """Publish a label; camera: of the events, None where there is none."""
        if not self.wanted():
            return
        height, width = label.inverse_depth.shape
        header = to_header(label.window.stamp_ns, self._frame_id or frame_id)
        if camera is None or (camera.width, camera.height) != (width, height):
            camera = CameraModel.uncalibrated(width, height)
        for name, message in (
                (topics.PROXY_LABEL, to_image(label.inverse_depth, '32FC1', header)),
                (topics.PROXY_LABEL_INFO, to_camera_info(camera, header)),
                (topics.PROXY_LABEL_FACTS, String(data=json.dumps(facts)))):
            self._publishers[name].publish(message)

    def weights(self, announcement: str) -> None:
        """Announce weights, also to those who subscribe later."""
        self._weights.publish(String(data=announcement))

    def destroy(self) -> None:
        """Give the publishers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._weights)
        self._publishers = {}
