# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag is played, a teacher labels what is seen, and events and labels go into a new bag."""
import os
import runpy

from ament_index_python.packages import get_package_share_directory, PackageNotFoundError
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, LogInfo, OpaqueFunction,
    RegisterEventHandler, Shutdown)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'depth_anyevent_ros'
SHARE = get_package_share_directory(PACKAGE)
parameter_files = runpy.run_path(os.path.join(SHARE, 'launch', 'parameter_files.py'))
shared = runpy.run_path(os.path.join(SHARE, 'launch', 'shared_arguments.py'))
# Launch arguments that stand for parameters of the distillation node: the parameter, its type.
OVERRIDES = {**shared['OVERRIDES'], 'transport': ('image.transport', str)}


def generate_launch_description():
    """Start player, distillation node and recorder; all ends when the last label is recorded."""
    return LaunchDescription([
        DeclareLaunchArgument('bag', default_value='',
                              description='The bag to label: a rosbag2 folder, a .db3 or an '
                                          '.mcap file.'),
        DeclareLaunchArgument('output', default_value='',
                              description='Folder in which a bag of the same name is made.'),
        DeclareLaunchArgument('transport', default_value='',
                              description='raw, or compressed for pictures on image/compressed. '
                                          'Empty: as in params_file (raw).'),
        DeclareLaunchArgument('params_file',
                              default_value=os.path.join(SHARE, 'config', 'distillation.yaml'),
                              description='Parameters of the distillation node, as '
                                          'config/distillation.yaml lists them; among them how '
                                          'the cameras stand (extrinsics).'),
        DeclareLaunchArgument('rate', default_value='1.0',
                              description='How fast the bag is played; less for a slow teacher.'),
        DeclareLaunchArgument('delay', default_value='10.0',
                              description='Seconds until ros2 bag play begins, which does not '
                                          'wait for the nodes.'),
        DeclareLaunchArgument('quiet_s', default_value='5.0',
                              description='It ends when the bag has been played and nothing has '
                                          'come for so many seconds.'),
        *shared['event_camera_arguments'](), *shared['teacher_arguments'](),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            os.path.join(SHARE, 'launch', 'transport.launch.py'))),
        OpaqueFunction(function=_check),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            os.path.join(SHARE, 'launch', 'visualize.launch.py')),
            condition=IfCondition(LaunchConfiguration('rviz'))),
        OpaqueFunction(function=_nodes),
    ])


def _check(context):
    """Raise an error, before anything runs, for what is missing."""
    values = {name: LaunchConfiguration(name).perform(context)
              for name in ('bag', 'output', 'params_file')}
    for name in ('bag', 'output'):
        if not values[name]:
            raise ValueError(f'label.launch.py needs bag:=BAG and output:=FOLDER; {name} is '
                             'missing')
    if not os.path.exists(os.path.expanduser(values['bag'])):
        raise FileNotFoundError(f'bag:={values["bag"]} does not exist')
    context.launch_configurations['params_file'] = parameter_files['parameter_file'](
        'params_file', values['params_file'])


def _nodes(context):
    """Return all nodes; a function, since empty arguments must not hide values of params_file."""
    events = LaunchConfiguration('events')
    image = LaunchConfiguration('image')
    labeller = LifecycleNode(
        package=PACKAGE, executable='distillation_node', name='distillation', output='screen',
        namespace='', parameters=[LaunchConfiguration('params_file'),
                                  {'mode': 'label', 'label.rate_hz': 0.0,
                                   **shared['given'](context, OVERRIDES)}],
        remappings=[('events', events), ('camera_info', LaunchConfiguration('camera_info')),
                    ('image', image), ('image/compressed', [image, '/compressed']),
                    ('image/camera_info', LaunchConfiguration('image_info'))],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])
    bag = os.path.abspath(os.path.expanduser(LaunchConfiguration('bag').perform(context)))
    name = os.path.basename(bag)
    name = os.path.splitext(name)[0] if os.path.isfile(bag) else name
    recorder = LifecycleNode(
        package=PACKAGE, executable='label_recorder_node', name='label_recorder', output='screen',
        namespace='', parameters=[{
            'output': os.path.join(LaunchConfiguration('output').perform(context), name),
            'quiet_s': ParameterValue(LaunchConfiguration('quiet_s'), value_type=float)}],
        remappings=[('events', events)],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])
    return [recorder, labeller, *_player(bag), RegisterEventHandler(OnProcessExit(
        target_action=recorder, on_exit=[Shutdown(reason='the recorder has ended')]))]


def _player(bag):
    """Return what plays the bag: ros2 bag where it is installed, else the replay node."""
    try:
        get_package_share_directory('ros2bag')
    except PackageNotFoundError:
        return [LogInfo(msg='ros2 bag is not installed: replay_node plays the bag.'),
                LifecycleNode(
                    package=PACKAGE, executable='replay_node', name='replay', output='screen',
                    namespace='', parameters=[{
                        'bag': bag, 'exit_when_done': True, 'wait_for_subscribers': 2,
                        'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float)}],
                    ros_arguments=['--log-level', LaunchConfiguration('log_level')])]
    return [ExecuteProcess(
        cmd=['ros2', 'bag', 'play', bag, '--rate', LaunchConfiguration('rate'),
             '--delay', LaunchConfiguration('delay')], output='screen')]
