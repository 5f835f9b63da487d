# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch files run by the real ros2 launch, where that is installed."""
from __future__ import annotations

from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import signal
import subprocess

import pytest

from depth_anyevent_ros.nodes import topics

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [pytest.mark.ros, pytest.mark.skipif(
    not (find_spec('launch_ros') and shutil.which('ros2')),
    reason='launch_ros and ros2cli are not installed; they come with a ROS 2, not with wheels')]


@pytest.fixture
def infer(tmp_path):
    """Return a function that starts a launch file; its output is in the returned .log()."""
    from ros_graph import DOMAIN
    started = []

    def start(*arguments, file='infer.launch.py'):
        log = open(tmp_path / 'launch.log', 'w')
        process = subprocess.Popen(
            ['ros2', 'launch', 'depth_anyevent_ros', file, *arguments],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT,
            env={**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN), 'ROS_LOG_DIR': str(tmp_path)})
        process.log = lambda: Path(log.name).read_text()
        started.append(process)
        return process

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def test_infer_launch_makes_depth_from_a_bag(infer, client, own_recording, tmp_path):
    from ros_graph import wait_for
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2
    config = tmp_path / 'metric.yaml'
    config.write_text('/**/inference:\n  ros__parameters:\n    metric: {source: fixed}\n'
                      '    device: nonsense\n/**/replay:\n  ros__parameters: {loop: true}\n')
    for name, kind in ((topics.INVERSE_DEPTH, Image), (topics.INVERSE_DEPTH_INFO, CameraInfo),
                       (topics.DEPTH, Image), (topics.POINTS, PointCloud2)):
        client.listen(kind, f'/robot1/{name}')
    launched = infer('namespace:=robot1', 'events:=event_camera/events', f'bag:={own_recording}',
                     'camera_info:=event_camera/camera_info', 'device:=cpu',
                     f'params_file:={config}')
    try:
        wait_for(lambda: all(client.heard.values()), 60.0, 'all outputs')
    except AssertionError:
        pytest.fail(launched.log())
    depth, info = (client.heard[f'/robot1/{name}'][0]
                   for name in (topics.INVERSE_DEPTH, topics.INVERSE_DEPTH_INFO))
    assert depth.encoding == client.heard[f'/robot1/{topics.DEPTH}'][0].encoding == '32FC1'
    assert (depth.header, depth.width, depth.height) == (info.header, info.width, info.height)
    assert '/robot1/event_camera/events' in launched.log()


def test_infer_launch_leaves_the_transitions_to_others(infer, client):
    from lifecycle_msgs.msg import State
    from lifecycle_msgs.srv import GetState
    infer('autostart:=false', 'device:=cpu')
    state = client.call(GetState, '/inference/get_state', timeout=30.0).current_state
    assert state.id == State.PRIMARY_STATE_UNCONFIGURED


def test_drone_launch_labels_a_bag(infer, client, untrained_teacher, tmp_path):
    from rcl_interfaces.srv import GetParameters
    from ros_graph import wait_for
    from sensor_msgs.msg import Image

    from depth_anyevent_ros.cli.main import execute
    assert execute(['simulate', '--world', 'drone', '--duration', '1', '--binning', '2',
                    '--max-motion-px', '4', '--output', str(tmp_path / 'bag')]) == 0
    for name in (topics.PROXY_LABEL, topics.INVERSE_DEPTH):
        client.listen(Image, f'/robot1/{name}')
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text(''.join(
        f'{node}/distillation: {{ros__parameters: {{work_dir: {tmp_path}/{folder}}}}}\n'
        for node, folder in (('/**', 'others'), ('/robot1', 'work'))))
    launched = infer(
        'namespace:=robot1', f'bag:={tmp_path / "bag"}', 'loop:=true', 'mode:=label',
        f'teacher:={untrained_teacher}', 'registration:=same', 'image:=/camera/image',
        'image_info:=/camera/camera_info', f'params_file:={parameters}',
        file='drone.launch.py')
    try:
        wait_for(lambda: all(client.heard.values()), 60.0, 'label and depth')
    except AssertionError:
        pytest.fail(launched.log())
    rate, folder = client.call(
        GetParameters, '/robot1/inference/get_parameters',
        GetParameters.Request(names=['rate_hz', 'weights_dir'])).values
    assert rate.double_value == 20.0  # as config/platforms/drone.yaml says
    waits, = client.call(GetParameters, '/robot1/replay/get_parameters', GetParameters.Request(
        names=['wait_for_subscribers'])).values
    assert waits.integer_value == 2
    # The inference node is told where the distillation node's students go.
    assert folder.string_value == str(tmp_path / 'work' / 'weights')
