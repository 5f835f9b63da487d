# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Arguments that launch files share, and the parameters that some of them stand for.

Run by path, as parameter_files.py is.
"""
from __future__ import annotations

import os

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

SHARE = get_package_share_directory('depth_anyevent_ros')
# Where both camera drivers publish, hence also the names in most bags.
EVENTS = '/event_camera/events'
CAMERA_INFO = '/event_camera/camera_info'
# Arguments that stand for parameters of the distillation node: the parameter, its type.
OVERRIDES = {'camera_info_url': ('camera_info_url', str),
             'teacher': ('teacher.checkpoint', str), 'teacher_device': ('teacher.device', str),
             'registration': ('registration.mode', str)}


def event_camera_arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments of infer.launch.py, and so distill.launch.py, and label.launch.py."""
    return [
        DeclareLaunchArgument('events', default_value=EVENTS,
                              description='Topic of the event packets. A name without a slash '
                                          'in front is inside the namespace, where '
                                          'there is one.'),
        DeclareLaunchArgument('camera_info', default_value=CAMERA_INFO,
                              description="Topic of the event camera's calibration."),
        DeclareLaunchArgument('camera_info_url', default_value='',
                              description='File of the calibration of the event camera, where no '
                                          'driver publishes it. Empty: as in params_file (none).'),
        DeclareLaunchArgument('log_level', default_value='info',
                              description='debug, info, warn, error, or one for a single '
                                          'logger by its full name: NAME:=debug.'),
        DeclareLaunchArgument('rviz', default_value='false', description='true: open RViz.')]


def teacher_arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments of distill.launch.py and label.launch.py."""
    return [
        DeclareLaunchArgument('image', default_value='/camera/image_raw',
                              description='Topic of the pictures. Compressed ones are looked for '
                                          'below it, as image.transport says.'),
        DeclareLaunchArgument('image_info', default_value='/camera/camera_info',
                              description="Topic of the colour camera's calibration."),
        DeclareLaunchArgument('teacher', default_value='',
                              description='Weights of the teacher. Empty: as in params_file (the '
                                          'tiny one of this package).'),
        DeclareLaunchArgument('teacher_device', default_value='',
                              description='auto, cpu, cuda or cuda:N. Empty: as in params_file '
                                          '(auto).'),
        DeclareLaunchArgument('registration', default_value='',
                              description='same, rotation, depth or auto. Empty: as in '
                                          'params_file (auto).'),
        DeclareLaunchArgument('rviz_config',
                              default_value=os.path.join(SHARE, 'config', 'rviz', 'distill.rviz'),
                              description='Configuration file of RViz.')]


def given(context, overrides: dict[str, tuple[str, type]]) -> dict[str, ParameterValue]:
    """Return the parameters that arguments set; empty ones must not hide those of params_file."""
    return {parameter: ParameterValue(LaunchConfiguration(name), value_type=kind)
            for name, (parameter, kind) in overrides.items()
            if LaunchConfiguration(name).perform(context)}
