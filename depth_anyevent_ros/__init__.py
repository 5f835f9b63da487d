# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Dense depth from event cameras, taught by a vision foundation model, as a ROS 2 package."""

__version__ = '0.1.0'
