# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The distillation node over real DDS: labels, training, promotion, and what goes wrong."""
from dataclasses import replace
import itertools
import json
import threading
import time

from event_camera_msgs.msg import EventPacket
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import Client, node_maker, wait_for, write_calibration
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from depth_anyevent_ros.datasets.messages import encode_event_packet
from depth_anyevent_ros.distillation.online import where_to_learn
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry import rectification
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.networks.handover import read_announced
from depth_anyevent_ros.nodes import extrinsics
from depth_anyevent_ros.nodes.conversions import to_camera_info, to_header, to_image
from depth_anyevent_ros.nodes.distillation_node import DistillationNode
from depth_anyevent_ros.simulation.output import (
    CAMERA_INFO, Counts, driver_messages, EVENTS, IMAGE, IMAGE_INFO, observed, TRUTH)
from depth_anyevent_ros.simulation.recording import DriverConfig
from depth_anyevent_ros.simulation.worlds import make_world

pytestmark = pytest.mark.ros
TOPICS = {EVENTS: EventPacket, CAMERA_INFO: CameraInfo, IMAGE: Image, IMAGE_INFO: CameraInfo,
          TRUTH: Image}
TEACHER, LABEL, FACTS = 'teacher/inverse_depth', 'proxy_label/image', 'proxy_label/info'


@pytest.fixture(scope='module')
def drive():
    """Return the messages of a short drive."""
    world = make_world('car', 3, 1_200_000_000, level=0.5, max_motion_px=4.0, binning=2)
    simulation = observed(world.simulation, 20.0, True)
    return list(driver_messages(simulation, DriverConfig(seed=3, ros_start_ns=10**18), Counts()))


@pytest.fixture(scope='module')
def client():
    made = Client()
    made.publishers = {
        name: made.node.create_publisher(kind, name, QoSProfile(depth=1000))
        for name, kind in {**TOPICS, TEACHER: Image,
                           'image/compressed': CompressedImage}.items()}
    yield made
    made.close()


@pytest.fixture
def make_node(client, untrained_file, untrained_teacher, tmp_path):
    with node_maker(client, DistillationNode, 'distillation', checkpoint=str(untrained_file),
                    teacher__checkpoint=str(untrained_teacher), registration__mode='same',
                    mode='label', label__rate_hz=0.0, work_dir=str(tmp_path / 'work')) as make:
        yield make


def diagnostics(client):
    return client.diagnostics(f'{client.name}: distillation')


def play(client, messages, leave_out=(), speed=1.0, renamed=None, offset_ns=0):
    """Publish messages in real time."""
    renamed = renamed or {}
    begin, first = time.monotonic(), messages[0].received_ns
    for message in messages:
        if message.topic in leave_out or message.topic not in TOPICS:
            continue
        left = (message.received_ns - first) / 1e9 / speed - (time.monotonic() - begin)
        if left > 0:
            time.sleep(left)
        publisher = client.publishers[renamed.get(message.topic, message.topic)]
        value = message.value
        header = to_header(message.stamp_ns + offset_ns, message.frame_id)
        if isinstance(value, Packet):
            publisher.publish(encode_event_packet(replace(
                value, stamp_ns=value.stamp_ns + offset_ns)))
        elif isinstance(value, CameraModel):
            publisher.publish(to_camera_info(value, header))
        else:
            publisher.publish(to_image(value, message.encoding, header))


def ready(client, topics=(EVENTS, IMAGE)):
    for topic in topics:
        wait_for(lambda: client.publishers[topic].get_subscription_count() == 1, what=topic)
    time.sleep(0.3)


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_each_picture_gives_a_label_in_the_events_view(client, drive, make_node,
                                                       untrained_teacher):
    for kind, name in ((Image, LABEL), (CameraInfo, 'proxy_label/camera_info'), (String, FACTS)):
        client.listen(kind, name)
    make_node()
    ready(client)
    play(client, drive)
    pictures = [message for message in drive if message.topic == IMAGE]
    wait_for(lambda: len(client.heard[LABEL]) >= len(pictures) - 2)
    time.sleep(0.5)
    labels = client.heard[LABEL]
    stamps = {stamp(label) for label in labels}
    # Windows of 50 ms: the first picture may come before the events have begun.
    assert len(stamps) == len(labels) >= len(pictures) - 2
    for label in labels:
        assert label.encoding == '32FC1' and (label.width, label.height) == (173, 130)
        assert np.isfinite(np.frombuffer(label.data, np.float32)).all()
        # The clock's fit is off by less than the 4 ms between packets.
        assert min(abs(stamp(label) - picture.stamp_ns) for picture in pictures) < 5_000_000
    infos = client.heard['proxy_label/camera_info']
    assert [info.header for info in infos] == [label.header for label in labels]
    assert infos[-1].k[0] > 0
    facts = json.loads(client.heard[FACTS][-1].data)
    assert facts['teacher'] == untrained_teacher.name and facts['registration'] == 'same'
    assert len(facts['teacher_sha256']) == len(facts['calibration_sha256']) == 64
    wait_for(lambda: int(diagnostics(client)[2].get('labels', 0)) == len(labels))


def test_hot_pixels_that_are_known_of_the_sensor_are_left_out(client, drive, make_node, tmp_path):
    file = tmp_path / 'bay_7_173x130.json'
    kept = '{"width": 173, "height": 130, "hot_pixels": [[70, 50], [3, 4]]}'
    file.write_text(kept)
    client.listen(Image, LABEL)
    make_node(sensor_name='bay 7', state_dir=str(tmp_path))
    ready(client)
    play(client, drive[:len(drive) // 3])
    wait_for(lambda: diagnostics(client)[2].get('hot pixels') == '2')
    assert file.read_text() == kept


def test_a_map_from_elsewhere_is_the_label(client, drive, make_node):
    client.listen(Image, LABEL)
    make_node(teacher__source='topic')
    ready(client, (EVENTS, TEACHER))
    play(client, drive, leave_out=(IMAGE, IMAGE_INFO), renamed={TRUTH: TEACHER})
    wait_for(lambda: len(client.heard[LABEL]) >= 15)
    truths = {message.stamp_ns: message.value for message in drive if message.topic == TRUTH}
    for label in client.heard[LABEL]:
        nearest = min(truths, key=lambda t: abs(t - stamp(label)))
        assert abs(nearest - stamp(label)) < 5_000_000
        np.testing.assert_array_equal(
            np.frombuffer(label.data, np.float32).reshape(130, 173), truths[nearest])


def test_pictures_of_the_night_are_refused_by_reason(client, drive, make_node):
    client.listen(Image, LABEL)
    make_node()
    ready(client)
    dark = [message._replace(value=message.value // 10) if message.topic == IMAGE else message
            for message in drive]
    play(client, dark)
    wait_for(lambda: int(diagnostics(client)[2].get('refused: dark', 0)) >= 15)
    assert not client.heard[LABEL]


def test_a_mirrored_teacher_does_not_teach(client, drive, make_node):
    client.listen(Image, LABEL)
    client.listen(String, FACTS)
    make_node(teacher__source='topic')
    ready(client, (EVENTS, TEACHER))
    mirrored = [message._replace(value=np.ascontiguousarray(message.value[:, ::-1]))
                if message.topic == TRUTH else message for message in drive]
    for k in range(4):
        play(client, mirrored, renamed={TRUTH: TEACHER}, leave_out=(IMAGE, IMAGE_INFO),
             offset_ns=k * 3 * 10**9)
    wait_for(lambda: 'when they are mirrored' in diagnostics(client)[1])
    assert int(diagnostics(client)[2]['doubted']) > 0
    assert 'mirrored' in json.loads(client.heard[FACTS][-1].data)['doubt']


def test_without_a_calibration_it_says_what_is_possible(client, drive, make_node):
    client.listen(Image, LABEL)
    make_node(registration__mode='auto')
    ready(client)
    play(client, drive[:len(drive) // 2], leave_out=(CAMERA_INFO, IMAGE_INFO))
    wait_for(lambda: 'Only registration.mode same is possible' in diagnostics(client)[1])
    assert not client.heard[LABEL]
    # With both calibrations and no baseline it is a rotation.
    client.listen(String, FACTS)
    play(client, drive, offset_ns=5 * 10**9)
    wait_for(lambda: client.heard[FACTS])
    assert json.loads(client.heard[FACTS][-1].data)['registration'] == 'rotation'


def test_calibrations_may_be_files(client, drive, make_node, tmp_path):
    urls = {CAMERA_INFO: 'camera_info_url', IMAGE_INFO: 'image__camera_info_url'}
    for number, topic in enumerate(urls):
        camera = next(m.value for m in drive if m.topic == topic)
        write_calibration(tmp_path / f'{number}.yaml', camera)
    client.listen(String, FACTS)
    make_node(registration__mode='auto', **{
        url: str(tmp_path / f'{number}.yaml') for number, url in enumerate(urls.values())})
    ready(client)
    play(client, drive[:len(drive) // 2], leave_out=(CAMERA_INFO, IMAGE_INFO))
    wait_for(lambda: client.heard[FACTS])
    assert json.loads(client.heard[FACTS][-1].data)['registration'] == 'rotation'


@pytest.mark.parametrize('rectify', [True, False])
def test_labels_are_rectified_as_the_events_are(client, drive, make_node, tmp_path, rectify):
    camera = next(m.value for m in drive if m.topic == CAMERA_INFO)
    write_calibration(tmp_path / 'lens.yaml', replace(camera, d=np.array([0.3, 0, 0, 0, 0])))
    client.listen(Image, LABEL)
    client.listen(CameraInfo, 'proxy_label/camera_info')
    make_node(camera_info_url=str(tmp_path / 'lens.yaml'), rectify=rectify)
    ready(client)
    play(client, drive[:len(drive) // 2], leave_out=(CAMERA_INFO, IMAGE_INFO))
    wait_for(lambda: client.heard[LABEL] and client.heard['proxy_label/camera_info'])
    assert any(client.heard['proxy_label/camera_info'][-1].d) != rectify
    label = client.heard[LABEL][-1]
    known = np.isfinite(np.frombuffer(label.data, np.float32).reshape(label.height, label.width))
    assert known[label.height // 2, label.width // 2] and known[0, 0] != rectify
    wait_for(lambda: diagnostics(client)[2].get('rectified') == str(rectify))


def test_a_calibration_is_rectified_where_it_holds_up_and_ends_nothing(
        client, drive, make_node, monkeypatch, capfd):
    threads = []

    def fail(camera):
        threads.append(threading.current_thread().name)
        raise MemoryError('Unable to allocate 29.1 TiB')
    make_node()
    ready(client, (EVENTS, IMAGE, CAMERA_INFO))
    client.listen(Image, LABEL)
    camera = next(m.value for m in drive if m.topic == CAMERA_INFO)
    lens = replace(camera, d=np.array([0.3, 0, 0, 0, 0]))
    with monkeypatch.context() as patch:
        patch.setattr(rectification, 'Rectification', fail)

        def told():
            client.publishers[CAMERA_INFO].publish(to_camera_info(lens, to_header(0, 'f')))
            time.sleep(0.1)
            return 'MemoryError' in diagnostics(client)[1]
        wait_for(told)
    assert threads == ['labels']
    time.sleep(1.1)  # after which another calibration follows
    absurd = replace(lens, width=2_000_000, height=2_000_000)
    client.publishers[CAMERA_INFO].publish(to_camera_info(absurd, to_header(0, 'f')))
    play(client, drive[:len(drive) // 2], leave_out=(CAMERA_INFO,))
    wait_for(lambda: client.heard[LABEL])
    words = 'not rectified: the calibration is for 2000000x2000000 pixels'
    assert words in capfd.readouterr().err


def test_events_or_pictures_that_stop_are_told(client, drive, make_node):
    client.listen(Image, LABEL)
    make_node()
    ready(client)
    play(client, drive[:len(drive) // 3], leave_out=(IMAGE,))
    wait_for(lambda: diagnostics(client)[1] == 'no picture has come')
    play(client, drive[len(drive) // 3:])
    wait_for(lambda: 'no event packet for' in diagnostics(client)[1])


def test_a_teacher_that_raises_and_a_clock_that_jumps_back_are_borne(client, drive, make_node):
    client.listen(Image, LABEL)
    node = make_node()
    labeller = node._stream.labeller
    teacher = labeller._teacher

    def broken(picture):
        raise RuntimeError('out of memory')
    labeller._teacher = broken
    ready(client)
    play(client, drive[:len(drive) // 2], offset_ns=60 * 10**9)
    wait_for(lambda: int(diagnostics(client)[2].get('failed', 0)) >= 3)
    assert 'out of memory' in diagnostics(client)[1] and not client.heard[LABEL]
    labeller._teacher = teacher
    # Pictures from before the jump may still wait for the teacher.
    play(client, drive)
    wait_for(lambda: sum(stamp(label) < 10**18 + 60 * 10**9
                         for label in client.heard[LABEL]) >= 5)


@pytest.mark.parametrize('values, words', [
    ({'teacher__checkpoint': '/nowhere.safetensors'}, 'nowhere'),
    ({'extrinsics__source': 'tf'}, 'tf2_ros'),
    ({'mode': 'distill', 'train__device': 'gpu'}, "not 'gpu'"),
    ({'image__camera_info_url': '/nowhere.yaml'}, 'nowhere.yaml'),
    ({'extrinsics__rotation': [0.0, 0.0, 0.0, 0.0]}, 'no rotation')])
def test_what_cannot_be_is_refused_when_it_starts(make_node, capfd, monkeypatch, values, words):
    monkeypatch.setattr(extrinsics, 'tf2_ros', None)  # as where it is not installed
    node = make_node(**values)
    assert not node.started
    assert words in capfd.readouterr().err


def test_it_trains_promotes_and_announces(client, drive, make_node, anchor_dir, tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'anchor').symlink_to(anchor_dir)
    client.listen(Image, LABEL)
    make_node(mode='distill', teacher__source='topic', train__learning_rate=1e-3,
              train__decide_every=5)
    ready(client, (EVENTS, TEACHER))
    announced = []
    # Later than the node, as an inference node that was restarted.
    client._subscriptions.append(client.node.create_subscription(
        String, 'weights', announced.append,
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)))
    end = time.monotonic() + 240
    for k in itertools.count():
        if announced:
            break
        assert time.monotonic() < end, diagnostics(client)
        play(client, drive, renamed={TRUTH: TEACHER}, leave_out=(IMAGE, IMAGE_INFO),
             offset_ns=k * 3 * 10**9)
    student = read_announced(announced[0].data, str(work / 'weights'))
    assert 'labels by topic' in student.trained_on
    wait_for(lambda: int(diagnostics(client)[2]['promotions']) >= 1)
    values = diagnostics(client)[2]
    assert float(values['disagreement (candidate / running)']) < 1
    assert values['trains on'] == f'cpu in {where_to_learn("cpu", "auto").precision}'
    for name in ('pause', 'save', 'resume'):
        assert client.call(Trigger, f'{client.name}/{name}', timeout=40.0).success
    assert (work / 'state.safetensors').is_file()
