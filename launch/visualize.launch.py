# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RViz with the outputs of the nodes."""
import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = get_package_share_directory('depth_anyevent_ros')


def generate_launch_description():
    """Start RViz in the namespace of the inference node: its topics are relative."""
    arguments = [
        DeclareLaunchArgument('namespace', default_value='',
                              description='Namespace of the inference node to look at.'),
        DeclareLaunchArgument('rviz_config',
                              default_value=os.path.join(SHARE, 'config', 'rviz', 'depth.rviz'),
                              description='Configuration file of RViz.'),
        DeclareLaunchArgument('image', default_value='/camera/image_raw',
                              description='Topic of the pictures, which distill.rviz shows.'),
        DeclareLaunchArgument('fixed_frame', default_value='event_camera_optical_frame',
                              description='Frame to show the point cloud in: frame_id of the '
                                          'outputs, or any frame that TF connects with it.'),
        DeclareLaunchArgument('use_sim_time', default_value='false',
                              description='true: take the time from /clock.'),
    ]
    rviz = Node(
        package='rviz2', executable='rviz2', namespace=LaunchConfiguration('namespace'),
        arguments=['-d', LaunchConfiguration('rviz_config'),
                   '-f', LaunchConfiguration('fixed_frame')],
        parameters=[{'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'),
                                                    value_type=bool)}],
        remappings=[('image', LaunchConfiguration('image'))], output='screen')
    return LaunchDescription([*arguments, rviz])
