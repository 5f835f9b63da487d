# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The calibration of the event camera as `camera_info` brings it while a node runs."""
from __future__ import annotations

from collections.abc import Callable
import time

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo

from depth_anyevent_ros.geometry.calibration_choice import CalibrationChoice
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.nodes.parameters import OTHER_CALIBRATION
from depth_anyevent_ros.nodes.topics import CAMERA_INFO


class CalibrationSubscription:
    """
    Listens to `camera_info`, and tells apply(camera) which calibration holds when that changes.

    choice: what holds so far. size(): (width, height) of the sensor, None while not known.
    warn(sentence) logs once. adapt() is to be called a few times a second.
    """

    def __init__(self, node: Node, choice: CalibrationChoice,
                 size: Callable[[], tuple[int, int] | None],
                 apply: Callable[[CameraModel], None], warn: Callable[[str], None]):
        self._node, self._choice, self._size, self._apply = node, choice, size, apply
        self._warn = warn
        self._subscription = node.create_subscription(
            CameraInfo, CAMERA_INFO, self._on_camera_info, qos_profile_sensor_data,
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)

    def adapt(self) -> None:
        """Let a calibration follow one that is published no more."""
        if self._choice.settle(time.monotonic()):
            self._tell('camera_info has changed: the new calibration is used')

    def _on_camera_info(self, msg: CameraInfo) -> None:
        camera = CameraModel.from_info(msg)
        if self._choice.contradicts(camera):
            self._warn(OTHER_CALIBRATION.format(CAMERA_INFO))
        if self._choice.hear(camera, time.monotonic(), self._size()):
            self._tell('camera_info was received')

    def _tell(self, what: str) -> None:
        camera = self._choice.camera
        self._node.get_logger().info(
            f'{what} ({camera.width}x{camera.height}, '
            f'{camera.distortion_model if camera.calibrated else "not calibrated"}).')
        self._apply(camera)
