# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stands for tf2_ros, which no wheel has: a listener that subscribes, and hears nothing."""
from geometry_msgs.msg import TransformStamped  # tf2_msgs is not in the wheels either
from rclpy.qos import DurabilityPolicy, QoSProfile


class TransformException(Exception):  # noqa: N818 (its name)
    """What a lookup raises."""


class Buffer:
    """Knows no transform."""

    def lookup_transform(self, target, source, time):
        raise TransformException(f'{target} and {source} are not connected')


class TransformListener:
    """Subscribes by the node that it is given, as transform_listener.py of geometry2 does."""

    def __init__(self, buffer, node):
        self.node = node
        self.tf_sub = node.create_subscription(
            TransformStamped, '/tf', lambda msg: None, QoSProfile(depth=100))
        self.tf_static_sub = node.create_subscription(
            TransformStamped, '/tf_static', lambda msg: None,
            QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def unregister(self):
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)
