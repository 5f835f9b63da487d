# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth from an event camera, or from a bag of one."""
import os
import runpy

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'depth_anyevent_ros'
SHARE = get_package_share_directory(PACKAGE)
parameter_files = runpy.run_path(os.path.join(SHARE, 'launch', 'parameter_files.py'))
shared = runpy.run_path(os.path.join(SHARE, 'launch', 'shared_arguments.py'))
# Launch arguments that name files of parameters, and where some may be named without a folder.
FILES = {'params_file': '', 'platform': os.path.join(SHARE, 'config', 'platforms')}
# Launch arguments that stand for parameters, by node.
OVERRIDES = {'inference': {'autostart': bool, 'camera_info_url': str, 'checkpoint': str,
                           'device': str, 'weights_dir': str},
             'replay': {'bag': str, 'loop': bool, 'wait_for_subscribers': int}}


def generate_launch_description():
    """Start the inference node, with bag:= also a replay, with rviz:=true also RViz."""
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='',
                              description='Namespace of the nodes and of their outputs.'),
        DeclareLaunchArgument('params_file',
                              default_value=os.path.join(SHARE, 'config', 'inference.yaml'),
                              description='Parameters of the nodes, as config/inference.yaml '
                                          'lists them.'),
        DeclareLaunchArgument('platform', default_value='',
                              description='drone, car, or a file like those in config/platforms: '
                                          'parameters that go before those of params_file.'),
        DeclareLaunchArgument('checkpoint', default_value='',
                              description='Weights of the student. Empty: as in params_file.'),
        DeclareLaunchArgument('device', default_value='',
                              description='auto, cpu, cuda or cuda:N. Empty: as in params_file '
                                          '(auto).'),
        DeclareLaunchArgument('weights_dir', default_value='',
                              description='Folder of the weight files that the topic weights may '
                                          'name. Empty: as in params_file (none).'),
        DeclareLaunchArgument('autostart', default_value='',
                              description='false: leave the lifecycle transitions to others. '
                                          'Empty: as in params_file (true).'),
        DeclareLaunchArgument('use_sim_time', default_value='false',
                              description='true: take the time from /clock.'),
        DeclareLaunchArgument('bag', default_value='',
                              description='A bag to replay at once; empty: none.'),
        DeclareLaunchArgument('loop', default_value='',
                              description='true: replay the bag over and over. Empty: as in '
                                          'params_file (false).'),
        DeclareLaunchArgument('wait_for_subscribers', default_value='',
                              description='How many nodes must listen to the events before the '
                                          'bag begins. Empty: as in params_file (1).'),
        *shared['event_camera_arguments'](),
        _include('transport.launch.py'),
        OpaqueFunction(function=_find_files),
        # Before the nodes, since launch leaves those behind that run when it misses RViz.
        _include('visualize.launch.py', condition=IfCondition(LaunchConfiguration('rviz'))),
        OpaqueFunction(function=_nodes),
    ])


def _include(name, **kwargs):
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.path.join(SHARE, 'launch', name)), **kwargs)


def _find_files(context):
    """Settle which files are meant, or raise FileNotFoundError; distill.launch.py reads them."""
    for name, folder in FILES.items():
        context.launch_configurations[name] = parameter_files['parameter_file'](
            name, LaunchConfiguration(name).perform(context), folder)


def _nodes(context):
    """Return the nodes; a function, since empty arguments must not hide values of params_file."""
    use_sim_time = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    events, camera_info = LaunchConfiguration('events'), LaunchConfiguration('camera_info')
    inference = _node(
        context, executable='inference_node', name='inference',
        parameters={'use_sim_time': use_sim_time, **_given(context, 'inference')},
        remappings=[('events', events), ('camera_info', camera_info)])
    replay = _node(
        context, executable='replay_node', name='replay', parameters=_given(context, 'replay'),
        remappings=[(shared['EVENTS'], events), (shared['CAMERA_INFO'], camera_info)])
    return [inference, replay] if LaunchConfiguration('bag').perform(context) else [inference]


def _given(context, node):
    """Return the parameters of a node that launch arguments set."""
    return shared['given'](context, {name: (name, kind) for name, kind in OVERRIDES[node].items()})


def _node(context, parameters, **kwargs):
    platform = LaunchConfiguration('platform').perform(context)
    files = [LaunchConfiguration('params_file'), *([platform] if platform else [])]
    return LifecycleNode(
        package=PACKAGE, namespace=LaunchConfiguration('namespace'), output='screen',
        parameters=[*files, parameters],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')], **kwargs)
