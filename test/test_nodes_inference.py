# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference node over real DDS: what it publishes, refuses, survives and reports."""
import itertools
import json
import math
import threading
import time

from event_camera_msgs.msg import EventPacket
from evt3_words import event_words
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_graph import Client, overrides, Spinner, wait_for, write_calibration
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger

from depth_anyevent_ros.datasets.messages import encode_event_packet
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student
from depth_anyevent_ros.networks.config import UNTRAINED
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.inference_node import InferenceNode

pytestmark = pytest.mark.ros
WIDTH, HEIGHT = 140, 98
EPOCH_S = 1_760_000_000
NUMBERS = itertools.count()


@pytest.fixture(scope='module')
def client():
    made = Client()
    made.events = made.node.create_publisher(EventPacket, 'events', QoSProfile(depth=1000))
    made.weights = made.node.create_publisher(
        String, 'weights', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    made.camera = made.node.create_publisher(CameraInfo, 'camera_info', 10)
    yield made
    made.close()


@pytest.fixture
def make_node(client, untrained_file):
    """Return a function that starts a node of a new name in a thread."""
    made = []

    def make(*remaps, **values):
        # A name is used once: rclpy keeps the services of a lifecycle node until the process ends.
        client.name = f'inference_{next(NUMBERS)}'
        arguments = ['--ros-args', '-r', f'__node:={client.name}']
        for remap in remaps:
            arguments += ['-r', remap]
        values = {'checkpoint': str(untrained_file), **values}
        spinner = Spinner()
        node = InferenceNode(context=spinner.context, cli_args=arguments,
                             parameter_overrides=overrides(**values))
        spinner.executor.add_node(node)
        made.append((spinner, node))
        node.started = node.start()
        return node
    yield make
    for spinner, node in made:
        spinner.executor.remove_node(node)
        node.close()
        node.destroy_node()
        spinner.close()
    client.deafen()


def message(i, **fields):
    """Return the i-th packet of 10 ms of a stream of random events."""
    rng = np.random.default_rng(i)
    times = np.sort(rng.integers(0, 10_000, 100)) + i * 10_000
    words = np.concatenate([
        event_words(int(t), int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)),
                    int(rng.integers(2))) for t in times]).astype('<u2')
    msg = EventPacket(height=HEIGHT, width=WIDTH, seq=i, encoding='evt3',
                      events=words.tobytes())
    msg.header.frame_id = 'event_camera_optical_frame'
    msg.header.stamp.sec = EPOCH_S + i // 100
    msg.header.stamp.nanosec = i % 100 * 10_000_000
    for name, value in fields.items():
        setattr(msg, name, value)
    return msg


def play(client, begin, end, **fields):
    """Publish packets to the node once it listens."""
    wait_for(lambda: listens(client), what='the node to subscribe')
    for i in range(begin, end):
        client.events.publish(message(i, **fields))


def listens(client):
    """Return whether the node hears what is published, and not one that is about to vanish."""
    found = client.node.get_subscriptions_info_by_topic('events')
    return client.events.get_subscription_count() == 1 \
        and [info.node_name for info in found] == [client.name]


def listen(client, kind=Image, topic='inverse_depth/image'):
    client.listen(kind, topic)
    wait_for(lambda: client.node.count_publishers(topic) == 1, what=f'a publisher of {topic}')


def values(client):
    return client.diagnostics(f'{client.name}: inference')[2]


def calibrate(client):
    """Publish the calibration, which is best effort, until the node has it."""
    def received():
        client.camera.publish(calibration())
        time.sleep(0.1)
        return values(client).get('calibration') == 'received'
    wait_for(received, what='the node to have the calibration')


def calibration():
    info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model='plumb_bob',
                      d=[-.2, .05, 0., 0., 0.])
    info.k = [100., 0., 69.5, 0., 110., 48.5, 0., 0., 1.]
    info.p = [100., 0., 69.5, 0., 0., 110., 48.5, 0., 0., 0., 1., 0.]
    return info


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


def test_without_calibration_inverse_depth_still_comes(client, make_node):
    make_node(metric__source='fixed')
    listen(client)
    listen(client, CameraInfo, 'inverse_depth/camera_info')
    listen(client, PointCloud2, 'depth/points')
    play(client, 0, 25)
    wait_for(lambda: len(client.heard['inverse_depth/camera_info']) == 2)
    info = client.heard['inverse_depth/camera_info'][0]
    assert (info.width, info.height, info.k[0]) == (140, 98, 0.0)  # REP 104: not calibrated
    assert not client.heard['depth/points']


def test_a_calibration_file_is_used_whatever_is_published(client, make_node, tmp_path):
    file = tmp_path / 'camera.yaml'
    write_calibration(file, CameraModel.from_info(calibration()))
    make_node(metric__source='fixed', camera_info_url=f'file://{file}')
    for kind, topic in ((Image, 'inverse_depth/image'), (PointCloud2, 'depth/points'),
                        (CameraInfo, 'inverse_depth/camera_info')):
        listen(client, kind, topic)
    other = calibration()
    other.k[0] = 90.0
    wait_for(lambda: client.camera.get_subscription_count() == 1, what='its subscription')
    for _ in range(5):
        client.camera.publish(other)
        time.sleep(0.05)
    play(client, 0, 25)
    wait_for(lambda: client.heard['depth/points'])
    assert client.heard['inverse_depth/camera_info'][-1].k[0] == 100.0
    wait_for(lambda: values(client).get('calibration') == 'file')


def test_a_calibration_file_that_is_not_there_is_told_when_it_starts(make_node, capfd):
    node = make_node(camera_info_url='/nowhere/camera.yaml')
    assert not node.started
    assert '/nowhere/camera.yaml' in capfd.readouterr().err


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


def test_without_a_subscriber_nothing_is_inferred(client, make_node):
    node = make_node()
    # The subscriptions of the test before may still be known for a moment.
    wait_for(lambda: not any(node.count_subscribers(topic) for topic in topics.INFERENCE_OUTPUTS
                             if topic != topics.DIAGNOSTICS), what='nobody to listen')
    play(client, 0, 30)
    wait_for(lambda: values(client).get('unheard_packets') == '30')
    assert values(client)['inferred'] == '0'


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


def announce(client, **fields):
    client.weights.publish(String(data=json.dumps(fields)))


def test_weights_are_swapped_while_running_and_bad_ones_refused(client, make_node, tmp_path):
    student = untrained_student('tiny-r', seed=5)
    digest = save_checkpoint(tmp_path / '2-abc.safetensors', student.network, student.config)
    outside = tmp_path.parent / 'outside.safetensors'
    save_checkpoint(outside, student.network, student.config)
    make_node(weights_dir=str(tmp_path))
    listen(client)
    wait_for(lambda: client.weights.get_subscription_count() == 1)
    refused = [{'file': f'../{outside.name}', 'sha256': digest}, {'sha256': digest},
               {'file': '2-abc.safetensors', 'sha256': '0' * 64},
               {'file': 'missing.safetensors', 'sha256': digest}]
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


CALIBRATION = """
image_width: 140
image_height: 98
camera_matrix: {rows: 3, cols: 3, data: [100, 0, 69.5, 0, 110, 48.5, 0, 0, 1]}
distortion_model: %s
distortion_coefficients: {rows: 1, cols: 4, data: [-0.3, 0.05, 0, 0]}
projection_matrix: {rows: 3, cols: 4, data: [60, 0, 69.5, 0, 0, 66, 48.5, 0, 0, 0, 1, 0]}
"""


def test_the_events_are_rectified_by_the_calibration_of_a_file(client, make_node, tmp_path):
    path = tmp_path / 'camera.yaml'
    path.write_text(CALIBRATION % 'plumb_bob')
    make_node(camera_info_url=f'file://{path}', metric__source='fixed')
    listen(client)
    for kind, topic in ((CameraInfo, 'inverse_depth/camera_info'),
                        (PointCloud2, 'depth/points')):
        listen(client, kind, topic)
    play(client, 0, 25)
    wait_for(lambda: len(client.heard['depth/points']) == 2)
    info = client.heard['inverse_depth/camera_info'][-1]
    assert (info.k[0], info.k[4], info.p[0]) == (60.0, 66.0, 60.0) and not any(info.d)
    inverse = np.frombuffer(client.heard['inverse_depth/image'][-1].data, np.float32)
    unseen = np.isnan(inverse.reshape(98, 140))
    assert unseen[0, 0] and unseen[-1, -1] and not unseen[30:60, 40:100].any()
    cloud = np.frombuffer(client.heard['depth/points'][-1].data, np.float32).reshape(98, 140, 3)
    np.testing.assert_array_equal(np.isnan(cloud[..., 2]), unseen)
    z = cloud[20, 30, 2]
    np.testing.assert_allclose(cloud[20, 30], [z * (30 - 69.5) / 60, z * (20 - 48.5) / 66, z],
                               rtol=1e-5)
    wait_for(lambda: values(client).get('rectified') == 'True')
    assert values(client).get('calibration') == 'file'


def test_a_calibration_that_comes_late_begins_the_stream_anew(client, make_node):
    make_node()
    for kind, topic in ((Image, 'inverse_depth/image'), (CameraInfo, 'inverse_depth/camera_info')):
        listen(client, kind, topic)
    play(client, 0, 25)
    wait_for(lambda: client.heard['inverse_depth/camera_info'])
    assert client.heard['inverse_depth/camera_info'][-1].k[0] == 0.0
    calibrate(client)
    wait_for(lambda: values(client).get('recalibrations') == '1')
    play(client, 25, 60)
    wait_for(lambda: client.heard['inverse_depth/camera_info'][-1].k[0] == 100.0)
    wait_for(lambda: values(client).get('rectified') == 'True')


def test_without_rectification_the_distortion_is_published(client, make_node):
    make_node(rectify=False)
    listen(client, CameraInfo, 'inverse_depth/camera_info')
    calibrate(client)
    play(client, 0, 25)
    wait_for(lambda: client.heard['inverse_depth/camera_info'])
    info = client.heard['inverse_depth/camera_info'][-1]
    assert list(info.d) == list(calibration().d) and info.distortion_model == 'plumb_bob'
    wait_for(lambda: values(client).get('rectified') == 'False')


@pytest.mark.parametrize('url, content, words', [
    ('file://{}', CALIBRATION % 'thin_prism', 'thin_prism'), ('{}', 'image_width: 3', 'YAML'),
    ('{}', None, 'cannot be read'), ('http://x/camera.yaml', None, 'package://'),
    ('package://no_such_package/camera.yaml', None, 'no_such_package'),
    ('{}', (CALIBRATION % 'plumb_bob').replace('[60,', '[-60,'), 'focal')])
def test_a_bad_calibration_file_is_refused(make_node, tmp_path, capfd, url, content, words):
    path = tmp_path / 'camera.yaml'
    if content is not None:
        path.write_text(content)
    node = make_node(camera_info_url=url.format(path))
    assert not node.started and not node.configured
    output = ''.join(capfd.readouterr())
    assert 'camera_info_url' in output and words in output and 'Traceback' not in output


def test_a_calibration_of_another_size_is_not_used(client, make_node, tmp_path, capfd):
    path = tmp_path / 'camera.yaml'
    path.write_text(CALIBRATION % 'plumb_bob')
    make_node(camera_info_url=str(path))
    listen(client, CameraInfo, 'inverse_depth/camera_info')
    play(client, 0, 25, width=112, height=84)
    wait_for(lambda: client.heard['inverse_depth/camera_info'])
    assert client.heard['inverse_depth/camera_info'][-1].k[0] == 0.0
    wait_for(lambda: values(client).get('rectified') == 'False')
    assert 'The calibration is for 140x98 pixels' in ''.join(capfd.readouterr())


def test_hot_pixels_of_the_sensor_are_left_out_and_kept(client, make_node, tmp_path):
    file = tmp_path / 'bay_7_140x98.json'
    file.write_text('{"width": 140, "height": 98, "hot_pixels": [[70, 50], [3, 4]]}')
    make_node(sensor_name='bay 7', state_dir=str(tmp_path))
    listen(client)
    play(client, 0, 25)
    wait_for(lambda: client.heard['inverse_depth/image'])
    wait_for(lambda: values(client).get('hot pixels') == '2')
    shown = values(client)
    assert (shown['flicker (Hz)'], shown['rate ceiling (events/s)']) == ('0', '0')
    assert json.loads(file.read_text())['hot_pixels'] == [[70, 50], [3, 4]]


def test_new_hot_pixels_are_kept_when_the_node_ends(client, make_node, tmp_path):
    node = make_node(state_dir=str(tmp_path), events__queue_mb=512)
    listen(client)
    wait_for(lambda: listens(client), what='the node to subscribe')
    rng = np.random.default_rng(0)
    encoder = Evt3Encoder()
    for i in range(340):  # 34 s of sensor time, in which it is looked at eight times
        begin, count = i * 100_000_000, 1500
        t = begin + np.sort(rng.integers(0, 100_000, count)) * 1000
        x, y = rng.integers(0, WIDTH, count), rng.integers(0, HEIGHT, count)
        x[::20], y[::20] = 33, 44
        data = encoder.encode(Events(t, x.astype(np.uint16), y.astype(np.uint16),
                                     np.ones(count, np.uint8)), end_ns=begin + 100_000_000)
        client.events.publish(encode_event_packet(Packet(
            data, 'evt3', WIDTH, HEIGHT, i, stamp_ns=10**18 + begin, frame_id='front/camera')))
        time.sleep(0.002)
    wait_for(lambda: values(client).get('hot pixels') == '1')
    node.trigger_deactivate()
    file = tmp_path / 'front_camera_140x98.json'
    wait_for(file.exists)
    assert json.loads(file.read_text())['hot_pixels'] == [[33, 44]]
