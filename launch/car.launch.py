# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A car: what distill.launch.py starts, with config/platforms/car.yaml."""
import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SHARE = get_package_share_directory('depth_anyevent_ros')


def generate_launch_description():
    """Include distill.launch.py; its arguments are those of this file."""
    return LaunchDescription([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.path.join(SHARE, 'launch', 'distill.launch.py')),
        launch_arguments={'platform': 'car'}.items())])
