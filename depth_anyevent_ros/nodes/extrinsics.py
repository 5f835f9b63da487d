# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the colour camera stands, seen from the event camera: from parameters or from TF."""
from __future__ import annotations

from rclpy.node import Node
from rclpy.time import Time

from depth_anyevent_ros.geometry.transform import Transform

try:
    import tf2_ros
except ImportError:
    tf2_ros = None  # not in the wheels of ROS 2; the parameter serves as well


class ExtrinsicsFromTf:
    """Asks TF; the cameras of a rig stand still to each other, so the latest answer holds."""

    def __init__(self, node: Node):
        if tf2_ros is None:
            raise ValueError('extrinsics.source is tf, but tf2_ros is not installed: install it '
                             '(ros-DISTRO-tf2-ros-py), or give extrinsics.translation and '
                             'extrinsics.rotation')
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def destroy(self) -> None:
        """Listen no more: what the node holds of the listener keeps it alive."""
        self._listener.unregister()

    def lookup(self, color_frame: str, event_frame: str) -> Transform | None:
        """Return the transform from the colour to the event frame, None while it is not known."""
        try:
            found = self._buffer.lookup_transform(event_frame, color_frame, Time()).transform
        except tf2_ros.TransformException:
            return None
        q, t = found.rotation, found.translation
        return Transform.from_quaternion(q.x, q.y, q.z, q.w, (t.x, t.y, t.z))


def extrinsics_from_values(translation, rotation) -> Transform:
    """Return the transform of the two parameters; ValueError for other lengths."""
    if len(translation) != 3 or len(rotation) != 4:
        raise ValueError('extrinsics.translation has to be x, y, z and extrinsics.rotation '
                         f'x, y, z, w; not {list(translation)} and {list(rotation)}')
    return Transform.from_quaternion(*rotation, translation)
