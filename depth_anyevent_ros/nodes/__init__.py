# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 nodes: the only part of the package that imports rclpy and message packages."""
