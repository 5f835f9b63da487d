# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference node over real DDS: what it publishes, refuses, survives and reports."""
import itertools
import json
import math
import re
import sys
import threading
import time

from event_camera_msgs.msg import EventPacket
from inference_graph import (
    calibrate, calibration, EPOCH_S, inference_client, listen, message, play, play_until,
    status, values)
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_graph import node_maker, wait_for
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger

from depth_anyevent_ros.models import bundled_file
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student
from depth_anyevent_ros.networks.config import UNTRAINED
from depth_anyevent_ros.networks.handover import read_announced
from depth_anyevent_ros.networks.runtime import TorchRuntime
from depth_anyevent_ros.nodes import inference_report, topics, weights_subscription
from depth_anyevent_ros.nodes.inference_node import InferenceNode

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def client():
    with inference_client() as made:
        yield made


@pytest.fixture
def make_node(client, untrained_file):
    with node_maker(client, InferenceNode, 'inference', checkpoint=str(untrained_file)) as make:
        yield make


def test_all_outputs_with_a_metric_scale(client, make_node):
    make_node(metric__source='fixed', metric__scale=0.5, metric__max_range=50.0)
    kinds = {'inverse_depth/image': Image, 'inverse_depth/camera_info': CameraInfo,
             'visualization/image': Image, 'visualization/events': Image,
             'depth/image': Image, 'depth/camera_info': CameraInfo, 'depth/points': PointCloud2}
    for topic, kind in kinds.items():
        listen(client, kind, topic)
    calibrate(client)
    play(client, 0, 35)
    wait_for(lambda: all(len(client.heard[topic]) == 3 for topic in kinds),
             what='three windows on every topic')
    heard = {topic: client.heard[topic][-1] for topic in kinds}
    headers = {(m.header.stamp.sec, m.header.stamp.nanosec, m.header.frame_id)
               for m in heard.values()}
    assert len(headers) == 1
    sec, nanosec, frame = headers.pop()
    assert frame == 'event_camera_optical_frame'
    # The window ends at 0.3 s of sensor time; packets are stamped with the time of their start,
    # so the offset is that of the packet whose first event came earliest.
    assert sec == EPOCH_S and nanosec == pytest.approx(3e8, abs=2e6)
    image = heard['inverse_depth/image']
    assert (image.width, image.height, image.encoding) == (140, 98, '32FC1')
    inverse = np.frombuffer(image.data, np.float32).reshape(98, 140)
    assert np.isfinite(inverse).all() and inverse.std() > 0
    info = heard['inverse_depth/camera_info']
    assert list(info.k) == list(calibration().k) and (info.width, info.height) == (140, 98)
    assert not any(info.d)  # the events are rectified, and so is the picture
    picture = heard['visualization/image']
    assert (picture.encoding, picture.step) == ('bgr8', 3 * 140)
    events = np.frombuffer(heard['visualization/events'].data, np.uint8).reshape(98, 140, 3)
    assert (events == 255).all(-1).any() and not (events == 255).all()
    depth = np.frombuffer(heard['depth/image'].data, np.float32).reshape(98, 140)
    finite = np.isfinite(depth)
    np.testing.assert_allclose(depth[finite], 1 / (0.5 * inverse[finite]), rtol=1e-5)
    cloud = np.frombuffer(heard['depth/points'].data, np.float32).reshape(98, 140, 3)
    np.testing.assert_array_equal(cloud[..., 2][finite], depth[finite])
    wait_for(lambda: values(client).get('published') == '3')
    report = values(client)
    assert (report['packets'], report['gaps'], report['skipped']) == ('35', '0', '0')
    assert report['events'] == '3500' and float(report['latency p99 (ms)']) > 0
    assert report['trained_on'] == UNTRAINED
    assert client.diagnostics(f'{client.name}: inference')[0] == 1  # a warning: untrained


def test_a_best_effort_driver_is_heard(client, make_node):
    driver = client.node.create_publisher(
        EventPacket, 'driver', QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT))
    make_node('events:=driver')
    listen(client)
    wait_for(lambda: driver.get_subscription_count() == 1, what='a matching subscription')
    numbers = itertools.count()

    def heard():  # what is sent before the reader knows the writer is lost: best effort
        driver.publish(message(next(numbers)))
        return client.heard['inverse_depth/image']
    wait_for(heard)
    client.node.destroy_publisher(driver)


def test_bad_packets_are_told_and_the_node_stays_up(client, make_node):
    make_node()
    listen(client)
    play(client, 0, 3, encoding='trigger')
    wait_for(lambda: values(client).get('bad_packets') == '3')
    level, sentence, report = client.diagnostics(f'{client.name}: inference')
    assert level == 2 and "'trigger'" in sentence and 'evt3' in sentence
    play(client, 3, 5, width=0)
    wait_for(lambda: values(client).get('bad_packets') == '5')
    half = message(0).events[:101].tobytes()
    play(client, 10, 11, events=half)
    play(client, 11, 40)
    wait_for(lambda: len(client.heard['inverse_depth/image']) >= 2)
    wait_for(lambda: values(client).get('packets') == '30')


def test_losses_and_a_changed_sensor_are_counted(client, make_node):
    make_node()
    listen(client)
    play(client, 0, 15)
    play(client, 17, 40)
    play(client, 40, 70, width=112, height=84)
    wait_for(lambda: client.heard['inverse_depth/image']
             and client.heard['inverse_depth/image'][-1].width == 112)
    wait_for(lambda: values(client).get('size_changes') == '1')
    assert values(client)['gaps'] == '1' and values(client)['lost_packets'] == '2'


def test_a_sensor_larger_than_its_packets_say_is_told(client, make_node):
    make_node()
    listen(client)
    sent = itertools.count()

    def told():
        play(client, next(sent), next(sent) + 1, width=70)
        return 'many events lie beyond the sensor' in status(client)[1]
    wait_for(told)
    assert status(client)[0] == 1 and int(values(client)['out_of_range']) > 0


def test_windows_of_a_count_of_events(client, make_node):
    make_node(window__mode='count', window__count=700)
    listen(client)
    play(client, 0, 35)  # 100 events in each
    wait_for(lambda: values(client).get('published') == '5')
    assert len(client.heard['inverse_depth/image']) == 5


def test_without_a_subscriber_nothing_is_inferred(client, make_node):
    node = make_node()
    # The subscriptions of the test before may still be known for a moment.
    wait_for(lambda: not any(node.count_subscribers(topic) for topic in topics.INFERENCE_OUTPUTS
                             if topic != topics.DIAGNOSTICS), what='nobody to listen')
    play(client, 0, 30)
    wait_for(lambda: values(client).get('unheard_packets') == '30')
    level, sentence, report = client.diagnostics(f'{client.name}: inference')
    assert report['inferred'] == '0'
    assert level == 0 and 'nobody listens' in sentence


def test_who_wants_metres_and_gets_none_is_told_why(client, make_node):
    node = make_node(metric__source='none')
    wait_for(lambda: not node.count_subscribers('inverse_depth/image'), what='nobody to listen')
    listen(client, topic='depth/image')
    play(client, 0, 30)
    wait_for(lambda: 'metric.source is none' in status(client)[1])
    assert status(client)[0] == 1 and values(client)['published'] == '0'


def test_packets_that_never_fill_a_window_are_told(client, make_node, monkeypatch):
    monkeypatch.setattr(inference_report, 'WINDOWLESS_S', 0.5)
    make_node(window__mode='count', window__count=1_000_000)
    listen(client)
    play(client, 0, 10)

    play_until(client, lambda: 'no window of events is complete' in status(client)[1], 10)
    assert status(client)[0] == 1


def test_a_window_is_waited_for_anew_after_a_silence(client, make_node, monkeypatch):
    monkeypatch.setattr(inference_report, 'SILENCE_S', 0.5)
    monkeypatch.setattr(inference_report, 'WINDOWLESS_S', 1.2)
    make_node(window__mode='count', window__count=1_000_000)
    listen(client)
    sent = play_until(client, lambda: 'UNTRAINED' in status(client)[1])
    wait_for(lambda: 'no event packet for 2 s' in status(client)[1])
    play_until(client, lambda: 'no event packet' not in status(client)[1], sent)
    assert 'UNTRAINED' in status(client)[1]


def test_transitions_by_a_manager_and_reset(client, make_node):
    node = make_node(autostart=False)
    change = f'/{client.name}/change_state'

    def transition(number):
        request = ChangeState.Request(transition=Transition(id=number))
        return client.call(ChangeState, change, request).success

    def state():
        return client.call(GetState, f'/{client.name}/get_state').current_state.label
    assert state() == 'unconfigured'
    assert not client.call(Trigger, f'/{client.name}/reset').success
    assert transition(Transition.TRANSITION_CONFIGURE)
    assert transition(Transition.TRANSITION_ACTIVATE)
    assert state() == 'active'
    listen(client)
    play(client, 0, 15)
    wait_for(lambda: len(client.heard['inverse_depth/image']) == 1)
    assert client.call(Trigger, f'/{client.name}/reset').success
    assert transition(Transition.TRANSITION_DEACTIVATE)
    assert client.node.count_subscribers('events') == 0
    assert transition(Transition.TRANSITION_ACTIVATE)
    play(client, 15, 32)
    wait_for(lambda: len(client.heard['inverse_depth/image']) == 2)
    assert transition(Transition.TRANSITION_DEACTIVATE)
    assert transition(Transition.TRANSITION_CLEANUP)
    assert state() == 'unconfigured'
    assert not node.configured


def test_parameters_are_checked_with_a_reason(client, make_node):
    make_node()

    def refusal(name, value):
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()])
        return client.call(SetParameters, f'/{client.name}/set_parameters', request).results[0]
    assert 'metric.source' in refusal('metric.source', 'magic').reason
    assert 'clean' in refusal('rate_hz', 20.0).reason
    assert not refusal('metric.scale', -1.0).successful
    assert refusal('metric.source', 'fixed').successful
    both = refusal('metric.max_range', 0.05)
    assert not both.successful and 'min_range' in both.reason
    assert refusal('metric.scale', 2.0).successful


@pytest.mark.parametrize('content, words', [
    (None, 'does not exist'), (b'', 'empty'), (b'\x80\x04c__builtin__\neval\n.', 'torch'),
    (b'<html>not found</html>', 'safetensors')])
def test_a_bad_checkpoint_is_a_failed_transition(make_node, tmp_path, capfd, content, words):
    path = tmp_path / 'student.safetensors'
    if content is not None:
        path.write_bytes(content)
    node = make_node(checkpoint=str(path))
    assert not node.started and not node.configured
    output = ''.join(capfd.readouterr())
    assert words in output and 'Traceback' not in output


def test_a_runtime_that_is_not_installed_is_told(client, make_node, trained_file, monkeypatch,
                                                 capfd):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    make_node(checkpoint=str(trained_file), runtime='openvino', rate_hz=2.0)
    words = 'OpenVINO was asked for, but it is not installed'
    assert re.search(rf'\[WARN\].*{words}', ''.join(capfd.readouterr()))
    listen(client)
    play_until(client, lambda: words in status(client)[1])
    assert status(client)[0] == 1 and 'so torch runs the network' in status(client)[1]
    assert words in values(client)['fallback'] and 'torch' in values(client)['runtime']


def test_a_gpu_that_fails_while_it_runs_is_told(client, make_node, trained_file, capfd):
    node = make_node(checkpoint=str(trained_file), rate_hz=2.0)
    listen(client)
    sent = play_until(client, lambda: status(client)[0] == 0)
    words, log = 'cuda:0 has failed, so the network runs on the CPU', []
    node._estimator.runtime.fallback = words  # which the runtime says, see test_networks_cuda.py

    def logged():
        log.append(''.join(capfd.readouterr()))
        return re.search(rf'\[ERROR\].*{words}', ''.join(log))
    wait_for(logged)
    play_until(client, lambda: words in status(client)[1], sent)
    assert status(client)[0] == 1 and values(client)['fallback'] == words


def test_without_a_checkpoint_the_bundled_student_runs(client, make_node, capfd):
    make_node(checkpoint='', rate_hz=2.0)
    path, digest = bundled_file('student')
    log = ''.join(capfd.readouterr())
    assert re.search(rf'\[INFO\].*Student: {path.name}, trained on .*simulated scenes', log)
    listen(client)
    play_until(client, lambda: 'simulated scenes' in status(client)[1])
    assert status(client)[0] == 0
    assert (values(client)['checkpoint'], values(client)['sha256']) == (path.name, digest[:12])
    play_until(client, lambda: client.heard['inverse_depth/image'], begin=10_000)


def announce(client, **fields):
    client.weights.publish(String(data=json.dumps(fields)))


def test_weights_are_swapped_while_running_and_bad_ones_refused(client, make_node, tmp_path,
                                                                monkeypatch):
    def read(announcement, folder):
        return {}[0] if 'odd' in announcement else read_announced(announcement, folder)
    monkeypatch.setattr(weights_subscription, 'read_announced', read)
    student = untrained_student('tiny-r', seed=5)
    digest = save_checkpoint(tmp_path / '2-abc.safetensors', student.network, student.config)
    outside = tmp_path.parent / 'outside.safetensors'
    save_checkpoint(outside, student.network, student.config)
    make_node(weights_dir=str(tmp_path))
    listen(client)
    wait_for(lambda: client.weights.get_subscription_count() == 1)
    refused = [{'file': f'../{outside.name}', 'sha256': digest}, {'sha256': digest},
               {'file': '2-abc.safetensors', 'sha256': '0' * 64},
               {'file': 'missing.safetensors', 'sha256': digest},
               {'file': 'odd.safetensors', 'sha256': digest}]
    for count, fields in enumerate(refused, start=1):
        announce(client, **fields)
        wait_for(lambda: values(client).get('weights refused') == str(count))
    assert values(client)['weights swapped'] == '0'
    play(client, 0, 15)
    announce(client, file='2-abc.safetensors', sha256=digest, version=2)
    wait_for(lambda: values(client).get('sha256') == digest[:12])
    play(client, 15, 30)
    wait_for(lambda: len(client.heard['inverse_depth/image']) == 2)
    before, after = (np.frombuffer(m.data, np.float32)
                     for m in client.heard['inverse_depth/image'])
    assert not math.isclose(before.mean(), after.mean(), rel_tol=1e-3)
    outside.unlink()


def test_pixels_that_are_no_number_are_told(client, make_node, monkeypatch):
    predict = TorchRuntime._predict

    def overflowing(self, image):
        result = predict(self, image)
        result[0, 0] = np.inf
        return result
    monkeypatch.setattr(TorchRuntime, '_predict', overflowing)
    make_node()
    listen(client)
    play_until(client, lambda: 'no number' in status(client)[1])
    assert status(client)[0] == 1 and int(values(client)['non-finite pixels']) > 0


def test_a_flood_of_announcements_is_read_one_by_one(client, make_node, tmp_path):
    student = untrained_student('tiny', seed=7)
    digest = save_checkpoint(tmp_path / 'a.safetensors', student.network, student.config)
    node = make_node(weights_dir=str(tmp_path))
    wait_for(lambda: client.weights.get_subscription_count() == 1)
    before = threading.active_count()
    for _ in range(50):
        announce(client, file='a.safetensors', sha256=digest)
    wait_for(lambda: values(client).get('sha256') == digest[:12])
    assert threading.active_count() <= before
    begin = time.monotonic()
    node.close()
    assert time.monotonic() - begin < 10


def test_a_result_that_cannot_be_published_is_told_and_the_next_one_is(client, make_node,
                                                                       monkeypatch):
    from depth_anyevent_ros.nodes import depth_publisher
    to_image, calls = depth_publisher.to_image, []

    def fails_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyError(16)
        return to_image(*arguments)
    monkeypatch.setattr(depth_publisher, 'to_image', fails_once)
    make_node()
    listen(client)
    play(client, 0, 35)
    wait_for(lambda: len(client.heard['inverse_depth/image']) == 2)
    wait_for(lambda: values(client).get('failed_to_publish') == '1')
    assert 'KeyError' in client.diagnostics(f'{client.name}: inference')[1]
