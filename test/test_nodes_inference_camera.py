# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inference node does with the camera: its calibration, and its hot pixels."""
import json
import re
import time

from inference_graph import (
    calibrate, calibration, EPOCH_S, HEIGHT, inference_client, listen, listens, play,
    play_until, status, values, WIDTH)
import numpy as np
import pytest
from ros_graph import node_maker, wait_for, write_calibration
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_anyevent_ros.datasets.messages import encode_event_packet
from depth_anyevent_ros.events.evt3_encoder import Evt3Encoder
from depth_anyevent_ros.events.types import Events, Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.hot_pixel_memory import file_name
from depth_anyevent_ros.nodes.inference_node import InferenceNode

pytestmark = pytest.mark.ros
CALIBRATION = """
image_width: 140
image_height: 98
camera_matrix: {rows: 3, cols: 3, data: [100, 0, 69.5, 0, 110, 48.5, 0, 0, 1]}
distortion_model: %s
distortion_coefficients: {rows: 1, cols: 4, data: [-0.3, 0.05, 0, 0]}
projection_matrix: {rows: 3, cols: 4, data: [60, 0, 69.5, 0, 0, 66, 48.5, 0, 0, 0, 1, 0]}
"""


@pytest.fixture(scope='module')
def client():
    with inference_client() as made:
        yield made


@pytest.fixture
def make_node(client, untrained_file):
    with node_maker(client, InferenceNode, 'inference', checkpoint=str(untrained_file)) as make:
        yield make


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


@pytest.mark.parametrize('what', ['zero', 'half'])
def test_a_calibration_that_is_of_no_use_is_told(client, make_node, what, capfd):
    make_node(metric__source='fixed')
    listen(client, PointCloud2, 'depth/points')
    useless = calibration()
    if what == 'zero':  # what a driver without a calibration publishes
        useless = CameraInfo(width=useless.width, height=useless.height)
    else:
        useless.width //= 2
    wait_for(lambda: client.camera.get_subscription_count() == 1, what='its subscription')
    play(client, 0, 25)

    def told():
        client.camera.publish(useless)
        time.sleep(0.05)
        return values(client).get('calibration', '').startswith('received (')
    wait_for(told)
    play(client, 25, 50)
    says = 'is not calibrated (K is zero)' if what == 'zero' else 'those of the whole sensor'
    heard = []

    def logged():
        heard.append(capfd.readouterr().err)
        return says in ''.join(heard)
    wait_for(logged)
    assert not client.heard['depth/points']
    if what == 'half':
        assert status(client) == (
            1, 'the calibration is for another size than the events have: not used')


def test_a_calibration_file_that_is_not_there_is_told_when_it_starts(make_node, capfd):
    node = make_node(camera_info_url='/nowhere/camera.yaml')
    assert not node.started
    assert '/nowhere/camera.yaml' in capfd.readouterr().err


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


def test_roi_and_binning_of_the_published_calibration_are_heeded(client, make_node, capfd):
    make_node(rectify=False)
    listen(client, CameraInfo, 'inverse_depth/camera_info')
    whole = calibration()
    whole.width, whole.height, whole.binning_x, whole.binning_y = 400, 300, 2, 2
    whole.roi.x_offset, whole.roi.y_offset = 20, 40
    whole.roi.width, whole.roi.height = 500, 2 * HEIGHT
    warning = 'camera_info is not used: a region of interest of 500x196 pixels at (20, 40)'
    log = []

    def warned():
        client.camera.publish(whole)
        time.sleep(0.1)
        log.append(''.join(capfd.readouterr()))
        return warning in ''.join(log)
    wait_for(warned, what='the warning')
    whole.roi.width = 2 * WIDTH

    def received():
        client.camera.publish(whole)
        time.sleep(0.1)
        return values(client).get('calibration') == 'received'
    wait_for(received, what='the node to have the calibration')
    play(client, 0, 25)
    wait_for(lambda: client.heard['inverse_depth/camera_info'])
    info = client.heard['inverse_depth/camera_info'][-1]
    # It is that of the picture: there is nothing left to cut out or to join.
    assert (info.width, info.height) == (WIDTH, HEIGHT) and info.binning_x == info.roi.width == 0
    np.testing.assert_allclose(
        info.k, [50, 0, (69.5 - 20 - 0.5) / 2, 0, 55, (48.5 - 40 - 0.5) / 2, 0, 0, 1])
    np.testing.assert_allclose(np.reshape(info.p, (3, 4))[:, :3].ravel(), info.k)


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
    file = tmp_path / file_name('front/camera', 140, 98)
    wait_for(file.exists)
    assert json.loads(file.read_text())['hot_pixels'] == [[33, 44]]


def light(rates, flicker_hz):
    """
    Return events of three bursts, 4 s apart, in each of which the stream is looked at for 1 s.

    rates: of events a second in each tenth of a second. flicker_hz: of light that swings, with ON
    events while it rises and OFF events while it falls; 0 for either at any time.
    """
    rng = np.random.default_rng(0)
    once = np.concatenate([np.linspace(i * 10**8, (i + 1) * 10**8, rate // 10, endpoint=False)
                           for i, rate in enumerate(rates)])
    t = np.concatenate([once + begin for begin in (0, 4 * 10**9, 8 * 10**9)]).astype(np.int64)
    x, y = rng.integers(0, WIDTH, len(t)), rng.integers(0, HEIGHT, len(t))
    p = np.sin(2e-9 * np.pi * flicker_hz * t) > 0 if flicker_hz else rng.random(len(t)) < 0.5
    return Events(t, x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8))


@pytest.mark.parametrize('rates, flicker_hz, name, value, words', [
    ([60_000] * 13, 100, 'flicker (Hz)', 100, 'The light flickers at 100 Hz'),
    ([300_000] * 7 + [150_000] * 6, 0, 'rate ceiling (events/s)', 300_000,
     'held at 0.3 million a second')])
def test_what_the_events_tell_of_light_and_sensor_is_told(
        client, make_node, trained_file, tmp_path, capfd, rates, flicker_hz, name, value, words):
    make_node(checkpoint=str(trained_file), state_dir=str(tmp_path), rate_hz=1.0)
    listen(client)
    wait_for(lambda: listens(client), what='the node to subscribe')
    events, encoder = light(rates, flicker_hz), Evt3Encoder()
    tenths, after = np.unique(events.t // 10**8), 1000  # of messages of 10 ms, for 10 s
    for seq, begin in enumerate(tenths * 10**8, start=after - len(tenths)):
        first, last = np.searchsorted(events.t, (begin, begin + 10**8))
        part = Events(*(getattr(events, field)[first:last] for field in 'txyp'))
        client.events.publish(encode_event_packet(Packet(
            encoder.encode(part, end_ns=int(begin) + 10**8), 'evt3', WIDTH, HEIGHT, seq,
            stamp_ns=EPOCH_S * 10**9 + int(begin), frame_id='event_camera_optical_frame')))
        time.sleep(0.01)
    play_until(client, lambda: words in status(client)[1], begin=after)
    assert status(client)[0] == 1
    assert float(values(client)[name]) == pytest.approx(value, rel=0.03)
    log = []

    def warned():
        log.append(''.join(capfd.readouterr()))
        return re.findall(rf'\[WARN\].*{words}', ''.join(log))
    wait_for(warned)
    time.sleep(0.5)
    assert len(warned()) == 1  # although it is looked at five times a second
