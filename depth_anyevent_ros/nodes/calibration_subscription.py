# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A calibration as a topic brings it while a node runs."""
from __future__ import annotations

from collections.abc import Callable
import time

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo

from depth_anyevent_ros.geometry.calibration_choice import CalibrationChoice
from depth_anyevent_ros.geometry.camera import CalibrationError, CameraModel
from depth_anyevent_ros.nodes.parameters import OTHER_CALIBRATION
from depth_anyevent_ros.nodes.topics import CAMERA_INFO


class CalibrationSubscription:
    """
    Listens to a topic, and tells apply(camera) which calibration holds when that changes.

    choice: what holds so far. size(): (width, height) of the sensor, None while not known.
    warn(sentence) logs once. topic: by default that of the event camera. adapt() is to be called
    a few times a second.
    """

    def __init__(self, node: Node, choice: CalibrationChoice,
                 size: Callable[[], tuple[int, int] | None],
                 apply: Callable[[CameraModel], None], warn: Callable[[str], None],
                 topic: str = CAMERA_INFO):
        self._node, self._choice, self._size, self._apply = node, choice, size, apply
        self._warn, self._topic = warn, topic
        self._subscription = node.create_subscription(
            CameraInfo, topic, self._on_camera_info, qos_profile_sensor_data,
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)

    def adapt(self) -> None:
        """Let a calibration follow one that is published no more."""
        if self._choice.settle(time.monotonic()):
            self._tell('has changed: the new calibration is used')

    def _on_camera_info(self, msg: CameraInfo) -> None:
        try:
            camera = CameraModel.from_info(msg)
        except CalibrationError as error:
            self._warn(f'{self._topic} is not used: {error}.')
            return
        if self._choice.contradicts(camera):
            self._warn(OTHER_CALIBRATION.format(self._topic))
        if self._choice.hear(camera, time.monotonic(), self._size()):
            self._tell('was received')

    def _tell(self, what: str) -> None:
        camera = self._choice.camera
        self._node.get_logger().info(
            f'{self._topic} {what} ({camera.width}x{camera.height}, '
            f'{camera.distortion_model if camera.calibrated else "not calibrated"}).')
        self._apply(camera)
