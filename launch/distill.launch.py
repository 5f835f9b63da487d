# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth from an event camera by a student that learns from the colour camera beside it."""
import os
import runpy

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetLaunchConfiguration)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'depth_anyevent_ros'
SHARE = get_package_share_directory(PACKAGE)
parameter_files = runpy.run_path(os.path.join(SHARE, 'launch', 'parameter_files.py'))
shared = runpy.run_path(os.path.join(SHARE, 'launch', 'shared_arguments.py'))
CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), PACKAGE)
# What infer.launch.py declares is not known yet where these are settled.
NOT_GIVEN = {'platform': '', 'namespace': '', 'wait_for_subscribers': ''}
LISTENERS = '2'  # to events: a bag that began with the first would be over for the second
# Launch arguments that stand for parameters: the parameter, and its type.
OVERRIDES = {**shared['OVERRIDES'], 'autostart': ('autostart', bool),
             'checkpoint': ('checkpoint', str), 'mode': ('mode', str)}


def generate_launch_description():
    """Start what infer.launch.py starts, and the distillation node; further arguments are its."""
    return LaunchDescription([
        DeclareLaunchArgument('mode', default_value='',
                              description='label: publish labels only. distill: train too. '
                                          'Empty: as in params_file (distill).'),
        DeclareLaunchArgument('work_dir', default_value='',
                              description='Folder of the state of training. Another one begins '
                                          'anew. Empty: as in params_file '
                                          '(~/.cache/depth_anyevent_ros).'),
        DeclareLaunchArgument('weights_dir', default_value='',
                              description='Folder through which students go from training to '
                                          'inference, which both nodes are told. Empty: as in '
                                          'params_file (weights in work_dir).'),
        DeclareLaunchArgument('params_file',
                              default_value=os.path.join(SHARE, 'config', 'distillation.yaml'),
                              description='Parameters of the nodes, as config/distillation.yaml '
                                          'and config/inference.yaml list them.'),
        *shared['teacher_arguments'](),
        OpaqueFunction(function=_settle),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            os.path.join(SHARE, 'launch', 'infer.launch.py'))),
        OpaqueFunction(function=_distillation),
    ])


def _settle(context):
    """Settle here what two nodes share: the folders, and the bag that begins when both listen."""
    given = {**NOT_GIVEN, **context.launch_configurations}
    find, value_for = parameter_files['parameter_file'], parameter_files['value_for']
    files = [find('params_file', given['params_file']),
             find('platform', given['platform'], os.path.join(SHARE, 'config', 'platforms'))]
    inside = f'/{given["namespace"].strip("/")}/'.replace('//', '/')
    work_dir, weights_dir = (
        os.path.expanduser(value_for(f'{inside}distillation', name, files, given[name]))
        for name in ('work_dir', 'weights_dir'))
    listeners = value_for(f'{inside}replay', 'wait_for_subscribers', files,
                          given['wait_for_subscribers'])
    work_dir = work_dir or CACHE
    return [SetLaunchConfiguration('wait_for_subscribers', listeners or LISTENERS),
            SetLaunchConfiguration('work_dir', work_dir),
            SetLaunchConfiguration('weights_dir',
                                   weights_dir or os.path.join(work_dir, 'weights'))]


def _distillation(context):
    """Return the node; a function, since empty arguments must not hide values of params_file."""
    given = shared['given'](context, OVERRIDES)
    image = LaunchConfiguration('image')
    platform = LaunchConfiguration('platform').perform(context)  # a file, by infer.launch.py
    return [LifecycleNode(
        package=PACKAGE, executable='distillation_node', name='distillation', output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'), *([platform] if platform else []), {
            'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
            'work_dir': LaunchConfiguration('work_dir'),
            'weights_dir': LaunchConfiguration('weights_dir'), **given}],
        remappings=[('events', LaunchConfiguration('events')),
                    ('camera_info', LaunchConfiguration('camera_info')),
                    ('image', image), ('image/compressed', [image, '/compressed']),
                    ('image/camera_info', LaunchConfiguration('image_info'))],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])]
