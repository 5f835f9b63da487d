# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Learning while driving without a robot: a simulated one, or a bag."""
import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'depth_anyevent_ros'
SHARE = get_package_share_directory(PACKAGE)


def generate_launch_description():
    """Start what distill.launch.py starts, and where no bag is given a simulator beside it."""
    return LaunchDescription([
        DeclareLaunchArgument('world', default_value='drone',
                              description='Without a bag: drone, in a building, car, in a '
                                          'street, or desk, before a table.'),
        DeclareLaunchArgument('seed', default_value='1',
                              description='Without a bag: the number that the world is drawn '
                                          'from.'),
        DeclareLaunchArgument('bag', default_value='',
                              description='A bag to replay in place of the simulator, with '
                                          'pictures beside the events.'),
        DeclareLaunchArgument('image', default_value='/camera/image',
                              description='Topic of the pictures.'),
        DeclareLaunchArgument('image_info', default_value='/camera/camera_info',
                              description="Topic of the colour camera's calibration."),
        DeclareLaunchArgument('registration', default_value='same',
                              description='same, as simulated pictures need it; rotation, depth '
                                          'or auto for a bag of cameras that stand apart.'),
        DeclareLaunchArgument('use_sim_time', default_value='true',
                              description='true: take the time from /clock.'),
        DeclareLaunchArgument('rviz', default_value='true', description='true: open RViz.'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            os.path.join(SHARE, 'launch', 'distill.launch.py'))),
        OpaqueFunction(function=_simulator),
    ])


def _simulator(context):
    """Return the simulator, unless a bag is replayed."""
    if LaunchConfiguration('bag').perform(context):
        return []
    return [LifecycleNode(
        package=PACKAGE, executable='simulator_node', name='simulator', output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[{'world': LaunchConfiguration('world'), 'split': 'test', 'loop': True,
                     'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
                     'rate_hz': 10.0, 'max_motion_px': 3.0, 'publish_clock': True}],
        remappings=[('events', LaunchConfiguration('events')),
                    ('camera_info', LaunchConfiguration('camera_info')),
                    ('image', LaunchConfiguration('image')),
                    ('image/camera_info', LaunchConfiguration('image_info'))],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])]
