# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Transport settings for whatever is launched after this file is included.

The defaults of Fast DDS lose most messages of a megabyte. What counts is the process that
publishes, so a camera driver needs these settings as well: docs/launch.md.
"""
import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import LogInfo, SetEnvironmentVariable

SHARE = get_package_share_directory('depth_anyevent_ros')
# Kilted has renamed the variable and warns of the old name.
PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE' \
    if os.environ.get('ROS_DISTRO') in ('humble', 'jazzy') else 'FASTDDS_DEFAULT_PROFILES_FILE'
# Who has set one of these has chosen the transport.
CHOICES = ('FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE',
           'FASTRTPS_DEFAULT_PROFILES_FILE')
# Keep the memory of large messages instead of asking the kernel for it every time.
MALLOC = {'MALLOC_MMAP_THRESHOLD_': '33554432', 'MALLOC_TRIM_THRESHOLD_': '536870912'}


def generate_launch_description():
    """Set what the user's environment does not."""
    settings = {name: value for name, value in MALLOC.items() if name not in os.environ}
    if not any(os.environ.get(name) for name in CHOICES):
        settings[PROFILES] = os.path.join(SHARE, 'config', 'fastdds.xml')
    transport = {name: value for name, value in {**os.environ, **settings}.items()
                 if name in CHOICES}
    told = ', '.join(f'{name}={value}' for name, value in transport.items())
    return LaunchDescription([
        *[SetEnvironmentVariable(name, value) for name, value in settings.items()],
        LogInfo(msg=f'Transport: {told}. A camera driver that is started elsewhere needs the '
                    'same in its environment, see docs/launch.md.')])
