# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 nodes: the only part of the package that imports rclpy and message packages."""

import os

# Before torch is imported. Its idle threads would otherwise spin, and on busy cores an operation
# of 5 ms was seen to take 288 ms.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
